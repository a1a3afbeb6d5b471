-- The sale around the hold: orders before they are paid, payments, refunds, and what
-- downstream is told.

-- How an event sells.
ALTER TABLE events
    ADD COLUMN payment_window_ms bigint NOT NULL DEFAULT 900000 CHECK (payment_window_ms > 0),
    -- ACCEPT: who paid late gets the seats where all of them are free; REFUND: never.
    ADD COLUMN late_payment text NOT NULL DEFAULT 'ACCEPT'
        CHECK (late_payment IN ('ACCEPT', 'REFUND'));

-- An order that CreateOrder made is PENDING until it is paid; what Confirm alone made
-- is PAID from the first, and has none of the columns below.
ALTER TABLE orders
    ALTER COLUMN payment_reference DROP NOT NULL,
    ADD CONSTRAINT orders_paid_by CHECK (state <> 'PAID' OR payment_reference IS NOT NULL),
    ADD COLUMN payment_provider text,
    -- Until when the prices stand; then an order that is not paid is cancelled.
    ADD COLUMN price_expire_time timestamptz,
    ADD COLUMN buyer_name text,
    ADD COLUMN buyer_email text,
    ADD COLUMN buyer_language text,
    -- Where the buyer's browser goes after paying.
    ADD COLUMN return_url text,
    ADD COLUMN cancel_time timestamptz,
    -- Somebody asked for it, so a payment that still comes is given back.
    ADD COLUMN cancelled_by text,
    -- Given back, or to be given back, of what was paid for it.
    ADD COLUMN refunded_micros bigint NOT NULL DEFAULT 0 CHECK (refunded_micros >= 0),
    -- Whoever sees to an order whose time is up has it until then.
    ADD COLUMN lease_until timestamptz;

CREATE INDEX orders_due ON orders (price_expire_time) WHERE state = 'PENDING';
-- Those of an event are found by their holds' index, and sorted: a sale pays for one
-- index less.
CREATE INDEX orders_by_holder ON orders (holder_id, order_id);

-- What an order is for, at the prices of when it was made.
CREATE TABLE order_items (
    order_id     uuid NOT NULL REFERENCES orders,
    item_index   int NOT NULL,
    event_id     text NOT NULL,
    seat_index   int,
    area_index   int,
    quantity     int NOT NULL CHECK (quantity > 0),
    -- Of one unit.
    price_micros bigint NOT NULL CHECK (price_micros >= 0),
    PRIMARY KEY (order_id, item_index),
    CONSTRAINT order_items_one_place CHECK (num_nonnulls(seat_index, area_index) = 1),
    FOREIGN KEY (event_id, seat_index) REFERENCES seats,
    FOREIGN KEY (event_id, area_index) REFERENCES areas
);

-- Holds that an order was made from, where it was sold by another: a late payment
-- takes the seats again, under a hold of its own.
CREATE TABLE former_holds (
    event_id text NOT NULL REFERENCES events,
    hold_id  uuid NOT NULL,
    order_id uuid NOT NULL REFERENCES orders,
    PRIMARY KEY (event_id, hold_id)
);

-- Attempts to pay an order through a provider.
CREATE TABLE payments (
    payment_id         uuid PRIMARY KEY,
    order_id           uuid NOT NULL REFERENCES orders,
    provider           text NOT NULL,
    currency           text NOT NULL,
    amount_micros      bigint NOT NULL CHECK (amount_micros >= 0),
    -- BEGUN: the buyer may be paying. PAID: the provider has the money. What it means
    -- for the order is settled after that.
    state              text NOT NULL CHECK (state IN ('BEGUN', 'PAID', 'FAILED')),
    -- The provider's own id of it.
    provider_reference text,
    -- When it was begun, as the provider was told.
    begin_time         timestamptz NOT NULL,
    pay_time           timestamptz,
    -- What a PAID payment came to: the order, or money to give back. NULL: not yet.
    settlement         text CHECK (settlement IN ('ORDER', 'REFUND')),
    -- Whoever works on it has it until then.
    lease_until        timestamptz,
    CHECK (settlement IS NULL OR state = 'PAID')
);

CREATE INDEX payments_by_order ON payments (order_id);
CREATE INDEX payments_begun ON payments (begin_time) WHERE state = 'BEGUN';
CREATE INDEX payments_unsettled ON payments (pay_time)
    WHERE state = 'PAID' AND settlement IS NULL;

