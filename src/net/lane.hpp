#pragma once

#include <atomic>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <cstddef>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>
#include <vector>

#include "net/loop.hpp"

namespace troupe::net {

namespace asio = boost::asio;
using boost::system::error_code;
using tcp = asio::ip::tcp;

/// Sockets without a type-erased executor: it costs an indirect call and a
/// reference count per operation.
using executor = asio::io_context::executor_type;
using tcp_socket = asio::basic_stream_socket<tcp, executor>;
using steady_timer =
    asio::basic_waitable_timer<std::chrono::steady_clock,
                               asio::wait_traits<std::chrono::steady_clock>,
                               executor>;
using tcp_acceptor = asio::basic_socket_acceptor<tcp, executor>;

/// How often the deadlines of connections are looked at.
constexpr milliseconds sweep_every{100};

/// One thread with its own event queue. Everything that belongs to a
/// connection happens on one lane, so that nothing needs a strand or a lock.
class lane {
 public:
  /// @param family what the lanes of one loop have in common
  explicit lane(const void* family);
  ~lane();
  lane(const lane&) = delete;
  lane& operator=(const lane&) = delete;

  asio::io_context& io() noexcept { return *io_; }
  /// True on the lane's own thread.
  bool here() const noexcept;
  /// True on any thread of the lane's loop.
  bool in_loop() const noexcept;
  /// Runs `fn` on the lane's thread, soon. Posts from other threads are
  /// gathered: a hundred of them cost one wake-up. Dropped after `stop`.
  /// **Threads**: any.
  void post(std::function<void()> fn);
  /// Runs `fn` on the lane's thread `delay` after that thread learns of it, and
  /// up to a millisecond later: what is due in the same one shares a timer.
  /// Dropped after `stop`. **Threads**: any. **Order**: by due time.
  void after(milliseconds delay, std::function<void()> fn);
  /// Runs `fn` on the lane's thread and waits for it; at once when called
  /// there, or when the thread is gone.
  void run_and_wait(const std::function<void()>& fn);
  /// Ends and joins the thread. Not from the lane.
  void stop();
  /// Drops everything that still waits. After `stop` only.
  void dispose();

 private:
  using tick = std::chrono::time_point<std::chrono::steady_clock, milliseconds>;

  void drain();
  void keep_until(tick at, std::function<void()> fn);
  void arm();
  void run_due();

  const void* family_;
  std::optional<asio::io_context> io_;
  std::optional<asio::executor_work_guard<executor>> work_;
  std::mutex mutex_;
  std::vector<std::function<void()>> queue_;
  bool scheduled_ = false;
  bool stopped_ = false;
  std::vector<std::function<void()>> running_;
  std::optional<steady_timer> timer_;  ///< for the first of `later_`
  std::map<tick, std::vector<std::function<void()>>> later_;
  std::mutex joining_;
  std::thread thread_;
};

struct loop::impl {
  std::vector<std::shared_ptr<lane>> lanes;
  std::atomic<std::size_t> turn{0};

  lane& first() { return *lanes.front(); }
  const std::shared_ptr<lane>& next() {
    return lanes[turn.fetch_add(1, std::memory_order_relaxed) % lanes.size()];
  }
};

}  // namespace troupe::net
