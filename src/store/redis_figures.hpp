#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>

namespace troupe::store::redis {

/// What a client has done and has to do.
struct figures {
  std::uint64_t nodes = 0;       ///< primaries it talks to
  std::uint64_t connected = 0;   ///< of those
  std::uint64_t reconnects = 0;  ///< connections made after the first ones
  std::uint64_t commands = 0;    ///< sent, repeated ones again
  std::uint64_t bytes_out = 0;
  std::uint64_t bytes_in = 0;
  std::uint64_t waiting = 0;    ///< commands not sent yet
  std::uint64_t in_flight = 0;  ///< commands sent, not answered
  std::uint64_t unknown = 0;    ///< answered with `errc::unknown_outcome`
  std::chrono::microseconds round_trip{0};  ///< moving average
};

/// The same while it changes. **Threads**: one writes, any read.
struct figure_cells {
  std::atomic<std::uint64_t> nodes{0}, connected{0}, reconnects{0}, commands{0},
      bytes_out{0}, bytes_in{0}, waiting{0}, in_flight{0}, unknown{0},
      round_trip_us{0};

  static void add(std::atomic<std::uint64_t>& cell, std::uint64_t n) noexcept {
    cell.fetch_add(n, std::memory_order_relaxed);
  }
  static void take(std::atomic<std::uint64_t>& cell, std::uint64_t n) noexcept {
    cell.fetch_sub(n, std::memory_order_relaxed);
  }
  /// One answer after `us` on the way: an average over about the last sixteen.
  void travelled(std::uint64_t us) noexcept {
    const auto old = round_trip_us.load(std::memory_order_relaxed);
    const auto now = old == 0 ? us : old - old / 16 + us / 16;
    round_trip_us.store(now, std::memory_order_relaxed);
  }

  figures read() const noexcept {
    const auto get = [](const std::atomic<std::uint64_t>& cell) {
      return cell.load(std::memory_order_relaxed);
    };
    return {.nodes = get(nodes),
            .connected = get(connected),
            .reconnects = get(reconnects),
            .commands = get(commands),
            .bytes_out = get(bytes_out),
            .bytes_in = get(bytes_in),
            .waiting = get(waiting),
            .in_flight = get(in_flight),
            .unknown = get(unknown),
            .round_trip = std::chrono::microseconds{get(round_trip_us)}};
  }
};

}  // namespace troupe::store::redis
