#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "core/result.hpp"
#include "telegram/update.hpp"

namespace troupe::telegram {

/// What a behaviour's typed events are made of: the fields of an update that
/// bots read most. What the update does not have is empty or 0.
struct facts {
  update_id id;
  update_kind kind = update_kind::none;

  // The chat, wherever the kind keeps it.
  std::int64_t chat_id = 0;
  std::string chat_type;  ///< private, group, supergroup, channel

  // Who did it.
  std::int64_t user_id = 0;
  bool user_is_bot = false;
  std::string first_name;
  std::string last_name;
  std::string username;
  std::string language;  ///< IETF tag, e.g. "de"

  // A message (also the one under a pressed button).
  std::int64_t message_id = 0;
  std::int64_t thread_id = 0;   ///< message_thread_id
  std::int64_t date = 0;        ///< Unix seconds; 0 for an inaccessible message
  std::string text;             ///< text, or the caption
  bool is_text = false;         ///< `text` is the message's text
  bool is_command = false;      ///< starts with a bot_command entity at 0;
                                ///< never set for a pressed button's message
  std::string command;          ///< without '/', '@bot'; as written
  std::string command_bot;      ///< the name after '@', or empty
  std::string arguments;        ///< after the command, trimmed
  std::int64_t migrate_to = 0;  ///< migrate_to_chat_id
  std::int64_t migrate_from = 0;  ///< migrate_from_chat_id

  // Queries.
  std::string query_id;  ///< callback, inline, shipping, pre-checkout,
                         ///< guest query
  std::string data;      ///< callback data, inline query text
  std::string inline_message_id;

  // my_chat_member and chat_member.
  std::string old_status;  ///< member, kicked, left, administrator, ...
  std::string new_status;
};

/// Reads an update's facts in one pass. A member of an unexpected type counts
/// as absent.
/// **Errors**: as `route`.
result<facts> read_facts(std::string_view json);

}  // namespace troupe::telegram
