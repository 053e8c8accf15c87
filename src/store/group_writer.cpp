#include "store/group_writer.hpp"

#include <algorithm>
#include <utility>

#include "core/result.hpp"

namespace troupe::store {

namespace {

constexpr auto idle_step = std::chrono::seconds{1};
// With so many operations that fail in one group, all are tried alone.
constexpr unsigned most_groups = 8;
// So often a group is run again that other nodes were in the way of.
constexpr unsigned most_repeats = 8;
// A group far away is halved until what fails it is alone; not for longer than
// this, nor with more attempts that fail.
constexpr unsigned most_halvings = 64;
constexpr auto halving_time = std::chrono::seconds{5};

}  // namespace

group_writer::group_writer(std::shared_ptr<engine> e, group_limits limits,
                           std::shared_ptr<std::mutex> shared,
                           std::shared_ptr<std::mutex> callbacks)
    : engine_{std::move(e)},
      limits_{limits},
      shared_{std::move(shared)},
      callbacks_{std::move(callbacks)},
      writer_{[this] { write_loop(); }},
      clerk_{[this] { refuse_loop(); }} {}

group_writer::~group_writer() {
  close();
  {
    std::lock_guard lock{mutex_};
    clerk_stops_ = true;
  }
  refused_.notify_all();
  clerk_.join();
}

void group_writer::push(job_ptr j, bool may_refuse) {
  std::unique_lock lock{mutex_};
  const auto bytes = j->bytes();
  if (closing_) {
    lock.unlock();
    return refuse(std::move(j), {errc::cancelled, "the store is closing"});
  }
  if (may_refuse && (unanswered_ >= limits_.waiting_jobs ||
                     (unanswered_ > 0 &&
                      unanswered_bytes_ + bytes > limits_.waiting_bytes))) {
    lock.unlock();
    return refuse(std::move(j),
                  {errc::unavailable, "too many updates wait for the store"});
  }
  ++unanswered_;
  unanswered_bytes_ += bytes;
  waiting_.push_back(std::move(j));
  const bool wake = std::exchange(writer_waits_, false);
  lock.unlock();
  if (wake)
    work_.notify_one();
}

void group_writer::refuse(job_ptr j, const error& why) {
  j->fail(why);
  {
    std::lock_guard lock{mutex_};
    refusals_.push_back(std::move(j));
  }
  refused_.notify_all();
}

// False when there is nothing left to do, ever.
bool group_writer::take(job_list& group) {
  std::unique_lock lock{mutex_};
  if (waiting_.empty() && !closing_) {
    writer_waits_ = true;
    work_.wait_for(lock, idle_step,
                   [&] { return !waiting_.empty() || closing_; });
    writer_waits_ = false;
  }
  std::size_t bytes = 0;
  while (!waiting_.empty() && group.size() < limits_.group_jobs &&
         bytes < limits_.group_bytes) {
    bytes += waiting_.front()->bytes();
    group.push_back(std::move(waiting_.front()));
    waiting_.pop_front();
  }
  return !group.empty() || !closing_;
}

void group_writer::write_loop() {
  job_list group;
  while (take(group)) {
    if (!group.empty()) {
      run(group);
      answer(group);
      // Those who were answered and have more to write get a core first. With
      // all cores busy that makes groups a third larger, so fewer syncs and
      // page writes; with a free core it returns at once.
      std::this_thread::yield();
    }
    const auto ours = hold();
    engine_->tidy();
  }
  engine_.reset();
}

struct group_writer::halvings {
  unsigned failures = 0;
  std::chrono::steady_clock::time_point end =
      std::chrono::steady_clock::now() + halving_time;

