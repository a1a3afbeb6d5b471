#!lua
-- Brings an event's rules and the size of its chart up to a revision. An older
-- revision than the one in force changes nothing.
--
-- Input:  rules: {revision, state, hold_ttl_ms, max_hold_ms,
--         max_units_per_hold, max_units_per_holder, journaled,
--         max_expired_holds, cool_down_ms, max_holds_per_holder}; seat_count;
--         areas: the capacity of each.
-- Output: Changed; Kept: this revision is in force, or a later one; or Short: it is,
--         but units of an area are withdrawn, for a later one.
-- Events: new seats are available, areas have grown.

local refused = fenced_off()
if refused then return refused end

local meta = redis.call('HMGET', META, 'revision', 'seat_count')
local function is_short()
  for i, capacity in ipairs(request.areas) do
    local has = tonumber(redis.call('HGET', AREAS, 'c' .. i - 1)) or 0
    if has < capacity then return true end
  end
end
local revision = tonumber(meta[1])
if revision == request.rules[1] and is_short() then return done('Short') end
if revision >= request.rules[1] then return done('Kept') end

redis.call('HSET', META, 'revision', request.rules[1], 'state', request.rules[2],
  'hold_ttl_ms', request.rules[3], 'max_hold_ms', request.rules[4],
  'max_units_per_hold', request.rules[5], 'max_units_per_holder', request.rules[6],
  'journaled', request.rules[7], 'max_expired_holds', request.rules[8],
  'cool_down_ms', request.rules[9], 'max_holds_per_holder', request.rules[10],
  'seat_count', request.seat_count)

-- Where holds are limited from now on, or not any more, what holders have is counted
-- otherwise than before, and so from the holds that are open.
local function count_anew()
  local open = {}
  local due = redis.call('ZRANGE', DUE, 0, -1)
  for first = 1, #due, 1000 do
    local last = math.min(first + 999, #due)
    for _, packed in ipairs(redis.call('HMGET', HOLDS, unpack(due, first, last))) do
      local hold = packed and packed ~= '' and cmsgpack.unpack(packed)
      if hold and (hold[STATE] == ACTIVE or hold[STATE] == CONFIRMING) then
        open[hold[HOLDER]] = (open[hold[HOLDER]] or 0) + 1
      end
    end
  end
  local all = redis.call('HGETALL', HOLDERS)
  for i = 1, #all, 2 do
    local holder, number = all[i], all[i + 1]
    local as = counted_as((counts_of(number)), open[holder] or 0)
    if holder ~= '' and as ~= tonumber(number) then redis.call('HSET', HOLDERS, holder, as) end
  end
end
local limited_holds = max_holds_per_holder > 0
max_holds_per_holder = request.rules[10]
if limited_holds ~= (max_holds_per_holder > 0) then count_anew() end

local added = {}
for seat = tonumber(meta[2]), request.seat_count - 1 do added[#added + 1] = seat end
changed_seats(AVAILABLE, added)
for i, capacity in ipairs(request.areas) do
  local area = i - 1
  local before = tonumber(redis.call('HGET', AREAS, 'c' .. area)) or 0
  redis.call('HSET', AREAS, 'c' .. area, capacity)
  redis.call('HINCRBY', AREAS, 'f' .. area, 0)
  take_area(area, before - capacity)
end
log_change()
return done('Changed')
