#!lua
-- Where places are, which counts as a word from their holders. A place that was given in
-- another life of Redis, and that this one knows nothing of, was lost with it: it is put
-- back where it was, as long as a place is kept of which nothing is heard.
--
-- Input:  places: of each {holder, number}; kept_ms.
-- Output: {Found = {of each 'Gone', {In = {number, expires_ms}} or
--         {Waiting = {number, ahead}}, {now_ms, begun_ms, waiting, lately}}}.
-- Events: none.

if behind() then return cmsgpack.pack('Behind') end
if is_off() then return cmsgpack.pack('Off') end
open_room()

local function restore(holder, number)
  local is_lost = generation_of(number) < room.first and number > (room.known or 0)
    and now < room.begun_ms + request.kept_ms
  if not is_lost then return end
  local later = tonumber(redis.call('ZSCORE', LINE, holder))
  if later and later <= number then return end
  if later then take_from_line(holder, later) end
  if admission_of(holder) then end_admission(holder) end
  add_generation(generation_of(number))
  put_in_line(holder, number)
end

local found = {}
for i, place in ipairs(request.places) do
  local holder, number = place[1], place[2]
  local here = standing(holder)
  if not here or here.Waiting and here.Waiting[1] ~= number then
    restore(holder, number)
    here = standing(holder)
  end
  if here and here.Waiting then redis.call('ZADD', SEEN, now, holder) end
  found[i] = here or 'Gone'
end
return cmsgpack.pack({Found = {found, scene()}})
