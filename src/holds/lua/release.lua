#!lua flags=allow-oom
-- Release: gives a part of a hold back.
--
-- All of a hold is only given back once Postgres has its outcome, by finish. It is marked
-- until then: it must not become something else, nor somebody else's.
--
-- Input:  hold_id, holder, all (whether nothing is named), seats, areas
--         ({area, quantity} each, counted from what the hold had at first).
-- Output: {Reduced = record}; {Whole = record}, with all that it has:
--         nothing would be left; Missing; or {Standing = record} with the state that
--         forbids it.
-- Events: the items go back on sale; the hold as it is now.

local refused = fenced_off()
if refused then return refused end

local id = request.hold_id
local hold, state = find(id, request.holder)
if not hold then return done('Missing') end
if state ~= ACTIVE then
  hold[STATE] = state
  return done({Standing = hold})
end

local named, kept, given = {}, {}, {}
for _, seat in ipairs(request.seats) do named[seat] = true end
for _, seat in ipairs(hold[SEATS_HELD]) do
  if named[seat] then given[#given + 1] = seat else kept[#kept + 1] = seat end
end
local at_most = {}
for _, part in ipairs(request.areas) do at_most[part[1]] = part[2] end
local areas_kept, areas_given = {}, {}
for _, part in ipairs(hold[AREAS_HELD]) do
  local area, quantity = part[AREA], part[QUANTITY]
  local left = quantity
  if at_most[area] then left = math.min(quantity, math.max(part[AT_FIRST] - at_most[area], 0)) end
  if left < quantity then areas_given[#areas_given + 1] = {area, quantity - left} end
  if left > 0 then areas_kept[#areas_kept + 1] = {area, left, part[AT_FIRST]} end
end

if request.all then
  -- No entry names the mark: neither the journal nor an audit reads it.
  if hold[ENDED] == 0 then
    hold[ENDED] = now
    put(id, hold)
  end
  return done({Whole = hold})
end
if #kept + #areas_kept == 0 then
  if hold[ENDED] == 0 then
    hold[ENDED] = now
    changed_hold(id, hold)
    log_change()
  end
  return done({Whole = hold})
end
if #given + #areas_given == 0 then
  if (hold[ASKED] or 0) > 0 then
    -- Whoever made it may not be answered yet: see undo_hold.
    hold[ASKED] = hold[ASKED] + 1
    put(id, hold)
  end
  return done({Reduced = hold})
end

-- Every check is done: from here only writes.
local before = unit_count(hold)
free_seats(id, given)
for _, part in ipairs(areas_given) do take_area(part[1], -part[2]) end
hold[SEATS_HELD], hold[AREAS_HELD] = kept, areas_kept
count(request.holder, unit_count(hold) - before, 0)
changed_hold(id, hold)
log_change()
return done({Reduced = hold})
