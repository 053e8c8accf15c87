#include "store/group_store.hpp"

#include <condition_variable>
#include <deque>
#include <mutex>
#include <thread>
#include <utility>

#include "store/checks.hpp"
#include "store/jobs.hpp"

namespace troupe::store {

namespace {

constexpr auto idle_step = std::chrono::seconds{1};
// With so many operations that fail in one group, all are tried alone.
constexpr unsigned most_groups = 8;
// So often a group is run again that other nodes were in the way of.
constexpr unsigned most_repeats = 8;

class group_store final : public backend {
 public:
  group_store(std::shared_ptr<engine> e, bool exclusive, group_limits limits,
              std::shared_ptr<std::mutex> shared)
      : engine_{std::move(e)},
        shared_{std::move(shared)},
        shards_{engine_->shards()},
        exclusive_{exclusive},
        limits_{limits},
        writer_{[this] { write_loop(); }},
        clerk_{[this] { refuse_loop(); }} {}

  ~group_store() override {
    close();
    {
      std::lock_guard lock{mutex_};
      clerk_stops_ = true;
    }
    refused_.notify_all();
    clerk_.join();
  }

  std::uint16_t shards() const noexcept override { return shards_; }
  bool exclusive() const noexcept override { return exclusive_; }

  void accept(std::vector<arrival> batch,
              callback<std::vector<receipt>> done) override {
    if (auto ok = check_arrivals(batch); !ok)
      return refuse(
          std::make_unique<accept_job>(std::vector<arrival>{}, std::move(done)),
          ok.error());
    push(std::make_unique<accept_job>(std::move(batch), std::move(done)), true);
  }
  void claim(std::vector<shard_id> wanted, std::string node, milliseconds ttl,
             callback<std::vector<lease>> done) override {
    submit<std::vector<lease>>(true, std::move(done),
                               [w = std::move(wanted), n = std::move(node),
                                ttl](engine& e) { return e.claim(w, n, ttl); });
  }
  void renew(std::vector<lease> held, milliseconds ttl,
             callback<std::vector<lease>> done) override {
    submit<std::vector<lease>>(
        true, std::move(done),
        [h = std::move(held), ttl](engine& e) { return e.renew(h, ttl); });
  }
  void release(std::vector<lease> held, callback<> done) override {
    submit<void>(true, std::move(done),
                 [h = std::move(held)](engine& e) { return e.release(h); });
  }
  void heartbeat(node_info me, milliseconds ttl,
                 callback<std::vector<node_info>> done) override {
    submit<std::vector<node_info>>(
        false, std::move(done),
        [m = std::move(me), ttl](engine& e) { return e.heartbeat(m, ttl); });
  }
  void leave(std::string name, callback<> done) override {
    submit<void>(false, std::move(done),
                 [n = std::move(name)](engine& e) { return e.leave(n); });
  }
  void acquire(std::string name, std::string holder, milliseconds ttl,
               callback<std::optional<grant>> done) override {
    submit<std::optional<grant>>(
        true, std::move(done),
        [n = std::move(name), h = std::move(holder), ttl](engine& e) {
          return e.acquire(n, h, ttl);
        });
  }
  void relinquish(std::string name, std::string holder,
                  callback<> done) override {
    submit<void>(true, std::move(done),
                 [n = std::move(name), h = std::move(holder)](engine& e) {
                   return e.relinquish(n, h);
                 });
  }
  void backlog(shard_id shard, seq_no after, std::size_t limit,
               callback<std::vector<entry>> done) override {
    submit<std::vector<entry>>(false, std::move(done), [=](engine& e) {
      return e.backlog(shard, after, limit);
    });
  }
  void entries(shard_id shard, std::vector<seq_no> wanted,
               callback<std::vector<entry>> done) override {
    submit<std::vector<entry>>(false, std::move(done),
                               [shard, w = std::move(wanted)](engine& e) {
                                 return e.entries(shard, w);
                               });
  }
  void load(std::vector<chat_key> keys,
            callback<std::vector<chat_record>> done) override {
    submit<std::vector<chat_record>>(
        false, std::move(done),
        [k = std::move(keys)](engine& e) { return e.load(k); });
  }
  void commit(lease held, std::vector<turn> turns,
              callback<std::vector<turn_receipt>> done) override {
    submit<std::vector<turn_receipt>>(
        true, std::move(done),
        [held, t = std::move(turns)](engine& e) { return e.commit(held, t); });
  }
  void outbox(shard_id shard, call_id after, std::size_t limit,
              callback<std::vector<call>> done) override {
    submit<std::vector<call>>(false, std::move(done), [=](engine& e) {
      return e.outbox(shard, after, limit);
    });
  }
  void calls(shard_id shard, std::vector<call_id> wanted,
             callback<std::vector<call>> done) override {
    submit<std::vector<call>>(false, std::move(done),
                              [shard, w = std::move(wanted)](engine& e) {
                                return e.calls(shard, w);
                              });
  }
  void settle(lease held, std::vector<settlement> outcomes,
              callback<std::vector<std::optional<entry>>> done) override {
    submit<std::vector<std::optional<entry>>>(
        true, std::move(done), [held, o = std::move(outcomes)](engine& e) {
          return e.settle(held, o);
        });
  }
  void spent(wall_time since, callback<std::vector<spending>> done) override {
    submit<std::vector<spending>>(
        false, std::move(done), [since](engine& e) { return e.spent(since); });
  }
  void due(std::vector<shard_id> of, wall_time now, std::size_t limit,
           callback<due_timers> done) override {
    submit<due_timers>(false, std::move(done),
                       [s = std::move(of), now, limit](engine& e) {
                         return e.due(s, now, limit);
                       });
  }
  void timers(chat_key key, callback<std::vector<timer>> done) override {
    submit<std::vector<timer>>(false, std::move(done),
                               [key](engine& e) { return e.timers(key); });
  }
  void dead_letters(dead_letter_id after, std::size_t limit,
                    callback<std::vector<dead_letter>> done) override {
    submit<std::vector<dead_letter>>(false, std::move(done), [=](engine& e) {
      return e.dead_letters(after, limit);
    });
  }
  void retry(std::vector<dead_letter_id> which,
             callback<std::vector<entry>> done) override {
    submit<std::vector<entry>>(
        true, std::move(done),
        [w = std::move(which)](engine& e) { return e.retry(w); });
  }
  void drop(std::vector<dead_letter_id> which,
            callback<std::size_t> done) override {
    submit<std::size_t>(
        true, std::move(done),
        [w = std::move(which)](engine& e) { return e.drop(w); });
  }
  void audience(std::optional<chat_key> after, std::size_t limit,
                callback<std::vector<member>> done) override {
    submit<std::vector<member>>(false, std::move(done), [=](engine& e) {
      return e.audience(after, limit);
    });
  }
  void tallies(std::vector<std::uint64_t> campaigns,
               callback<std::vector<campaign_tally>> done) override {
    submit<std::vector<campaign_tally>>(
        false, std::move(done),
        [c = std::move(campaigns)](engine& e) { return e.tallies(c); });
  }
  void stats(callback<figures> done) override {
    submit<figures>(false, std::move(done),
                    [](engine& e) { return e.stats(); });
  }

