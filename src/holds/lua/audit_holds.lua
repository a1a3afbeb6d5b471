#!lua flags=no-writes
-- Records of holds as they are kept, for an audit.
--
-- Input:  hold_ids, at most 1,000.
-- Output: {{id, record}, ...} of those that Redis has.
-- Events: none.

local refused = fenced_off()
if refused then return refused end

local found = {}
if #request.hold_ids > 0 then
  for i, packed in ipairs(redis.call('HMGET', HOLDS, unpack(request.hold_ids))) do
    if packed then found[#found + 1] = {request.hold_ids[i], cmsgpack.unpack(packed)} end
  end
end
return done(found)
