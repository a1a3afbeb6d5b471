#!lua
-- ExtendHold: moves a hold's expiry to now + ttl, later or earlier.
--
-- Input:  hold_id, holder, ttl_ms.
-- Output: {Extended = record}, Missing, {Standing = record} with the
--         state that forbids it, or {TtlTooLong = the longest ms now}.
-- Events: the hold as it is now.

local refused = fenced_off()
if refused then return refused end

local hold, state = find(request.hold_id, request.holder)
if not hold then return done('Missing') end
if state ~= ACTIVE then
  hold[STATE] = state
  return done({Standing = hold})
end
local max_hold_ms = tonumber(redis.call('HGET', META, 'max_hold_ms'))
local longest = hold[CREATED] + max_hold_ms - now
if request.ttl_ms > longest then return done({TtlTooLong = math.max(longest, 0)}) end

hold[EXPIRES] = now + request.ttl_ms
changed_hold(request.hold_id, hold)
redis.call('ZADD', DUE, hold[EXPIRES], request.hold_id)
log_change()
return done({Extended = hold})
