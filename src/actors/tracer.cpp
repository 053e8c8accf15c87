#include "actors/tracer.hpp"

#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <utility>

namespace troupe::actors {

namespace {

// What spans are called within their trace. Calls are known by their ids, which
// begin with an epoch, and so are far above.
constexpr std::uint64_t root_number = 1;
constexpr std::uint64_t turn_number = 2;

// A wall clock that was set, not one that is read in whole milliseconds.
constexpr std::int64_t clock_jump_ns = 10'000'000;

/// A token begins with its bot's id.
std::int64_t number_of_bot(const std::string& token) {
  std::int64_t id = 0;
  std::from_chars(token.data(), token.data() + token.size(), id);
  return id;
}

std::int64_t ahead(const clock& time) noexcept {
  const std::chrono::nanoseconds mono = time.mono().time_since_epoch();
  return to_ms(time.wall()) * 1'000'000 - mono.count();
}

}  // namespace

tracer::tracer(const trace_options& how, const std::string& bot_token,
               const clock& time)
    : how_{how},
      bot_{number_of_bot(bot_token)},
      sampler_{how.sample},
      time_{time},
      ahead_ns_{ahead(time)} {}

void tracer::take(tracing::span what) {
  // Some begin by another node's clock.
  what.start_ns = std::min(what.start_ns, what.end_ns);
  how_.into->take(std::move(what));
  follow_clock();
}

tracing::span_id tracer::root_of(const tracing::trace_id& trace) noexcept {
  return tracing::span_of(trace, root_number);
}

tracing::span_id tracer::turn_of(const tracing::trace_id& trace,
                                 std::uint64_t event, seq_no seq) noexcept {
  auto name = trace;
  if (event < not_an_update)
    name.high ^= seq.value;  // not by the number: calls have those
  return tracing::span_of(name, turn_number);
}

std::int64_t tracer::ns(mono_time at) const noexcept {
  const std::chrono::nanoseconds mono = at.time_since_epoch();
  return mono.count() + ahead_ns_.load(std::memory_order_relaxed);
}

/// One offset for long: spans of one trace must not move against each other.
void tracer::follow_clock() noexcept {
  const auto now = ahead(time_);
  const auto known = ahead_ns_.load(std::memory_order_relaxed);
  if (std::abs(now - known) > clock_jump_ns)
    ahead_ns_.store(now, std::memory_order_relaxed);
}

}  // namespace troupe::actors
