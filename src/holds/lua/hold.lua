#!lua
-- Hold: takes seats and area units for a holder, all of them or none.
--
-- Input:  hold_id, holder, fingerprint, ttl_ms (nil: the event's), seats,
--         areas ({area, quantity} each).
-- Output: {Held = record}, new or made by the same request before; or
--         Reused, {Ended = record}, {NotOnSale = state}, {TtlTooLong = ms},
--         {LimitPerHold = limit}, {Unavailable = {{seat, status}, ...}},
--         {Insufficient = {{area, available}, ...}},
--         {LimitPerHolder = {limit, used}}, or Backlog: more holds have run
--         out than this script looks through; end them and ask again.
-- Events: holds that ran out and stood in the way expire; the hold is made.

local refused = fenced_off()
if refused then return refused end
local id, holder = request.hold_id, request.holder

-- The same request again has the same answer, whatever has changed since.
local known = hold_of(id)
if known then
  if known[FINGERPRINT] ~= request.fingerprint or known[HOLDER] ~= holder then
    return done('Reused')
  end
  local _, state = find(id, holder)
  if state == ACTIVE or state == CONFIRMING or state == CONFIRMED then
    return done({Held = known})
  end
  known[STATE] = state
  return done({Ended = known})
end

-- What the event allows.
local rules = redis.call('HMGET', META, 'state', 'hold_ttl_ms', 'max_hold_ms',
  'max_units_per_hold', 'max_units_per_holder')
if rules[1] ~= 'ON_SALE' then return done({NotOnSale = rules[1]}) end
local ttl_ms = request.ttl_ms or tonumber(rules[2])
local max_hold_ms = tonumber(rules[3])
if ttl_ms > max_hold_ms then return done({TtlTooLong = max_hold_ms}) end

local hold = {holder, request.fingerprint, ACTIVE, now, now + ttl_ms, 0, request.seats, {}, ''}
for i, part in ipairs(request.areas) do
  hold[AREAS_HELD][i] = {part[1], part[2], part[2]}
end
local asked = unit_count(hold)
local max_units_per_hold = tonumber(rules[4])
if asked > max_units_per_hold then return done({LimitPerHold = max_units_per_hold}) end

-- Holds that ran out and stand in the way: they will be freed whole.
local doomed, doomed_ids = {}, {}
local function doom(doomed_id, doomed_hold)
  if not doomed[doomed_id] then
    doomed[doomed_id] = doomed_hold
    doomed_ids[#doomed_ids + 1] = doomed_id
  end
end

local unavailable = {}
if #request.seats > 0 then
  for i, value in ipairs(redis.call('HMGET', SEATS, unpack(request.seats))) do
    if value then
      local status, owner = value:sub(1, 1), value:sub(2)
      local other, state
      if status == HELD then
        other = doomed[owner] or hold_of(owner)
        state = other and other[STATE]
      end
      if other and state == ACTIVE and other[EXPIRES] <= now then
        doom(owner, other)
      elseif other or status ~= HELD then
        unavailable[#unavailable + 1] = {request.seats[i], status}
      end -- A seat whose hold is gone from Redis is nobody's.
    end
  end
end
if #unavailable > 0 then return done({Unavailable = unavailable}) end

-- What the doomed holds will give back counts as free.
local function freed_units(area)
  local sum = 0
  for _, doomed_hold in pairs(doomed) do
    for _, part in ipairs(doomed_hold[AREAS_HELD]) do
      if part[AREA] == area then sum = sum + part[QUANTITY] end
    end
  end
  return sum
end
local function short_areas()
  local short = {}
  for _, part in ipairs(request.areas) do
    local free = tonumber(redis.call('HGET', AREAS, 'f' .. part[1])) or 0
    local available = free + freed_units(part[1])
    if available < part[2] then short[#short + 1] = {part[1], available} end
  end
  return short
end
local max_units_per_holder = tonumber(rules[5])
local function units_used()
  if max_units_per_holder == 0 then return 0 end
  local used = tonumber(redis.call('HGET', HOLDERS, holder)) or 0
  for _, doomed_hold in pairs(doomed) do
    if doomed_hold[HOLDER] == holder then used = used - unit_count(doomed_hold) end
  end
  return used
end
local function over_holder_limit()
  return max_units_per_holder > 0 and units_used() + asked > max_units_per_holder
end

if #short_areas() > 0 or over_holder_limit() then
  local due = redis.call('ZRANGEBYSCORE', DUE, '-inf', now, 'LIMIT', 0, request.scan)
  for _, due_id in ipairs(due) do
    local due_hold = hold_of(due_id)
    if due_hold and due_hold[STATE] == ACTIVE and due_hold[EXPIRES] <= now then
      doom(due_id, due_hold)
    end
  end
  local short = short_areas()
  if #short > 0 or over_holder_limit() then
    if #due == request.scan then return done('Backlog') end
    if #short > 0 then return done({Insufficient = short}) end
    return done({LimitPerHolder = {max_units_per_holder, units_used()}})
  end
end

-- Every check is done: from here only writes.
for _, doomed_id in ipairs(doomed_ids) do expire_in_passing(doomed_id, doomed[doomed_id]) end
local taken = {}
for _, seat in ipairs(request.seats) do
  taken[#taken + 1] = seat
  taken[#taken + 1] = HELD .. id
end
if #taken > 0 then redis.call('HSET', SEATS, unpack(taken)) end
changed_seats(HELD, request.seats)
for _, part in ipairs(request.areas) do take_area(part[1], part[2]) end
count_units(holder, asked)
put(id, hold)
redis.call('ZADD', DUE, hold[EXPIRES], id)
change.holds[1] = {id, hold}
log_change()
return done({Held = hold})
