#pragma once

#include <cstdint>
#include <limits>
#include <optional>
#include <set>
#include <string>
#include <unordered_map>
#include <vector>

#include "store/engine.hpp"
#include "store/owners.hpp"
#include "store/seen.hpp"
#include "store/sqlite_db.hpp"
#include "store/sqlite_statements.hpp"

namespace troupe::store {

/// The tables of an embedded database, and what of them is kept at hand:
/// sequences, epochs, counts and recent deduplication blocks. What is at hand
/// is written with each group, in a handful of rows.
///
/// Durable: a group is fsynced (or, without `synchronous_full`, survives the
/// process but maybe not the machine). Nothing else may open the file.
class sqlite_engine final : public engine {
 public:
  /// @param path the file, for its log's size
  /// **Lifetime**: `time` outlives it.
  sqlite_engine(sqlite_db db, std::uint16_t shards, const clock& time);

  /// Reads what is kept at hand; once, before anything else.
  result<> start();

  std::uint16_t shards() const noexcept override { return shards_; }
  result<> begin() override;
  result<> end() override;
  void undo() override;
  void tidy() override;

  result<std::vector<receipt>> accept(
      const std::vector<const arrival*>& sorted) override;
  result<std::vector<lease>> claim(const std::vector<shard_id>& wanted,
                                   const std::string& node,
                                   milliseconds ttl) override;
  result<std::vector<lease>> renew(const std::vector<lease>& held,
                                   milliseconds ttl) override;
  result<> release(const std::vector<lease>& held) override;
  gathering& nodes() override { return nodes_; }
  result<std::optional<grant>> acquire(const std::string& name,
                                       const std::string& holder,
                                       milliseconds ttl) override;
  result<> relinquish(const std::string& name,
                      const std::string& holder) override;
  result<std::vector<entry>> backlog(shard_id shard, seq_no after,
                                     std::size_t limit) override;
  result<std::vector<entry>> entries(
      shard_id shard, const std::vector<seq_no>& wanted) override;
  result<std::vector<chat_record>> load(
      const std::vector<chat_key>& keys) override;
  result<std::vector<turn_receipt>> commit(
      const lease& held, const std::vector<turn>& turns) override;
  result<std::vector<call>> outbox(shard_id shard, call_id after,
                                   std::size_t limit) override;
  result<std::vector<call>> calls(shard_id shard,
                                  const std::vector<call_id>& wanted) override;
  result<std::vector<std::optional<entry>>> settle(
      const lease& held, const std::vector<settlement>& outcomes) override;
  result<std::vector<spending>> spent(wall_time since) override;
  result<backend::due_timers> due(const std::vector<shard_id>& asked,
                                  wall_time now, std::size_t limit) override;
  result<std::vector<timer>> timers(const chat_key& key) override;
  result<std::vector<dead_letter>> dead_letters(dead_letter_id after,
                                                std::size_t limit) override;
  result<std::vector<entry>> retry(
      const std::vector<dead_letter_id>& which) override;
  result<std::size_t> drop(const std::vector<dead_letter_id>& which) override;
  result<std::vector<member>> audience(const std::optional<chat_key>& after,
                                       std::size_t limit) override;
  result<std::size_t> tag(const std::vector<chat_key>& whom,
                          const std::string& name, bool add) override;
  result<holdings> about(const chat_key& key) override;
  result<holdings> forget(const lease& held, const chat_key& key,
                          seq_no through) override;
  result<std::vector<campaign_tally>> tallies(
      const std::vector<std::uint64_t>& campaigns) override;
  result<figures> stats() override;

 private:
  struct kept_block {
    seen_block block;
    bool dirty = false;
    std::uint64_t used = 0;  // in which group
  };
  enum count : std::size_t { journal, outboxed, timed, chats, died, counts };

  static constexpr std::int64_t never =
      std::numeric_limits<std::int64_t>::max();

  // The end of an operation: `value`, or what failed on the way.
  template <class T>
  result<T> finish(T value) {
    if (db_.failure())
      return failed();
    return value;
  }
  error failed();

