#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "core/clock.hpp"
#include "core/ids.hpp"

/// Encoding calls and reading answers. Pure functions.
namespace troupe::telegram {

/// How a method is paced.
enum class lane : std::uint8_t {
  chat,       ///< sends or edits: spends the chat's and the global budget
  immediate,  ///< answer*Query: seconds to live, skips the queues
  free,       ///< reads and the like: ordered with the chat, spends nothing
};

/// answerCallbackQuery, answerInlineQuery, answerPreCheckoutQuery,
/// answerShippingQuery and their like are `immediate`; send*, edit*, copy*,
/// forward* and the like are `chat`; the rest is `free`, with what only sounds
/// like a message (sendChatAction, editForumTopic). Case-insensitive.
lane lane_of(std::string_view method) noexcept;

/// True for editMessage* (their waiting calls collapse to the latest).
bool is_edit(std::string_view method) noexcept;

/// Messages the call counts as: the length of `media` or `message_ids` for
/// sendMediaGroup, copyMessages and forwardMessages, else 1; 0 for lanes other
/// than `chat`.
/// @param body the call's parameters, a JSON object.
std::uint16_t cost_of(std::string_view method, std::string_view body) noexcept;

/// The chat the call goes to: `chat_id` (number, digits, or `@name` hashed to
/// an opaque key), else `user_id`, else `from`.
chat_key destination_of(std::string_view body, const chat_key& from) noexcept;

/// `body` with `"message_id":n` put in (replacing one that is there). All other
/// bytes stay; what is not an object stays altogether.
std::string with_message_id(std::string_view body, std::int64_t n);
/// `body` with its `chat_id` replaced; as it was if it has none.
std::string with_chat_id(std::string_view body, std::int64_t n);

/// What an answer means for the call.
enum class verdict : std::uint8_t {
  sent,          ///< done
  not_modified,  ///< an edit that changed nothing: as good as done
  too_late,      ///< "query is too old": dropped, no error
  retry_after,   ///< 429: nothing in scope before `retry_after` is over
  try_again,     ///< 5xx: may have been done; back off and repeat per policy
  chat_gone,     ///< 403, chat not found: give up on this chat
  migrated,      ///< the group is now `migrate_to`
  refused,       ///< 400 and the like: the call is wrong; never repeat
  conflict,      ///< 409: another instance; back off >= 3 s
  bad_token,     ///< 401 (or 404 with no method problem): stop the bot
};

std::string_view to_string(verdict v) noexcept;

/// An answer taken apart.
struct answer {
  verdict what = verdict::try_again;
  int code = 0;                   ///< error_code, or the HTTP status
  std::string description;        ///< Telegram's text; never holds the token
  milliseconds retry_after{0};    ///< for `retry_after`: at least 1 s
  std::int64_t migrate_to = 0;    ///< for `migrated`
  std::int64_t message_id = 0;    ///< `result.message_id` if there is one; of
                                  ///< the first message if it is a list
  bool blocked_for_good = false;  ///< chat_gone: "user is deactivated"
};

/// Classifies an answer by code first, then `parameters`, then text
/// (TELEGRAM.md section 8). HTML, empty and truncated bodies are judged by
/// what can be read of them and the HTTP status; a 403 that does not come from
/// Telegram (no JSON) is `try_again`. A 2xx without `"ok":true` is `try_again`,
/// unless it names an `error_code`. A 429 without a number waits 5 s.
/// @param retry_after_header the header's value, or empty.
answer read_answer(unsigned status, std::string_view body,
                   std::string_view retry_after_header);

/// True if a `chat_gone` is about the chat `to` that the call went to. False if
/// it may be about something else that the call named, as the source of a
/// forward or a member to ban: then it says nothing of other calls to `to`.
bool concerns_destination(const answer& what, std::string_view method,
                          const chat_key& to) noexcept;

/// The `result` member of an answer, as JSON text; empty if there is none.
std::string result_of(std::string_view body);

/// True if `token` looks like a bot token (`digits:base64url`), see
/// TELEGRAM.md 15. `why` says what is wrong.
bool valid_token(std::string_view token, std::string* why = nullptr);

/// True if a webhook secret fits Telegram's rule: 1-256 of A-Z a-z 0-9 _ -.
bool valid_secret(std::string_view secret) noexcept;

}  // namespace troupe::telegram
