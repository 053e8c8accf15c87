#include "core/metrics.hpp"

#include <prometheus/metric_family.h>
#include <prometheus/text_serializer.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <mutex>
#include <sstream>

#include "core/quantile.hpp"
#include "core/result.hpp"

namespace troupe::metrics {

const double histogram::bounds[buckets - 1] = {
    0.0001, 0.0002, 0.0005, 0.001, 0.002, 0.003, 0.005, 0.01, 0.02, 0.05,
    0.1,    0.2,    0.5,    1.0,   2.0,   5.0,   10.0,  30.0, 60.0};

namespace {

// A duration that can't overflow the sum in microseconds for 500,000 years of
// observations; also what a negative or undefined one becomes: 0.
double sane(double seconds) noexcept {
  return seconds > 0 ? std::min(seconds, 1e6) : 0.0;
}

bool is_name(std::string_view name, bool colons) noexcept {
  auto letter = [&](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' ||
           (colons && c == ':');
  };
  auto digit = [](char c) { return c >= '0' && c <= '9'; };
  return !name.empty() && letter(name[0]) &&
         std::all_of(name.begin(), name.end(),
                     [&](char c) { return letter(c) || digit(c); });
}

}  // namespace

void histogram::observe(double seconds) noexcept {
  seconds = sane(seconds);
  // Prometheus' bounds are inclusive.
  auto i = std::lower_bound(std::begin(bounds), std::end(bounds), seconds) -
           std::begin(bounds);
  counts_[i].fetch_add(1, std::memory_order_relaxed);
  sum_us_.fetch_add(static_cast<std::uint64_t>(std::llround(seconds * 1e6)),
                    std::memory_order_relaxed);
}

std::uint64_t histogram::count() const noexcept {
  std::uint64_t n = 0;
  for (std::size_t i = 0; i < buckets; ++i)
    n += in_bucket(i);
  return n;
}

double histogram::sum() const noexcept {
  return static_cast<double>(sum_us_.load(std::memory_order_relaxed)) / 1e6;
}

double quantile_of(const bucket_counts& counts, double q) noexcept {
  std::uint64_t total = 0;
  for (const auto n : counts)
    total += n;
  if (total == 0)
    return 0;
  double rank = std::clamp(q, 0.0, 1.0) * static_cast<double>(total);
  double below = 0;
  for (std::size_t i = 0; i + 1 < counts.size(); ++i) {
    auto here = static_cast<double>(counts[i]);
    if (here > 0 && below + here >= rank) {
      double from = i == 0 ? 0.0 : histogram::bounds[i - 1];
      return from + (histogram::bounds[i] - from) * (rank - below) / here;
    }
    below += here;
  }
  return histogram::bounds[histogram::buckets - 2];
}

double histogram::quantile(double q) const noexcept {
  bucket_counts counts;
  for (std::size_t i = 0; i < buckets; ++i)
    counts[i] = in_bucket(i);
  return quantile_of(counts, q);
}

struct registry::impl {
  struct series {
    labels with;
    std::unique_ptr<counter> count;
    std::unique_ptr<gauge> level;
    std::unique_ptr<histogram> spread;
    std::function<double()> probe;
  };
  struct family {
    std::string help;
    prometheus::MetricType type{};
    std::vector<series> members;
  };

  series& at(const std::string& name, const std::string& help,
             prometheus::MetricType type, labels with) {
    TROUPE_CHECK(is_name(name, true));
    for (const auto& label : with)
      TROUPE_CHECK(is_name(label.first, false));
    auto [found, fresh] = families.try_emplace(name);
    auto& all = found->second;
    if (fresh) {
      all.help = help;
      all.type = type;
    }
    TROUPE_CHECK(all.type == type);
    for (auto& member : all.members)
      if (member.with == with)
        return member;
    auto& made = all.members.emplace_back();
    made.with = std::move(with);
    return made;
  }

  mutable std::mutex guard;
  std::map<std::string, family> families;
};

namespace {

prometheus::ClientMetric::Histogram to_prometheus(const histogram& from) {
  prometheus::ClientMetric::Histogram out;
  std::uint64_t so_far = 0;
  for (std::size_t i = 0; i < histogram::buckets; ++i) {
    so_far += from.in_bucket(i);
    prometheus::ClientMetric::Bucket bucket;
    bucket.cumulative_count = so_far;
    bucket.upper_bound = i + 1 < histogram::buckets
                             ? histogram::bounds[i]
                             : std::numeric_limits<double>::infinity();
    out.bucket.push_back(bucket);
  }
  // Of the same reading as the buckets: the +Inf bucket must equal the count.
  out.sample_count = so_far;
  out.sample_sum = from.sum();
  return out;
}

}  // namespace

registry::registry() : impl_{std::make_unique<impl>()} {}

registry::~registry() = default;

counter& registry::add_counter(const std::string& name, const std::string& help,
                               labels with) {
  std::lock_guard lock{impl_->guard};
  auto& in =
      impl_->at(name, help, prometheus::MetricType::Counter, std::move(with));
  if (in.count == nullptr)
    in.count = std::make_unique<counter>();
  return *in.count;
}

gauge& registry::add_gauge(const std::string& name, const std::string& help,
                           labels with) {
  std::lock_guard lock{impl_->guard};
  auto& in =
      impl_->at(name, help, prometheus::MetricType::Gauge, std::move(with));
  TROUPE_CHECK(in.probe == nullptr);
  if (in.level == nullptr)
    in.level = std::make_unique<gauge>();
  return *in.level;
}

histogram& registry::add_histogram(const std::string& name,
                                   const std::string& help, labels with) {
  std::lock_guard lock{impl_->guard};
  auto& in =
      impl_->at(name, help, prometheus::MetricType::Histogram, std::move(with));
  if (in.spread == nullptr)
    in.spread = std::make_unique<histogram>();
  return *in.spread;
}

void registry::add_probe(const std::string& name, const std::string& help,
                         labels with, std::function<double()> value) {
  std::lock_guard lock{impl_->guard};
  auto& in =
      impl_->at(name, help, prometheus::MetricType::Gauge, std::move(with));
  TROUPE_CHECK(in.level == nullptr);
  in.probe = std::move(value);
}

std::string registry::render() const {
  std::vector<prometheus::MetricFamily> out;
  {
    std::lock_guard lock{impl_->guard};
    for (const auto& [name, from] : impl_->families) {
      auto& to = out.emplace_back();
      to.name = name;
      to.help = from.help;
      to.type = from.type;
      for (const auto& member : from.members) {
        auto& metric = to.metric.emplace_back();
        for (const auto& [key, value] : member.with)
          metric.label.push_back({key, value});
        if (member.count != nullptr)
          metric.counter.value = static_cast<double>(member.count->value());
        if (member.level != nullptr)
          metric.gauge.value = static_cast<double>(member.level->value());
        if (member.probe != nullptr)
          metric.gauge.value = member.probe();
        if (member.spread != nullptr)
          metric.histogram = to_prometheus(*member.spread);
      }
    }
  }
  std::ostringstream text;
  prometheus::TextSerializer{}.Serialize(text, out);
  return text.str();
}

}  // namespace troupe::metrics
