#!lua flags=allow-oom
-- Undoes a Hold that could not be journaled before its answer, as if it had
-- never been made: its id may be used again.
--
-- Input:  hold_id, seq: the log entry that made it.
-- Output: whether it was undone. Not where it was asked for again, or changed, or was
--         to be changed and is so:
--         somebody may have been answered that it stands. Nor where it has run
--         out: its outcome may be on its way already.
-- Events: its items go back on sale; the hold is undone.

local refused = fenced_off()
if refused then return refused end

local hold = hold_of(request.hold_id)
if not hold or hold[STATE] ~= ACTIVE or hold[EXPIRES] <= now
  or hold[ASKED] ~= 1 or hold[SEQ] ~= request.seq then
  return done(false)
end
give_back(request.hold_id, hold, EXPIRED)
redis.call('HDEL', HOLDS, request.hold_id)
change.undone[1] = request.hold_id
log_change()
return done(true)
