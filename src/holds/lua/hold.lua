#!lua
-- Hold: takes seats and area units for holders; each hold gets all of its items
-- or none. One call carries what was asked for at the same time, in order.
--
-- Input:  scan; holds: {hold_id, holder, fingerprint, ttl_ms (nil: the
--         event's), seats, areas ({area, quantity} each), revision: of the event
--         that the caller knows, entitled: whether the holder may be cooling down,
--         beside: {seat, the one beyond it or nil} each, which must not be left
--         alone, strict: or else the hold is refused} each.
-- Output: for each {Held = record}, new or made by the same request before; or
--         {Stranding = {record, seats left alone}}; or
--         Reused, {Ended = record}, Behind: the caller's event is too old,
--         {NotOnSale = state}, {TtlTooLong = ms}, {LimitPerHold = limit},
--         {CoolingDown = ms}, {Unavailable = {{seat, status}, ...}},
--         {Insufficient = {{area, available}, ...}}, {Orphans = seats},
--         {LimitPerHolder = {limit, used}}, or Backlog: more holds have run
--         out than this script looks through; end them and ask again; or
--         Failed: a record in its way is damaged.
-- Events: holds that ran out and stood in the way expire; the holds are made.

local refused = fenced_off()
if refused then return refused end

-- What the event allows.
local rules = redis.call('HMGET', META, 'state', 'hold_ttl_ms', 'max_hold_ms',
  'max_units_per_hold', 'max_units_per_holder', 'journaled', 'revision', 'max_expired_holds')
local max_hold_ms, max_units_per_hold = tonumber(rules[3]), tonumber(rules[4])
local max_units_per_holder, journaled = tonumber(rules[5]), rules[6] == '1'
local revision, max_expired_holds = tonumber(rules[7]), tonumber(rules[8]) or 0

-- What this call's holds name is read at once, and what they write is written at
-- once: a command costs as much as all that a script does with its answer. Both are
-- here as they are for the next hold of the call; false where there is none.
local values, packed_holds = {}, {}
local new = {seats = {}, holds = {}, due = {}}

-- Beginnings of {Held = record} and {Done = answers}.
local IS_HELD, IS_DONE = '\129\164Held', '\129\164Done'

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

-- The same request again has the same answer, whatever has changed since.
local function asked_again(asked, known)
  if known[FINGERPRINT] ~= asked.fingerprint or known[HOLDER] ~= asked.holder then
    return 'Reused'
  end
  local _, state = find(asked.hold_id, asked.holder)
  if state == ACTIVE and (known[ASKED] or 0) > 0 then
    -- Whoever asked before may be answered: see undo_hold.
    known[ASKED] = known[ASKED] + 1
    put(asked.hold_id, known)
  end
  if state == ACTIVE or state == CONFIRMING or state == CONFIRMED then
    return {Held = known}
  end
  known[STATE] = state
  return {Ended = known}
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

-- Adds those that have the seats; answers which seats are not to be had.
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
      if other and state == ACTIVE and other[EXPIRES] <= now then
        self:add(owner, other)
      elseif other or status ~= HELD then
        unavailable[#unavailable + 1] = {seat, status}
      end -- A seat whose hold is gone from Redis is nobody's.
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
    for _, hold in pairs(self.holds) do
      for _, theirs in ipairs(hold[AREAS_HELD]) do
        if theirs[AREA] == part[1] then available = available + theirs[QUANTITY] end
      end
    end
    if available < part[2] then short[#short + 1] = {part[1], available} end
  end
  return short
end

-- Units that the holder has, without what the doomed will give back.
function Doomed:units_used(holder)
  if max_units_per_holder == 0 then return 0 end
  local used = tonumber(redis.call('HGET', HOLDERS, holder)) or 0
  for _, hold in pairs(self.holds) do
    if hold[HOLDER] == holder then used = used - unit_count(hold) end
  end
  return used
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
local function stranded_by(asked)
  local alone = {}
  if not asked.beside then return alone end
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

local function take(asked, hold)
  local value = HELD .. asked.hold_id
  for _, seat in ipairs(asked.seats) do
    values[seat] = value
    new.seats[#new.seats + 1] = seat
    new.seats[#new.seats + 1] = value
  end
  changed_seats(HELD, asked.seats)
  for _, part in ipairs(asked.areas) do take_area(part[1], part[2]) end
  count_units(asked.holder, unit_count(hold))
  changed_hold(asked.hold_id, hold)
  new.due[#new.due + 1] = hold[EXPIRES]
  new.due[#new.due + 1] = asked.hold_id
end

-- Answers a value, or its bytes and true.
local function hold(asked)
  local known = hold_of(asked.hold_id)
  if known then return asked_again(asked, known) end
  if asked.revision < revision then return 'Behind' end
  if rules[1] ~= 'ON_SALE' then return {NotOnSale = rules[1]} end
  local ttl_ms = asked.ttl_ms or tonumber(rules[2])
  if ttl_ms > max_hold_ms then return {TtlTooLong = max_hold_ms} end
  local made = {asked.holder, asked.fingerprint, ACTIVE, now, now + ttl_ms, 0, asked.seats, {},
    '', 0, journaled and 1 or 0}
  for i, part in ipairs(asked.areas) do made[AREAS_HELD][i] = {part[1], part[2], part[2]} end
  local units = unit_count(made)
  if units > max_units_per_hold then return {LimitPerHold = max_units_per_hold} end

  if max_expired_holds > 0 and not asked.entitled then
    local lapses, counts_until = lapses_of(asked.holder)
    if lapses >= max_expired_holds then return {CoolingDown = counts_until - now} end
  end

  local doomed = setmetatable({holds = {}, ids = {}}, Doomed)
  local unavailable = doomed:add_owners(asked.seats)
  if #unavailable > 0 then return {Unavailable = unavailable} end
  local function over_limit()
    return max_units_per_holder > 0
      and doomed:units_used(asked.holder) + units > max_units_per_holder
  end
  if #doomed:short_areas(asked.areas) > 0 or over_limit() then
    local seen = doomed:add_due(request.scan)
    local short = doomed:short_areas(asked.areas)
    if #short > 0 or over_limit() then
      if seen == request.scan then return 'Backlog' end
      if #short > 0 then return {Insufficient = short} end
      return {LimitPerHolder = {max_units_per_holder, doomed:units_used(asked.holder)}}
    end
  end

  local alone = stranded_by(asked)
  if #alone > 0 and asked.strict then return {Orphans = alone} end

  -- Every check is done: from here only writes.
  for _, id in ipairs(doomed.ids) do expire(id, doomed.holds[id]) end
  take(asked, made)
  if #alone > 0 then return {Stranding = {made, alone}} end
  return IS_HELD .. packed_holds[asked.hold_id], true
end

local ids, seats = {}, {}
for _, asked in ipairs(request.holds) do
  ids[#ids + 1] = asked.hold_id
  for _, seat in ipairs(asked.seats) do seats[#seats + 1] = seat end
  for _, pair in ipairs(asked.beside or {}) do
    seats[#seats + 1] = pair[1]
    seats[#seats + 1] = pair[2]
  end
end
read(HOLDS, ids, packed_holds)
read(SEATS, seats, values)

local answers = {}
for i, asked in ipairs(request.holds) do
  -- A record that cannot be used harms nobody else's hold.
  local fine, answer, is_packed = pcall(hold, asked)
  if not fine then answer = 'Failed' end
  answers[i] = is_packed and answer or cmsgpack.pack(answer)
end
write('HSET', SEATS, new.seats)
write('HSET', HOLDS, new.holds)
write('ZADD', DUE, new.due)
log_change()
return IS_DONE .. list(answers)
