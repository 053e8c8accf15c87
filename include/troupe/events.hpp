#pragma once

#include <boost/json/value.hpp>
#include <caf/allowed_unsafe_message_type.hpp>
#include <chrono>
#include <cstdint>
#include <memory>
#include <string>

/// What reaches a behaviour. A handler names the event it takes:
///
/// ```cpp
/// [=](const text_message& m) { ctx->reply(m.text); }
/// ```
///
/// **Order**: a handler sees the events of its chat in the order of
/// acceptance, each one exactly once as far as state is concerned.
/// **Offering**: an event that no handler takes (or a table without a fitting
/// entry) is offered again in a plainer form, see each; at last as
/// `raw_update`. What nobody takes then is acknowledged and changes nothing.
/// **Lifetime**: an event may be copied and kept for the length of the turn;
/// strings are its own, the update's JSON is shared.
namespace troupe {

/// Who did it.
struct person {
  std::int64_t id = 0;  ///< 0: nobody is named (channels)
  bool is_bot = false;
  std::string first_name;
  std::string last_name;
  std::string username;  ///< without '@'
  std::string language;  ///< IETF tag, e.g. "de"
};

/// What every event that came as a Telegram update has.
struct update_event {
  std::int64_t update_id = 0;
  std::shared_ptr<const std::string> body;  ///< never null inside a handler

  /// The whole update as Telegram sent it, byte for byte. **Cost**: none.
  const std::string& json() const { return *body; }
  /// The whole update as a document.
  /// **Cost**: one parse per call.
  boost::json::value parse() const;
};

/// What the events made of a message share.
struct message_event : update_event {
  std::int64_t chat_id = 0;
  std::string chat_type;  ///< private, group, supergroup, channel
  person from;
  std::int64_t message_id = 0;
  std::int64_t thread_id = 0;     ///< of a forum topic; 0: none
  std::chrono::sys_seconds date;  ///< when it was sent
  std::string text;
};

/// A new text message (kind `message`). A command that no `command` handler
/// took comes here too. Else it is offered as `raw_update`.
struct text_message : message_event {};

/// A message that starts with a command: "/start 42" has the name "start" and
/// the arguments "42". "/start@name" counts if `name` is this bot, or if the
/// bot's name is not known. Else it is offered as `text_message`.
struct command : message_event {
  std::string name;       ///< without '/' and '@bot', as written
  std::string arguments;  ///< after the name, trimmed; also of a deep link
};

/// A message was edited; `text` is the new one (or the new caption).
struct edited_message : message_event {};

/// A button was pressed. The app shows a waiting mark until the press is
/// answered (`ctx->answer(q)`), at most for 150 s.
/// The same press (person, message, data) within 2 s arrives once.
struct callback : update_event {
  std::string id;  ///< of the query
  std::string data;
  person from;
  std::int64_t chat_id = 0;       ///< 0 for a button of an inline message
  std::int64_t message_id = 0;    ///< of the message under the button
  std::string inline_message_id;  ///< of an inline message, else empty
};

/// This bot's own standing in the chat changed (kind `my_chat_member`): it was
/// blocked, added, removed, promoted.
struct member_update : update_event {
  std::int64_t chat_id = 0;
  std::string chat_type;
  person from;             ///< who changed it
  std::string old_status;  ///< member, kicked, left, administrator, ...
  std::string new_status;
};

/// Somebody writes "@bot text" in any chat. It has 30 s to live: later ones
/// are acknowledged unturned. Its chat is the one with that person.
struct inline_query : update_event {
  std::string id;
  std::string query;
  person from;
};

/// Any other kind of update, and what no handler of its own event took.
struct raw_update : update_event {
  std::string kind;  ///< Telegram's name, e.g. "message_reaction"
};

/// A timer of `ctx->schedule` is due.
/// **Order and repeat**: turned exactly once, never early; late if the bot was
/// down.
struct timer {
  std::string name;
  boost::json::value body;  ///< what was given to `schedule`, else null
};

/// A text that another chat's turn sent here with `ctx->notify`.
struct notice {
  std::string from;            ///< written key of that chat, e.g. "42"
  std::int64_t from_chat = 0;  ///< its id; 0 if it has none
  std::string text;
};

/// A labelled call was accepted by Telegram.
struct sent {
  std::string label;
  std::string method;
  std::int64_t message_id = 0;  ///< 0 if the call sent no message
  boost::json::value result;    ///< Telegram's `result`
};

/// A labelled call did not work. It is not repeated any more.
struct failed {
  std::string label;
  std::string method;
  bool unknown = false;     ///< no answer came: it may have been done
  int code = 0;             ///< Telegram's error code, e.g. 403; 0: none
  std::string description;  ///< Telegram's text
};

/// A lock that this chat asked for with `ctx->lock` is its own: until the turn
/// of this event is committed, or longer with `ctx->keep`.
/// **Order and repeat**: comes once for a request, at any later time.
struct locked {
  std::string name;
  /// Fencing token: each new holder of that name has a greater one. Give it
  /// along with what is changed elsewhere, and let that refuse a smaller one.
  std::uint64_t token = 0;
};

/// Others had the lock for as long as this chat wanted to wait.
struct lock_denied {
  std::string name;
};

}  // namespace troupe

// Events never leave the chat they are turned in, so CAF need not be able to
// serialise them.
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(troupe::text_message)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(troupe::command)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(troupe::edited_message)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(troupe::callback)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(troupe::member_update)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(troupe::inline_query)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(troupe::raw_update)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(troupe::timer)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(troupe::notice)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(troupe::sent)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(troupe::failed)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(troupe::locked)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(troupe::lock_denied)
