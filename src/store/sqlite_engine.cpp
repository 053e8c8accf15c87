#include "store/sqlite_engine.hpp"

#include <algorithm>
#include <filesystem>
#include <system_error>
#include <utility>

#include "core/log.hpp"
#include "store/checks.hpp"
#include "store/codec.hpp"

namespace troupe::store {

namespace {

constexpr std::size_t tails_per_cell = 64;
constexpr std::size_t kept_blocks = 256;  // 140 KB
constexpr int checkpoint_pages = 2000;    // 8 MiB of log
constexpr int small_log_pages = 64;       // is never too much
constexpr std::int64_t sweep_step = 256;  // rows looked at
// No store gets there honestly: 2,000 years at 2,000 updates/s.
constexpr std::uint64_t sane_count = std::uint64_t{1} << 47;
constexpr std::int64_t sane_term = std::int64_t{1} << 30;
constexpr auto sweep_pause = std::chrono::seconds{1};

}  // namespace

sqlite_engine::sqlite_engine(sqlite_db db, std::uint16_t shards,
                             const clock& time)
    : db_{std::move(db)},
      shards_{shards},
      time_{time},
      sql_{db_},
      tails_(shards),
      counts_(counts),
      owners_{shards},
      nodes_{time},
      next_due_(shards) {
  // A hook of ours also turns automatic checkpoints off: they would run inside
  // the commit, before anybody is answered.
  sqlite3_wal_hook(
      db_.handle(),
      [](void* self, sqlite3*, const char*, int pages) {
        static_cast<sqlite_engine*>(self)->log_pages_ = pages;
        return SQLITE_OK;
      },
      this);
}

result<> sqlite_engine::start() {
  auto ok = db_.failure() ? result<>{failed()} : restore();
  // A table or column that is not there: our header, but not our tables.
  if (!ok && ok.error().code == errc::internal)
    return error{errc::corrupt, ok.error().context};
  // Nothing is refused any more (see `open_sqlite`).
  if (ok)
    sqlite3_db_config(db_.handle(), SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 0,
                      nullptr);
  return ok;
}

error sqlite_engine::failed() {
  auto why = *db_.failure();
  db_.clear();
  return why;
}

// -- groups -------------------------------------------------------------------

result<> sqlite_engine::begin() {
  if (auto ok = restore(); !ok)
    return ok;
  ++group_;
  sql_.begin.run();
  if (db_.failure())
    return failed();
  return {};
}

result<> sqlite_engine::end() {
  flush();
  sql_.commit.run();
  if (db_.failure()) {
    log_full_ = log_full_ || sqlite3_errcode(db_.handle()) == SQLITE_FULL;
    auto why = failed();
    undo();
    return why;
  }
  owners_before_.reset();
  if (seen_.size() > kept_blocks)
    std::erase_if(seen_, [&](auto& b) { return b.second.used != group_; });
  return {};
}

void sqlite_engine::undo() {
  db_.clear();
  // SQLite has rolled back by itself after some errors.
  if (sqlite3_get_autocommit(db_.handle()) == 0)
    db_.exec("ROLLBACK");
  if (db_.failure())
    log::error("store_rollback_failed", {{"why", failed().context}});
  if (owners_before_)
    owners_ = *owners_before_;
  owners_before_.reset();
  restored_ = false;
}

// -- at hand ------------------------------------------------------------------

result<> sqlite_engine::restore() {
  if (restored_)
    return {};
  seen_.clear();
  dirty_tails_.clear();
  dirty_counts_ = false;
  next_due_.assign(shards_, std::nullopt);
  tails_.assign(shards_, 0);
  counts_.assign(counts, 0);
  bool sane = true;
  {
    auto rows = sql_.cells.query();
    while (rows.next()) {
      const auto data = rows.bytes(1);
      const auto id = rows.integer(0);
      auto& into = id == 0 ? counts_ : tails_;
      const auto first =
          id == 0 ? 0 : (static_cast<std::size_t>(id) - 1) * tails_per_cell;
      const auto left = into.size() - std::min(first, into.size());
      const auto n = id == 0 ? left : std::min(left, tails_per_cell);
      if (id < 0 || n == 0 || data.size() != n * 8) {
        sane = false;
        break;
      }
      for (std::size_t i = 0; i < n; ++i) {
        into[first + i] = u64_at(data, i);
        sane = sane && into[first + i] <= sane_count;
      }
    }
  }
  {
    auto rows = sql_.terms.query();
    while (rows.next()) {
      const auto shard = rows.integer(0);
      const auto term = rows.integer(1);
      if (shard < 0 || shard >= shards_ || term < 0 || term > sane_term) {
        sane = false;
        break;
      }
      owners_.restore({static_cast<std::uint16_t>(shard)},
                      {static_cast<std::uint32_t>(term)});
    }
  }
  if (db_.failure())
    return failed();
  if (!sane)
    return error{errc::corrupt, "the sequences and epochs make no sense"};
  restored_ = true;
  return {};
}

void sqlite_engine::touch_tail(std::uint16_t shard) {
  dirty_tails_.insert(shard / tails_per_cell);
}

void sqlite_engine::flush() {
  for (auto& [number, kept] : seen_) {
    if (!kept.dirty)
      continue;
    const auto& bits = kept.block.bits;
    sql_.put_seen.run(
        number, to_ms(kept.block.touched),
        std::string_view{reinterpret_cast<const char*>(bits.data()),
                         bits.size()});
    kept.dirty = false;
  }
  for (const auto chunk : dirty_tails_) {
    const auto first = chunk * tails_per_cell;
    const auto last = std::min(first + tails_per_cell, tails_.size());
    std::string data;
    for (auto i = first; i < last; ++i)
      put_u64(data, tails_[i]);
    sql_.put_cell.run(as_column(chunk + 1), data);
  }
  dirty_tails_.clear();
  if (!std::exchange(dirty_counts_, false))
    return;
  std::string data;
  for (const auto n : counts_)
    put_u64(data, n);
  sql_.put_cell.run(std::int64_t{0}, data);
}

// -- ownership ----------------------------------------------------------------

result<std::vector<lease>> sqlite_engine::claim(
    const std::vector<shard_id>& wanted, const std::string& node,
    milliseconds ttl) {
  if (auto ok = check_shards(wanted, shards_); !ok)
    return ok.error();
  if (!owners_before_)
    owners_before_ = owners_;
  std::vector<lease> out;
  for (const auto s : std::set<shard_id>{wanted.begin(), wanted.end()}) {
    if (!owners_.claim(s, node, time_.mono(), ttl))
      continue;
    sql_.put_term.run(std::int64_t{s.value},
                      std::int64_t{owners_.term(s).value});
    out.push_back({s, owners_.term(s), {tails_[s.value]}});
  }
  return finish(std::move(out));
}

result<std::vector<lease>> sqlite_engine::renew(const std::vector<lease>& held,
                                                milliseconds) {
  if (auto ok = restore(); !ok)
    return ok.error();
  std::vector<lease> out;
  for (const auto& l : held)
    if (owners_.holds(l))
      out.push_back({l.shard, l.term, {tails_[l.shard.value]}});
  return out;
}

result<> sqlite_engine::release(const std::vector<lease>& held) {
  if (!owners_before_)
    owners_before_ = owners_;
  for (const auto& l : held)
    owners_.release(l);
  return {};
}

// -- figures ------------------------------------------------------------------

result<figures> sqlite_engine::stats() {
  if (auto ok = restore(); !ok)
    return ok.error();
  figures f{counts_[journal],
            counts_[outboxed],
            counts_[timed],
            counts_[chats],
            counts_[died],
            0,
            0};
  const auto pages = [](sqlite_statement& s) {
    auto rows = s.query();
    return rows.next() ? static_cast<std::uint64_t>(rows.integer(0)) : 0;
  };
  constexpr std::uint64_t page = 4096;
  f.bytes = pages(sql_.page_count) * page;
  f.free_bytes = pages(sql_.free_pages) * page;
  std::error_code ec;
  if (const auto log = std::filesystem::file_size(db_.log_path(), ec); !ec)
    f.bytes += log;
  return finish(f);
}

// -- house-keeping ------------------------------------------------------------

// Said once when it starts to fail and once when it works again.
void sqlite_engine::report(const char* what, bool& failed,
                           const std::optional<error>& why) {
  if (why && !failed)
    log::warn("store_housekeeping_failed",
              {{"what", what}, {"why", to_string(*why)}});
  if (!why && failed)
    log::info("store_housekeeping_recovered", {{"what", what}});
  failed = why.has_value();
}

void sqlite_engine::checkpoint() {
  const int code = sqlite3_wal_checkpoint_v2(
      db_.handle(), nullptr, SQLITE_CHECKPOINT_PASSIVE, nullptr, nullptr);
  // Done or not, it is tried again after the next group's log only.
  log_pages_ = 0;
  report("checkpoint", checkpoint_failed_,
         code == SQLITE_OK
             ? std::nullopt
             : std::optional{sqlite_error(code, db_.handle(), "checkpoint")});
}

// The log must not take the last of a small disk: it could not be put into the
// database then, which may have to grow for it, and nothing would go on.
bool sqlite_engine::log_needs_room() const {
  if (log_pages_ < small_log_pages)
    return false;
  std::error_code ec;
  const auto on = std::filesystem::space(db_.log_path(), ec);
  return !ec && on.available < std::uint64_t(log_pages_) * 4096;
}

void sqlite_engine::tidy() {
  if (scrub_)
    scrub();
  // Real time paces the sweep; what is old is judged by the store's clock.
  const auto tick = std::chrono::steady_clock::now();
  // Space was made since: what the log holds may fit into the database now.
  const bool stuck = log_full_ && tick - checkpointed_ >= sweep_pause;
  if (log_pages_ >= checkpoint_pages || stuck || log_needs_room()) {
    checkpointed_ = tick;
    log_full_ = false;
    checkpoint();
  }
  if (tick - swept_ < sweep_pause)
    return;
  swept_ = tick;
  sweep();
}

void sqlite_engine::sweep() {
  const auto now = time_.wall();
  sweep_seen(now);
  sweep_chats(now);
  sweep_spending(now);
  sweep_names(now);
  if (db_.failure()) {
    const auto why = failed();
    undo();
    report("sweep", sweep_failed_, why);
  } else if (sweep_failed_) {
    report("sweep", sweep_failed_, std::nullopt);
  }
}

void sqlite_engine::sweep_seen(wall_time now) {
  std::vector<std::int64_t> old;
  std::int64_t rows_seen = 0;
  {
    auto rows = sql_.seen_after.query(seen_cursor_, sweep_step);
    for (; rows.next(); ++rows_seen) {
      seen_cursor_ = rows.integer(0);
      if (now - from_ms(rows.integer(1)) > dedup_window)
        old.push_back(seen_cursor_);
    }
  }
  if (rows_seen < sweep_step)
    seen_cursor_ = std::numeric_limits<std::int64_t>::min();
  if (old.empty() || db_.failure())
    return;
  if (auto ok = begin(); !ok)
    return db_.fail(ok.error());
  for (const auto number : old) {
    sql_.drop_seen.run(number);
    seen_.erase(number);
  }
  if (auto ok = end(); !ok)
    db_.fail(ok.error());
}

void sqlite_engine::sweep_chats(wall_time now) {
  std::vector<chat_key> old;
  std::int64_t rows_seen = 0;
  {
    auto rows =
        sql_.chats_after.query(kt(chat_cursor_), chat_cursor_.id, sweep_step);
    for (; rows.next(); ++rows_seen) {
      chat_cursor_ = key_of(rows.integer(0), rows.integer(1));
      const auto expires = rows.integer(2);
      if (expires != 0 && expires <= to_ms(now - sweep_grace))
        old.push_back(chat_cursor_);
    }
  }
  if (rows_seen < sweep_step)
    chat_cursor_ = {chat_key::kind::chat,
                    std::numeric_limits<std::int64_t>::min()};
  if (old.empty() || db_.failure())
    return;
  if (auto ok = begin(); !ok)
    return db_.fail(ok.error());
  for (const auto& key : old) {
    if (key.type != chat_key::kind::update) {
      sql_.clear_chat.run(kt(key), key.id);
      continue;
    }
    counts_[chats] -=
        static_cast<std::uint64_t>(sql_.drop_chat.run(kt(key), key.id));
    dirty_counts_ = true;
  }
  if (auto ok = end(); !ok)
    db_.fail(ok.error());
}

void sqlite_engine::sweep_spending(wall_time now) {
  const auto before = to_ms(now - spending_window);
  if (bool any = sql_.old_spending.query(before).next(); !any || db_.failure())
    return;
  if (auto ok = begin(); !ok)
    return db_.fail(ok.error());
  sql_.drop_spending.run(before);
  if (auto ok = end(); !ok)
    db_.fail(ok.error());
}

}  // namespace troupe::store