  bool more() {
    return ++failures < most_halvings && std::chrono::steady_clock::now() < end;
  }
};

// The operation that fails a group is tried alone, and the others again as one
// group: one chat's damaged record must not cost everybody a sync per
// operation. Accepts are one operation of the engine, and are parted.
void group_writer::run(job_list& group) {
  std::vector<job*> jobs;
  jobs.reserve(group.size());
  for (auto& j : group)
    jobs.push_back(j.get());
  if (auto* outlook = engine_->outlook()) {
    halvings left;
    return run_far(jobs, *outlook, left);
  }
  auto alone = [&](job* j) {
    job* same = nullptr;
    if (auto ok = attempt({j}, same); !ok)
      j->fail(ok.error());
  };
  for (unsigned tries = 1; !jobs.empty(); ++tries) {
    job* culprit = nullptr;
    const auto whole = attempt(jobs, culprit);
    if (whole)
      return;
    if (!culprit || jobs.size() == 1) {
      // The disk refused the group as such, or there are no parts to try.
      for (auto* j : jobs)
        j->fail(whole.error());
      return;
    }
    std::erase_if(jobs, [&](job* j) {
      const bool out = j == culprit || tries == most_groups ||
                       (culprit->as_accept() && j->as_accept());
      if (out)
        alone(j);
      return out;
    });
  }
}

result<> group_writer::attempt(const std::vector<job*>& jobs, job*& culprit) {
  const auto ours = hold();
  bool writes = false;
  for (const auto* j : jobs)
    writes = writes || j->writes();
  if (writes)
    if (auto ok = engine_->begin(); !ok)
      return ok;
  result<> ok;
  try {
    ok = operate(jobs, culprit);
  } catch (const std::exception& e) {
    ok = error{errc::internal, e.what()};
  }
  if (!ok) {
    if (writes)
      engine_->undo();
    return ok;
  }
  return writes ? engine_->end() : ok;
}

// What fails a group there is not known: halves are tried, in order, until it
// stands alone. Nobody else is failed for it (G10).
void group_writer::run_far(some_jobs jobs, engine& outlook, halvings& left) {
  const auto whole = attempt_far(jobs, outlook);
  if (whole)
    return;
  if (jobs.size() > 1 && engine_->separable() && left.more()) {
    const auto half = jobs.size() / 2;
    run_far(jobs.first(half), outlook, left);
    run_far(jobs.subspan(half), outlook, left);
    return;
  }
  for (auto* j : jobs)
    j->fail(j->writes() || whole.error().code != errc::unknown_outcome
                ? whole.error()
                : error{errc::unavailable, whole.error().context});
}

// See `engine`, **Far away**.
result<> group_writer::attempt_far(some_jobs jobs, engine& outlook) {
  try {
    for (unsigned tries = 1;; ++tries) {
      operate_far(outlook, jobs);
      auto ok = engine_->begin();
      if (ok) {
        operate_far(*engine_, jobs);
        ok = engine_->end();
      }
      if (ok)
        break;
      if (!engine_->again() || tries == most_repeats)
        return ok;
    }
    for (auto* j : jobs)
      if (!j->writes())
        (void)j->run(*engine_);  // it keeps its error
    return {};
  } catch (const std::exception& e) {
    engine_->undo();
    return error{errc::internal, e.what()};
  }
}

void group_writer::operate_far(engine& on, some_jobs jobs) {
  std::vector<accept_job*> accepts;
  for (auto* j : jobs)
    if (auto* a = j->as_accept())
      accepts.push_back(a);
  bool accepted = false;
  for (auto* j : jobs) {
    if (!j->as_accept()) {
      (void)j->run(on);  // it keeps its error
      continue;
    }
    if (std::exchange(accepted, true))
      continue;
    if (auto ok = run_accepts(on, accepts); !ok)
      for (auto* a : accepts)
        a->fail(ok.error());
  }
}

result<> group_writer::operate(const std::vector<job*>& jobs, job*& culprit) {
  std::vector<accept_job*> accepts;
  for (auto* j : jobs)
    if (auto* a = j->as_accept())
      accepts.push_back(a);
  bool accepted = false;
  for (auto* j : jobs) {
    culprit = j;
    result<> ok;
    if (!j->as_accept())
      ok = j->run(*engine_);
    else if (!std::exchange(accepted, true))
      ok = run_accepts(*engine_, accepts);
    if (!ok)
      return ok;
  }
  culprit = nullptr;
  return {};
}

void group_writer::answer(job_list& group) {
  std::size_t bytes = 0;
  {
    std::lock_guard one_at_a_time{*callbacks_};
    for (auto& j : group) {
      bytes += j->bytes();
      j->answer();
      j.reset();
    }
  }
  std::lock_guard lock{mutex_};
  unanswered_ -= group.size();
  unanswered_bytes_ -= bytes;
  group.clear();
}

void group_writer::refuse_loop() {
  std::unique_lock lock{mutex_};
  for (;;) {
    refused_.wait(lock, [&] { return !refusals_.empty() || clerk_stops_; });
    if (refusals_.empty())
      return;
    clerk_busy_ = true;
    auto now = std::exchange(refusals_, {});
    lock.unlock();
    for (auto& j : now) {
      std::lock_guard one_at_a_time{*callbacks_};
      j->answer();
      j.reset();
    }
    lock.lock();
    clerk_busy_ = false;
    refused_.notify_all();
  }
}

std::size_t group_writer::unanswered() {
  std::lock_guard lock{mutex_};
  return unanswered_;
}

void group_writer::close() {
  TROUPE_CHECK(std::this_thread::get_id() != writer_id_ &&
               std::this_thread::get_id() != clerk_id_);
  std::lock_guard one_closer{closed_};
  {
    std::lock_guard lock{mutex_};
    closing_ = true;
  }
  work_.notify_all();
  if (writer_.joinable())
    writer_.join();
  std::unique_lock lock{mutex_};
  refused_.wait(lock, [&] { return refusals_.empty() && !clerk_busy_; });
}

}  // namespace troupe::store
