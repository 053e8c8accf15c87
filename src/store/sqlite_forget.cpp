#include <utility>

#include "core/log.hpp"
#include "store/checks.hpp"
#include "store/sqlite_engine.hpp"

// All about one chat, and its end.
namespace troupe::store {

namespace {

// Files up to this size are written anew after a chat was forgotten: no longer
// than about a second, in which nothing else is done.
constexpr std::int64_t scrubbed_bytes = std::int64_t{64} << 20;

}  // namespace

holdings sqlite_engine::count_about(const chat_key& key, seq_no through) {
  holdings h;
  const auto shard = shard_of(key, shards_);
  {
    auto rows = sql_.about.query(
        kt(key), key.id, std::int64_t{shard.value}, journal_id(shard, {}),
        journal_id(shard, {std::min(through.value, tails_[shard.value])}));
    int column = 0;
    if (rows.next())
      for (auto* n : {&h.records, &h.entries, &h.calls, &h.timers,
                      &h.dead_letters, &h.members})
        *n = static_cast<std::uint64_t>(rows.integer(column++));
  }
  h.tags = tags_of(key).size();
  return h;
}

result<holdings> sqlite_engine::about(const chat_key& key) {
  if (auto ok = restore(); !ok)
    return ok.error();
  return finish(count_about(key, {~std::uint64_t{0}}));
}

result<holdings> sqlite_engine::forget(const lease& held, const chat_key& key,
                                       seq_no through) {
  if (auto ok = check_forget(held, key, shards_); !ok)
    return ok.error();
  if (!owners_.holds(held))
    return fenced(held);
  const auto h = count_about(key, through);
  const auto t = kt(key);
  const std::int64_t shard{held.shard.value};
  sql_.drop_entries.run(
      t, key.id, journal_id(held.shard, {}),
      journal_id(held.shard,
                 {std::min(through.value, tails_[held.shard.value])}));
  sql_.drop_calls.run(t, key.id, shard);
  sql_.drop_timers.run(t, key.id);
  sql_.drop_letters.run(t, key.id);
  sql_.drop_member.run(t, key.id);
  sql_.drop_tags.run(t, key.id);
  sql_.drop_chat.run(t, key.id);
  counts_[journal] -= h.entries;
  counts_[outboxed] -= h.calls;
  counts_[timed] -= h.timers;
  counts_[died] -= h.dead_letters;
  counts_[chats] -= h.records;
  dirty_counts_ = true;
  next_due_[held.shard.value].reset();
  scrub_ = true;
  return finish(h);
}

// What was deleted, now or long ago, stays in free space of the file and in
// the log until that is used again. Writing the file anew leaves it behind.
void sqlite_engine::scrub() {
  const auto bytes = db_.integer("PRAGMA page_count") * std::int64_t{4096};
  if (bytes <= scrubbed_bytes) {
    db_.exec("PRAGMA secure_delete=ON");
    db_.exec("VACUUM");
    db_.exec("PRAGMA secure_delete=OFF");
  } else {
    log::warn("store_not_scrubbed",
              {{"bytes", bytes},
               {"effect",
                "what was forgotten is gone from the store, but its bytes may "
                "stay in free space of the file; see docs/RUNBOOK.md"}});
  }
  scrub_ = false;
  std::optional<error> why;
  if (db_.failure())
    why = failed();
  const int code = sqlite3_wal_checkpoint_v2(
      db_.handle(), nullptr, SQLITE_CHECKPOINT_TRUNCATE, nullptr, nullptr);
  log_pages_ = 0;
  if (!why && code != SQLITE_OK)
    why = sqlite_error(code, db_.handle(), "checkpoint");
  report("scrub", scrub_failed_, why);
}

}  // namespace troupe::store
