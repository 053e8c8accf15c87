#pragma once

#include <array>
#include <cstdint>

#include "core/metrics.hpp"

namespace troupe::metrics {

/// How many observations fell into each of a histogram's buckets.
using bucket_counts = std::array<std::uint64_t, histogram::buckets>;

/// An estimate by linear interpolation inside the bucket; 0 when empty.
/// @param q in [0, 1].
double quantile_of(const bucket_counts& counts, double q) noexcept;

}  // namespace troupe::metrics
