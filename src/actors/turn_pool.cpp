#include "actors/turn_pool.hpp"

#include <algorithm>
#include <utility>

namespace troupe::actors {

namespace {

using std::chrono::steady_clock;

// A handler that ran this long counts as blocked: others get a stand-in.
constexpr milliseconds blocked_after{20};
constexpr milliseconds watch_every{10};
constexpr std::size_t jobs_per_thread = 4;

}  // namespace

turn_pool::turn_pool(options how) : how_{std::move(how)} {
  how_.threads = std::max(how_.threads, 1u);
  how_.max_threads = std::max(how_.max_threads, how_.threads);
  std::lock_guard guard{lock_};
  for (unsigned i = 0; i < how_.threads; ++i)
    start_worker();
  watcher_ = std::thread{[this] { watch(); }};
}

turn_pool::~turn_pool() {
  {
    std::lock_guard guard{lock_};
    stopping_ = true;
  }
  ready_.notify_all();
  watching_.notify_all();
  if (watcher_.joinable())
    watcher_.join();
  for (auto& w : workers_)
    if (w.thread.joinable())
      w.thread.join();
}

bool turn_pool::stop(milliseconds patience) {
  std::unique_lock guard{lock_};
  stopping_ = true;
  dropping_ = true;
  jobs_.clear();
  ready_.notify_all();
  watching_.notify_all();
  return ended_.wait_for(guard, patience, [this] { return alive_ == 0; });
}

void turn_pool::submit(std::string tag, std::function<void()> run) {
  bool wake = false;
  bool unpark = false;
  {
    std::lock_guard guard{lock_};
    if (dropping_)
      return;
    jobs_.push_back({std::move(tag), std::move(run)});
    // A thread that runs takes the next job within microseconds; waking another
    // costs more than that. Should it be blocked, the watcher sees to it.
    auto running = alive_ - idle_;
    wake = idle_ > 0 && jobs_.size() > running * jobs_per_thread;
    unpark = !wake && watcher_parked_;
  }
  if (wake)
    ready_.notify_one();
  else if (unpark)
    watching_.notify_one();
}

void turn_pool::start_worker() {
  std::erase_if(workers_, [](worker& w) {
    if (!w.done)
      return false;
    w.thread.join();
    return true;
  });
  auto& self = workers_.emplace_back();
  ++alive_;
  self.thread = std::thread{[this, &self] { work(self); }};
}

unsigned turn_pool::blocked(mono_time now) const {
  return static_cast<unsigned>(std::count_if(
      workers_.begin(), workers_.end(),
      [&](auto& w) { return w.busy && now - w.since > blocked_after; }));
}

void turn_pool::work(worker& self) {
  std::unique_lock guard{lock_};
  bool looked_twice = false;
  while (true) {
    if (jobs_.empty()) {
      if (stopping_)
        break;
      // Before it sleeps, those who may have the next job get a core: to sleep
      // and be woken costs more than most turns.
      if (!std::exchange(looked_twice, true)) {
        guard.unlock();
        std::this_thread::yield();
        guard.lock();
        continue;
      }
      ++idle_;
      ready_.wait(guard, [this] { return !jobs_.empty() || stopping_; });
      --idle_;
      continue;
    }
    looked_twice = false;
    auto next = std::move(jobs_.front());
    jobs_.pop_front();
    self.busy = true;
    self.reported = false;
    self.since = steady_clock::now();
    self.tag = std::move(next.tag);
    guard.unlock();
    next.run();
    next.run = nullptr;
    guard.lock();
    self.busy = false;
    // A stand-in leaves once enough unblocked threads are there without it.
    if (alive_ > how_.threads &&
        alive_ - blocked(steady_clock::now()) > how_.threads)
      break;
  }
  self.done = true;
  --alive_;
  ended_.notify_all();
}

void turn_pool::watch() {
  std::unique_lock guard{lock_};
  while (!stopping_) {
    auto busy = std::any_of(workers_.begin(), workers_.end(),
                            [](auto& w) { return w.busy; });
    if (!busy && jobs_.empty()) {
      // Someone who finds no idle thread wakes us; look again soon anyway,
      // since a handler may block without anything waiting.
      watcher_parked_ = true;
      watching_.wait_for(guard, milliseconds{200});
      watcher_parked_ = false;
      continue;
    }
    watching_.wait_for(guard, watch_every);
    auto now = steady_clock::now();
    if (!jobs_.empty() && idle_ > 0)
      ready_.notify_all();
    while (!jobs_.empty() && idle_ == 0 && alive_ < how_.max_threads &&
           alive_ - blocked(now) < how_.threads)
      start_worker();
    for (auto& w : workers_) {
      if (!w.busy || w.reported || now - w.since < how_.deadline)
        continue;
      w.reported = true;
      if (how_.late) {
        auto tag = w.tag;
        auto ran = std::chrono::duration_cast<milliseconds>(now - w.since);
        guard.unlock();
        how_.late(tag, ran);
        guard.lock();
        break;
      }
    }
  }
}

turn_pool::figures turn_pool::now() const {
  std::lock_guard guard{lock_};
  figures f;
  f.threads = alive_;
  f.busy = static_cast<unsigned>(std::count_if(workers_.begin(), workers_.end(),
                                               [](auto& w) { return w.busy; }));
  f.blocked = blocked(steady_clock::now());
  f.waiting = jobs_.size();
  return f;
}

}  // namespace troupe::actors