  // At hand: reading, writing, forgetting.
  result<> restore();
  void flush();
  kept_block& block_of(update_id id, wall_time now);
  void touch_tail(std::uint16_t shard);

  // Operations' parts. Errors stick to the database, or are returned.
  entry append(entry_kind type, const chat_key& key, update_id id, wall_time at,
               payload body);
  result<bool> acknowledge(const turn& t);
  result<bool> acknowledge_entry(const turn& t);
  result<bool> acknowledge_timer(const turn& t);
  result<> put_record(const turn& t);
  std::optional<std::string> new_labels(const turn& t);
  std::optional<std::vector<label>> labels_of(const chat_key& key);
  void put_call(const call& c, shard_id shard);
  void put_timers(const turn& t, shard_id shard);
  /// How many tags had no room.
  std::uint32_t change_audience(const audience_change& a);
  std::vector<std::string> tags_of(const chat_key& key);
  void put_tags(const chat_key& key, const std::vector<std::string>& tags);
  void note_sent(const settlement& s);
  void note_spent(const settlement& s);
  std::optional<entry> end_call(const settlement& s);
  result<std::vector<call>> read_calls(shard_id shard, std::int64_t after,
                                       std::int64_t last, std::size_t limit,
                                       std::vector<call> into = {});
  void read_entries(std::int64_t after, std::int64_t last, std::size_t limit,
                    std::vector<entry>& into);
  void read_dead(std::int64_t after, std::int64_t last, std::size_t limit,
                 std::vector<dead_letter>& into);
  std::int64_t next_due(shard_id s, std::int64_t now);

  holdings count_about(const chat_key& key, seq_no through);

  // House-keeping.
  void checkpoint();
  bool log_needs_room() const;
  void scrub();
  void sweep();
  void sweep_seen(wall_time now);
  void sweep_chats(wall_time now);
  void sweep_spending(wall_time now);
  void sweep_names(wall_time now);
  void report(const char* what, bool& failed, const std::optional<error>& why);

  sqlite_db db_;
  const std::uint16_t shards_;
  const clock& time_;
  sqlite_statements sql_;

  bool restored_ = false;
  std::vector<std::uint64_t> tails_;
  std::set<std::size_t> dirty_tails_;  // by chunk
  std::vector<std::uint64_t> counts_;
  bool dirty_counts_ = false;
  owners owners_;
  gathering nodes_;
  std::optional<owners> owners_before_;  // of a group that changes them
  std::unordered_map<std::int64_t, kept_block> seen_;
  std::uint64_t group_ = 0;
  // Per shard: exactly when its earliest timer is due, if known.
  std::vector<std::optional<std::int64_t>> next_due_;

  int log_pages_ = 0;
  bool scrub_ = false;     ///< what was forgotten may still be in free space
  bool log_full_ = false;  // it could not grow
  mono_time checkpointed_{};
  // Whether this kind of house-keeping failed last time.
  bool checkpoint_failed_ = false;
  bool sweep_failed_ = false;
  bool scrub_failed_ = false;
  mono_time swept_{};
  std::int64_t seen_cursor_ = std::numeric_limits<std::int64_t>::min();
  chat_key chat_cursor_{};
};

// How keys and numbers stand in the tables.
inline std::int64_t kt(const chat_key& key) {
  return static_cast<std::int64_t>(key.type);
}
inline chat_key key_of(std::int64_t kt_column, std::int64_t kid) {
  return {static_cast<chat_key::kind>(kt_column), kid};
}
inline std::int64_t as_column(std::uint64_t n) {
  return static_cast<std::int64_t>(n);
}
inline std::int64_t as_limit(std::size_t n) {
  constexpr std::int64_t most = std::numeric_limits<std::int64_t>::max();
  return n > static_cast<std::uint64_t>(most) ? most
                                              : static_cast<std::int64_t>(n);
}
/// shard << 48 | seq: one b-tree, each shard's entries side by side.
std::int64_t journal_id(shard_id shard, seq_no seq);
seq_no seq_of(std::int64_t id);

}  // namespace troupe::store
