#pragma once

#include <cstdint>
#include <deque>
#include <string>
#include <string_view>
#include <unordered_map>

#include "core/clock.hpp"

namespace troupe::sim {

/// Both clocks at one moment.
struct moment {
  mono_time mono{};
  wall_time wall{};
};

/// A message the bot sent, as far as edits need it.
struct sent_message {
  std::int64_t id = 0;
  std::string text;
  std::string markup;  ///< raw JSON of an inline keyboard, or empty
  std::int64_t date = 0;
  bool deleted = false;
};

struct chat {
  /// So many of the bot's messages are remembered; older ones can be edited
  /// but are not compared.
  static constexpr std::size_t remembered = 16;

  std::int64_t id = 0;
  bool blocked = false;  ///< by the user, or the bot was thrown out
  std::int64_t last_message = 0;
  std::deque<sent_message> sent;

  bool is_group() const noexcept { return id < 0; }
  /// Basic groups are small negatives, supergroups start at -10^12.
  bool is_supergroup() const noexcept { return id <= -1'000'000'000'000; }
};

/// Who exists and what was said: one bot's chats, messages and queries.
/// Pure: time is given.
class world {
 public:
  /// Telegram's data centres answer a press for about this long.
  static constexpr std::chrono::seconds query_life{150};
  static constexpr std::size_t max_queries = 100'000;

  chat* find(std::int64_t id);
  /// The chat, made if it is new.
  chat& at(std::int64_t id);
  std::size_t chats() const noexcept { return chats_.size(); }

  /// Records a message of the bot.
  sent_message& send(chat& to, std::string text, std::string markup,
                     std::int64_t date);
  /// The message, or null: then `why` is Telegram's reason. A message so old
  /// that it is forgotten gives a blank one.
  sent_message* find_sent(chat& in, std::int64_t id, std::string_view action,
                          std::string& why);

  /// A press was made; the answer is awaited.
  std::string open_query(mono_time now);
  /// False if it is unknown or too old.
  bool answer_query(std::string_view id, mono_time now);

 private:
  std::unordered_map<std::int64_t, chat> chats_;
  std::unordered_map<std::string, mono_time> queries_;
  std::deque<std::string> query_order_;
  std::uint64_t next_query_ = 4'000'000'000'000'000;
  sent_message forgotten_;
};

/// `"chat":{...}`'s value, as in messages.
void append_chat(std::string& out, const chat& c);
/// A user's JSON.
void append_user(std::string& out, std::int64_t id);
/// A whole Message of the bot. @param bot its User as JSON.
void append_message(std::string& out, const chat& in, const sent_message& m,
                    std::string_view bot, std::int64_t edit_date);

/// `"message":{...}` of a text a user wrote, for an update; counts the chat's
/// messages on.
std::string text_update(chat& in, std::int64_t user, std::string_view text,
                        std::int64_t date);
/// `"callback_query":{...}`; `message` 0: the chat's last one of the bot.
std::string press_update(const chat& in, std::int64_t user,
                         std::int64_t message, std::string_view data,
                         std::string_view query, std::string_view bot);
/// `"my_chat_member":{...}` of a user who blocks or unblocks the bot.
std::string block_update(const chat& in, std::int64_t user, bool blocked,
                         std::string_view bot, std::int64_t date);

}  // namespace troupe::sim
