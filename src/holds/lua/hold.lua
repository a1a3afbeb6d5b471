#!lua
-- Hold: takes seats and area units for holders; each hold gets all of its items
-- or none. One call carries what was asked for at the same time, in order.
--
-- Input:  scan; holds: {hold_id, holder, fingerprint, ttl_ms (nil: the
--         event's), seats, areas ({area, quantity} each), revision: of the event
--         that the caller knows, 0 where none is to be made, entitled: whether it is
--         by the waiting list's first pick, owed: whether the holder may be cooling down,
--         or have as many holds as he may, beside: {seat, the one beyond it or nil} each,
--         which must not be left alone, strict: or else the hold is refused} each.
-- Output: for each {Held = record}, new or made by the same request before; or
--         {Stranding = {record, seats left alone}}; or
--         Reused, {Ended = record}, Behind: the caller's event is too old,
--         {NotOnSale = state}, {TtlTooLong = ms}, {LimitPerHold = limit},
--         {CoolingDown = ms}, {Unavailable = {{seat, status}, ...}},
--         {Insufficient = {{area, available}, ...}}, {Orphans = seats},
--         {LimitPerHolder = {limit, used}}, {HoldsPerHolder = {limit, used}}, or
--         Backlog: more holds have run out than this script looks through; end
--         them and ask again; or Failed: a record in its way is damaged.
-- Events: holds that ran out and stood in the way expire; the holds are made.

-- Beginnings of {Held = record} and {Done = answers}.
local IS_HELD, IS_DONE = '\129\164Held', '\129\164Done'

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

local function take(asked, hold)
  local value = HELD .. asked.hold_id
  for _, seat in ipairs(asked.seats) do
    values[seat] = value
    new.seats[#new.seats + 1] = seat
    new.seats[#new.seats + 1] = value
  end
  changed_seats(HELD, asked.seats)
  for _, part in ipairs(asked.areas) do take_area(part[1], part[2]) end
  count(asked.holder, unit_count(hold), 1)
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

  if max_expired_holds > 0 and not asked.owed then
    local lapses, counts_until = lapses_of(asked.holder)
    if lapses >= max_expired_holds then return {CoolingDown = counts_until - now} end
  end

  local list_first = is_listed and not asked.entitled
  local doomed = setmetatable({holds = {}, ids = {}, list_first = list_first}, Doomed)
  local unavailable = doomed:add_owners(asked.seats)
  if #unavailable > 0 then return {Unavailable = unavailable} end
  local function over_limit()
    local units_used, holds_used = doomed:used(asked.holder)
    if max_units_per_holder > 0 and units_used + units > max_units_per_holder then
      return {LimitPerHolder = {max_units_per_holder, units_used}}
    end
    if max_holds_per_holder > 0 and not asked.owed and holds_used >= max_holds_per_holder then
      return {HoldsPerHolder = {max_holds_per_holder, holds_used}}
    end
  end
  if #doomed:short_areas(asked.areas) > 0 or over_limit() then
    local seen = list_first and 0 or doomed:add_due(request.scan)
    local short, over = doomed:short_areas(asked.areas), over_limit()
    if #short > 0 or over then
      if seen == request.scan then return 'Backlog' end
      return #short > 0 and {Insufficient = short} or over
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
write_all()
log_change()
return IS_DONE .. list(answers)
