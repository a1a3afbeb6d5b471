#!lua
-- ChangeHold: makes a hold be of other seats and units, all of them or none: what is
-- new is taken before what is not named any more is given back.
--
-- Input:  scan; hold_id, holder; seats, areas ({area, quantity} each): all that the
--         hold shall have; revision, beside, strict: as in hold, for all its seats;
--         reserved_seats, reserved_areas: which of them may not be new.
-- Output: {Changed = record}, also where nothing had to be changed; {Stranding =
--         {record, seats left alone}}; Missing; {Standing = record} with the state
--         that forbids it; Released: all that it has is to be given back; {Ordered =
--         order}: an order was made of it; Behind;
--         {Reserved = {seats, areas}}: those that are new; Backlog; or {Refused =
--         what hold answers where it refuses}.
-- Events: holds that ran out and stood in the way expire; what is new is held, what
--         is not named any more is available; the hold as it is now.

local id = request.hold_id
local hold, state = find(id, request.holder)
if not hold then return done('Missing') end
if state ~= ACTIVE then
  hold[STATE] = state
  return done({Standing = hold})
end
if hold[ENDED] ~= 0 then return done('Released') end

local has, named, got, given = {}, {}, {}, {}
for _, seat in ipairs(hold[SEATS_HELD]) do has[seat] = true end
for _, seat in ipairs(request.seats) do
  named[seat] = true
  if not has[seat] then got[#got + 1] = seat end
end
for _, seat in ipairs(hold[SEATS_HELD]) do
  if not named[seat] then given[#given + 1] = seat end
end

local units_of, areas, areas_got, areas_given = {}, {}, {}, {}
local counts_anew = false
for _, part in ipairs(hold[AREAS_HELD]) do
  units_of[part[AREA]] = part[QUANTITY]
  -- A partial Release counts from here on, also where the quantity stays.
  counts_anew = counts_anew or part[AT_FIRST] ~= part[QUANTITY]
end
for i, part in ipairs(request.areas) do
  local area, quantity = part[1], part[2]
  local before = units_of[area] or 0
  if quantity > before then areas_got[#areas_got + 1] = {area, quantity - before} end
  if quantity < before then areas_given[#areas_given + 1] = {area, before - quantity} end
  areas[i] = {area, quantity, quantity}
  named['a' .. area] = true
end
for _, part in ipairs(hold[AREAS_HELD]) do
  if not named['a' .. part[AREA]] then
    areas_given[#areas_given + 1] = {part[AREA], part[QUANTITY]}
  end
end

local takes = #got + #areas_got > 0
local stays = not takes and #given + #areas_given == 0
if stays and not counts_anew then
  if (hold[ASKED] or 0) > 0 then
    -- Whoever made it may not be answered yet: see undo_hold.
    hold[ASKED] = hold[ASKED] + 1
    put(id, hold)
    write_all()
  end
  return done({Changed = hold})
end
if hold[ORDER] ~= '' and not stays then return done({Ordered = hold[ORDER]}) end

-- Those of the new that the caller has no key for.
local function reserved()
  local of, seats, no = {}, {}, {}
  for _, seat in ipairs(request.reserved_seats) do of[seat] = true end
  for _, seat in ipairs(got) do
    if of[seat] then seats[#seats + 1] = seat end
  end
  for _, area in ipairs(request.reserved_areas) do of['a' .. area] = true end
  for _, part in ipairs(areas_got) do
    if of['a' .. part[1]] then no[#no + 1] = part[1] end
  end
  if #seats + #no > 0 then return {seats, no} end
end

local before, after = unit_count(hold), #request.seats
for _, part in ipairs(areas) do after = after + part[QUANTITY] end
local doomed = setmetatable({holds = {}, ids = {}, list_first = is_listed}, Doomed)

-- What is short, as the caller would count it: with what the hold has.
local function short_areas()
  local short = doomed:short_areas(areas_got)
  for _, part in ipairs(short) do part[2] = part[2] + (units_of[part[1]] or 0) end
  return short
end

local function over_limit()
  return after > before and max_units_per_holder > 0
    and doomed:used(request.holder) - before + after > max_units_per_holder
end

-- Why what is new is not to be had.
local function why_not()
  if request.revision < revision then return 'Behind' end
  local kept = reserved()
  if kept then return {Reserved = kept} end
  if rules[1] ~= 'ON_SALE' then return {Refused = {NotOnSale = rules[1]}} end
  if after > before and after > max_units_per_hold then
    return {Refused = {LimitPerHold = max_units_per_hold}}
  end
  local unavailable = doomed:add_owners(got)
  if #unavailable > 0 then return {Refused = {Unavailable = unavailable}} end
  if #short_areas() > 0 or over_limit() then
    local seen = is_listed and 0 or doomed:add_due(request.scan)
    local short = short_areas()
    if #short > 0 or over_limit() then
      if seen == request.scan then return 'Backlog' end
      if #short > 0 then return {Refused = {Insufficient = short}} end
      local used = doomed:used(request.holder) - before
      return {Refused = {LimitPerHolder = {max_units_per_holder, used}}}
    end
  end
end

local alone = {}
if takes then
  local seats = {}
  for _, seat in ipairs(got) do seats[#seats + 1] = seat end
  for _, pair in ipairs(request.beside or {}) do
    seats[#seats + 1] = pair[1]
    seats[#seats + 1] = pair[2]
  end
  read(SEATS, seats, values)
  local refusal = why_not()
  if refusal then return done(refusal) end
  for _, seat in ipairs(given) do values[seat] = false end
  alone = stranded_by(request)
  if #alone > 0 and request.strict then return done({Refused = {Orphans = alone}}) end
end

-- Every check is done: from here only writes.
for _, other in ipairs(doomed.ids) do expire(other, doomed.holds[other]) end
for _, seat in ipairs(got) do
  new.seats[#new.seats + 1] = seat
  new.seats[#new.seats + 1] = HELD .. id
end
changed_seats(HELD, got)
free_seats(id, given)
for _, part in ipairs(areas_got) do take_area(part[1], part[2]) end
for _, part in ipairs(areas_given) do take_area(part[1], -part[2]) end
count(request.holder, after - before, 0)
hold[SEATS_HELD], hold[AREAS_HELD] = request.seats, areas
changed_hold(id, hold)
write_all()
log_change()
return done(#alone > 0 and {Stranding = {hold, alone}} or {Changed = hold})
