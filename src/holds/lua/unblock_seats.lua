#!lua flags=allow-oom
-- UnblockSeats: puts blocked seats back on sale; others stay as they are.
--
-- Input:  seats.
-- Output: the status of each seat afterwards, in the order given.
-- Events: the seats are available.

local refused = fenced_off()
if refused then return refused end

local statuses, unblocked = {}, {}
for i, value in ipairs(redis.call('HMGET', SEATS, unpack(request.seats))) do
  local status = value and value:sub(1, 1) or AVAILABLE
  if status == BLOCKED then
    status = AVAILABLE
    unblocked[#unblocked + 1] = request.seats[i]
  end
  statuses[i] = status
end
if #unblocked > 0 then redis.call('HDEL', SEATS, unpack(unblocked)) end
changed_seats(AVAILABLE, unblocked)
log_change()
return done(statuses)
