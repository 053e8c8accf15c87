#include "app/machine.hpp"

#include <sys/resource.h>

#include <algorithm>
#include <memory>
#include <utility>

#include "core/log.hpp"

namespace troupe::app {
namespace {

constexpr milliseconds between_lines{10'000};

std::string label_of(unsigned status) {
  switch (status) {
    case 0: return "tls";
    case 503: return "full";
    case 504: return "late";
    default: return std::to_string(status);
  }
}

}  // namespace

std::uint64_t raise_file_limit() noexcept {
  rlimit now{};
  if (::getrlimit(RLIMIT_NOFILE, &now) != 0)
    return 0;
  const rlimit wanted{now.rlim_max, now.rlim_max};
  if (now.rlim_cur < now.rlim_max && ::setrlimit(RLIMIT_NOFILE, &wanted) == 0)
    now = wanted;
  return now.rlim_cur;
}

void note_start(metrics::registry& into, wall_time now) {
  into.add_gauge("process_start_time_seconds",
                 "When this process started, in seconds since 1970.")
      .set(to_ms(now) / 1000);
}

reject_meter::reject_meter(std::string listener, metrics::registry& into)
    : listener_{std::move(listener)} {
  const auto counter = [&](std::string status) -> metrics::counter* {
    return &into.add_counter(
        "troupe_http_rejected_total",
        "Requests and connections refused before a handler saw them.",
        {{"listener", listener_}, {"status", std::move(status)}});
  };
  for (std::size_t i = 0; i < kinds; ++i)
    counts_[i] = counter(label_of(known[i]));
  counts_[kinds] = counter("other");
}

bool reject_meter::note(unsigned status, mono_time now) {
  const auto* at = std::find(std::begin(known), std::end(known), status);
  counts_[at - std::begin(known)]->add();
  unlogged_.fetch_add(1, std::memory_order_relaxed);
  const std::int64_t ticks = now.time_since_epoch().count();
  auto next = next_line_.load(std::memory_order_relaxed);
  if (ticks < next ||
      !next_line_.compare_exchange_strong(
          next, (now + between_lines).time_since_epoch().count()))
    return false;
  log::warn("http_rejected",
            {{"listener", listener_},
             {"status", label_of(status)},
             {"since_last", unlogged_.exchange(0, std::memory_order_relaxed)}});
  return true;
}

std::function<void(unsigned)> reject_meter::make(std::string listener,
                                                 metrics::registry& into) {
  return [meter = std::make_shared<reject_meter>(std::move(listener), into)](
             unsigned status) { meter->note(status, system_clock().mono()); };
}

}  // namespace troupe::app
