-- What is still to be told to Redis after a commit. Rows are claimed by
-- done_at IS NULL, never by paging through ids: a low id that commits late
-- would be passed over for ever.

CREATE TABLE outbox (
    outbox_id   bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    -- 'sold': the hold's seats are sold; 'event': the event's revision moved on.
    kind        text NOT NULL CHECK (kind IN ('sold', 'event')),
    event_id    text NOT NULL REFERENCES events,
    hold_id     uuid CHECK ((hold_id IS NOT NULL) = (kind = 'sold')),
    -- Whoever works on the row has it until then.
    lease_until timestamptz NOT NULL,
    done_at     timestamptz,
    create_time timestamptz NOT NULL DEFAULT now()
);

CREATE INDEX outbox_open ON outbox (lease_until) WHERE done_at IS NULL;
CREATE INDEX outbox_done ON outbox (done_at) WHERE done_at IS NOT NULL;
