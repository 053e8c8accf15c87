-- The rest of what belongs to one shard.

files[#files + 1] = function()

-- Takes the shard unless another node's lease runs. The epoch is at least the
-- seconds since 2020: a replica that became the primary without having seen
-- the last claims must not give an epoch out twice.
function ops.claim()
  local node, ttl = text(), number()
  local real = server_ms()
  local m = call('HMGET', p .. 'm', 'owner', 'until', 'epoch', 'tail')
  local owner = m[1] or ''
  if owner ~= '' and owner ~= node and tonumber(m[2]) > real then
    return {'ok', '0'}
  end
  local epoch = whole(math.max(tonumber(m[3] or 0) + 1,
                               math.floor(real / 1000) - 1577836800))
  set_owner(node, 'until', whole(real + ttl), 'epoch', epoch)
  return {'ok', epoch, m[4] or '0', call('HGETALL', p .. 'p')}
end

-- The tail, or nothing if the lease is not the current one. One that ran out
-- and that nobody took goes on.
function ops.renew()
  local epoch, ttl = text(), number()
  local m = call('HMGET', p .. 'm', 'epoch', 'owner', 'tail')
  owners[p] = m
  if not holds(epoch) then
    return {'ok', false}
  end
  call('HSET', p .. 'm', 'until', whole(server_ms() + ttl))
  return {'ok', m[3] or '0'}
end

function ops.release()
  if holds(text()) then
    set_owner('')
  end
  return {'ok'}
end

function ops.backlog()
  local after, limit = text(), text()
  return {'ok', entries_of(call('XRANGE', p .. 'j', '(' .. after, '+', 'COUNT',
                                limit) or {})}
end

function ops.entries()
  local out = {}
  for _ = 1, number() do
    local id = text() .. '-0'
    local found = entries_of(call('XRANGE', p .. 'j', id, id))
    out[#out + 1] = found[1]
  end
  return {'ok', out}
end

function ops.load()
  return {'ok', call('HGETALL', p .. 'c:' .. text())}
end

-- {id, call, id, call, ...} of the calls above `after`, ascending.
function ops.outbox()
  local after, limit = text(), number()
  local ids = {}
  for _, id in ipairs(call('HKEYS', p .. 'o')) do
    if id > after then
      ids[#ids + 1] = id
    end
  end
  table.sort(ids)
  local out = {}
  for i = 1, math.min(#ids, limit) do
    out[#out + 1] = ids[i]
    out[#out + 1] = call('HGET', p .. 'o', ids[i])
  end
  return {'ok', out}
end

function ops.calls()
  local out = {}
  for _ = 1, number() do
    local id = text()
    local found = call('HGET', p .. 'o', id)
    if found then
      out[#out + 1] = id
      out[#out + 1] = found
    end
  end
  return {'ok', out}
end

function ops.spent()
  return {'ok', call('ZRANGEBYSCORE', p .. 'g', text(), '+inf', 'WITHSCORES')}
end

-- {{key\nname, due, ...} at most `limit`, the next due or nothing}
function ops.due()
  local till, limit = text(), number()
  local first = call('ZRANGEBYSCORE', p .. 't', '-inf', '+inf', 'LIMIT', '0',
                     '1', 'WITHSCORES')
  if not first[2] or tonumber(first[2]) > tonumber(till) then
    return {'ok', {}, first[2] or false}
  end
  local found = call('ZRANGEBYSCORE', p .. 't', '-inf', till, 'LIMIT', '0',
                     whole(limit + 1), 'WITHSCORES')
  local out, next_due = {}, false
  for i = 1, #found, 2 do
    if i > limit * 2 then
      next_due = found[i + 1]
      break
    end
    local key, name = string.match(found[i], '^([^\n]*)\n(.*)$')
    out[#out + 1] = key
    out[#out + 1] = name
    out[#out + 1] = call('HGET', p .. 't:' .. key, name)
  end
  if not next_due then
    local later = call('ZRANGEBYSCORE', p .. 't', '(' .. till, '+inf', 'LIMIT',
                       '0', '1', 'WITHSCORES')
    next_due = later[2] or false
  end
  return {'ok', out, next_due}
end

function ops.timers()
  return {'ok', call('HGETALL', p .. 't:' .. text())}
end

function ops.dead_letters()
  local after, limit = text(), text()
  local out = {}
  for _, e in ipairs(call('XRANGE', p .. 'x', '(' .. after, '+', 'COUNT',
                          limit) or {}) do
    local f = e[2]
    out[#out + 1] = {string.match(e[1], '^%d+'), f[2], f[4], f[6], f[8]}
  end
  return {'ok', out}
end

-- {{id, sequence, head, body}, ...}
function ops.retry()
  local out = {}
  for _ = 1, number() do
    local id = text()
    local found = call('XRANGE', p .. 'x', id .. '-0', id .. '-0')[1]
    if found then
      call('XDEL', p .. 'x', found[1])
      local f = found[2]
      out[#out + 1] = {id, append(f[2], f[4]), f[2], f[4]}
    end
  end
  return {'ok', out}
end

function ops.drop()
  local n = 0
  for _ = 1, number() do
    n = n + call('XDEL', p .. 'x', text() .. '-0')
  end
  return {'ok', n}
end

-- Whole buckets from one on, until they hold `limit` members: {bucket, {key,
-- member, ...}, {key, tags, ...}, ...}
function ops.audience()
  local first, buckets, limit = number(), number(), number()
  local out, members = {'ok'}, 0
  for b = first, buckets - 1 do
    local all = call('HGETALL', p .. 'a:' .. whole(b))
    if #all > 0 then
      out[#out + 1] = whole(b)
      out[#out + 1] = all
      out[#out + 1] = call('HGETALL', p .. 'b:' .. whole(b))
      members = members + #all / 2
      if members >= limit then
        break
      end
    end
  end
  return out
end

-- {sent, failed, blocked, unknown, ...}: four for each campaign.
function ops.tallies()
  local out = {'ok'}
  for _ = 1, number() do
    local of = text()
    local kept = call('HMGET', p .. 'k', of .. ':sent', of .. ':failed',
                      of .. ':blocked', of .. ':unknown')
    for i = 1, 4 do
      out[#out + 1] = kept[i] or '0'
    end
  end
  return out
end

function ops.stats()
  return {'ok', call('XLEN', p .. 'j'), call('HLEN', p .. 'o'),
          call('ZCARD', p .. 't'),
          tonumber(call('HGET', p .. 'm', 'chats') or 0),
          call('XLEN', p .. 'x')}
end

-- Takes a parcel of another shard in, once, however late it is repeated:
-- {sequence of its notice or 0}. `q` has for each sender how far all have come,
-- and what came ahead of that.
function ops.take_in()
  local from, id, kind = text(), number(), text()
  local low = tonumber(call('HGET', p .. 'q', from) or 0)
  if id <= low or
      call('HSETNX', p .. 'q', from .. ':' .. whole(id), '') == 0 then
    return {'ok', '0'}
  end
  while call('HDEL', p .. 'q', from .. ':' .. whole(low + 1)) == 1 do
    low = low + 1
  end
  call('HSET', p .. 'q', from, whole(low))
  if kind == 'notice' then
    local head, body = text(), text()
    return {'ok', append(head, body)}
  end
  local bucket, key, status, language = text(), text(), text(), text()
  see(bucket, key, status, language)
  return {'ok', '0'}
end

-- The sender's side: it has arrived.
function ops.arrived()
  return {'ok', call('HDEL', p .. 'p', text())}
end

-- {shard:id, parcel, ...}
function ops.parcels()
  return {'ok', call('HGETALL', p .. 'p')}
end

end
