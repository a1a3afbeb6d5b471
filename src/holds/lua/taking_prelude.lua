-- What the scripts share that take places for holders; between the prelude and their
-- own text.
--
-- Input: scan, of holds that have run out.

local refused = fenced_off()
if refused then return refused end

-- What the event allows.
local rules = redis.call('HMGET', META, 'state', 'hold_ttl_ms', 'max_hold_ms',
  'max_units_per_hold', 'max_units_per_holder', 'journaled', 'revision', 'max_expired_holds',
  'listed_until', 'list_seen')
local max_hold_ms, max_units_per_hold = tonumber(rules[3]), tonumber(rules[4])
local max_units_per_holder, journaled = tonumber(rules[5]), rules[6] == '1'
local revision, max_expired_holds = tonumber(rules[7]), tonumber(rules[8]) or 0
-- Whether a waiting list has the first pick, and what it has seen.
local is_listed, list_seen = (tonumber(rules[9]) or 0) > now, tonumber(rules[10]) or 0

-- What a call's holds name is read at once, and what they write is written at
-- once: a command costs as much as all that a script does with its answer. Both are
-- here as they are for the next hold of the call; false where there is none.
local values, packed_holds = {}, {}
local new = {seats = {}, holds = {}, due = {}}

local function read(key, fields, into)
  for first = 1, #fields, 1000 do
    local last = math.min(first + 999, #fields)
    for i, value in ipairs(redis.call('HMGET', key, unpack(fields, first, last))) do
      into[fields[first + i - 1]] = value
    end
  end
end

local function write(command, key, arguments)
  for first = 1, #arguments, 1000 do
    redis.call(command, key, unpack(arguments, first, math.min(first + 999, #arguments)))
  end
end

function hold_of(id)
  local packed = packed_holds[id]
  if packed == nil then
    packed = redis.call('HGET', HOLDS, id)
    packed_holds[id] = packed
  end
  return packed and cmsgpack.unpack(packed)
end

function put(id, hold)
  local packed = cmsgpack.pack(hold)
  packed_holds[id] = packed
  new.holds[#new.holds + 1] = id
  new.holds[#new.holds + 1] = packed
  return packed
end

-- Holds that ran out and stand in a hold's way: they will be freed whole.
local Doomed = {}
Doomed.__index = Doomed

function Doomed:add(id, hold)
  if not self.holds[id] then
    self.holds[id] = hold
    self.ids[#self.ids + 1] = id
  end
end

-- Those of the names that the waiting list has not seen since they were freed, and of
-- the last one how many units.
local function unseen(kind, names)
  local found, units, fields = {}, 0, {}
  if #names == 0 then return found, units end
  for i, name in ipairs(names) do fields[i] = kind .. name end
  for i, note in ipairs(redis.call('HMGET', LAPSES, unpack(fields))) do
    local freed, kept_until, count = (note or ''):match('^(%d+) (%d+) (%d+)$')
    if freed and tonumber(freed) > list_seen and tonumber(kept_until) > now then
      found[#found + 1] = names[i]
      units = tonumber(count)
    end
  end
  return found, units
end

-- Adds those that have the seats; answers which seats are not to be had. Where the
-- waiting list has the first pick, that is what has run out and what was just freed, too.
function Doomed:add_owners(seats)
  local unavailable = {}
  for _, seat in ipairs(seats) do
    local value = values[seat]
    if value then
      local status, owner = value:sub(1, 1), value:sub(2)
      local other, state
      if status == HELD then
        other = self.holds[owner] or hold_of(owner)
        state = other and other[STATE]
      end
      if other and state == ACTIVE and other[EXPIRES] <= now and not self.list_first then
        self:add(owner, other)
      elseif other or status ~= HELD then
        unavailable[#unavailable + 1] = {seat, status}
      end -- A seat whose hold is gone from Redis is nobody's.
    end
  end
  if self.list_first then
    for _, seat in ipairs((unseen('/s', seats))) do
      if not values[seat] then unavailable[#unavailable + 1] = {seat, HELD} end
    end
  end
  return unavailable
end

-- Adds the first that have run out, whatever they have; answers how many those
-- are.
function Doomed:add_due(limit)
  local due = redis.call('ZRANGEBYSCORE', DUE, '-inf', now, 'LIMIT', 0, limit)
  for _, id in ipairs(due) do
    local hold = hold_of(id)
    if hold and hold[STATE] == ACTIVE and hold[EXPIRES] <= now then self:add(id, hold) end
  end
  return #due
end

-- The areas that have too little, counting what the doomed will give back.
function Doomed:short_areas(areas)
  local short = {}
  for _, part in ipairs(areas) do
    local available = tonumber(redis.call('HGET', AREAS, 'f' .. part[1])) or 0
    if self.list_first then
      local _, units = unseen('/a', {part[1]})
      available = math.max(available - units, 0)
    end
    for _, hold in pairs(self.holds) do
      for _, theirs in ipairs(hold[AREAS_HELD]) do
        if theirs[AREA] == part[1] then available = available + theirs[QUANTITY] end
      end
    end
    if available < part[2] then short[#short + 1] = {part[1], available} end
  end
  return short
end

-- Units and open holds that the holder has, without what the doomed will give back.
function Doomed:used(holder)
  if max_units_per_holder == 0 and max_holds_per_holder == 0 then return 0, 0 end
  local units, holds = counts_of(redis.call('HGET', HOLDERS, holder))
  for _, hold in pairs(self.holds) do
    if hold[HOLDER] == holder then units, holds = units - unit_count(hold), holds - 1 end
  end
  return math.max(units, 0), holds
end

local function is_free(seat)
  local value = values[seat]
  if not value then return true end
  if value:sub(1, 1) ~= HELD then return false end
  local other = hold_of(value:sub(2))
  return not other or (other[STATE] == ACTIVE and other[EXPIRES] <= now)
end

-- Which single seats would be left alone. Where fewer than one in twenty is free,
-- nobody minds.
local NONE = {}
local function stranded_by(asked)
  if not asked.beside then return NONE end
  local alone = {}
  local seat_count = tonumber(redis.call('HGET', META, 'seat_count'))
  -- Less the entry of no name.
  local taken = redis.call('HLEN', SEATS) - 1
  if (seat_count - taken) * 20 < seat_count then return alone end
  for _, pair in ipairs(asked.beside) do
    if is_free(pair[1]) and not (pair[2] and is_free(pair[2])) then
      alone[#alone + 1] = pair[1]
    end
  end
  return alone
end

-- What ran out is written at once, with its own seats; what is taken, with all.
local function expire(id, hold)
  expire_in_passing(id, hold)
  for _, seat in ipairs(hold[SEATS_HELD]) do
    if values[seat] == HELD .. id then values[seat] = false end
  end
end

-- What was gathered in `new`, at once.
local function write_all()
  write('HSET', SEATS, new.seats)
  write('HSET', HOLDS, new.holds)
  write('ZADD', DUE, new.due)
end
