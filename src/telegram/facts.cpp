#include "telegram/facts.hpp"

#include <utility>

#include "telegram/text.hpp"
#include "telegram/walk.hpp"

namespace troupe::telegram {

namespace {

using detail::walk;

bool is_message(update_kind kind) noexcept {
  switch (kind) {
    case update_kind::message:
    case update_kind::edited_message:
    case update_kind::channel_post:
    case update_kind::edited_channel_post:
    case update_kind::business_message:
    case update_kind::edited_business_message:
    case update_kind::guest_message: return true;
    default: return false;
  }
}

bool has_query_id(update_kind kind) noexcept {
  return kind == update_kind::callback_query ||
         kind == update_kind::inline_query ||
         kind == update_kind::shipping_query ||
         kind == update_kind::pre_checkout_query;
}

// What a message holds besides its facts, until all of it was seen: members
// come in any order.
struct message_parts {
  std::string text;
  std::string caption;
  std::int64_t text_command = 0;  // length of the command, UTF-16 units
  std::int64_t caption_command = 0;
};

class fact_reader {
 public:
  fact_reader(walk& over, facts& out) : over_{over}, out_{out} {}

  bool payload(update_kind kind, walk::value& of) {
    out_ = {};
    if (is_message(kind))
      return message(of, true);
    return over_.members(of, [&](std::string_view key, walk::value& value) {
      return member(kind, key, value);
    });
  }

 private:
  bool member(update_kind kind, std::string_view key, walk::value& value) {
    if (key == "from" || key == "user")
      return user(value);
    if (key == "chat")
      return chat(value);
    if (key == "message")
      return kind == update_kind::callback_query ? message(value, false)
                                                 : over_.check(value);
    if (key == "id" && has_query_id(kind))
      return number_or_text(value, out_.query_id);
    if (key == "data" && kind == update_kind::callback_query)
      return over_.text(value, out_.data);
    if (key == "query" && (kind == update_kind::inline_query ||
                           kind == update_kind::chosen_inline_result))
      return over_.text(value, out_.data);
    if (key == "inline_message_id")
      return over_.text(value, out_.inline_message_id);
    if (key == "old_chat_member")
      return status(value, out_.old_status);
    if (key == "new_chat_member")
      return status(value, out_.new_status);
    if (key == "user_chat_id" && kind == update_kind::business_connection)
      return over_.integer(value, out_.chat_id);
    if (key == "message_id")
      return over_.integer(value, out_.message_id);
    if (key == "message_thread_id")
      return over_.integer(value, out_.thread_id);
    if (key == "date")
      return over_.integer(value, out_.date);
    return over_.check(value);
  }

  bool number_or_text(walk::value& of, std::string& out) {
    std::string_view characters;
    if (!over_.raw(of, characters))
      return false;
    if (out.empty())
      out = detail::unescape(characters);
    return true;
  }

  bool user(walk::value& of) {
    return over_.members(of, [&](std::string_view key, walk::value& value) {
      if (key == "id")
        return over_.integer(value, out_.user_id);
      if (key == "is_bot")
        return over_.flag(value, out_.user_is_bot);
      if (key == "first_name")
        return over_.text(value, out_.first_name);
      if (key == "last_name")
        return over_.text(value, out_.last_name);
      if (key == "username")
        return over_.text(value, out_.username);
      if (key == "language_code")
        return over_.text(value, out_.language);
      return over_.check(value);
    });
  }

  bool chat(walk::value& of) {
    return over_.members(of, [&](std::string_view key, walk::value& value) {
      if (key == "id")
        return over_.integer(value, out_.chat_id);
      if (key == "type")
        return over_.text(value, out_.chat_type);
      return over_.check(value);
    });
  }

  bool status(walk::value& of, std::string& out) {
    return over_.members(of, [&](std::string_view key, walk::value& value) {
      return key == "status" ? over_.text(value, out) : over_.check(value);
    });
  }

  // @param own the update is this message, not a press of a button under it
  bool message(walk::value& of, bool own) {
    message_parts parts;
    bool well =
        over_.members(of, [&](std::string_view key, walk::value& value) {
          return message_member(own, parts, key, value);
        });
    out_.is_text = !parts.text.empty();
    out_.text = std::move(out_.is_text ? parts.text : parts.caption);
    auto units = out_.is_text ? parts.text_command : parts.caption_command;
    if (well && own && units > 0)
      take_command(units);
    return well;
  }

  bool message_member(bool own, message_parts& parts, std::string_view key,
                      walk::value& value) {
    if (key == "message_id")
      return over_.integer(value, out_.message_id);
    if (key == "from")
      return own ? user(value) : over_.check(value);
    if (key == "chat")
      return chat(value);
    if (key == "date")
      return over_.integer(value, out_.date);
    if (key == "text")
      return over_.text(value, parts.text);
    if (key == "entities")
      return command_length(value, parts.text_command);
    if (key == "caption")
      return over_.text(value, parts.caption);
    if (key == "caption_entities")
      return command_length(value, parts.caption_command);
    if (key == "message_thread_id")
      return over_.integer(value, out_.thread_id);
    if (key == "migrate_to_chat_id")
      return over_.integer(value, out_.migrate_to);
    if (key == "migrate_from_chat_id")
      return over_.integer(value, out_.migrate_from);
    if (key == "guest_query_id")
      return number_or_text(value, out_.query_id);
    return over_.check(value);
  }

  // Finds the bot_command entity at offset 0.
  bool command_length(walk::value& of, std::int64_t& out) {
    return over_.elements(of, [&](walk::value& entity) {
      std::string_view type;
      std::string_view offset;
      std::int64_t length = 0;
      bool well =
          over_.members(entity, [&](std::string_view key, walk::value& value) {
            if (key == "type")
              return over_.raw(value, type);
            if (key == "offset")
              return over_.raw(value, offset);
            if (key == "length")
              return over_.integer(value, length);
            return over_.check(value);
          });
      if (type == "bot_command" && offset == "0" && out == 0)
        out = length;
      return well;
    });
  }

  void take_command(std::int64_t units) {
    std::string_view text = out_.text;
    auto size = detail::utf16_prefix(text, units);
    auto word = text.substr(0, size);
    if (word.size() < 2 || word.front() != '/')
      return;
    word.remove_prefix(1);
    auto at = word.find('@');
    out_.is_command = true;
    out_.command = word.substr(0, at);
    if (at != std::string_view::npos)
      out_.command_bot = word.substr(at + 1);
    out_.arguments = detail::trimmed(text.substr(size));
  }

  walk& over_;
  facts& out_;
};

}  // namespace

result<facts> read_facts(std::string_view json) {
  walk over{json};
  facts out;
  fact_reader reader{over, out};
  auto what =
      detail::read_envelope(over, [&](update_kind kind, walk::value& payload) {
        return reader.payload(kind, payload);
      });
  if (!what)
    return what.error();
  out.id = what->id;
  out.kind = what->kind;
  return out;
}

}  // namespace troupe::telegram
