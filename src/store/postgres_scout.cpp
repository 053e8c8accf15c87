#include "store/postgres_scout.hpp"

#include "store/checks.hpp"

namespace troupe::store::postgres {

result<std::vector<receipt>> scout::accept(
    const std::vector<const arrival*>& sorted) {
  found_.writes = true;
  for (const auto* a : sorted) {
    const auto shard = shard_of(a->key, shards_).value;
    found_.tails.insert(shard);
    found_.seen.emplace(shard, seen_ids::block_of(a->id));
  }
  return std::vector<receipt>(sorted.size());
}

result<std::vector<lease>> scout::claim(const std::vector<shard_id>& wanted,
                                        const std::string&, milliseconds) {
  found_.writes = true;
  for (const auto s : wanted)
    if (s.value < shards_) {
      found_.claimed.insert(s.value);
      found_.looked.insert(s.value);
    }
  return nothing();
}

void scout::change(const std::vector<lease>& held) {
  found_.writes = true;
  for (const auto& l : held)
    if (l.shard.value < shards_) {
      found_.changed.insert(l.shard.value);
      found_.looked.insert(l.shard.value);
    }
}

result<std::vector<lease>> scout::renew(const std::vector<lease>& held,
                                        milliseconds) {
  change(held);
  return nothing();
}

result<> scout::release(const std::vector<lease>& held) {
  change(held);
  return {};
}

result<std::optional<grant>> scout::acquire(const std::string& name,
                                            const std::string& holder,
                                            milliseconds ttl) {
  found_.writes = true;
  found_.names.push_back(
      request::of(sql::acquire, name, holder, std::int64_t{ttl.count()}));
  return nothing();
}

result<> scout::relinquish(const std::string& name, const std::string& holder) {
  found_.writes = true;
  found_.names.push_back(request::of(sql::relinquish, name, holder));
  return {};
}

void scout::commit_one(const turn& t) {
  const auto shard = shard_of(t.key, shards_).value;
  found_.chats.insert(t.key);
  if (t.fired)
    found_.timers.emplace(t.key, t.fired->name);
  else
    found_.journal.emplace(shard, as_column(t.seq.value));
  for (const auto& c : t.calls)
    found_.calls.emplace(shard, as_column(c.id.value));
  for (const auto& n : t.notices)
    found_.tails.insert(shard_of(n.to, shards_).value);
  found_.sql.insert(found_.sql.end(), t.sql.begin(), t.sql.end());
  for (const auto& a : t.audience)
    if (a.changes_tags())
      found_.members.insert(a.key);
}

result<std::vector<turn_receipt>> scout::commit(
    const lease& held, const std::vector<turn>& turns) {
  found_.writes = true;
  if (!check_commit(held, turns, shards_, true))
    return nothing();
  found_.owners.insert(held.shard.value);
  for (const auto& t : turns)
    commit_one(t);
  return nothing();
}

result<std::vector<std::optional<entry>>> scout::settle(
    const lease& held, const std::vector<settlement>& outcomes) {
  found_.writes = true;
  if (!check_settle(held, outcomes, shards_))
    return nothing();
  found_.owners.insert(held.shard.value);
  for (const auto& s : outcomes) {
    found_.calls.emplace(held.shard.value, as_column(s.id.value));
    if (s.event)
      found_.tails.insert(held.shard.value);
    if (!s.label.empty() && s.outcome == call_outcome::sent)
      found_.chats.insert(s.from);
  }
  return nothing();
}

result<std::vector<entry>> scout::retry(
    const std::vector<dead_letter_id>& which) {
  found_.writes = true;
  for (const auto id : which) {
    found_.dead.insert(as_column(id.value));
    // The shard stands in the id, so that it can be locked beforehand.
    if (const auto shard = static_cast<shard_number>(id.value & 0xffff);
        shard < shards_)
      found_.tails.insert(shard);
  }
  return nothing();
}

result<std::size_t> scout::drop(const std::vector<dead_letter_id>& which) {
  found_.writes = true;
  for (const auto id : which)
    found_.dead.insert(as_column(id.value));
  return nothing();
}

result<std::size_t> scout::tag(const std::vector<chat_key>& whom,
                               const std::string&, bool) {
  found_.writes = true;
  found_.members.insert(whom.begin(), whom.end());
  return nothing();
}

}  // namespace troupe::store::postgres
