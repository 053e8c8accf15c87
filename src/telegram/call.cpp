#include "telegram/call.hpp"

#include <algorithm>
#include <array>
#include <limits>

#include "telegram/text.hpp"

namespace troupe::telegram {

namespace {

using detail::item;
using detail::items;

// Methods that send or change messages but don't begin as those do.
constexpr std::array<std::string_view, 4> also_chat{"setgamescore", "stoppoll",
                                                    "stopmessagelivelocation",
                                                    "giftpremiumsubscription"};

// Methods that begin as those do, and change no message. A chat action has no
// known limit (TELEGRAM.md 63); paying for "typing..." with the chat's one
// message per second would hold up the very answer it announces.
constexpr std::array<std::string_view, 7> not_chat{
    "sendchataction",
    "editforumtopic",
    "editgeneralforumtopic",
    "editchatinvitelink",
    "editchatsubscriptioninvitelink",
    "edituserstarsubscription",
    "editstory"};

template <std::size_t N>
bool one_of(const std::array<std::string_view, N>& names,
            std::string_view method) noexcept {
  return std::any_of(names.begin(), names.end(), [&](std::string_view name) {
    return detail::equal_nocase(method, name);
  });
}

std::size_t length_of(std::string_view array) noexcept {
  items all{array};
  std::size_t n = 0;
  for (item one; all.is_array() && all.next(one);)
    ++n;
  return n;
}

// Telegram takes a list as JSON and as a string that holds the JSON.
std::size_t length_of(const item& list) {
  return list.is_string() ? length_of(detail::unescape(list.body()))
                          : length_of(list.value);
}

std::optional<chat_key> named_chat(const item& id) {
  if (auto n = detail::integer_of(id))
    return *n == 0 ? std::nullopt : std::optional{chat_key::chat(*n)};
  if (!id.is_string())
    return std::nullopt;
  auto name = detail::lower(detail::trimmed(detail::unescape(id.body())));
  if (auto n = detail::parse_integer(name); n && *n != 0)
    return chat_key::chat(*n);
  if (!name.starts_with('@'))
    return std::nullopt;
  return chat_key{chat_key::kind::opaque, stable_hash(name)};
}

std::string with_number(std::string_view body, std::string_view name,
                        std::int64_t n, bool add) {
  items all{body};
  if (!all.is_object())
    return std::string{body};
  auto inside = all.position();
  auto digits = std::to_string(n);
  bool any = false;
  for (item one; all.next(one); any = true) {
    if (!one.named(name))
      continue;
    auto at = static_cast<std::size_t>(one.value.data() - body.data());
    return std::string{body}.replace(at, one.value.size(), digits);
  }
  if (!add)
    return std::string{body};
  std::string member = "\"";
  member.append(name).append("\":").append(digits).append(any ? "," : "");
  return std::string{body}.insert(inside, member);
}

}  // namespace

lane lane_of(std::string_view method) noexcept {
  if (detail::starts_nocase(method, "answer"))
    return lane::immediate;
  bool sends = detail::starts_nocase(method, "send") ||
               detail::starts_nocase(method, "edit") ||
               detail::starts_nocase(method, "copymessage") ||
               detail::starts_nocase(method, "forwardmessage");
  if (sends ? !one_of(not_chat, method) : one_of(also_chat, method))
    return lane::chat;
  return lane::free;
}

bool is_edit(std::string_view method) noexcept {
  return detail::starts_nocase(method, "editmessage");
}

std::uint16_t cost_of(std::string_view method, std::string_view body) noexcept {
  if (lane_of(method) != lane::chat)
    return 0;
  std::string_view list;
  if (detail::equal_nocase(method, "sendmediagroup"))
    list = "media";
  else if (detail::equal_nocase(method, "copymessages") ||
           detail::equal_nocase(method, "forwardmessages"))
    list = "message_ids";
  else
    return 1;
  auto found = detail::find_member(body, list);
  auto n = found ? length_of(*found) : 1;
  return static_cast<std::uint16_t>(
      std::clamp<std::size_t>(n, 1, std::numeric_limits<std::uint16_t>::max()));
}

chat_key destination_of(std::string_view body, const chat_key& from) noexcept {
  for (std::string_view name : {"chat_id", "user_id"})
    if (auto found = detail::find_member(body, name))
      if (auto key = named_chat(*found))
        return *key;
  return from;
}

std::string with_message_id(std::string_view body, std::int64_t n) {
  return with_number(body, "message_id", n, true);
}

std::string with_chat_id(std::string_view body, std::int64_t n) {
  return with_number(body, "chat_id", n, false);
}

bool valid_token(std::string_view token, std::string* why) {
  auto refuse = [&](const char* reason) {
    if (why != nullptr)
      *why = reason;
    return false;
  };
  auto colon = token.find(':');
  if (token.empty())
    return refuse("the bot token is empty");
  if (token.size() > 80)
    return refuse("the bot token is longer than 80 bytes");
  if (colon == std::string_view::npos)
    return refuse("the bot token has no ':' (expected digits:letters)");
  auto id = detail::parse_integer(token.substr(0, colon));
  if (token.front() == '0' || token.front() == '-' || !id || *id <= 0 ||
      *id >= (std::int64_t{1} << 54))
    return refuse("the part of the bot token before ':' is not a bot's id");
  auto secret = token.substr(colon + 1);
  if (secret.size() < 24)
    return refuse("the part of the bot token after ':' is under 24 characters");
  if (!valid_secret(secret))
    return refuse("the bot token has characters other than A-Z a-z 0-9 _ -");
  return true;
}

bool valid_secret(std::string_view secret) noexcept {
  return !secret.empty() && secret.size() <= 256 &&
         std::all_of(secret.begin(), secret.end(), [](char c) {
           return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') ||
                  (c >= '0' && c <= '9') || c == '_' || c == '-';
         });
}

}  // namespace troupe::telegram
