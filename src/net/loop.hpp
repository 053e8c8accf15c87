#pragma once

#include <functional>
#include <memory>

#include "core/clock.hpp"

namespace troupe::net {

/// An event loop with its own threads; servers and clients live on one.
/// Each connection of a server, each client and everything posted belongs to
/// one thread; a server's connections are spread over all of them.
/// **Lifetime**: outlives every server and client made on it. The destructor
/// stops and joins.
class loop {
 public:
  /// @param threads at least 1. With 1, everything on the loop runs serially.
  explicit loop(unsigned threads = 1);
  ~loop();
  loop(const loop&) = delete;
  loop& operator=(const loop&) = delete;

  /// Runs `fn` on the loop, soon. **Threads**: any.
  void post(std::function<void()> fn);
  /// Runs `fn` on the loop after `delay`, or up to a millisecond later.
  /// **Threads**: any. What waits when the loop stops is dropped.
  void after(milliseconds delay, std::function<void()> fn);
  /// Stops the threads and joins them; idempotent. Not from the loop itself.
  void stop();

  struct impl;
  impl& self() noexcept { return *impl_; }

 private:
  std::unique_ptr<impl> impl_;
};

}  // namespace troupe::net
