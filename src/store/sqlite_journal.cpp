#include <set>

#include "store/checks.hpp"
#include "store/sqlite_engine.hpp"

// Accepting, the journal, and dead letters.
namespace troupe::store {

namespace {

constexpr int shard_shift = 48;
constexpr std::uint64_t seq_mask = (std::uint64_t{1} << shard_shift) - 1;

}  // namespace

std::int64_t journal_id(shard_id shard, seq_no seq) {
  TROUPE_CHECK(seq.value <= seq_mask);
  return static_cast<std::int64_t>(std::uint64_t{shard.value} << shard_shift |
                                   seq.value);
}

seq_no seq_of(std::int64_t id) {
  return {static_cast<std::uint64_t>(id) & seq_mask};
}

entry sqlite_engine::append(entry_kind type, const chat_key& key, update_id id,
                            wall_time at, payload body) {
  const auto shard = shard_of(key, shards_);
  entry e{{++tails_[shard.value]}, type, key, id, at, std::move(body)};
  touch_tail(shard.value);
  sql_.put_entry.run(journal_id(shard, e.seq), static_cast<std::int64_t>(type),
                     kt(key), key.id, id.value, to_ms(at), *e.body);
  ++counts_[journal];
  dirty_counts_ = true;
  return e;
}

sqlite_engine::kept_block& sqlite_engine::block_of(update_id id,
                                                   wall_time now) {
  const auto number = seen_block::number_of(id);
  auto [found, fresh] = seen_.try_emplace(number);
  auto& kept = found->second;
  kept.used = group_;
  if (fresh) {
    auto rows = sql_.seen.query(number);
    if (rows.next()) {
      const auto bits = rows.bytes(1);
      if (bits.size() == seen_block::bytes)
        std::copy(bits.begin(), bits.end(), kept.block.bits.begin());
      else
        db_.fail({errc::corrupt, "a block of update ids has a wrong size"});
      kept.block.touched = from_ms(rows.integer(0));
    }
  }
  if (kept.block.expired(now))
    kept.block = {};
  return kept;
}

result<std::vector<receipt>> sqlite_engine::accept(
    const std::vector<const arrival*>& sorted) {
  std::vector<receipt> out;
  out.reserve(sorted.size());
  const auto now = time_.wall();
  for (const auto* a : sorted) {
    auto& kept = block_of(a->id, now);
    receipt r{false, shard_of(a->key, shards_), {}};
    if (!kept.block.has(a->id)) {
      kept.block.add(a->id, now);
      kept.dirty = true;
      r.fresh = true;
      r.seq = append(entry_kind::update, a->key, a->id, a->at, a->body).seq;
    }
    out.push_back(r);
  }
  return finish(std::move(out));
}

void sqlite_engine::read_entries(std::int64_t after, std::int64_t last,
                                 std::size_t limit, std::vector<entry>& into) {
  auto rows = sql_.entries.query(after, last, as_limit(limit));
  while (rows.next())
    into.push_back({seq_of(rows.integer(0)),
                    static_cast<entry_kind>(rows.integer(1)),
                    key_of(rows.integer(2), rows.integer(3)),
                    {rows.integer(4)},
                    from_ms(rows.integer(5)),
                    make_payload(rows.text(6))});
}

result<std::vector<entry>> sqlite_engine::backlog(shard_id shard, seq_no after,
                                                  std::size_t limit) {
  if (auto ok = check_shard(shard, shards_); !ok)
    return ok.error();
  std::vector<entry> out;
  if (after.value < seq_mask)
    read_entries(journal_id(shard, after), journal_id(shard, {seq_mask}), limit,
                 out);
  return finish(std::move(out));
}

result<std::vector<entry>> sqlite_engine::entries(
    shard_id shard, const std::vector<seq_no>& wanted) {
  if (auto ok = check_shard(shard, shards_); !ok)
    return ok.error();
  std::vector<entry> out;
  for (const auto seq : std::set<seq_no>{wanted.begin(), wanted.end()}) {
    if (seq.value == 0 || seq.value > seq_mask)
      continue;
    const auto id = journal_id(shard, seq);
    read_entries(id - 1, id, 1, out);
  }
  return finish(std::move(out));
}

// -- dead letters -------------------------------------------------------------

void sqlite_engine::read_dead(std::int64_t after, std::int64_t last,
                              std::size_t limit,
                              std::vector<dead_letter>& into) {
  auto rows = sql_.dead.query(after, last, as_limit(limit));
  while (rows.next())
    into.push_back({{static_cast<std::uint64_t>(rows.integer(0))},
                    {static_cast<std::uint16_t>(rows.integer(1))},
                    static_cast<entry_kind>(rows.integer(2)),
                    key_of(rows.integer(3), rows.integer(4)),
                    {rows.integer(5)},
                    from_ms(rows.integer(6)),
                    from_ms(rows.integer(7)),
                    rows.text(8),
                    make_payload(rows.text(9))});
}

result<std::vector<dead_letter>> sqlite_engine::dead_letters(
    dead_letter_id after, std::size_t limit) {
  std::vector<dead_letter> out;
  if (after.value < static_cast<std::uint64_t>(never))
    read_dead(as_column(after.value), never, limit, out);
  return finish(std::move(out));
}

result<std::vector<entry>> sqlite_engine::retry(
    const std::vector<dead_letter_id>& which) {
  std::vector<entry> out;
  for (const auto id : std::set<dead_letter_id>{which.begin(), which.end()}) {
    if (id.value == 0 || id.value > static_cast<std::uint64_t>(never))
      continue;
    std::vector<dead_letter> found;
    read_dead(as_column(id.value) - 1, as_column(id.value), 1, found);
    for (auto& d : found) {
      out.push_back(append(d.type, d.key, d.update, d.accepted_at, d.body));
      sql_.drop_dead.run(as_column(id.value));
      --counts_[died];
    }
  }
  return finish(std::move(out));
}

result<std::size_t> sqlite_engine::drop(
    const std::vector<dead_letter_id>& which) {
  std::size_t n = 0;
  for (const auto id : which)
    n += static_cast<std::size_t>(sql_.drop_dead.run(as_column(id.value)));
  counts_[died] -= n;
  dirty_counts_ = true;
  return finish(n);
}

}  // namespace troupe::store
