-- What is told to whom: e-mail to buyers, and webhooks.

CREATE TABLE webhooks (
    webhook_id  uuid PRIMARY KEY,
    url         text NOT NULL,
    -- Those it wants; all where empty.
    kinds       text[] NOT NULL,
    -- Of this event; of all events where NULL.
    event_id    text REFERENCES events,
    -- What its calls are signed with.
    secret      bytea NOT NULL,
    create_time timestamptz NOT NULL DEFAULT now()
);

-- One order event on its way to one target. DUE is tried again from next_time on,
-- which whoever tries moves ahead first, as a lease; DEAD is tried no more until
-- somebody asks for it.
CREATE TABLE deliveries (
    delivery_id    bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    order_event_id bigint NOT NULL REFERENCES order_events,
    -- NULL: e-mail to the order's buyer.
    webhook_id     uuid CONSTRAINT deliveries_webhook REFERENCES webhooks ON DELETE CASCADE,
    state          text NOT NULL DEFAULT 'DUE' CHECK (state IN ('DUE', 'DONE', 'DEAD')),
    attempts       int NOT NULL DEFAULT 0,
    next_time      timestamptz NOT NULL DEFAULT now(),
    end_time       timestamptz,
    -- Why the last try failed, without addresses or names.
    last_error     text,
    CONSTRAINT deliveries_ended CHECK ((state = 'DUE') = (end_time IS NULL))
);

-- Each target once for each event, however often somebody asks.
CREATE UNIQUE INDEX deliveries_of_mail ON deliveries (order_event_id) WHERE webhook_id IS NULL;
CREATE UNIQUE INDEX deliveries_of_webhooks ON deliveries (webhook_id, order_event_id)
    WHERE webhook_id IS NOT NULL;
CREATE INDEX deliveries_due ON deliveries (webhook_id, next_time, delivery_id)
    WHERE state = 'DUE';
CREATE INDEX deliveries_dead ON deliveries (delivery_id) WHERE state = 'DEAD';
CREATE INDEX deliveries_done ON deliveries (end_time) WHERE state = 'DONE';
