-- Events, and how far Redis and the journal are with each.

CREATE TABLE events (
    event_id             text PRIMARY KEY CHECK (event_id ~ '^[A-Za-z0-9._:-]{1,64}$'),
    name                 text NOT NULL,
    venue                text NOT NULL,
    city                 text NOT NULL,
    start_time           timestamptz NOT NULL,
    state                text NOT NULL CHECK (state IN ('DRAFT', 'ON_SALE', 'PAUSED', 'CLOSED')),
    hold_ttl_ms          bigint NOT NULL CHECK (hold_ttl_ms > 0),
    max_hold_ms          bigint NOT NULL CHECK (max_hold_ms >= hold_ttl_ms),
    max_units_per_hold   int NOT NULL CHECK (max_units_per_hold > 0),
    max_units_per_holder int NOT NULL CHECK (max_units_per_holder >= 0),
    -- Of the content that made it: the same CreateEvent again is told from another.
    fingerprint          text NOT NULL,
    -- One higher with each change of the event or its chart; Redis follows it.
    revision             bigint NOT NULL DEFAULT 1,
    -- The fencing token: one higher each time the event's state in Redis is built anew.
    epoch                bigint NOT NULL DEFAULT 0,
    -- Which life of which Redis server that state was built in.
    incarnation          text NOT NULL DEFAULT '',
    create_time          timestamptz NOT NULL DEFAULT now(),
    update_time          timestamptz NOT NULL DEFAULT now()
);

CREATE INDEX events_listed ON events (start_time, event_id) WHERE state <> 'DRAFT';

-- How far the journal has followed each event's log. Moving it and writing what
-- lies between is one statement, so every entry is journaled exactly once.
CREATE TABLE journal_cursors (
    event_id    text PRIMARY KEY REFERENCES events,
    epoch       bigint NOT NULL DEFAULT 0,
    seq         bigint NOT NULL DEFAULT 0,
    update_time timestamptz NOT NULL DEFAULT now()
);
