#include "net/loop.hpp"

#include <pthread.h>

#include <algorithm>
#include <boost/asio/post.hpp>
#include <future>
#include <utility>

#include "net/lane.hpp"

namespace troupe::net {

namespace {

thread_local const lane* current_lane = nullptr;

}  // namespace

// The hint 1 says that only one thread runs the queue: no wake-up of others.
lane::lane(const void* family)
    : family_{family},
      io_{std::in_place, 1},
      work_{asio::make_work_guard(*io_)} {
  thread_ = std::thread{[this] {
    current_lane = this;
    pthread_setname_np(pthread_self(), "troupe-net");
    // What was just handed to other threads comes back for one wait together,
    // if they get a core first: a twentieth more updates per second.
    while (io_->run_one() > 0) {
      io_->poll();
      std::this_thread::yield();
    }
    current_lane = nullptr;
  }};
}

lane::~lane() {
  stop();
  dispose();
}

bool lane::here() const noexcept {
  return current_lane == this;
}

bool lane::in_loop() const noexcept {
  return current_lane != nullptr && current_lane->family_ == family_;
}

void lane::post(std::function<void()> fn) {
  const std::lock_guard lock{mutex_};
  if (stopped_)
    return;  // fn, a parameter, dies after the lock is gone
  queue_.push_back(std::move(fn));
  if (scheduled_)
    return;
  scheduled_ = true;
  asio::post(*io_, [this] { drain(); });
}

void lane::drain() {
  {
    const std::lock_guard lock{mutex_};
    running_.swap(queue_);
    scheduled_ = false;
  }
  for (auto& fn : running_) {
    fn();
    fn = nullptr;  // what it held must not wait for the rest
  }
  running_.clear();
}

void lane::after(milliseconds delay, std::function<void()> fn) {
  const auto keep = [this, delay](std::function<void()> what) {
    keep_until(std::chrono::ceil<milliseconds>(mono_now() + delay),
               std::move(what));
  };
  if (here())
    keep(std::move(fn));
  else
    post([keep, fn = std::move(fn)]() mutable { keep(std::move(fn)); });
}

void lane::keep_until(tick at, std::function<void()> fn) {
  const auto [it, fresh] = later_.try_emplace(at);
  it->second.push_back(std::move(fn));
  if (fresh && it == later_.begin())
    arm();
}

void lane::arm() {
  if (later_.empty())
    return;
  if (!timer_)
    timer_.emplace(*io_);
  timer_->expires_at(later_.begin()->first);  // ends the wait for a later one
  timer_->async_wait([this](const error_code& ended) {
    if (!ended)
      run_due();
  });
}

void lane::run_due() {
  const auto now = mono_now();
  while (!later_.empty() && later_.begin()->first <= now) {
    auto due = std::move(later_.extract(later_.begin()).mapped());
    for (auto& fn : due) {
      fn();
      fn = nullptr;
    }
  }
  arm();
}

void lane::run_and_wait(const std::function<void()>& fn) {
  if (here())
    return fn();
  auto done = std::make_shared<std::promise<void>>();
  auto ran = done->get_future();
  post([&fn, done = std::move(done)] {
    fn();
    done->set_value();
  });
  try {
    ran.get();
  } catch (const std::future_error&) {
    stop();  // dropped: the thread is ending; join it, then nobody else runs
    fn();
  }
}

void lane::stop() {
  {
    const std::lock_guard lock{mutex_};
    stopped_ = true;
  }
  const std::lock_guard lock{joining_};
  if (!thread_.joinable())
    return;
  work_.reset();
  io_->stop();
  thread_.join();
  std::vector<std::function<void()>> dropped;
  const std::lock_guard queue_lock{mutex_};
  dropped.swap(queue_);
}

void lane::dispose() {
  running_.clear();
  later_.clear();
  timer_.reset();
  work_.reset();
  io_.reset();
}

loop::loop(unsigned threads) : impl_{std::make_unique<impl>()} {
  for (unsigned i = 0; i < std::max(threads, 1u); ++i)
    impl_->lanes.push_back(std::make_shared<lane>(impl_.get()));
}

loop::~loop() {
  stop();
  // Two steps: what one lane drops may still refer to another one.
  for (const auto& each : impl_->lanes)
    each->dispose();
}

void loop::post(std::function<void()> fn) {
  impl_->first().post(std::move(fn));
}

void loop::after(milliseconds delay, std::function<void()> fn) {
  impl_->first().after(delay, std::move(fn));
}

void loop::stop() {
  for (const auto& each : impl_->lanes)
    each->stop();
}

}  // namespace troupe::net
