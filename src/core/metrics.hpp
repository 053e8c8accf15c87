#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace troupe::metrics {

/// A monotonically growing count. **Threads**: any; one relaxed atomic add.
class counter {
 public:
  void add(std::uint64_t n = 1) noexcept {
    value_.fetch_add(n, std::memory_order_relaxed);
  }
  std::uint64_t value() const noexcept {
    return value_.load(std::memory_order_relaxed);
  }

 private:
  std::atomic<std::uint64_t> value_{0};
};

/// A level that goes up and down. **Threads**: any; one relaxed atomic.
class gauge {
 public:
  void add(std::int64_t n) noexcept {
    value_.fetch_add(n, std::memory_order_relaxed);
  }
  void set(std::int64_t n) noexcept {
    value_.store(n, std::memory_order_relaxed);
  }
  std::int64_t value() const noexcept {
    return value_.load(std::memory_order_relaxed);
  }

 private:
  std::atomic<std::int64_t> value_{0};
};

/// A histogram of durations with fixed, roughly logarithmic buckets from
/// 0.1 ms to 60 s. **Threads**: any; two relaxed atomic adds.
class histogram {
 public:
  static constexpr std::size_t buckets = 20;
  /// Upper bounds in seconds; the last bucket is +Inf.
  static const double bounds[buckets - 1];

  void observe(double seconds) noexcept;
  std::uint64_t count() const noexcept;
  double sum() const noexcept;
  std::uint64_t in_bucket(std::size_t i) const noexcept {
    return counts_[i].load(std::memory_order_relaxed);
  }
  /// An estimate by linear interpolation inside the bucket; 0 when empty.
  /// @param q in [0, 1].
  double quantile(double q) const noexcept;

 private:
  std::atomic<std::uint64_t> counts_[buckets]{};
  std::atomic<std::uint64_t> sum_us_{0};
};

/// Label names and values of one series, e.g. {{"class", "429"}}.
using labels = std::vector<std::pair<std::string, std::string>>;

/// The metrics of one process part. Names follow Prometheus' conventions:
/// `troupe_` prefix, base units, `_total` for counters.
/// **Threads**: adding at start-up by one thread; rendering any time.
/// **Lifetime**: references stay valid as long as the registry. Adding the same
/// name with the same labels gives the same object again.
class registry {
 public:
  registry();
  ~registry();
  registry(const registry&) = delete;
  registry& operator=(const registry&) = delete;

  counter& add_counter(const std::string& name, const std::string& help,
                       labels with = {});
  gauge& add_gauge(const std::string& name, const std::string& help,
                   labels with = {});
  histogram& add_histogram(const std::string& name, const std::string& help,
                           labels with = {});
  /// A gauge that is asked for its value at every rendering, on the rendering
  /// thread. `value` must not add metrics; given again, the newer one counts.
  void add_probe(const std::string& name, const std::string& help, labels with,
                 std::function<double()> value);

  /// The Prometheus text format (version 0.0.4).
  std::string render() const;

 private:
  struct impl;
  std::unique_ptr<impl> impl_;
};

}  // namespace troupe::metrics
