#pragma once

#include <condition_variable>
#include <cstddef>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "net/loop.hpp"
#include "store/redis_client.hpp"
#include "store/redis_parts.hpp"

namespace troupe::store::redis {

struct batch_limits {
  /// More than this unanswered, and `accept` is refused.
  std::size_t waiting_calls = 50'000;
  std::size_t waiting_bytes = std::size_t{256} << 20;
  /// One run of the script takes what waits, up to this much: while it runs,
  /// the server does nothing else.
  std::size_t run_parts = 128;
  std::size_t run_bytes = std::size_t{1} << 20;
  /// Groups without an answer; meanwhile the next one gathers.
  std::size_t under_way = 2;
  milliseconds timeout{5'000};
};

/// Gathers parts into runs of the script, and hands each its reply.
///
/// **Threads**: any. Answers come on the loop, one at a time, also to what is
/// refused. **Order**: parts of one thread for one shard run in the order they
/// were given; accepts that one run gathers go together, at the place of the
/// first, in update id order. (A run of nothing but loads goes as plain
/// commands: it may overtake a run without an answer that the server has
/// forgotten the script of.)
///
/// **Errors**, besides a part's own: a part that writes is `unknown_outcome`
/// if its run's answer was lost; one that only reads is `unavailable` then.
///
/// **Lifetime**: `close` before the loop and the client go.
class batcher {
 public:
  using ended = std::function<void(result<reading>)>;
  using all_ended = std::function<void(result<std::vector<reply>>)>;

  /// @param prefix of all keys, as `troupe:{123`
  /// @param together parts of different shards may share a run: all shards are
  ///   on one server
  batcher(net::loop& on, client& to, std::string prefix, bool together,
          const clock& time, batch_limits limits = {});

  void run(part what, ended done);
  /// Goes through also while closing: the rest of what was begun before.
  void run_inner(part what, ended done);
  /// Runs each; `done` once, with all replies in order or the first error.
  void run_all(std::vector<part> what, all_ended done);
  void accept(std::vector<arrival> batch, std::uint16_t shards,
              callback<std::vector<receipt>> done);
  /// Calls `answer` later, on the loop.
  void later(std::function<void()> answer);

  bool closing() const;
  /// Refuses what comes from now on.
  void stop_taking();
  /// Returns when all is answered. Not from the loop.
  void await_answers();

 private:
  struct waiting {
    part what;
    std::function<void(result<reply>)> done;
  };
  struct waiting_accept {
    std::vector<arrival> batch;
    std::uint16_t shards = 0;
    callback<std::vector<receipt>> done;
  };
  struct job {
    std::variant<waiting, waiting_accept> what;
    std::size_t bytes = 0;
  };
  struct accepts;
  using group = std::vector<waiting>;

  void push(job j);
  void flush();
  std::optional<group> take();
  static void at_end(group& parts, std::function<void()> then);
  void join(std::vector<waiting_accept> all, group& into);
  void send(group all);
  void send_run(group run);
  bool is_plain(const group& run) const;
  void send_plain(waiting one);
  static void answer(group& run, result<reply> whole);
  void finished(std::size_t jobs, std::size_t bytes);
  std::string key_of(const part& p, std::string_view name) const;

  net::loop& loop_;
  client& client_;
  const std::string prefix_;
  const bool together_;
  const clock& time_;
  const batch_limits limits_;

  mutable std::mutex mutex_;
  std::condition_variable idle_;
  std::deque<job> queue_;
  std::size_t unanswered_ = 0;
  std::size_t unanswered_bytes_ = 0;
  bool scheduled_ = false;
  bool closing_ = false;
  std::size_t under_way_ = 0;  ///< the loop's own
};

}  // namespace troupe::store::redis
