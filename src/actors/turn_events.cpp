#include "actors/turn_events.hpp"

#include <algorithm>
#include <chrono>
#include <stdexcept>
#include <string>
#include <utility>

#include "core/ids.hpp"
#include "core/json.hpp"

namespace troupe::detail {

namespace {

person person_of(const facts& f) {
  return {f.user_id,   f.user_is_bot, f.first_name,
          f.last_name, f.username,    f.language};
}

template <class Event>
Event update_of(const facts& f, const turn_event& what) {
  Event e;
  e.update_id = f.id.value;
  e.body = what.body;
  return e;
}

template <class Event>
Event message_of(const facts& f, const turn_event& what) {
  auto e = update_of<Event>(f, what);
  e.chat_id = f.chat_id;
  e.chat_type = f.chat_type;
  e.from = person_of(f);
  e.message_id = f.message_id;
  e.thread_id = f.thread_id;
  e.date = std::chrono::sys_seconds{std::chrono::seconds{f.date}};
  e.text = f.text;
  return e;
}

json::object object_of(const turn_event& what, const char* name) {
  auto value = parse_json(*what.body);
  if (!value)
    throw std::runtime_error{std::string{"a bad "} + name + ": " +
                             to_string(value.error())};
  if (!value->is_object())
    throw std::runtime_error{std::string{"a bad "} + name + ": no object"};
  return std::move(value->get_object());
}

std::string text_in(const json::object& o, const char* name) {
  const auto* v = o.if_contains(name);
  return v && v->is_string() ? std::string{v->get_string()} : std::string{};
}

std::int64_t number_in(const json::object& o, const char* name) {
  const auto* v = o.if_contains(name);
  return v && v->is_int64() ? v->get_int64() : 0;
}

bool flag_in(const json::object& o, const char* name) {
  const auto* v = o.if_contains(name);
  return v && v->is_bool() && v->get_bool();
}

bool same_letters(std::string_view a, std::string_view b) noexcept {
  auto lower = [](char x) {
    return x >= 'A' && x <= 'Z' ? static_cast<char>(x - 'A' + 'a') : x;
  };
  return std::ranges::equal(a, b, {}, lower, lower);
}

bool is_message(telegram::update_kind k) noexcept {
  using kind = telegram::update_kind;
  return k == kind::message || k == kind::channel_post;
}

}  // namespace

text_message text_of(const facts& f, const turn_event& what) {
  return message_of<text_message>(f, what);
}

edited_message edit_of(const facts& f, const turn_event& what) {
  return message_of<edited_message>(f, what);
}

command command_of(const facts& f, const turn_event& what) {
  auto e = message_of<command>(f, what);
  e.name = f.command;
  e.arguments = f.arguments;
  return e;
}

callback press_of(const facts& f, const turn_event& what) {
  auto e = update_of<callback>(f, what);
  e.id = f.query_id;
  e.data = f.data;
  e.from = person_of(f);
  e.chat_id = f.chat_id;
  e.message_id = f.message_id;
  e.inline_message_id = f.inline_message_id;
  return e;
}

member_update member_of(const facts& f, const turn_event& what) {
  auto e = update_of<member_update>(f, what);
  e.chat_id = f.chat_id;
  e.chat_type = f.chat_type;
  e.from = person_of(f);
  e.old_status = f.old_status;
  e.new_status = f.new_status;
  return e;
}

inline_query query_of(const facts& f, const turn_event& what) {
  auto e = update_of<inline_query>(f, what);
  e.id = f.query_id;
  e.query = f.data;
  e.from = person_of(f);
  return e;
}

raw_update raw_of(const facts& f, const turn_event& what) {
  auto e = update_of<raw_update>(f, what);
  e.kind = to_string(f.kind);
  return e;
}

timer timer_of(const turn_event& what) {
  timer e;
  e.name = what.name;
  if (!what.body->empty()) {
    auto value = parse_json(*what.body);
    if (!value)
      throw std::runtime_error{"a bad timer: " + to_string(value.error())};
    e.body = std::move(*value);
  }
  return e;
}

notice notice_of(const turn_event& what) {
  auto o = object_of(what, "notice");
  notice e;
  e.from = text_in(o, "from");
  e.text = text_in(o, "text");
  if (auto key = parse_chat_key(e.from);
      key && key->type == chat_key::kind::chat)
    e.from_chat = key->id;
  return e;
}

outcome outcome_of(const turn_event& what) {
  auto o = object_of(what, "outcome");
  outcome e;
  e.ok = flag_in(o, "ok");
  if (e.ok) {
    e.good.label = text_in(o, "label");
    e.good.method = text_in(o, "method");
    if (auto* result = o.if_contains("result"))
      e.good.result = std::move(*result);
    const auto* message = &e.good.result;
    if (const auto* album = message->if_array(); album && !album->empty())
      message = &album->front();
    if (const auto* fields = message->if_object())
      e.good.message_id = number_in(*fields, "message_id");
    return e;
  }
  e.bad.label = text_in(o, "label");
  e.bad.method = text_in(o, "method");
  e.bad.unknown = flag_in(o, "unknown");
  e.bad.code = static_cast<int>(number_in(o, "code"));
  e.bad.description = text_in(o, "description");
  return e;
}

bool is_ours(const facts& f, std::string_view bot_username) noexcept {
  return f.command_bot.empty() || bot_username.empty() ||
         same_letters(f.command_bot, bot_username);
}

void note_audience(const facts& f, turn_result& result) {
  using standing = turn_result::standing;
  if (f.chat_id == 0)
    return;
  if (f.kind == telegram::update_kind::my_chat_member) {
    auto out = f.new_status == "kicked" || f.new_status == "left";
    result.audience = out ? standing::blocked : standing::active;
  } else if (is_message(f.kind)) {
    result.audience = f.migrate_to != 0 ? standing::moved : standing::active;
    result.moved_to = f.migrate_to;
    result.moved_from = f.migrate_from;
  } else {
    return;
  }
  // In a private chat the person's language is the chat's.
  if (f.chat_id > 0 && !f.user_is_bot)
    result.language = f.language;
}

}  // namespace troupe::detail
