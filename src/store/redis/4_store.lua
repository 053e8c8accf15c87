-- What belongs to the whole store.

files[#files + 1] = function()

-- Nodes that are alive: `n` has, by name, `<until> <address>\n<details>`.
-- {name, what, ...}, the caller's own included.
function ops.heartbeat()
  local name, what, ttl = text(), text(), number()
  local real = server_ms()
  call('HSET', p .. 'n', name, whole(real + ttl) .. ' ' .. what)
  local out, all = {}, call('HGETALL', p .. 'n')
  for i = 1, #all, 2 do
    local till, info = string.match(all[i + 1], '^(%d+) (.*)$')
    if tonumber(till) > real then
      out[#out + 1] = all[i]
      out[#out + 1] = info
    else
      call('HDEL', p .. 'n', all[i])
    end
  end
  return {'ok', out}
end

function ops.leave()
  return {'ok', call('HDEL', p .. 'n', text())}
end

-- Names whose leases ended ten minutes ago go, a few with each that comes.
local function forget_names(real)
  local from = call('HGET', p .. 'm', 'names') or '0'
  local found = call('HSCAN', p .. 'l', from, 'COUNT', 4)
  for i = 1, #found[2], 2 do
    local till = string.match(found[2][i + 1], '^(%d+)')
    if tonumber(till) + 600000 < real then
      call('HDEL', p .. 'l', found[2][i])
    end
  end
  call('HSET', p .. 'm', 'names', found[1])
end

-- Named leases: `l` has, by name, `<until> <token> <holder>`. The token, or 0
-- if another holds it.
function ops.acquire()
  local name, holder, ttl = text(), text(), number()
  local real = server_ms()
  local till, token, owner = string.match(
      call('HGET', p .. 'l', name) or '', '^(%d+) (%d+) (.*)$')
  if owner ~= holder then
    if owner and tonumber(till) > real then
      return {'ok', '0'}
    end
    forget_names(real)
    token = whole(call('HINCRBY', p .. 'm', 'tokens', 1))
  end
  call('HSET', p .. 'l', name, whole(real + ttl) .. ' ' .. token .. ' ' ..
       holder)
  return {'ok', token}
end

function ops.relinquish()
  local name, holder = text(), text()
  local owner = string.match(call('HGET', p .. 'l', name) or '',
                             '^%d+ %d+ (.*)$')
  if owner == holder then
    call('HDEL', p .. 'l', name)
  end
  return {'ok'}
end

-- What the store was made with: {format, shards}. Made now, if it is new.
function ops.open()
  local format, shards = text(), text()
  if call('EXISTS', p .. 'm') == 0 then
    call('HSET', p .. 'm', 'format', format, 'shards', shards)
  end
  local m = call('HMGET', p .. 'm', 'format', 'shards')
  return {'ok', m[1], m[2]}
end

end
