-- Redis is told again, too, of a hold that ended otherwise than by its sale or by
-- its expiry: nothing else would free its seats before it runs out.

ALTER TABLE outbox
    DROP CONSTRAINT outbox_kind_check,
    DROP CONSTRAINT outbox_check,
    ADD CONSTRAINT outbox_kind CHECK (kind IN ('sold', 'ended', 'event')),
    ADD CONSTRAINT outbox_of_a_hold CHECK ((hold_id IS NULL) = (kind = 'event'));
