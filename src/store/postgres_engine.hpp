#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "store/engine.hpp"
#include "store/postgres_group.hpp"
#include "store/postgres_link.hpp"
#include "store/postgres_scout.hpp"

namespace troupe::store::postgres {

/// How to reach the tables, again and again.
struct home {
  std::string url;  ///< holds a password: nothing prints it
  std::string schema;
  link_options with;
};

/// The store's tables on a PostgreSQL server, which several nodes share.
///
/// A group costs two round trips. The first locks the rows of the shards it is
/// about (ascending, so that nodes never wait in a circle) and reads what its
/// operations will look at; they then run here, on those rows; the second
/// writes all that changed, a statement for each table, and commits. An
/// operation that is refused has left nothing behind, and the others go on.
///
/// A turn with SQL of the author's is a group by itself, on a connection of its
/// own: that SQL runs between the locks of the shard's owner and those that
/// other nodes wait for. If it fails, changes nothing where it must, or the
/// turn turns out to be stale or fenced, the transaction is taken back.
///
/// Each group also counts up a row of this node, first of all. When the answer
/// to a COMMIT is lost, that row says on a new connection whether it was done;
/// asking for it waits until the server has let go of the old one.
class postgres_engine final : public engine {
 public:
  /// @param on null: it connects when it is needed
  /// @param sweeps it does the house-keeping
  /// **Lifetime**: `time` outlives it.
  postgres_engine(std::unique_ptr<link> on, home where, std::uint16_t shards,
                  const clock& time, bool sweeps);

  /// Puts this connection's row into `writers`; once, before anything else.
  result<> start();

  std::uint16_t shards() const noexcept override { return shards_; }
  engine* outlook() override { return &scout_; }
  bool again() const noexcept override { return again_; }
  bool separable() const noexcept override { return separable_; }
  result<> begin() override;
  result<> end() override;
  void undo() override;
  void tidy() override;
  gathering& nodes() override { return scout_.nodes(); }

  result<std::vector<receipt>> accept(
      const std::vector<const arrival*>& sorted) override;
  result<std::vector<lease>> claim(const std::vector<shard_id>& wanted,
                                   const std::string& node,
                                   milliseconds ttl) override;
  result<std::vector<lease>> renew(const std::vector<lease>& held,
                                   milliseconds ttl) override;
  result<> release(const std::vector<lease>& held) override;
  result<std::vector<node_info>> heartbeat(const node_info& me,
                                           milliseconds ttl) override;
  result<> leave(const std::string& name) override;
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
  using steady = std::chrono::steady_clock;
  struct forecast;

  // The connection.
  result<> connect();
  result<> reach();
  std::vector<link::answer> exchange(std::vector<request> all);

  // The group.
  result<> prepare();
  result<> resolve();
  error failed(const refusal& why, bool of_an_operation = true);
  void spoil();
  std::pair<request, request> around_author() const;
  void flush();
  result<table> ask(request what);

  // Operations' parts, on what was found.
  bool holds(const lease& l) const;
  std::int64_t& tail_of(shard_id s) { return found_.tails.at(s.value); }
  entry append(entry_kind type, const chat_key& key, update_id id, wall_time at,
               payload body);
  bool acknowledgeable(const turn& t, const forecast& so_far) const;
  result<> foresee_one(const turn& t, forecast& so_far) const;
  result<std::vector<bool>> foresee(const std::vector<turn>& turns) const;
  void acknowledge(const turn& t, shard_id shard);
  void put_record(const turn& t);
  void put_timers(const turn& t);
  /// How many tags had no room.
  std::uint32_t change_audience(const audience_change& a);
  void bury(shard_id shard, entry_kind type, const chat_key& key,
            wall_time accepted, const std::string& why,
            const std::string& body);
  void note_sent(const settlement& s);
  std::optional<entry> end_call(const settlement& s, place at);

  // House-keeping.
  void end_silent();
  void sweep();
  result<> sweep_chats(const table& page, wall_time now);
  void report(const std::optional<error>& why);

  const home home_;
  const std::uint16_t shards_;
  const clock& time_;
  const std::int64_t me_;  // in `writers`
  scout scout_;
  const bool sweeps_;

  std::unique_ptr<link> link_;
  bool started_ = false;
  steady::time_point next_try_{};
  std::optional<steady::time_point> down_since_;
  milliseconds backoff_{0};
  error down_{errc::unavailable, "not connected"};

  std::int64_t group_ = 0;
  bool again_ = false;
  bool separable_ = false;
  bool hindered_ = false;  ///< by somebody's lock, since the last `tidy`
  bool spoiled_ = false;   ///< the group is not to be committed
  std::optional<turn_receipt> verdict_;  ///< on the author's SQL, if not good
  bool answering_ = false;               // the answers to `script_` are here
  needs needs_;
  findings found_;
  changes changes_;
  std::vector<table> name_answers_;
  std::size_t next_name_ = 0;
  std::vector<request> script_;
  std::size_t written_ = 0;  // how much of it must come before the COMMIT
  std::vector<std::size_t> reads_;  // where in it
  std::size_t next_read_ = 0;
  std::vector<link::answer> answers_;

  steady::time_point swept_{};
  steady::time_point ended_silent_{};
  bool sweep_failed_ = false;
  place seen_cursor_{0, 0};
  bool seen_begins_ = true;
  chat_key chat_cursor_{};
  bool chats_begin_ = true;
};

inline std::int64_t as_limit(std::size_t n) {
  constexpr std::size_t most = std::size_t{1} << 40;
  return static_cast<std::int64_t>(n < most ? n : most);
}

}  // namespace troupe::store::postgres
