#pragma once

#include <optional>
#include <string>

#include "actors/messages.hpp"

/// What the actors tell of their work: see `tracer`. Each of these makes a span
/// if its trace is wanted, and says which; none if it is not.
namespace troupe::actors {

/// How an update came in.
struct way_in {
  bool webhook;
  std::int64_t start_ns;
  std::optional<tracing::remote_span> theirs;  ///< of who posted it
};

/// @param receipt or null: the store failed, `why` says how
void trace_accept(services& in, const store::arrival& what, const way_in& how,
                  const store::receipt* receipt, const error* why);

/// One exchange with Telegram.
tracing::span_id trace_attempt(services& in, const chat_key& to,
                               const lane_answer& what, const attempt_end& end,
                               mono_time now);

/// A call that is through, from its commit on.
tracing::span_id trace_call(services& in, const chat_key& to,
                            const lane::settle& what);

/// For the log: the trace of an event, also if no spans of it are kept. Empty
/// if the event is not known.
std::string trace_text(const services& in, std::uint64_t event);
/// Empty if there is none.
std::string span_text(tracing::span_id span);

}  // namespace troupe::actors
