#include "store/memory.hpp"

#include <algorithm>

#include "store/checks.hpp"

namespace troupe::store {

namespace {

// What a record costs besides its texts, for `figures::bytes`.
constexpr std::uint64_t per_record = 256;

}  // namespace

// -- accept and ownership -----------------------------------------------------

entry memory_engine::append(entry_kind type, const chat_key& key, update_id id,
                            wall_time at, payload body) {
  auto& s = of(key);
  entry e{{++s.tail}, type, key, id, at, std::move(body)};
  s.journal.emplace(e.seq.value, e);
  return e;
}

result<std::vector<receipt>> memory_engine::accept(
    const std::vector<const arrival*>& sorted) {
  std::vector<receipt> out;
  out.reserve(sorted.size());
  const auto now = time_.wall();
  for (const auto* a : sorted) {
    auto& block = seen_[seen_block::number_of(a->id)];
    if (block.expired(now))
      block = {};
    receipt r{false, shard_of(a->key, shards()), {}};
    if (!block.has(a->id)) {
      block.add(a->id, now);
      r.fresh = true;
      r.seq = append(entry_kind::update, a->key, a->id, a->at, a->body).seq;
    }
    out.push_back(r);
  }
  return out;
}

result<std::vector<lease>> memory_engine::claim(
    const std::vector<shard_id>& wanted, const std::string& node,
    milliseconds ttl) {
  if (auto ok = check_shards(wanted, shards()); !ok)
    return ok.error();
  std::vector<lease> out;
  for (auto s : std::set<shard_id>{wanted.begin(), wanted.end()})
    if (owners_.claim(s, node, time_.mono(), ttl))
      out.push_back({s, owners_.term(s), {of(s).tail}});
  return out;
}

result<std::vector<lease>> memory_engine::renew(const std::vector<lease>& held,
                                                milliseconds ttl) {
  std::vector<lease> out;
  for (const auto& l : held)
    if (owners_.renew(l, time_.mono(), ttl))
      out.push_back({l.shard, l.term, {of(l.shard).tail}});
  return out;
}

result<> memory_engine::release(const std::vector<lease>& held) {
  for (const auto& l : held)
    owners_.release(l);
  return {};
}

// -- reading ------------------------------------------------------------------

namespace {

template <class Map>
auto ascending(const Map& from, std::uint64_t after, std::size_t limit) {
  std::vector<typename Map::mapped_type> out;
  for (auto i = from.upper_bound(after); i != from.end() && out.size() < limit;
       ++i)
    out.push_back(i->second);
  return out;
}

template <class Map, class Id>
auto named(const Map& from, const std::vector<Id>& wanted) {
  std::vector<typename Map::mapped_type> out;
  for (auto id : std::set<Id>{wanted.begin(), wanted.end()})
    if (auto i = from.find(id.value); i != from.end())
      out.push_back(i->second);
  return out;
}

}  // namespace

result<std::vector<entry>> memory_engine::backlog(shard_id shard, seq_no after,
                                                  std::size_t limit) {
  if (auto ok = check_shard(shard, shards()); !ok)
    return ok.error();
  return ascending(of(shard).journal, after.value, limit);
}

result<std::vector<entry>> memory_engine::entries(
    shard_id shard, const std::vector<seq_no>& wanted) {
  if (auto ok = check_shard(shard, shards()); !ok)
    return ok.error();
  return named(of(shard).journal, wanted);
}

result<std::vector<chat_record>> memory_engine::load(
    const std::vector<chat_key>& keys) {
  std::vector<chat_record> out;
  out.reserve(keys.size());
  const auto now = to_ms(time_.wall());
  for (const auto& key : keys) {
    auto found = chats_.find(key);
    if (found == chats_.end()) {
      out.push_back({key, 0, {}, {}, {}, {}, {}, false});
      continue;
    }
    auto& c = found->second;
    auto& r = out.emplace_back(c.record);
    r.expired = c.expires != 0 && c.expires <= now;
    if (r.expired)
      r.state = r.mode = r.memo = "";
    else if (c.expires != 0)
      r.expires = from_ms(c.expires);
  }
  return out;
}

void memory_engine::expire(stored_chat& c) {
  c.record.state.clear();
  c.record.mode.clear();
  c.record.memo.clear();
  c.expires = 0;
}

result<std::vector<call>> memory_engine::outbox(shard_id shard, call_id after,
                                                std::size_t limit) {
  if (auto ok = check_shard(shard, shards()); !ok)
    return ok.error();
  return ascending(of(shard).outbox, after.value, limit);
}

result<std::vector<call>> memory_engine::calls(
    shard_id shard, const std::vector<call_id>& wanted) {
  if (auto ok = check_shard(shard, shards()); !ok)
    return ok.error();
  return named(of(shard).outbox, wanted);
}

result<std::vector<spending>> memory_engine::spent(wall_time since) {
  std::vector<spending> out;
  const auto from = std::max(since, time_.wall() - spending_window);
  for (const auto& [when, messages] : spending_)
    if (when.first >= from)
      out.push_back({when.second, when.first, messages});
  return out;
}

result<backend::due_timers> memory_engine::due(
    const std::vector<shard_id>& shards_asked, wall_time now,
    std::size_t limit) {
  if (auto ok = check_shards(shards_asked, shards()); !ok)
    return ok.error();
  std::set<std::tuple<wall_time, chat_key, std::string>> all;
  for (auto s : shards_asked) {
    std::size_t n = 0;
    for (const auto& t : of(s).by_due) {
      all.insert(t);
      // One more than asked for, or the first that is not due: that is next.
      if (++n > limit || std::get<0>(t) > now)
        break;
    }
  }
  backend::due_timers out;
  for (const auto& [when, key, name] : all) {
    if (when > now || out.due.size() == limit) {
      out.next = when;
      break;
    }
    out.due.push_back(of(key).timers.at({key, name}));
  }
  return out;
}

result<std::vector<timer>> memory_engine::timers(const chat_key& key) {
  std::vector<timer> out;
  auto& all = of(key).timers;
  for (auto i = all.lower_bound({key, {}});
       i != all.end() && i->first.first == key; ++i)
    out.push_back(i->second);
  return out;
}

// -- dead letters, audience, figures ------------------------------------------

result<std::vector<dead_letter>> memory_engine::dead_letters(
    dead_letter_id after, std::size_t limit) {
  return ascending(dead_, after.value, limit);
}

result<std::vector<entry>> memory_engine::retry(
    const std::vector<dead_letter_id>& which) {
  std::vector<entry> out;
  for (auto& d : named(dead_, which)) {
    out.push_back(append(d.type, d.key, d.update, d.accepted_at, d.body));
    dead_.erase(d.id.value);
  }
  return out;
}

result<std::size_t> memory_engine::drop(
    const std::vector<dead_letter_id>& which) {
  std::size_t n = 0;
  for (auto id : which)
    n += dead_.erase(id.value);
  return n;
}

result<std::vector<member>> memory_engine::audience(
    const std::optional<chat_key>& after, std::size_t limit) {
  std::vector<member> out;
  auto i = after ? audience_.upper_bound(*after) : audience_.begin();
  for (; i != audience_.end() && out.size() < limit; ++i)
    out.push_back(i->second);
  return out;
}

result<std::size_t> memory_engine::tag(const std::vector<chat_key>& whom,
                                       const std::string& name, bool add) {
  if (auto ok = check_tag(name); !ok)
    return ok.error();
  std::size_t changed = 0;
  for (const auto& key : whom) {
    const auto found = audience_.find(key);
    if (found == audience_.end())
      continue;
    auto& tags = found->second.tags;
    const auto before = tags.size();
    if (add)
      change_tags(tags, {}, {name});
    else
      change_tags(tags, {name}, {});
    changed += tags.size() != before ? 1 : 0;
  }
  return changed;
}

result<holdings> memory_engine::about(const chat_key& key) {
  holdings h;
  const auto& mine = of(key);
  h.records = chats_.count(key);
  for (const auto& [seq, e] : mine.journal)
    h.entries += e.key == key ? 1 : 0;
  for (const auto& [id, c] : mine.outbox)
    h.calls += c.from == key ? 1 : 0;
  for (const auto& [name, t] : mine.timers)
    h.timers += name.first == key ? 1 : 0;
  for (const auto& [id, d] : dead_)
    h.dead_letters += d.key == key ? 1 : 0;
  if (const auto found = audience_.find(key); found != audience_.end()) {
    h.members = 1;
    h.tags = found->second.tags.size();
  }
  return h;
}

result<holdings> memory_engine::forget(const lease& held, const chat_key& key,
                                       seq_no through) {
  if (auto ok = check_forget(held, key, shards()); !ok)
    return ok.error();
  if (!owners_.holds(held))
    return fenced(held);
  auto h = about(key);
  auto& mine = of(key);
  h->entries = std::erase_if(mine.journal, [&](const auto& x) {
    return x.second.key == key && x.second.seq <= through;
  });
  std::erase_if(mine.outbox,
                [&](const auto& x) { return x.second.from == key; });
  std::erase_if(mine.timers,
                [&](const auto& x) { return x.first.first == key; });
  std::erase_if(mine.by_due,
                [&](const auto& x) { return std::get<1>(x) == key; });
  std::erase_if(dead_, [&](const auto& x) { return x.second.key == key; });
  audience_.erase(key);
  chats_.erase(key);
  return h;
}

result<std::vector<campaign_tally>> memory_engine::tallies(
    const std::vector<std::uint64_t>& campaigns) {
  std::vector<campaign_tally> out;
  for (const auto c : campaigns) {
    const auto found = tallies_.find(c);
    out.push_back(found == tallies_.end() ? campaign_tally{} : found->second);
  }
  return out;
}

result<figures> memory_engine::stats() {
  figures f;
  f.journal = count_all(&shard_data::journal);
  f.outbox = count_all(&shard_data::outbox);
  f.timers = count_all(&shard_data::timers);
  f.chats = chats_.size();
  f.dead_letters = dead_.size();
  f.bytes = per_record * (f.journal + f.outbox + f.timers + f.chats +
                          f.dead_letters + audience_.size()) +
            seen_.size() * sizeof(seen_block);
  return f;
}

void memory_engine::tidy() {
  // Real time paces the sweep; what is old is judged by the store's clock.
  const auto tick = std::chrono::steady_clock::now();
  if (tick - swept_ < std::chrono::seconds{1})
    return;
  swept_ = tick;
  const auto now = time_.wall();
  std::erase_if(seen_, [&](const auto& b) { return b.second.expired(now); });
  std::erase_if(spending_, [&](const auto& s) {
    return s.first.first < now - spending_window;
  });
  const auto gone = to_ms(now - sweep_grace);
  for (auto i = chats_.begin(); i != chats_.end();) {
    const bool old = i->second.expires != 0 && i->second.expires <= gone;
    if (old && i->first.type == chat_key::kind::update) {
      i = chats_.erase(i);
      continue;
    }
    if (old)
      expire(i->second);
    ++i;
  }
}

}  // namespace troupe::store
