-- A hold id is its event's own: one caller's id says nothing of another event,
-- and Redis keeps each event for itself.

ALTER TABLE holds
    DROP CONSTRAINT holds_pkey,
    ADD PRIMARY KEY (event_id, hold_id);

ALTER TABLE hold_outcomes
    DROP CONSTRAINT hold_outcomes_pkey,
    ADD PRIMARY KEY (event_id, hold_id);

ALTER TABLE orders
    DROP CONSTRAINT orders_hold_id_key,
    ADD CONSTRAINT orders_hold_id_key UNIQUE (event_id, hold_id);

-- What ended lately, for a Redis that has forgotten it.
CREATE INDEX hold_outcomes_by_end ON hold_outcomes (event_id, end_time);
