#!lua
-- BlockSeats: takes seats out of sale, all or none.
--
-- Input:  seats.
-- Output: Blocked, or {Unavailable = {{seat, status}, ...}}.
-- Events: holds that ran out and stood in the way expire; the seats are
--         blocked.

local refused = fenced_off()
if refused then return refused end

local unavailable, blocked, fields, doomed = {}, {}, {}, {}
for i, value in ipairs(redis.call('HMGET', SEATS, unpack(request.seats))) do
  local status = value and value:sub(1, 1)
  if status ~= BLOCKED then
    local owner = value and value:sub(2)
    local hold = status == HELD and hold_of(owner)
    if hold and hold[STATE] == ACTIVE and hold[EXPIRES] <= now then
      doomed[owner] = hold
    elseif hold or status == SOLD then
      unavailable[#unavailable + 1] = {request.seats[i], status}
    end
    blocked[#blocked + 1] = request.seats[i]
    fields[#fields + 1] = request.seats[i]
    fields[#fields + 1] = BLOCKED
  end
end
if #unavailable > 0 then return done({Unavailable = unavailable}) end

-- Every check is done: from here only writes.
for id, hold in pairs(doomed) do expire_in_passing(id, hold) end
if #fields > 0 then redis.call('HSET', SEATS, unpack(fields)) end
changed_seats(BLOCKED, blocked)
log_change()
return done('Blocked')
