#include <algorithm>
#include <limits>

#include "store/checks.hpp"
#include "store/owners.hpp"
#include "store/postgres_engine.hpp"

// All about one chat, and its end.
namespace troupe::store::postgres {

namespace {

constexpr auto last_seq = std::numeric_limits<std::int64_t>::max();

}  // namespace

request about_chats(const std::map<chat_key, std::int64_t>& of,
                    std::uint16_t shards) {
  columns all{sql::about};
  for (const auto& [key, through] : of)
    all.add(kt(key), key.id, std::int64_t{shard_of(key, shards).value},
            through);
  return all.take();
}

holdings holdings_of(const table& t, int row) {
  holdings h;
  int column = 2;
  for (auto* n : {&h.records, &h.entries, &h.calls, &h.timers, &h.dead_letters,
                  &h.members})
    *n = static_cast<std::uint64_t>(t.integer(row, column++));
  h.tags = split_tags(t.bytes(row, column)).size();
  return h;
}

result<holdings> scout::forget(const lease& held, const chat_key& key,
                               seq_no through) {
  found_.writes = true;
  if (!check_forget(held, key, shards_))
    return nothing();
  found_.owners.insert(held.shard.value);
  found_.members.insert(key);
  auto& last = found_.forgotten[key];
  last = std::max(
      last,
      as_column(std::min(through.value, static_cast<std::uint64_t>(last_seq))));
  return nothing();
}

result<holdings> postgres_engine::about(const chat_key& key) {
  const auto t = ask(about_chats({{key, last_seq}}, shards_));
  if (!t)
    return t.error();
  return t->rows() == 0 ? holdings{} : holdings_of(*t, 0);
}

// Straight into the script, behind all that the group did before.
result<holdings> postgres_engine::forget(const lease& held, const chat_key& key,
                                         seq_no through) {
  if (auto ok = check_forget(held, key, shards_); !ok)
    return ok.error();
  if (!holds(held))
    return fenced(held);
  for (const auto& [at, c] : changes_.calls)
    if (c.from == key)
      found_.calls.erase(at);
  flush();
  const std::int64_t shard{held.shard.value};
  const auto last =
      as_column(std::min(through.value, static_cast<std::uint64_t>(last_seq)));
  columns entries{sql::forget_entries};
  entries.add(kt(key), key.id, shard, last);
  script_.push_back(entries.take());
  columns calls{sql::forget_calls};
  calls.add(kt(key), key.id, shard);
  script_.push_back(calls.take());
  for (const auto what :
       {sql::forget_timers, sql::forget_letters, sql::drop_tags,
        sql::forget_members, sql::forget_chats}) {
    columns one{what};
    one.add(kt(key), key.id);
    script_.push_back(one.take());
  }
  written_ = script_.size();
  // Nor does what comes after it in the group find any of that.
  std::erase_if(found_.journal, [&](const auto& x) {
    return x.second == key && x.first.second <= last;
  });
  std::erase_if(found_.calls, [&](const auto& at) {
    return found_.forgotten_calls.contains(at);
  });
  std::erase_if(found_.timers,
                [&](const auto& x) { return x.first.first == key; });
  std::erase_if(found_.dead,
                [&](const auto& x) { return x.second.key == key; });
  found_.chats.erase(key);
  found_.members.erase(key);
  found_.tags.erase(key);
  return found_.forgotten[key];
}

}  // namespace troupe::store::postgres
