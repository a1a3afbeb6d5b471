#!lua
-- ForceExtendHold: moves a hold's expiry, as late as an operator likes.
--
-- Input:  hold_id, expires_ms: by Redis' clock.
-- Output: {Extended = record}; Missing; {Standing = record} with the state that
--         forbids it; Late: that moment has passed; or {Ordered = order}: it would be
--         earlier, and an order was made of it.
-- Events: the hold as it is now.

local refused = fenced_off()
if refused then return refused end

local hold = hold_of(request.hold_id)
if not hold then return done('Missing') end
local _, state = find(request.hold_id, hold[HOLDER])
if state ~= ACTIVE then
  hold[STATE] = state
  return done({Standing = hold})
end
if request.expires_ms <= now then return done('Late') end
-- The order must not outlive its places.
if hold[ORDER] ~= '' and request.expires_ms < hold[EXPIRES] then
  return done({Ordered = hold[ORDER]})
end

hold[EXPIRES] = request.expires_ms
changed_hold(request.hold_id, hold)
redis.call('ZADD', DUE, hold[EXPIRES], request.hold_id)
log_change()
return done({Extended = hold})
