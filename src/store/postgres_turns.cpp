#include <map>
#include <set>

#include "store/checks.hpp"
#include "store/codec.hpp"
#include "store/owners.hpp"
#include "store/postgres_engine.hpp"

// Records, turns and calls.
namespace troupe::store::postgres {

/// What the turns checked so far would leave behind.
struct postgres_engine::forecast {
  std::map<chat_key, std::uint64_t> versions;
  std::set<place> acknowledged, calls;
  std::map<timer_name, std::optional<wall_time>> timers;
};

bool postgres_engine::holds(const lease& l) const {
  const auto& o = found_.owners.at(l.shard.value);
  return !o.node.empty() && o.term == std::int64_t{l.term.value};
}

bool postgres_engine::acknowledgeable(const turn& t,
                                      const forecast& so_far) const {
  if (!t.fired) {
    const place at{shard_of(t.key, shards_).value, as_column(t.seq.value)};
    return found_.journal.contains(at) && !so_far.acknowledged.contains(at);
  }
  const timer_name name{t.key, t.fired->name};
  if (auto i = so_far.timers.find(name); i != so_far.timers.end())
    return i->second == t.fired->due;
  auto i = found_.timers.find(name);
  return i != found_.timers.end() && i->second.due == t.fired->due;
}

// Whether a turn that can be acknowledged fits, on top of those before it.
result<> postgres_engine::foresee_one(const turn& t, forecast& so_far) const {
  const auto shard = shard_of(t.key, shards_).value;
  const place at{shard, as_column(t.seq.value)};
  if (!t.fired)
    if (const auto& key = found_.journal.at(at); key != t.key)
      return wrong_chat(t, key);
  const auto known = found_.chats.find(t.key);
  const bool there = known != found_.chats.end();
  auto& version =
      so_far.versions.try_emplace(t.key, there ? known->second.version : 0)
          .first->second;
  if (version != t.version)
    return wrong_version(t, version);
  ++version;
  if (there && !decode_labels(known->second.labels))
    return error{errc::corrupt,
                 "the labels of chat " + to_string(t.key) + " make no sense"};
  for (const auto& c : t.calls) {
    const place id{shard, as_column(c.id.value)};
    if (found_.calls.contains(id) || !so_far.calls.insert(id).second)
      return error{errc::corrupt,
                   "call " + std::to_string(c.id.value) + " is there already"};
  }
  if (t.fired)
    so_far.timers[{t.key, t.fired->name}].reset();
  else
    so_far.acknowledged.insert(at);
  for (const auto& name : t.cancel)
    so_far.timers[{t.key, name}].reset();
  for (const auto& s : t.set)
    so_far.timers[{t.key, s.name}] = s.due;
  return {};
}

// Which turns will be committed (the others are stale), or why none can be.
result<std::vector<bool>> postgres_engine::foresee(
    const std::vector<turn>& turns) const {
  forecast so_far;
  std::vector<bool> out;
  for (const auto& t : turns) {
    out.push_back(acknowledgeable(t, so_far));
    if (!out.back())
      continue;
    if (auto ok = foresee_one(t, so_far); !ok)
      return ok.error();
  }
  return out;
}

result<std::vector<turn_receipt>> postgres_engine::commit(
    const lease& held, const std::vector<turn>& turns) {
  if (auto ok = check_commit(held, turns, shards_, true); !ok)
    return ok.error();
  const bool with_sql = !needs_.sql.empty();
  const auto held_still = holds(held);
  auto good =
      held_still ? foresee(turns) : result<std::vector<bool>>{fenced(held)};
  // Then its SQL was not to be done either.
  if (with_sql && (!good || !good->front()))
    spoil();
  if (!good)
    return good.error();
  std::vector<turn_receipt> out(turns.size());
  if (with_sql && verdict_ && good->front()) {
    out.front() = *verdict_;
    return out;
  }
  for (std::size_t i = 0; i < turns.size(); ++i) {
    const auto& t = turns[i];
    if (!(*good)[i]) {
      out[i].outcome = turn_receipt::status::stale;
      continue;
    }
    acknowledge(t, held.shard);
    put_record(t);
    for (const auto& c : t.calls) {
      const place at{held.shard.value, as_column(c.id.value)};
      found_.calls.insert(at);
      changes_.calls.emplace(at, c);
    }
    put_timers(t);
    for (const auto& n : t.notices)
      out[i].appended.push_back(append(n.type, n.to, {}, time_.wall(),
                                       make_payload(notice_body(t.key, n))));
    for (const auto& a : t.audience)
      out[i].tags_over += change_audience(a);
  }
  return out;
}

void postgres_engine::bury(shard_id shard, entry_kind type, const chat_key& key,
                           wall_time accepted, const std::string& why,
                           const std::string& body) {
  changes_.dead.add(std::int64_t{shard.value}, static_cast<std::int64_t>(type),
                    kt(key), key.id, std::int64_t{0}, to_ms(accepted),
                    to_ms(time_.wall()), why, body);
}

void postgres_engine::acknowledge(const turn& t, shard_id shard) {
  if (t.fired) {
    const timer_name name{t.key, t.fired->name};
    auto stored = found_.timers.extract(name);
    changes_.timers.insert(name);
    if (t.dead)
      bury(shard, entry_kind::timer, t.key, t.fired->due, *t.dead,
           timer_body(
               {t.key, t.fired->name, t.fired->due, stored.mapped().body}));
    return;
  }
  const place at{shard.value, as_column(t.seq.value)};
  found_.journal.erase(at);
  changes_.acknowledged.insert(at);
  if (t.dead)
    changes_.died.add(std::int64_t{at.first}, at.second, to_ms(time_.wall()),
                      *t.dead);
}

void postgres_engine::put_record(const turn& t) {
  auto& c = found_.chats[t.key];
  auto& change = changes_.chats[t.key];
  change.version = ++c.version;
  if (const auto expires = new_expiry(t, time_.wall()))
    change.expires = expires;
  if (t.state)
    change.state = t.state;
  if (t.mode)
    change.mode = t.mode;
  if (t.memo)
    change.memo = t.memo;
  std::optional<std::vector<label>> labels;
  for (const auto& sent : t.calls) {
    if (sent.label.empty())
      continue;
    if (!labels)
      labels = decode_labels(c.labels);
    put_label(*labels, sent.label, sent.id);
  }
  if (labels)
    change.labels = c.labels = encode_labels(*labels);
}

void postgres_engine::put_timers(const turn& t) {
  for (const auto& name : t.cancel) {
    found_.timers.erase({t.key, name});
    changes_.timers.emplace(t.key, name);
  }
  for (const auto& s : t.set) {
    found_.timers[{t.key, s.name}] = {s.due, s.body};
    changes_.timers.emplace(t.key, s.name);
  }
}

// -- calls --------------------------------------------------------------------

result<std::vector<std::optional<entry>>> postgres_engine::settle(
    const lease& held, const std::vector<settlement>& outcomes) {
  if (auto ok = check_settle(held, outcomes, shards_); !ok)
    return ok.error();
  if (!holds(held))
    return fenced(held);
  std::vector<std::optional<entry>> out(outcomes.size());
  for (std::size_t i = 0; i < outcomes.size(); ++i) {
    const auto& s = outcomes[i];
    const place at{held.shard.value, as_column(s.id.value)};
    if (!found_.calls.contains(at))
      continue;
    if (s.spent > 0 && s.to.is_group())
      changes_.spending[{s.spent_at, s.to}] += s.spent;
    if (is_final(s.outcome))
      out[i] = end_call(s, at);
    else if (auto fresh = changes_.calls.find(at);
             fresh != changes_.calls.end())
      fresh->second.attempted = true;
    else
      changes_.attempted.insert(at);
  }
  return out;
}

// Labels that can't be read cost edits of this chat's messages, not the
// settling of all the others' calls: its next commit fails, and says so.
void postgres_engine::note_sent(const settlement& s) {
  const auto found = found_.chats.find(s.from);
  if (found == found_.chats.end())
    return;
  auto& c = found->second;
  auto labels = decode_labels(c.labels);
  if (!labels || !note_message(*labels, s))
    return;
  c.labels = encode_labels(*labels);
  auto& change = changes_.chats[s.from];
  change.version = c.version;
  change.labels = c.labels;
}

std::optional<entry> postgres_engine::end_call(const settlement& s, place at) {
  found_.calls.erase(at);
  if (changes_.calls.erase(at) == 0)
    changes_.settled.insert(at);
  if (s.outcome == call_outcome::sent && !s.label.empty())
    note_sent(s);
  if (s.audience)
    change_audience(*s.audience);
  if (s.joined)
    change_audience(*s.joined);
  if (s.campaign != 0)
    add_outcome(changes_.tallies[{s.campaign, at.first}], s);
  if (s.dead && s.dead_body)
    bury({at.first}, entry_kind::call, s.from, s.spent_at, *s.dead,
         *s.dead_body);
  if (!s.event)
    return std::nullopt;
  return append(entry_kind::outcome, s.from, {}, time_.wall(), s.event);
}

}  // namespace troupe::store::postgres
