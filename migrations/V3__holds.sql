-- The journal of holds, and how each of them ended.

CREATE TABLE holds (
    hold_id         uuid PRIMARY KEY,
    event_id        text NOT NULL REFERENCES events,
    holder_id       text NOT NULL,
    fingerprint     text NOT NULL,
    create_time     timestamptz NOT NULL,
    expire_time     timestamptz NOT NULL,
    seat_indexes    int[] NOT NULL,
    -- Units now and at first, of each of the areas.
    area_indexes    int[] NOT NULL,
    area_quantities int[] NOT NULL,
    area_at_first   int[] NOT NULL,
    -- The log entry that this row follows.
    epoch           bigint NOT NULL,
    seq             bigint NOT NULL
);

CREATE INDEX holds_by_expiry ON holds (event_id, expire_time);

-- One row decides how a hold ends; whoever inserts it first is right.
CREATE TABLE hold_outcomes (
    hold_id  uuid PRIMARY KEY,
    event_id text NOT NULL REFERENCES events,
    outcome  text NOT NULL CHECK (outcome IN ('confirmed', 'released', 'expired', 'lost')),
    order_id uuid CHECK ((order_id IS NOT NULL) = (outcome = 'confirmed')),
    end_time timestamptz NOT NULL DEFAULT now()
);
