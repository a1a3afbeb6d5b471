-- How far the holds of an event outlive Redis.

ALTER TABLE events
    ADD COLUMN hold_durability text NOT NULL DEFAULT 'FAST'
        CHECK (hold_durability IN ('FAST', 'JOURNALED'));
