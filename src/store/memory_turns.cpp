#include <unordered_set>

#include "store/checks.hpp"
#include "store/memory.hpp"

namespace troupe::store {

// -- commit -------------------------------------------------------------------

// What the turns checked so far would leave behind.
struct memory_engine::outlook {
  std::unordered_map<chat_key, std::uint64_t> versions;
  std::unordered_set<std::uint64_t> acknowledged;
  std::unordered_set<std::uint64_t> calls;
  std::map<timer_name, std::optional<wall_time>> timers;
};

bool memory_engine::acknowledgeable(shard_data& mine, const turn& t,
                                    const outlook& o) {
  if (!t.fired)
    return mine.journal.contains(t.seq.value) &&
           !o.acknowledged.contains(t.seq.value);
  const timer_name name{t.key, t.fired->name};
  if (auto i = o.timers.find(name); i != o.timers.end())
    return i->second == t.fired->due;
  auto i = mine.timers.find(name);
  return i != mine.timers.end() && i->second.due == t.fired->due;
}

// Which turns will be committed (the others are stale), or why none can be.
result<std::vector<bool>> memory_engine::foresee(
    shard_data& mine, const std::vector<turn>& turns) {
  outlook o;
  std::vector<bool> out;
  for (const auto& t : turns) {
    out.push_back(acknowledgeable(mine, t, o));
    if (!out.back())
      continue;
    if (!t.fired)
      if (auto& key = mine.journal.at(t.seq.value).key; key != t.key)
        return wrong_chat(t, key);
    auto known = chats_.find(t.key);
    auto& version =
        o.versions
            .try_emplace(
                t.key, known == chats_.end() ? 0 : known->second.record.version)
            .first->second;
    if (version != t.version)
      return wrong_version(t, version);
    ++version;
    for (const auto& c : t.calls)
      if (mine.outbox.contains(c.id.value) ||
          !o.calls.insert(c.id.value).second)
        return error{errc::corrupt, "call " + std::to_string(c.id.value) +
                                        " is there already"};
    if (t.fired)
      o.timers[{t.key, t.fired->name}].reset();
    else
      o.acknowledged.insert(t.seq.value);
    for (const auto& name : t.cancel)
      o.timers[{t.key, name}].reset();
    for (const auto& s : t.set)
      o.timers[{t.key, s.name}] = s.due;
  }
  return out;
}

result<std::vector<turn_receipt>> memory_engine::commit(
    const lease& held, const std::vector<turn>& turns) {
  if (auto ok = check_commit(held, turns, shards()); !ok)
    return ok.error();
  if (!owners_.holds(held))
    return fenced(held);
  auto& mine = of(held.shard);
  auto good = foresee(mine, turns);
  if (!good)
    return good.error();
  std::vector<turn_receipt> out(turns.size());
  for (std::size_t i = 0; i < turns.size(); ++i) {
    const auto& t = turns[i];
    if (!(*good)[i]) {
      out[i].outcome = turn_receipt::status::stale;
      continue;
    }
    acknowledge(mine, held.shard, t);
    put_record(t);
    for (const auto& c : t.calls)
      mine.outbox.emplace(c.id.value, c);
    put_timers(mine, t);
    for (const auto& n : t.notices)
      out[i].appended.push_back(append(n.type, n.to, {}, time_.wall(),
                                       make_payload(notice_body(t.key, n))));
    for (const auto& a : t.audience)
      out[i].tags_over += change_audience(a);
  }
  return out;
}

void memory_engine::acknowledge(shard_data& mine, shard_id shard,
                                const turn& t) {
  dead_letter d{{last_dead_ + 1},    shard, {}, t.key, {}, {}, time_.wall(),
                t.dead.value_or(""), {}};
  if (t.fired) {
    const timer_name name{t.key, t.fired->name};
    d.type = entry_kind::timer;
    d.accepted_at = t.fired->due;
    d.body = make_payload(timer_body(mine.timers.at(name)));
    remove_timer(mine, name);
  } else {
    auto node = mine.journal.extract(t.seq.value);
    auto& e = node.mapped();
    d.type = e.type;
    d.update = e.id;
    d.accepted_at = e.accepted_at;
    d.body = std::move(e.body);
  }
  if (t.dead)
    dead_.emplace(++last_dead_, std::move(d));
}

void memory_engine::put_record(const turn& t) {
  auto& c = chats_[t.key];
  c.record.key = t.key;
  ++c.record.version;
  c.expires = new_expiry(t, time_.wall()).value_or(c.expires);
  if (t.state)
    c.record.state = *t.state;
  if (t.mode)
    c.record.mode = *t.mode;
  if (t.memo)
    c.record.memo = *t.memo;
  for (const auto& sent : t.calls)
    if (!sent.label.empty())
      put_label(c.record.labels, sent.label, sent.id);
}

void memory_engine::put_timers(shard_data& mine, const turn& t) {
  for (const auto& name : t.cancel)
    remove_timer(mine, {t.key, name});
  for (const auto& s : t.set) {
    remove_timer(mine, {t.key, s.name});
    mine.timers.emplace(timer_name{t.key, s.name}, s);
    mine.by_due.emplace(s.due, t.key, s.name);
  }
}

void memory_engine::remove_timer(shard_data& mine, const timer_name& name) {
  auto i = mine.timers.find(name);
  if (i == mine.timers.end())
    return;
  mine.by_due.erase({i->second.due, name.first, name.second});
  mine.timers.erase(i);
}

std::uint32_t memory_engine::change_audience(const audience_change& a) {
  const auto now = time_.wall();
  auto& m =
      audience_.try_emplace(a.key, member{a.key, a.status, "", now, now, {}})
          .first->second;
  const auto over = change_tags(m.tags, a.untag, a.tag);
  if (!a.seen)
    return over;
  m.status = a.status;
  m.last_seen = now;
  if (!a.language.empty())
    m.language = a.language;
  return over;
}

// -- settle -------------------------------------------------------------------

result<std::vector<std::optional<entry>>> memory_engine::settle(
    const lease& held, const std::vector<settlement>& outcomes) {
  if (auto ok = check_settle(held, outcomes, shards()); !ok)
    return ok.error();
  if (!owners_.holds(held))
    return fenced(held);
  auto& mine = of(held.shard);
  std::vector<std::optional<entry>> out(outcomes.size());
  for (std::size_t i = 0; i < outcomes.size(); ++i) {
    const auto& s = outcomes[i];
    auto found = mine.outbox.find(s.id.value);
    if (found == mine.outbox.end())
      continue;
    if (s.spent > 0 && s.to.is_group()) {
      auto& sum = spending_[{s.spent_at, s.to}];
      sum = static_cast<std::uint16_t>(sum + s.spent);
    }
    if (!is_final(s.outcome)) {
      found->second.attempted = true;
      continue;
    }
    mine.outbox.erase(found);
    if (s.outcome == call_outcome::sent && !s.label.empty())
      if (auto c = chats_.find(s.from); c != chats_.end())
        note_message(c->second.record.labels, s);
    if (s.audience)
      change_audience(*s.audience);
    if (s.joined)
      change_audience(*s.joined);
    if (s.campaign != 0)
      add_outcome(tallies_[s.campaign], s);
    if (s.dead && s.dead_body) {
      dead_letter d{{++last_dead_}, held.shard, entry_kind::call,
                    s.from,         {},         s.spent_at,
                    time_.wall(),   *s.dead,    s.dead_body};
      dead_.emplace(last_dead_, std::move(d));
    }
    if (s.event)
      out[i] = append(entry_kind::outcome, s.from, {}, time_.wall(), s.event);
  }
  return out;
}

}  // namespace troupe::store