  void close() override;

 private:
  using job_list = std::vector<job_ptr>;

  template <class T, class Run>
  void submit(bool writes, callback<T> done, Run run) {
    push(std::make_unique<call_job<T, Run>>(writes, std::move(run),
                                            std::move(done)),
         false);
  }

  void push(job_ptr j, bool may_refuse);
  void refuse(job_ptr j, const error& why);
  void write_loop();
  void refuse_loop();
  bool take(job_list& group);
  void run(job_list& group);
  std::unique_lock<std::mutex> hold() {
    return shared_ ? std::unique_lock{*shared_}
                   : std::unique_lock<std::mutex>{};
  }
  result<> attempt(const std::vector<job*>& jobs, job*& culprit);
  result<> attempt_far(const std::vector<job*>& jobs, engine& outlook);
  result<> operate(const std::vector<job*>& jobs, job*& culprit);
  static void operate_far(engine& on, const std::vector<job*>& jobs);
  void answer(job_list& group);

  std::shared_ptr<engine> engine_;  // the writer's, once it runs
  const std::shared_ptr<std::mutex> shared_;
  const std::uint16_t shards_;
  const bool exclusive_;
  const group_limits limits_;

  std::mutex mutex_;
  std::condition_variable work_;     // for the writer
  std::condition_variable refused_;  // for the clerk, and for its rest
  std::deque<job_ptr> waiting_;
  std::deque<job_ptr> refusals_;
  std::size_t unanswered_ = 0;  // jobs taken on and not answered yet
  std::size_t unanswered_bytes_ = 0;
  bool writer_waits_ = false;
  bool clerk_busy_ = false;
  bool closing_ = false;
  bool clerk_stops_ = false;

