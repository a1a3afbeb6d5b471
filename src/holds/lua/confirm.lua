#!lua flags=allow-oom
-- Confirm, its fence: from here the hold cannot expire or be released, only
-- end by the outcome that Postgres decides.
--
-- Input:  hold_id, holder, grace_ms: how long after its expiry a hold that is
--         stuck here may be ended.
-- Output: {Fenced = record}, now or by an attempt before; Missing; {Standing =
--         record} with the state that forbids it; or {Torn = record}: some of
--         its seats are not the hold's any more.
-- Events: none; nobody sees a difference between held and confirming.

local refused = fenced_off()
if refused then return refused end

local id = request.hold_id
local hold, state = find(id, request.holder)
if not hold then return done('Missing') end
if state == CONFIRMING then return done({Fenced = hold}) end
if state ~= ACTIVE then
  hold[STATE] = state
  return done({Standing = hold})
end
if #hold[SEATS_HELD] > 0 then
  for _, value in ipairs(redis.call('HMGET', SEATS, unpack(hold[SEATS_HELD]))) do
    if value ~= HELD .. id then return done({Torn = hold}) end
  end
end

hold[STATE] = CONFIRMING
put(id, hold)
redis.call('ZADD', DUE, hold[EXPIRES] + request.grace_ms, id)
return done({Fenced = hold})
