#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

/// Trace and span ids as W3C Trace Context has them, made so that nobody needs
/// to carry them: what an event is called says which trace it has, on every
/// node and after every restart. **Threads**: any.
namespace troupe::tracing {

struct trace_id {
  std::uint64_t high = 0;
  std::uint64_t low = 0;
  friend bool operator==(const trace_id&, const trace_id&) = default;
};

struct span_id {
  std::uint64_t value = 0;  ///< 0: none
  friend bool operator==(const span_id&, const span_id&) = default;
};

/// The trace of an event of a bot. No secret: who knows the bot's id and an
/// update's can say which trace it has. Never change what it returns: nodes of
/// two versions would cut an update's trace in two.
trace_id trace_of(std::int64_t bot, std::uint64_t event) noexcept;

/// The id of a span of which a trace has one, whoever makes it.
/// @param which what the span is, within its trace
span_id span_of(const trace_id& in, std::uint64_t which) noexcept;

/// An id that no other span has. **Cost**: a few nanoseconds.
span_id new_span() noexcept;

std::string to_string(const trace_id& id);  ///< 32 lower-case hex digits
std::string to_string(const span_id& id);   ///< 16 of them

/// Which traces are kept, decided by their ids alone, as OpenTelemetry's
/// consistent sampling does: every node that is told the same part, or a
/// collector behind it, decides alike; a smaller part is a subset of a larger.
class sampler {
 public:
  /// @param part from 0, none, to 1, all
  explicit sampler(double part) noexcept;
  bool takes(const trace_id& id) const noexcept {
    return (id.low & low_bits) >= threshold_;
  }

 private:
  static constexpr std::uint64_t low_bits = (std::uint64_t{1} << 56) - 1;
  std::uint64_t threshold_;
};

/// What a `traceparent` header says.
struct remote_span {
  trace_id trace;
  span_id span;
  bool sampled = false;
};

/// Nothing if it is none that W3C Trace Context allows.
std::optional<remote_span> read_traceparent(std::string_view text) noexcept;

}  // namespace troupe::tracing