  std::mutex callbacks_;  // one callback at a time
  std::mutex closed_;     // one closer at a time
  std::thread writer_;
  std::thread clerk_;
  const std::thread::id writer_id_{writer_.get_id()};
  const std::thread::id clerk_id_{clerk_.get_id()};
};

void group_store::push(job_ptr j, bool may_refuse) {
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

void group_store::refuse(job_ptr j, const error& why) {
  j->fail(why);
  {
    std::lock_guard lock{mutex_};
    refusals_.push_back(std::move(j));
  }
  refused_.notify_all();
}

// False when there is nothing left to do, ever.
bool group_store::take(job_list& group) {
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

void group_store::write_loop() {
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

// The operation that fails a group is tried alone, and the others again as one
// group: one chat's damaged record must not cost everybody a sync per
// operation. Accepts are one operation of the engine, and are parted.
void group_store::run(job_list& group) {
  std::vector<job*> jobs;
  jobs.reserve(group.size());
  for (auto& j : group)
    jobs.push_back(j.get());
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
        j->fail(j->writes() || whole.error().code != errc::unknown_outcome
                    ? whole.error()
                    : error{errc::unavailable, whole.error().context});
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

result<> group_store::attempt(const std::vector<job*>& jobs, job*& culprit) {
  const auto ours = hold();
  if (auto* outlook = engine_->outlook())
    return attempt_far(jobs, *outlook);
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

// See `engine`, **Far away**.
result<> group_store::attempt_far(const std::vector<job*>& jobs,
                                  engine& outlook) {
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

void group_store::operate_far(engine& on, const std::vector<job*>& jobs) {
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

result<> group_store::operate(const std::vector<job*>& jobs, job*& culprit) {
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

void group_store::answer(job_list& group) {
  std::size_t bytes = 0;
  {
    std::lock_guard one_at_a_time{callbacks_};
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

void group_store::refuse_loop() {
  std::unique_lock lock{mutex_};
  for (;;) {
    refused_.wait(lock, [&] { return !refusals_.empty() || clerk_stops_; });
    if (refusals_.empty())
      return;
    clerk_busy_ = true;
    auto now = std::exchange(refusals_, {});
    lock.unlock();
    for (auto& j : now) {
      std::lock_guard one_at_a_time{callbacks_};
      j->answer();
      j.reset();
    }
    lock.lock();
    clerk_busy_ = false;
    refused_.notify_all();
  }
}

void group_store::close() {
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

}  // namespace

std::unique_ptr<backend> make_group_store(std::shared_ptr<engine> engine,
                                          bool exclusive, group_limits limits,
                                          std::shared_ptr<std::mutex> shared) {
  return std::make_unique<group_store>(std::move(engine), exclusive, limits,
                                       std::move(shared));
}

}  // namespace troupe::store
