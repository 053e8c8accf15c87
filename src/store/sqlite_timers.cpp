#include <algorithm>
#include <set>
#include <tuple>

#include "store/checks.hpp"
#include "store/sqlite_engine.hpp"

// Timers, spending, tallies.
namespace troupe::store {

std::int64_t sqlite_engine::next_due(shard_id s, std::int64_t now) {
  auto rows = sql_.next_due.query(std::int64_t{s.value}, now);
  // min() over nothing is one row with NULL, which reads as 0.
  const auto due = rows.next() ? rows.integer(0) : 0;
  return due > now ? due : never;
}

result<backend::due_timers> sqlite_engine::due(
    const std::vector<shard_id>& asked, wall_time now, std::size_t limit) {
  if (auto ok = check_shards(asked, shards_); !ok)
    return ok.error();
  if (auto ok = restore(); !ok)
    return ok.error();
  const auto now_ms = to_ms(now);
  std::vector<timer> found;
  std::int64_t next = never;
  for (const auto s : std::set<shard_id>{asked.begin(), asked.end()}) {
    auto& known = next_due_[s.value];
    if (!known || *known <= now_ms) {
      auto earliest = next_due(s, now_ms);
      next = std::min(next, earliest);
      // One more than asked for, to learn when it is due.
      auto rows = sql_.due.query(std::int64_t{s.value}, now_ms,
                                 as_limit(limit < never ? limit + 1 : limit));
      while (rows.next()) {
        found.push_back({key_of(rows.integer(0), rows.integer(1)), rows.text(2),
                         from_ms(rows.integer(3)), rows.text(4)});
        earliest = std::min(earliest, rows.integer(3));
      }
      known = earliest;
    } else {
      next = std::min(next, *known);
    }
  }
  std::sort(found.begin(), found.end(), [](const timer& a, const timer& b) {
    return std::tie(a.due, a.key, a.name) < std::tie(b.due, b.key, b.name);
  });
  backend::due_timers out;
  if (found.size() > limit) {
    next = to_ms(found[limit].due);
    found.resize(limit);
  }
  out.due = std::move(found);
  if (next != never)
    out.next = from_ms(next);
  if (db_.failure())
    next_due_.assign(shards_, std::nullopt);
  return finish(std::move(out));
}

result<std::vector<timer>> sqlite_engine::timers(const chat_key& key) {
  std::vector<timer> out;
  auto rows = sql_.timers.query(kt(key), key.id);
  while (rows.next())
    out.push_back({key, rows.text(0), from_ms(rows.integer(1)), rows.text(2)});
  return finish(std::move(out));
}

result<std::vector<spending>> sqlite_engine::spent(wall_time since) {
  std::vector<spending> out;
  const auto from = std::max(since, time_.wall() - spending_window);
  auto rows = sql_.spending.query(to_ms(from));
  while (rows.next())
    out.push_back({key_of(rows.integer(1), rows.integer(2)),
                   from_ms(rows.integer(0)),
                   static_cast<std::uint16_t>(rows.integer(3))});
  return finish(std::move(out));
}

result<std::vector<campaign_tally>> sqlite_engine::tallies(
    const std::vector<std::uint64_t>& campaigns) {
  std::vector<campaign_tally> out;
  for (const auto c : campaigns) {
    auto& one = out.emplace_back();
    auto rows = sql_.tally.query(as_column(c));
    if (!rows.next())
      continue;
    int column = 0;
    for (auto* n : {&one.sent, &one.failed, &one.blocked, &one.unknown})
      *n = static_cast<std::uint64_t>(rows.integer(column++));
  }
  return finish(std::move(out));
}

}  // namespace troupe::store
