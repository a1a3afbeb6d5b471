-- An action is on record before it is done; here, when it was known to be.

ALTER TABLE operator_actions ADD COLUMN done_time timestamptz;

-- What was done to one hold.
CREATE INDEX operator_actions_by_hold ON operator_actions (event_id, hold_id);
