#!lua
-- ReassignHold: gives a hold to another holder, as it is.
--
-- Input:  hold_id; from: whose it is; to: whose it is from now on.
-- Output: {Reassigned = record}, also where it is his already; Missing; {Standing =
--         record} with the state that forbids it; Released: all that it has is to be
--         given back; Elsewhere: it is somebody else's than either's; or {Ordered =
--         order}: an order was made of it.
-- Events: the hold as it is now.

local refused = fenced_off()
if refused then return refused end

local id, from, to = request.hold_id, request.from, request.to
local hold = hold_of(id)
if not hold then return done('Missing') end
local _, state = find(id, hold[HOLDER])
if state ~= ACTIVE then
  hold[STATE] = state
  return done({Standing = hold})
end
if hold[ENDED] ~= 0 then return done('Released') end
if hold[HOLDER] == to then return done({Reassigned = hold}) end
if hold[HOLDER] ~= from then return done('Elsewhere') end
if hold[ORDER] ~= '' then return done({Ordered = hold[ORDER]}) end

-- Audits read what is counted of both again: of the new holder by the log's entry, of the
-- old one because they knew him as the hold's.
local units = unit_count(hold)
count(from, -units, -1)
count(to, units, 1)
hold[HOLDER] = to
changed_hold(id, hold)
log_change()
return done({Reassigned = hold})
