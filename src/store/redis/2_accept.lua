-- Updates come in.

files[#files + 1] = function()

-- Ids of a block as a set of small numbers (2 bytes each in Redis's packed
-- form, which holds 512), or as a bitmap of 4 KiB once there are many. By key,
-- what this run knows of it: is it a bitmap, does it live long enough.
local blocks = {}

local function make_bitmap(key)
  local all = call('SMEMBERS', key)
  call('DEL', key)
  for _, one in ipairs(all) do
    call('SETBIT', key, one, 1)
  end
  blocks[key] = {bitmap = true, lasts = false}
end

-- One of sixteen, whatever step the ids come in: then a set is measured. Of
-- ids at random the next such one is 112 away once in a thousand times, so
-- that sets of 400 seldom outgrow the packed form before they are bitmaps.
local function measures(offset)
  return offset * 40503 % 65536 < 4096
end

local function is_fresh(block, offset, window)
  local key = p .. 'd:' .. block
  if not blocks[key] then
    blocks[key] = {bitmap = call('TYPE', key).ok == 'string', lasts = false}
  end
  if blocks[key].bitmap then
    if call('SETBIT', key, offset, 1) == 1 then
      return false
    end
  else
    if call('SADD', key, offset) == 0 then
      return false
    end
    if measures(tonumber(offset)) and call('SCARD', key) >= 400 then
      make_bitmap(key)
    end
  end
  -- A minute for the run itself; an hour of slack, so that a busy key is not
  -- given a new end at every write.
  if not blocks[key].lasts then
    if call('PTTL', key) < window + 60000 then
      call('PEXPIRE', key, window + 3600000)
    end
    blocks[key].lasts = true
  end
  return true
end

-- {sequence or 0, for each arrival}
function ops.accept()
  local window = number()
  local out, fresh = {'ok'}, {}
  for i = 1, number() do
    local block, offset, head, body = text(), text(), text(), text()
    out[i + 1] = '0'
    if is_fresh(block, offset, window) then
      fresh[#fresh + 1] = {i + 1, head, body}
    end
  end
  local first = #fresh > 0 and next_seq(#fresh)
  for i, f in ipairs(fresh) do
    out[f[1]] = put_entry(first + i - 1, f[2], f[3])
  end
  return out
end

end
