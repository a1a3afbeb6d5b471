-- How people find an event and choose in it: the event's own rules for that.

ALTER TABLE events
    ADD COLUMN orphan_policy text NOT NULL DEFAULT 'OFF'
        CHECK (orphan_policy IN ('OFF', 'WARN', 'REFUSE')),
    -- Whether a queue stands before the sale; INVENTORY lets in no more than there is
    -- room for.
    ADD COLUMN waiting_room text NOT NULL DEFAULT 'OFF'
        CHECK (waiting_room IN ('OFF', 'RATE', 'INVENTORY')),
    ADD COLUMN admissions_per_minute int NOT NULL DEFAULT 600 CHECK (admissions_per_minute > 0),
    ADD COLUMN admission_ttl_ms bigint NOT NULL DEFAULT 600000 CHECK (admission_ttl_ms > 0),
    -- Against hoarding: so many holds may run out, each within cool_down_ms of the one
    -- before. 0 is no limit.
    ADD COLUMN max_expired_holds int NOT NULL DEFAULT 0 CHECK (max_expired_holds >= 0),
    ADD COLUMN cool_down_ms bigint NOT NULL DEFAULT 600000 CHECK (cool_down_ms > 0),
    -- What is offered to the waiting list stays so long.
    ADD COLUMN offer_ttl_ms bigint NOT NULL DEFAULT 900000 CHECK (offer_ttl_ms > 0);

-- Kept for whoever knows the channel's key. A share of an area is an area of its own,
-- with units that were moved to it from the one that it is a share of.
ALTER TABLE seats ADD COLUMN channel text CHECK (channel ~ '^[A-Za-z0-9._:-]{1,64}$');
ALTER TABLE areas
    ADD COLUMN channel text CHECK (channel ~ '^[A-Za-z0-9._:-]{1,64}$'),
    ADD COLUMN share_of text,
    ADD CONSTRAINT areas_share_of FOREIGN KEY (event_id, share_of)
        REFERENCES areas (event_id, area_id);
CREATE INDEX seats_of_channels ON seats (event_id, channel) WHERE channel IS NOT NULL;
