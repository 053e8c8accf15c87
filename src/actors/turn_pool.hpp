#pragma once

#include <condition_variable>
#include <deque>
#include <functional>
#include <list>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "core/clock.hpp"

namespace troupe::actors {

/// The threads on which behaviours run, apart from the threads of the runtime:
/// a handler that blocks holds up its own chat only (G10).
///
/// `threads` of them are kept free: when handlers have blocked so many that
/// fewer are left while work waits, stand-ins are started, up to
/// `max_threads`; they leave again when they are not needed.
/// **Threads**: all calls from any thread.
class turn_pool {
 public:
  struct options {
    unsigned threads = 2;
    unsigned max_threads = 64;
    milliseconds deadline{10'000};
    /// A handler passed the deadline; called once per job, on a pool thread.
    std::function<void(const std::string& tag, milliseconds running)> late;
  };

  explicit turn_pool(options how);
  /// Runs what waits, then joins. A handler that never returns holds it up.
  ~turn_pool();
  turn_pool(const turn_pool&) = delete;
  turn_pool& operator=(const turn_pool&) = delete;

  /// Queues `job`. It must not throw. `tag` names it in reports.
  void submit(std::string tag, std::function<void()> job);

  struct figures {
    unsigned threads = 0, busy = 0, blocked = 0;
    std::size_t waiting = 0;
  };
  figures now() const;

  /// Drops what waits and joins those threads that return within `patience`.
  /// True if all did; false leaves the rest running: the caller must end the
  /// process without unwinding what jobs use. Idempotent.
  bool stop(milliseconds patience);

 private:
  struct job {
    std::string tag;
    std::function<void()> run;
  };
  struct worker {
    std::thread thread;
    bool busy = false;
    bool reported = false;
    bool done = false;
    mono_time since{};
    std::string tag;
  };

  void start_worker();
  void work(worker& self);
  void watch();
  unsigned blocked(mono_time now) const;

  options how_;
  mutable std::mutex lock_;
  std::condition_variable ready_;
  std::condition_variable watching_;
  std::condition_variable ended_;
  std::deque<job> jobs_;
  std::list<worker> workers_;
  unsigned alive_ = 0;
  unsigned idle_ = 0;
  bool watcher_parked_ = false;
  bool stopping_ = false;
  bool dropping_ = false;
  std::thread watcher_;
};

}  // namespace troupe::actors
