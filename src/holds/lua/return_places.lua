#!lua flags=allow-oom
-- Puts places of a refund back on sale, once.
--
-- Input:  return_id; hold_id, holder: by whom they were sold; seats; areas ({area,
--         quantity} each).
-- Output: Returned, now or before.
-- Events: the seats and areas are available.

local refused = fenced_off()
if refused then return refused end

-- A record of its own says that it is done; it is forgotten as those of ended holds.
if hold_of(request.return_id) then return done('Returned') end

local freed, units = {}, #request.seats
if #request.seats > 0 then
  for i, value in ipairs(redis.call('HMGET', SEATS, unpack(request.seats))) do
    if value == SOLD .. request.hold_id then freed[#freed + 1] = request.seats[i] end
  end
end
for _, part in ipairs(request.areas) do units = units + part[2] end

-- Every check is done: from here only writes.
if #freed > 0 then redis.call('HDEL', SEATS, unpack(freed)) end
changed_seats(AVAILABLE, freed)
for _, part in ipairs(request.areas) do take_area(part[1], -part[2]) end
count(request.holder, -units, 0)
put(request.return_id, {request.holder, '', 'R', now, now, now, {}, {}, '', 0, 0})
log_change()
return done('Returned')
