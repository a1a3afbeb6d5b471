#!lua
-- CreateOrder: a hold that an order is made of stays as it is from here on, and as long
-- as the order may be paid, if its event lets it.
--
-- Input:  hold_id, holder; order; window_ms: how long the order may be paid; seats,
--         areas ({area, quantity} each): what the order is for.
-- Output: {Ordered = record}, with this order, or one that was to be made of it before;
--         Changed: the hold is of something else; Missing; or {Standing = record} with
--         the state that forbids it.
-- Events: the hold as it is now.

local refused = fenced_off()
if refused then return refused end

local hold, state = find(request.hold_id, request.holder)
if not hold then return done('Missing') end
if state ~= ACTIVE then
  hold[STATE] = state
  return done({Standing = hold})
end
local seats, areas = hold[SEATS_HELD], hold[AREAS_HELD]
local is_same = #seats == #request.seats and #areas == #request.areas
for i, seat in ipairs(request.seats) do is_same = is_same and seats[i] == seat end
for i, part in ipairs(request.areas) do
  is_same = is_same and areas[i][AREA] == part[1] and areas[i][QUANTITY] == part[2]
end
if not is_same then return done('Changed') end

local longest = hold[CREATED] + tonumber(redis.call('HGET', META, 'max_hold_ms'))
local expires = math.max(hold[EXPIRES], math.min(now + request.window_ms, longest))
if hold[ORDER] == '' or expires > hold[EXPIRES] then
  if hold[ORDER] == '' then hold[ORDER] = request.order end
  hold[EXPIRES] = expires
  changed_hold(request.hold_id, hold)
  redis.call('ZADD', DUE, expires, request.hold_id)
  log_change()
end
return done({Ordered = hold})
