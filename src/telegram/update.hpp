#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/clock.hpp"
#include "core/ids.hpp"
#include "core/result.hpp"

/// Reading updates. Pure functions: no I/O, no clock, no state but a parser
/// per thread.
namespace troupe::telegram {

/// The 27 kinds of Bot API 10.3, and what is newer than this build.
enum class update_kind : std::uint8_t {
  unknown,  ///< a kind this build does not know
  none,     ///< an update with `update_id` only
  message,
  edited_message,
  channel_post,
  edited_channel_post,
  business_connection,
  business_message,
  edited_business_message,
  deleted_business_messages,
  guest_message,
  stopped_message_generation,
  message_reaction,
  message_reaction_count,
  inline_query,
  chosen_inline_result,
  callback_query,
  shipping_query,
  pre_checkout_query,
  purchased_paid_media,
  poll,
  poll_answer,
  my_chat_member,
  chat_member,
  chat_join_request,
  chat_boost,
  removed_chat_boost,
  managed_bot,
  subscription,
};

/// Telegram's name of the kind ("message"); "unknown" and "none" otherwise.
std::string_view to_string(update_kind kind) noexcept;
update_kind parse_update_kind(std::string_view name) noexcept;

/// What routing needs, and nothing else.
struct routing {
  update_id id;
  update_kind kind = update_kind::none;
  chat_key key;
};

/// Finds an update's id, kind and chat key, without copying or building a
/// document. Only `update_id` is mandatory (a number, or digits in a string);
/// every other surprise (missing, null, wrong type) falls back along
/// bot_api/routing.md, down to a key of its own.
/// **Errors**: `errc::bad_input`: not a JSON object, nested over 100 levels,
/// invalid UTF-8, or no usable `update_id`.
/// **Cost**: one pass over the text up to where the key was found; the whole
/// text is checked to be well-formed.
result<routing> route(std::string_view json);

/// One update of a getUpdates answer.
struct polled {
  routing where;
  std::string body;     ///< the update's JSON, byte for byte
  std::string trouble;  ///< why `route` refused it; else empty
};

/// Takes a getUpdates answer (`{"ok":true,"result":[...]}`) apart. An element
/// that `route` refuses is listed with kind `unknown` and a key of its own if
/// its `update_id` can be read: the offset moves past it, so it must be kept.
/// **Errors**: `errc::bad_input`.
result<std::vector<polled>> split_updates(std::string_view json);

/// How long the kind is worth turning after acceptance; nothing for "always".
/// inline_query 30 s, chosen_inline_result 600 s (TELEGRAM.md 23).
std::optional<milliseconds> useful_life(update_kind kind) noexcept;

}  // namespace troupe::telegram
