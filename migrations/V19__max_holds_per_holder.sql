-- How many holds a holder may have open at a time; 0 is no limit. A server of before does
-- not name it, and makes events without.

ALTER TABLE events
    ADD COLUMN max_holds_per_holder int NOT NULL DEFAULT 0 CHECK (max_holds_per_holder >= 0);
