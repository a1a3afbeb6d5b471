#!lua flags=no-writes
-- Reads a hold.
--
-- Input:  hold_id.
-- Output: {record}, its state told by the clock; {} where there is none.
-- Events: none.

local refused = fenced_off()
if refused then return refused end

local hold = hold_of(request.hold_id)
if not hold then return done({}) end
local _, state = find(request.hold_id, hold[HOLDER])
hold[STATE] = state
return done({hold})
