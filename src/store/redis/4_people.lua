-- All about one chat, and its end.

files[#files + 1] = function()

-- Ids and values of a stream up to `last`, some at a time: `each(id, fields)`.
local function walk(stream, last, each)
  local from = '-'
  repeat
    local page = call('XRANGE', stream, from, last, 'COUNT', 256)
    for _, e in ipairs(page) do
      each(e[1], e[2])
      from = '(' .. e[1]
    end
  until #page < 256
end

local function key_of(head)
  return string.match(head, '^%d+ (%S+)')
end

-- How much it is; and removes it.
local function all_about(bucket, key, through, remove)
  local entries, calls, letters = 0, 0, 0
  walk(p .. 'j', through, function(id, f)
    if key_of(f[2]) == key then
      entries = entries + 1
      if remove then
        call('XDEL', p .. 'j', id)
      end
    end
  end)
  for _, id in ipairs(call('HKEYS', p .. 'o')) do
    local from = string.match(call('HGET', p .. 'o', id),
                              '^%d\t%d\t%d\t%w+\t%-?%d+\t([^\t]+)\t')
    if from == key then
      calls = calls + 1
      if remove then
        call('HDEL', p .. 'o', id)
      end
    end
  end
  walk(p .. 'x', '+', function(id, f)
    if key_of(f[2]) == key then
      letters = letters + 1
      if remove then
        call('XDEL', p .. 'x', id)
      end
    end
  end)
  local timers = call('HKEYS', p .. 't:' .. key)
  local records = call('EXISTS', p .. 'c:' .. key)
  local members = call('HGET', p .. 'a:' .. bucket, key) and 1 or 0
  local tags = 0
  for _ in string.gmatch(call('HGET', p .. 'b:' .. bucket, key) or '', '%S+') do
    tags = tags + 1
  end
  if remove then
    for _, name in ipairs(timers) do
      call('ZREM', p .. 't', key .. '\n' .. name)
    end
    call('DEL', p .. 't:' .. key, p .. 'c:' .. key)
    call('HDEL', p .. 'a:' .. bucket, key)
    call('HDEL', p .. 'b:' .. bucket, key)
    if records == 1 then
      call('HINCRBY', p .. 'm', 'chats', -1)
    end
  end
  return {'ok', records, entries, calls, #timers, letters, members, tags}
end

function ops.about()
  local bucket, key = text(), text()
  return all_about(bucket, key, '+', false)
end

function ops.forget()
  local epoch, bucket, key, through = text(), text(), text(), text()
  if not holds(epoch) then
    return {'no', 'fenced'}
  end
  return all_about(bucket, key, through, true)
end

end
