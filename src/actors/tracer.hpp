#pragma once

#include <atomic>
#include <string>

#include "actors/node.hpp"
#include "core/span.hpp"
#include "store/store.hpp"

namespace troupe::actors {

/// Numbers from here on name what is no update.
constexpr std::uint64_t not_an_update = std::uint64_t{1} << 55;

/// By what number the traces know an update: its id.
constexpr std::uint64_t event_number(update_id id) noexcept {
  return static_cast<std::uint64_t>(id.value) & (not_an_update - 1);
}

/// What the actors of a node tell of their work, as spans. Without a sink it
/// costs a look at a pointer. **Threads**: any.
///
/// A trace of an update:
/// ```
/// POST /webhook, or receive       the root: from its arrival to durable
///   wait                          accepted, before it for its chat
///   turn                          one for each time that it is turned
///     handler                     one for each attempt
///     commit
///   call sendMessage              one for each call: committed to settled
///     limits                      until it first may leave
///     POST /bot{token}/sendMessage     one for each attempt
/// ```
/// What is no update has its turn for a root. Which span is which follows from
/// the event, so that those that other nodes made, or will make, can be named.
class tracer {
 public:
  tracer(const trace_options& how, const std::string& bot_token,
         const clock& time);

  tracing::trace_id trace_of(std::uint64_t event) const noexcept {
    return tracing::trace_of(bot_, event);
  }
  /// True if spans of that trace are wanted.
  bool takes(const tracing::trace_id& trace) const noexcept {
    return how_.into != nullptr && sampler_.takes(trace);
  }
  bool on() const noexcept { return how_.into != nullptr; }
  void take(tracing::span what);

  /// The root of an update's trace.
  static tracing::span_id root_of(const tracing::trace_id& trace) noexcept;
  /// What an entry's turn is called, how often it is begun.
  /// @param seq of an update's entry: as a dead letter it gets another
  static tracing::span_id turn_of(const tracing::trace_id& trace,
                                  std::uint64_t event, seq_no seq) noexcept;
  static tracing::span_id call_of(const tracing::trace_id& trace,
                                  call_id call) noexcept {
    return tracing::span_of(trace, call.value);
  }
  /// Whose child a call is: nobody remembers which turn of an update it was.
  static tracing::span_id parent_of_calls(const tracing::trace_id& trace,
                                          std::uint64_t event) noexcept {
    return event < not_an_update ? root_of(trace)
                                 : turn_of(trace, event, seq_no{});
  }

  /// Nanoseconds since 1970, in the order of the monotonic clock.
  std::int64_t ns(mono_time at) const noexcept;
  std::int64_t ns(wall_time at) const noexcept { return to_ms(at) * 1'000'000; }

  const trace_options& how() const noexcept { return how_; }

 private:
  void follow_clock() noexcept;

  const trace_options how_;
  const std::int64_t bot_;
  const tracing::sampler sampler_;
  const clock& time_;
  std::atomic<std::int64_t> ahead_ns_;  ///< wall clock, of the monotonic one
};

}  // namespace troupe::actors
