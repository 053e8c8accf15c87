#pragma once

#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <deque>
#include <memory>
#include <mutex>
#include <span>
#include <thread>
#include <vector>

#include "store/engine.hpp"
#include "store/group_store.hpp"
#include "store/jobs.hpp"

namespace troupe::store {

/// A queue of operations and the thread that runs them on an engine, in
/// groups; see `make_group_store`.
class group_writer {
 public:
  /// @param shared held around each group, if not null
  /// @param callbacks held around each callback
  group_writer(std::shared_ptr<engine> e, group_limits limits,
               std::shared_ptr<std::mutex> shared,
               std::shared_ptr<std::mutex> callbacks);
  ~group_writer();
  group_writer(const group_writer&) = delete;
  group_writer& operator=(const group_writer&) = delete;

  /// **Threads**: any.
  void push(job_ptr j, bool may_refuse);
  void refuse(job_ptr j, const error& why);
  /// Jobs taken on and not answered yet.
  std::size_t unanswered();
  /// As `backend::close`.
  void close();

 private:
  using job_list = std::vector<job_ptr>;
  using some_jobs = std::span<job* const>;
  struct halvings;

  void write_loop();
  void refuse_loop();
  bool take(job_list& group);
  void run(job_list& group);
  std::unique_lock<std::mutex> hold() {
    return shared_ ? std::unique_lock{*shared_}
                   : std::unique_lock<std::mutex>{};
  }
  result<> attempt(const std::vector<job*>& jobs, job*& culprit);
  void run_far(some_jobs jobs, engine& outlook, halvings& left);
  result<> attempt_far(some_jobs jobs, engine& outlook);
  result<> operate(const std::vector<job*>& jobs, job*& culprit);
  static void operate_far(engine& on, some_jobs jobs);
  void answer(job_list& group);

  std::shared_ptr<engine> engine_;  // the writer's, once it runs
  const group_limits limits_;
  const std::shared_ptr<std::mutex> shared_;
  const std::shared_ptr<std::mutex> callbacks_;

  std::mutex mutex_;
  std::condition_variable work_;     // for the writer
  std::condition_variable refused_;  // for the clerk, and for its rest
  std::deque<job_ptr> waiting_;
  std::deque<job_ptr> refusals_;
  std::size_t unanswered_ = 0;
  std::size_t unanswered_bytes_ = 0;
  bool writer_waits_ = false;
  bool clerk_busy_ = false;
  bool closing_ = false;
  bool clerk_stops_ = false;

  std::mutex closed_;  // one closer at a time
  std::thread writer_;
  std::thread clerk_;
  const std::thread::id writer_id_{writer_.get_id()};
  const std::thread::id clerk_id_{clerk_.get_id()};
};

}  // namespace troupe::store
