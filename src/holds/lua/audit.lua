#!lua flags=no-writes
-- A piece of what Redis has of an event, for an audit: a page of a walk through
-- one key, holds by their ids, or what the log says has changed since.
--
-- Input:  one of walk: {key ('seats', 'due' or 'holders'), cursor, count};
--         hold_ids; changes: {seq: look at the entries after it, count: of seats,
--         holds and holders that end the look, holders: tell these as well}.
-- Output: Gap: the log has no longer all those entries; or {Piece = {onward, seats,
--         holders, holds, whole}}. onward: the walk's cursor, or the last entry
--         looked at; seats, holders: names and values in turn, '' for what is
--         not there; holds: {id, when it is due or '', record or nil} each, of
--         walks through what is due as well; whole: nil, or, where no entry was
--         left, {now, meta, the log's last id or '', areas}.
-- Events: none.

local refused = fenced_off()
if refused then return refused end

-- Lua's stack has room for 8,000.
local AT_ONCE = 1000
local function in_bulk(command, key, names, tell)
  for first = 1, #names, AT_ONCE do
    local last = math.min(first + AT_ONCE - 1, #names)
    for i, value in ipairs(redis.call(command, key, unpack(names, first, last))) do
      tell(names[first + i - 1], value)
    end
  end
end

local function values_of(key, names)
  local flat = {}
  in_bulk('HMGET', key, names, function(name, value)
    flat[#flat + 1] = tostring(name)
    flat[#flat + 1] = value or ''
  end)
  return flat
end

-- Records and due times are read in one call: no entry tells of the fence of
-- Confirm, which moves both.
local function tell_holds(ids, due, records)
  if not due then
    due = {}
    in_bulk('ZMSCORE', DUE, ids, function(id, score) due[id] = score end)
  end
  -- Records are MessagePack already: triples are put together from bytes.
  local parts, used = {}, 0
  in_bulk('HMGET', HOLDS, ids, function(id, packed)
    if records then records[id] = packed end
    parts[used + 1], parts[used + 2] = '\147', cmsgpack.pack(id, due[id] or '')
    parts[used + 3] = packed or '\192'
    used = used + 3
  end)
  return '\221' .. struct.pack('>I4', #ids) .. table.concat(parts)
end

-- What the entries after a position touch, each thing once.
local touched, listed, count = {seats = {}, holds = {}, holders = {}}, {}, 0
local function touch(kind, name)
  local key = kind .. name
  if listed[key] then return end
  listed[key] = true
  touched[kind][#touched[kind] + 1] = name
  count = count + 1
end

local known = {}
local function touch_all_of(fields)
  for i = 1, #fields, 2 do
    local name, value = fields[i], fields[i + 1]
    if name == 'seats' then
      for _, run in ipairs(cmsgpack.unpack(value)) do
        for _, seat in ipairs(run[2]) do touch('seats', seat) end
      end
    elseif name == 'holds' then
      for _, hold in ipairs(cmsgpack.unpack(value)) do
        known[hold[1]] = true
        touch('holds', hold[1])
        touch('holders', hold[2][HOLDER])
      end
    elseif name == 'expired' or name == 'undone' or name == 'ended' then
      for _, id in ipairs(cmsgpack.unpack(value)) do touch('holds', id) end
    end
  end
end

-- Answers the last entry looked at, or nil where one is missing. An entry is
-- looked at whole: what it tells took the script that wrote it about as long.
local function look_through(after, last, enough)
  while after < last and count < enough do
    local page = redis.call('XRANGE', LOG, request.epoch .. '-' .. after + 1,
      request.epoch .. '-' .. last, 'COUNT', 8)
    if #page == 0 then return nil end
    for _, entry in ipairs(page) do
      if entry[1] ~= request.epoch .. '-' .. after + 1 then return nil end
      touch_all_of(entry[2])
      after = after + 1
      if count >= enough then break end
    end
  end
  return after
end

local onward, seats, holders, holds, whole = '', {}, {}, nil, '\192'
if request.walk then
  local key, cursor, at_least = request.walk[1], request.walk[2], request.walk[3]
  local command, walked = 'HSCAN', SEATS
  if key == 'due' then command, walked = 'ZSCAN', DUE end
  if key == 'holders' then walked = HOLDERS end
  local page = redis.call(command, walked, cursor, 'COUNT', at_least)
  onward = page[1]
  if key == 'seats' then seats = page[2] end
  if key == 'holders' then holders = page[2] end
  if key == 'due' then
    local ids, scores = {}, {}
    for i = 1, #page[2], 2 do
      local id = page[2][i]
      if id ~= '' then ids[#ids + 1], scores[id] = id, page[2][i + 1] end
    end
    holds = tell_holds(ids, scores)
  end
elseif request.changes then
  local after, enough = request.changes[1], request.changes[2]
  for _, holder in ipairs(request.changes[3]) do touch('holders', holder) end
  local last = tonumber(redis.call('HGET', META, 'seq'))
  after = look_through(after, last, enough)
  if not after then return done('Gap') end
  local records = {}
  holds = tell_holds(touched.holds, nil, records)
  for id, packed in pairs(records) do
    if packed and not known[id] then touch('holders', cmsgpack.unpack(packed)[HOLDER]) end
  end
  onward, seats = tostring(after), values_of(SEATS, touched.seats)
  holders = values_of(HOLDERS, touched.holders)
  if after >= last then
    local log_end = redis.call('XREVRANGE', LOG, '+', '-', 'COUNT', 1)[1]
    whole = cmsgpack.pack({now, redis.call('HGETALL', META), log_end and log_end[1] or '',
      redis.call('HGETALL', AREAS)})
  end
else
  holds = tell_holds(request.hold_ids)
end

-- {Done = {Piece = {...}}}: two maps of one, and an array of five.
return '\129' .. cmsgpack.pack('Done') .. '\129' .. cmsgpack.pack('Piece') .. '\149'
  .. cmsgpack.pack(onward) .. cmsgpack.pack(seats) .. cmsgpack.pack(holders)
  .. (holds or cmsgpack.pack({})) .. whole