-- Money to give back: durable work. DUE waits for RefundOrder; ASKED is on its way to
-- the provider; DONE is given back; FAILED was refused by the provider for good.
CREATE TABLE refunds (
    refund_id          uuid PRIMARY KEY,
    order_id           uuid NOT NULL REFERENCES orders,
    -- NULL where Confirm was told of the payment.
    payment_id         uuid REFERENCES payments,
    amount_micros      bigint NOT NULL CHECK (amount_micros >= 0),
    state              text NOT NULL CHECK (state IN ('DUE', 'ASKED', 'DONE', 'FAILED')),
    reason             text NOT NULL,
    actor              text NOT NULL,
    -- Of the request that asked for it: the same again is told from another.
    fingerprint        text,
    create_time        timestamptz NOT NULL DEFAULT now(),
    end_time           timestamptz,
    attempts           int NOT NULL DEFAULT 0,
    -- The provider may have done it: the last try has no outcome that is known.
    in_doubt           boolean NOT NULL DEFAULT false,
    next_time          timestamptz NOT NULL DEFAULT now(),
    lease_until        timestamptz,
    provider_reference text,
    last_error         text
);

CREATE INDEX refunds_by_order ON refunds (order_id);
CREATE INDEX refunds_asked ON refunds (next_time) WHERE state = 'ASKED';
CREATE INDEX refunds_open ON refunds (state) WHERE state <> 'DONE';
-- A payment that cannot become an order is given back once.
CREATE UNIQUE INDEX refunds_of_unsettled ON refunds (payment_id) WHERE reason = 'late_payment';

-- Tickets that are valid no more: moved here, so that `tickets` alone says who owns a
-- place.
CREATE TABLE void_tickets (
    ticket_id    uuid PRIMARY KEY,
    order_id     uuid NOT NULL REFERENCES orders,
    event_id     text NOT NULL,
    seat_index   int,
    area_index   int,
    price_micros bigint NOT NULL,
    refund_id    uuid NOT NULL REFERENCES refunds ON UPDATE CASCADE,
    -- By which Redis is told, once, that these places are on sale again.
    return_id    uuid NOT NULL,
    void_time    timestamptz NOT NULL DEFAULT now()
);

CREATE INDEX void_tickets_by_order ON void_tickets (order_id);
CREATE INDEX void_tickets_by_return ON void_tickets (return_id);
CREATE INDEX void_tickets_by_refund ON void_tickets (refund_id);

-- Who did what to an order by hand, and why.
CREATE TABLE order_audit (
    order_audit_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    order_id       uuid NOT NULL REFERENCES orders,
    action         text NOT NULL CHECK (action IN ('cancel', 'refund')),
    actor          text NOT NULL,
    reason         text NOT NULL,
    create_time    timestamptz NOT NULL DEFAULT now()
);

CREATE INDEX order_audit_by_order ON order_audit (order_id);

-- 'returned': places of a refund go back on sale. Redis is told only in the epoch in
-- which they were given back: a later one was built from what Postgres had then.
ALTER TABLE outbox
    DROP CONSTRAINT outbox_kind,
    DROP CONSTRAINT outbox_of_a_hold,
    ADD COLUMN return_id uuid,
    ADD COLUMN epoch bigint,
    ADD CONSTRAINT outbox_kind CHECK (kind IN ('sold', 'ended', 'event', 'returned')),
    ADD CONSTRAINT outbox_of_a_hold CHECK ((hold_id IS NOT NULL) = (kind IN ('sold', 'ended'))),
    ADD CONSTRAINT outbox_of_a_return
        CHECK (num_nonnulls(return_id, epoch) = CASE kind WHEN 'returned' THEN 2 ELSE 0 END);

-- What downstream is told: a row in the transaction that it tells of, numbered after
-- its commit, so that who reads by number never misses one that committed late.
CREATE TABLE order_events (
    order_event_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    sequence       bigint,
    kind           text NOT NULL CHECK (kind IN ('HOLDS_EXPIRED', 'ORDER_CREATED', 'ORDER_PAID',
        'ORDER_CANCELLED', 'ORDER_REFUND_DUE', 'ORDER_REFUNDED')),
    event_id       text NOT NULL,
    -- NULL for HOLDS_EXPIRED.
    order_id       uuid,
    -- Of HOLDS_EXPIRED.
    hold_ids       uuid[],
    create_time    timestamptz NOT NULL DEFAULT now(),
    CHECK (num_nonnulls(order_id, hold_ids) = 1)
);

-- Partial both: a sale has one of them to write.
CREATE UNIQUE INDEX order_events_sequence_key ON order_events (sequence)
    WHERE sequence IS NOT NULL;
CREATE INDEX order_events_unnumbered ON order_events (order_event_id) WHERE sequence IS NULL;
