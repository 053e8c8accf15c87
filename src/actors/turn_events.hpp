#pragma once

#include <string_view>

#include "telegram/facts.hpp"
#include "troupe/detail/turn.hpp"
#include "troupe/events.hpp"

/// Typed events out of what stands in the journal.
namespace troupe::detail {

using telegram::facts;

text_message text_of(const facts& f, const turn_event& what);
edited_message edit_of(const facts& f, const turn_event& what);
command command_of(const facts& f, const turn_event& what);
callback press_of(const facts& f, const turn_event& what);
member_update member_of(const facts& f, const turn_event& what);
inline_query query_of(const facts& f, const turn_event& what);
raw_update raw_of(const facts& f, const turn_event& what);

/// **Errors** of these: std::runtime_error if the body is not what this
/// runtime writes.
timer timer_of(const turn_event& what);
notice notice_of(const turn_event& what);
/// The outcome of a call: one of the two, by `ok`.
struct outcome {
  bool ok = false;
  sent good;
  failed bad;
};
outcome outcome_of(const turn_event& what);

/// True if a command is meant for this bot, as far as it is known.
bool is_ours(const facts& f, std::string_view bot_username) noexcept;

/// Puts what the update says about the chat into `result`, for the audience.
void note_audience(const facts& f, turn_result& result);

}  // namespace troupe::detail
