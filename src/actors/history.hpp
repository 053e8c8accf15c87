#pragma once

#include <array>
#include <cstdint>
#include <mutex>
#include <vector>

#include "actors/meters.hpp"
#include "core/clock.hpp"
#include "core/json.hpp"
#include "core/quantile.hpp"

namespace troupe::actors {

/// What a node did in the last ten minutes, second by second: counts since its
/// start say nothing about now. Bounded: some 300 KiB, whatever the load.
/// **Threads**: any.
class history {
 public:
  static constexpr std::size_t kept = 600;  ///< samples, one a second
  static constexpr std::size_t now = 10;    ///< samples that are "recent"
  static constexpr std::size_t step = 5;    ///< samples in one point of a curve

  /// What stands in the moment of a sample.
  struct levels {
    std::int64_t journal = 0, outbox = 0;
  };

  /// @param of outlives it
  explicit history(const meters& of);

  /// To be called once a second; what passed since the last call is a sample.
  void take(levels at, mono_time when, wall_time clock);

  /// Rates, errors by class and latencies of the last ten samples.
  json::object recent() const;

  /// The same as curves, oldest point first: an array per figure, all of one
  /// length. Of levels a point has the highest, of the rest the sum or rate.
  json::object curves() const;

 private:
  static constexpr std::size_t figures = 14;
  static constexpr std::size_t spreads = 5;

  struct sample {
    std::uint32_t ms = 0;
    levels at;
    std::array<std::uint32_t, figures> counts{};
    std::array<std::array<std::uint32_t, metrics::histogram::buckets>, spreads>
        spread{};
  };
  struct totals {
    std::array<std::uint64_t, figures> counts{};
    std::array<metrics::bucket_counts, spreads> spread{};
  };
  /// Of several samples together.
  struct sum;

  totals read() const;
  sum of(std::size_t first, std::size_t end) const;
  const sample& get(std::size_t i) const {
    return ring_[(oldest_ + i) % ring_.size()];
  }

  const meters& meters_;
  mutable std::mutex mutex_;
  std::vector<sample> ring_;
  std::size_t oldest_ = 0;  ///< index in the ring
  std::uint64_t taken_ = 0;
  totals last_;
  mono_time last_at_;
  wall_time last_clock_;
};

}  // namespace troupe::actors
