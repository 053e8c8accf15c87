#include "telegram/update.hpp"

#include <algorithm>
#include <array>
#include <initializer_list>
#include <utility>

#include "telegram/text.hpp"
#include "telegram/walk.hpp"

namespace troupe::telegram {

namespace {

constexpr std::array<std::pair<update_kind, std::string_view>, 27> kinds{{
    {update_kind::message, "message"},
    {update_kind::edited_message, "edited_message"},
    {update_kind::channel_post, "channel_post"},
    {update_kind::edited_channel_post, "edited_channel_post"},
    {update_kind::business_connection, "business_connection"},
    {update_kind::business_message, "business_message"},
    {update_kind::edited_business_message, "edited_business_message"},
    {update_kind::deleted_business_messages, "deleted_business_messages"},
    {update_kind::guest_message, "guest_message"},
    {update_kind::stopped_message_generation, "stopped_message_generation"},
    {update_kind::message_reaction, "message_reaction"},
    {update_kind::message_reaction_count, "message_reaction_count"},
    {update_kind::inline_query, "inline_query"},
    {update_kind::chosen_inline_result, "chosen_inline_result"},
    {update_kind::callback_query, "callback_query"},
    {update_kind::shipping_query, "shipping_query"},
    {update_kind::pre_checkout_query, "pre_checkout_query"},
    {update_kind::purchased_paid_media, "purchased_paid_media"},
    {update_kind::poll, "poll"},
    {update_kind::poll_answer, "poll_answer"},
    {update_kind::my_chat_member, "my_chat_member"},
    {update_kind::chat_member, "chat_member"},
    {update_kind::chat_join_request, "chat_join_request"},
    {update_kind::chat_boost, "chat_boost"},
    {update_kind::removed_chat_boost, "removed_chat_boost"},
    {update_kind::managed_bot, "managed_bot"},
    {update_kind::subscription, "subscription"},
}};

// The ids of a payload, at the places where some kind keeps what orders it.
// 0 and empty are "absent": Telegram has no such ids.
struct payload_ids {
  std::int64_t chat = 0;
  std::int64_t message_chat = 0;
  std::int64_t from = 0;
  std::int64_t user = 0;
  std::int64_t user_chat = 0;
  std::int64_t voter_chat = 0;
  std::int64_t bot = 0;
  std::string_view id;
  std::string_view poll_id;
  std::string_view guest_query_id;
};

bool read_id(detail::walk& over, detail::walk::value& of, std::int64_t& out) {
  return over.members(of, [&](std::string_view key, auto& value) {
    return key == "id" ? over.integer(value, out) : over.check(value);
  });
}

bool read_text_id(detail::walk& over, detail::walk::value& of,
                  std::string_view& out) {
  return out.empty() ? over.raw(of, out) : over.check(of);
}

bool read_ids(detail::walk& over, detail::walk::value& of, payload_ids& out) {
  return over.members(of, [&](std::string_view key, auto& value) {
    if (key == "chat")
      return read_id(over, value, out.chat);
    if (key == "from")
      return read_id(over, value, out.from);
    if (key == "message")
      return over.members(value, [&](std::string_view inner, auto& part) {
        return inner == "chat" ? read_id(over, part, out.message_chat)
                               : over.check(part);
      });
    if (key == "user")
      return read_id(over, value, out.user);
    if (key == "id")
      return read_text_id(over, value, out.id);
    if (key == "user_chat_id")
      return over.integer(value, out.user_chat);
    if (key == "poll_id")
      return read_text_id(over, value, out.poll_id);
    if (key == "guest_query_id")
      return read_text_id(over, value, out.guest_query_id);
    if (key == "voter_chat")
      return read_id(over, value, out.voter_chat);
    if (key == "bot")
      return read_id(over, value, out.bot);
    return over.check(value);
  });
}

std::optional<chat_key> first_of(std::initializer_list<std::int64_t> ids) {
  for (auto id : ids)
    if (id != 0)
      return chat_key::chat(id);
  return std::nullopt;
}

std::optional<chat_key> opaque_key(std::string_view id) {
  if (id.empty())
    return std::nullopt;
  return chat_key{chat_key::kind::opaque, stable_hash(detail::unescape(id))};
}

std::optional<chat_key> poll_key(std::string_view id) {
  if (auto n = detail::parse_integer(id))
    return chat_key::poll(*n);
  return opaque_key(id);
}

// The table of bot_api/routing.md; nothing if the kind's own places are empty.
std::optional<chat_key> own_key(update_kind kind, const payload_ids& ids) {
  switch (kind) {
    case update_kind::none:
    case update_kind::unknown:
    case update_kind::message:
    case update_kind::edited_message:
    case update_kind::channel_post:
    case update_kind::edited_channel_post:
    case update_kind::business_message:
    case update_kind::edited_business_message:
    case update_kind::deleted_business_messages:
    case update_kind::stopped_message_generation:
    case update_kind::message_reaction:
    case update_kind::message_reaction_count:
    case update_kind::my_chat_member:
    case update_kind::chat_member:
    case update_kind::chat_boost:
    case update_kind::removed_chat_boost: return first_of({ids.chat});
    case update_kind::chat_join_request:
      return first_of({ids.chat, ids.user_chat, ids.from});
    case update_kind::guest_message:
      if (ids.chat != 0)
        return first_of({ids.chat});
      return opaque_key(ids.guest_query_id);
    case update_kind::callback_query:
      return first_of({ids.message_chat, ids.from});
    case update_kind::inline_query:
    case update_kind::chosen_inline_result:
    case update_kind::shipping_query:
    case update_kind::pre_checkout_query:
    case update_kind::purchased_paid_media: return first_of({ids.from});
    case update_kind::business_connection:
      return first_of({ids.user_chat, ids.user});
    case update_kind::managed_bot: return first_of({ids.user, ids.bot});
    case update_kind::subscription: return first_of({ids.user});
    case update_kind::poll: return poll_key(ids.id);
    case update_kind::poll_answer:
      if (auto key = poll_key(ids.poll_id))
        return key;
      return first_of({ids.user, ids.voter_chat});
  }
  return std::nullopt;
}

chat_key key_of(const detail::envelope& what, const payload_ids& ids) {
  if (auto key = own_key(what.kind, ids))
    return *key;
  if (auto key = first_of({ids.chat, ids.message_chat, ids.from, ids.user}))
    return *key;
  return chat_key::lone(what.id);
}

}  // namespace

std::string_view to_string(update_kind kind) noexcept {
  for (const auto& [known, name] : kinds)
    if (known == kind)
      return name;
  return kind == update_kind::none ? "none" : "unknown";
}

update_kind parse_update_kind(std::string_view name) noexcept {
  for (const auto& [known, known_name] : kinds)
    if (known_name == name)
      return known;
  return update_kind::unknown;
}

result<routing> route(std::string_view json) {
  detail::walk over{json};
  payload_ids ids;
  auto what = detail::read_envelope(
      over, [&](update_kind, detail::walk::value& payload) {
        ids = {};
        return read_ids(over, payload, ids);
      });
  if (!what)
    return what.error();
  return routing{what->id, what->kind, key_of(*what, ids)};
}

result<std::vector<polled>> split_updates(std::string_view json) {
  // As text, because one element that is not JSON must not hide the others:
  // the poller would ask for the same batch for ever.
  detail::items answer{json};
  std::string_view list;
  bool ok = false;
  for (detail::item member; answer.next(member);) {
    if (member.named("ok"))
      ok = member.value == "true";
    else if (member.named("result") && list.empty())
      list = member.value;
  }
  detail::items elements{list};
  if (!answer.is_object() || !answer.complete() || !elements.is_array() || !ok)
    return error{errc::bad_input, "not a getUpdates answer"};
  std::vector<polled> out;
  for (detail::item element; elements.next(element);) {
    auto where = route(element.value);
    if (where) {
      out.push_back({*where, std::string{element.value}, {}});
      continue;
    }
    auto member = detail::find_member(element.value, "update_id");
    auto id = member ? detail::integer_of(*member) : std::nullopt;
    if (!id || *id < 0)
      return error{errc::bad_input, "an update without a usable update_id (" +
                                        where.error().context + ")"};
    out.push_back(
        {{update_id{*id}, update_kind::unknown, chat_key::lone(update_id{*id})},
         std::string{element.value},
         where.error().context});
  }
  if (!elements.complete())
    return error{errc::bad_input, "a getUpdates answer that breaks off"};
  return out;
}

std::optional<milliseconds> useful_life(update_kind kind) noexcept {
  switch (kind) {
    case update_kind::inline_query: return std::chrono::seconds{30};
    case update_kind::chosen_inline_result: return std::chrono::seconds{600};
    default: return std::nullopt;
  }
}

}  // namespace troupe::telegram
