#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "store/gathering.hpp"
#include "store/store.hpp"

namespace troupe::store {

/// The synchronous half of a backend: plain functions over the data, without
/// threads, queues or callbacks. `group_store` gives it those, once for all.
///
/// **Threads**: one at a time.
///
/// **Groups**: `begin`, operations, then `end` or `undo`. An operation that
/// returns `fenced` or `bad_input` has changed nothing and the group may go on;
/// after any other error the caller must `undo` the group. Operations that only
/// read may also run outside a group.
///
/// **Repeat**: arguments are never consumed, so an operation can be run again
/// after `undo`.
///
/// **Far away**: where every look costs a round trip, the engine has an
/// `outlook`. The operations of a group run on that first, which notes what
/// they are about; `begin` fetches it, and the operations run here. None of
/// them fails the group: an error is its own and has changed nothing. What
/// reads has its answer after `end`, and runs once more for it.
class engine {
 public:
  virtual ~engine() = default;

  virtual std::uint16_t shards() const noexcept = 0;

  /// See **Far away**; null: the data are at hand.
  virtual engine* outlook() { return nullptr; }

  /// After `begin` or `end` failed: nothing was done, only another node was in
  /// the way, and the group can be run again as it was.
  virtual bool again() const noexcept { return false; }

  /// After `begin` or `end` failed: it may be the doing of one operation, and
  /// the others may get through without it.
  virtual bool separable() const noexcept { return false; }

  /// Starts a group. After an error no group is open.
  virtual result<> begin() = 0;

  /// Makes the group durable. After an error all of it is undone.
  virtual result<> end() = 0;

  /// Takes back everything since `begin`.
  virtual void undo() = 0;

  /// Called outside groups, after every one and about once a second when idle:
  /// a small step of house-keeping.
  virtual void tidy() = 0;

  /// The arrivals come in update id order, each with its own receipt.
  virtual result<std::vector<receipt>> accept(
      const std::vector<const arrival*>& sorted) = 0;

  virtual result<std::vector<lease>> claim(const std::vector<shard_id>& wanted,
                                           const std::string& node,
                                           milliseconds ttl) = 0;
  virtual result<std::vector<lease>> renew(const std::vector<lease>& held,
                                           milliseconds ttl) = 0;
  virtual result<> release(const std::vector<lease>& held) = 0;

  /// The live nodes: no part of any group.
  virtual gathering& nodes() = 0;
  virtual result<std::vector<node_info>> heartbeat(const node_info& me,
                                                   milliseconds ttl) {
    return nodes().heartbeat(me, ttl);
  }
  virtual result<> leave(const std::string& name) {
    nodes().leave(name);
    return {};
  }

  virtual result<std::optional<grant>> acquire(const std::string& name,
                                               const std::string& holder,
                                               milliseconds ttl) = 0;
  virtual result<> relinquish(const std::string& name,
                              const std::string& holder) = 0;

  virtual result<std::vector<entry>> backlog(shard_id shard, seq_no after,
                                             std::size_t limit) = 0;
  virtual result<std::vector<entry>> entries(
      shard_id shard, const std::vector<seq_no>& wanted) = 0;
  virtual result<std::vector<chat_record>> load(
      const std::vector<chat_key>& keys) = 0;
  virtual result<std::vector<turn_receipt>> commit(
      const lease& held, const std::vector<turn>& turns) = 0;
  virtual result<std::vector<call>> outbox(shard_id shard, call_id after,
                                           std::size_t limit) = 0;
  virtual result<std::vector<call>> calls(
      shard_id shard, const std::vector<call_id>& wanted) = 0;
  virtual result<std::vector<std::optional<entry>>> settle(
      const lease& held, const std::vector<settlement>& outcomes) = 0;
  virtual result<std::vector<spending>> spent(wall_time since) = 0;
  virtual result<backend::due_timers> due(const std::vector<shard_id>& shards,
                                          wall_time now, std::size_t limit) = 0;
  virtual result<std::vector<timer>> timers(const chat_key& key) = 0;
  virtual result<std::vector<dead_letter>> dead_letters(dead_letter_id after,
                                                        std::size_t limit) = 0;
  virtual result<std::vector<entry>> retry(
      const std::vector<dead_letter_id>& which) = 0;
  virtual result<std::size_t> drop(
      const std::vector<dead_letter_id>& which) = 0;
  virtual result<std::vector<member>> audience(
      const std::optional<chat_key>& after, std::size_t limit) = 0;
  virtual result<std::size_t> tag(const std::vector<chat_key>& whom,
                                  const std::string& name, bool add) = 0;
  virtual result<holdings> about(const chat_key& key) = 0;
  virtual result<holdings> forget(const lease& held, const chat_key& key,
                                  seq_no through) = 0;
  virtual result<std::vector<campaign_tally>> tallies(
      const std::vector<std::uint64_t>& campaigns) = 0;
  virtual result<figures> stats() = 0;
};

}  // namespace troupe::store
