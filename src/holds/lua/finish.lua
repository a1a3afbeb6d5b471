#!lua flags=allow-oom
-- Ends holds by the outcomes that Postgres has decided.
--
-- Input:  holds: {hold_id, state, order, seats, units} each; state is S
--         (confirmed, by order, which has these seats in ascending order, and so
--         many seats and area units together), or R, E, L: free again.
-- Output: the record of each hold that Redis knows.
-- Events: what became of the seats and areas; the holds that ended.

local refused = fenced_off()
if refused then return refused end

local function ended(id)
  change.ended[#change.ended + 1] = id
end

-- Postgres is the truth: whatever a seat was here, it is sold now.
local function sell_seats(id, seats)
  if #seats == 0 then return end
  local sold, fields = {}, {}
  for i, value in ipairs(redis.call('HMGET', SEATS, unpack(seats))) do
    if not value or value:sub(1, 1) ~= SOLD then
      sold[#sold + 1] = seats[i]
      fields[#fields + 1] = seats[i]
      fields[#fields + 1] = SOLD .. id
    end
  end
  if #fields > 0 then redis.call('HSET', SEATS, unpack(fields)) end
  changed_seats(SOLD, sold)
end

-- Whether this is the hold that the order sold. Where Redis has forgotten how a
-- hold ended, its id may have been used again for something else.
local function was_sold(hold, seats, units)
  if unit_count(hold) ~= units or #hold[SEATS_HELD] ~= #seats then return false end
  for i, seat in ipairs(hold[SEATS_HELD]) do
    if seat ~= seats[i] then return false end
  end
  return true
end

-- Who buys does not hoard.
local function forgive(holder)
  lapse_rule = lapse_rule or redis.call('HMGET', META, 'max_expired_holds', 'cool_down_ms')
  if (tonumber(lapse_rule[1]) or 0) > 0 then redis.call('HDEL', LAPSES, holder) end
end

local function sell(id, hold, order, seats, units)
  -- Told before. What came back on sale since, by a refund, may be somebody else's.
  if hold and hold[STATE] == CONFIRMED and hold[ORDER] == order then return end
  if hold and hold[STATE] ~= CONFIRMED then ended(id) end
  if hold and not was_sold(hold, seats, units) then
    if hold[STATE] == ACTIVE or hold[STATE] == CONFIRMING then give_back(id, hold, CONFIRMED) end
    redis.call('HDEL', HOLDS, id)
    hold = nil
  end
  sell_seats(id, seats)
  if hold and hold[STATE] ~= CONFIRMED then
    if hold[STATE] == ACTIVE or hold[STATE] == CONFIRMING then
      count(hold[HOLDER], 0, -1)
    else
      -- Its items had gone back on sale here; take them again.
      for _, part in ipairs(hold[AREAS_HELD]) do take_area(part[AREA], part[QUANTITY]) end
      count(hold[HOLDER], unit_count(hold), 0)
    end
    hold[STATE], hold[ENDED], hold[ORDER] = CONFIRMED, now, order
    put(id, hold)
    redis.call('ZREM', DUE, id)
    forgive(hold[HOLDER])
  end
end

local records = {}
for _, outcome in ipairs(request.holds) do
  local id, state = outcome[1], outcome[2]
  local hold = hold_of(id)
  if state == CONFIRMED then
    sell(id, hold, outcome[3], outcome[4], outcome[5])
  elseif hold and (hold[STATE] == ACTIVE or hold[STATE] == CONFIRMING) then
    if state == EXPIRED and hold[STATE] == ACTIVE then count_lapse(hold[HOLDER]) end
    give_back(id, hold, state)
    ended(id)
  elseif hold and hold[STATE] ~= state and hold[STATE] ~= CONFIRMED then
    -- It was expired in passing while Postgres decided.
    hold[STATE] = state
    put(id, hold)
  end
  -- Also where there is no such hold any more, or nobody would be done with it.
  redis.call('ZREM', DUE, id)
  if hold then records[#records + 1] = hold end
end
log_change()
return done(records)
