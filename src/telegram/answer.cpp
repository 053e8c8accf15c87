#include <algorithm>
#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

#include "core/log.hpp"
#include "telegram/call.hpp"
#include "telegram/text.hpp"

namespace troupe::telegram {

namespace {

using detail::item;
using detail::items;

constexpr std::size_t longest_description = 1024;

// What a 429 without a number means: what Telegram's server itself says for a
// call that it dropped (TELEGRAM.md 19).
constexpr std::int64_t usual_wait_s = 5;
// Waits of hours occur (TELEGRAM.md 64). A day is taken for a broken number.
constexpr std::int64_t longest_wait_s = 24 * 3600;

// An answer's members, as far as its text goes.
struct parts {
  bool json = false;  // it is an object with `ok` or `error_code`
  bool ok = false;
  std::int64_t code = 0;
  std::int64_t retry_after = 0;
  std::int64_t migrate_to = 0;
  std::int64_t message_id = 0;
  std::string description;
};

std::int64_t message_id_in(std::string_view result) {
  items all{result};
  if (all.is_array()) {
    // An album: its first message stands for it.
    item first;
    return all.next(first) ? message_id_in(first.value) : 0;
  }
  auto id = detail::find_member(result, "message_id");
  return id ? detail::integer_of(*id).value_or(0) : 0;
}

void read_parameters(const item& from, parts& out) {
  items all{from.value};
  for (item one; all.is_object() && all.next(one);) {
    if (one.named("retry_after"))
      out.retry_after = detail::integer_of(one).value_or(0);
    else if (one.named("migrate_to_chat_id"))
      out.migrate_to = detail::integer_of(one).value_or(0);
  }
}

// Reads an answer that breaks off up to there: a 200 that begins with
// `"ok":true` was carried out, and repeating it for ever would be worse than
// not knowing the message's id.
parts take_apart(std::string_view body) {
  parts out;
  items all{body};
  for (item one; all.is_object() && all.next(one);) {
    if (one.named("ok")) {
      out.json = true;
      out.ok = one.value == "true";
    } else if (one.named("error_code")) {
      out.json = true;
      out.code = detail::integer_of(one).value_or(0);
    } else if (one.named("description") && one.is_string()) {
      out.description = detail::unescape(one.body());
    } else if (one.named("parameters")) {
      read_parameters(one, out);
    } else if (one.named("result")) {
      out.message_id = message_id_in(one.value);
    }
  }
  return out;
}

bool has(std::string_view text, std::string_view part) noexcept {
  return text.find(part) != std::string_view::npos;
}

template <std::size_t N>
bool has_any(std::string_view text,
             const std::array<std::string_view, N>& wanted) noexcept {
  return std::any_of(wanted.begin(), wanted.end(),
                     [&](std::string_view part) { return has(text, part); });
}

// Ways to say that nothing will reach this chat, whatever the code was: old
// servers said some of them with 400 or 401.
constexpr std::array<std::string_view, 14> gone_texts{
    "chat not found",
    "bot was blocked",
    "bot was kicked",
    "bot is not a member",
    "bot can't initiate conversation",
    "can't send messages to bots",
    "can't send messages to the bot",
    "group chat was deleted",
    "group chat was deactivated",
    "group is deactivated",
    "chat was upgraded to a supergroup",
    "peer_id_invalid",
    "user_is_blocked",
    "have no access to the chat"};

constexpr std::array<std::string_view, 3> dead_user_texts{
    "user is deactivated", "user_deactivated", "input_user_deactivated"};

constexpr std::array<std::string_view, 3> too_late_texts{
    "query is too old", "query id is invalid", "query_id_invalid"};

// The number after "retry after" in a (lower-case) description.
std::int64_t wait_in_text(std::string_view text) noexcept {
  constexpr std::string_view mark = "retry after ";
  auto at = text.find(mark);
  if (at == std::string_view::npos)
    return 0;
  auto digits = text.substr(at + mark.size());
  digits = digits.substr(0, digits.find_first_not_of("0123456789"));
  return detail::parse_integer(digits).value_or(0);
}

milliseconds wait_of(const parts& said, std::string_view header,
                     std::string_view text) {
  // A Retry-After that is a date is no number, and passed over.
  auto wait = said.retry_after;
  if (wait <= 0)
    wait = detail::parse_integer(detail::trimmed(header)).value_or(0);
  if (wait <= 0)
    wait = wait_in_text(text);
  if (wait <= 0)
    wait = usual_wait_s;
  return std::chrono::seconds{std::min(wait, longest_wait_s)};
}

verdict judge_request(std::string_view text) noexcept {
  if (has(text, "message is not modified") || has(text, "message_not_modified"))
    return verdict::not_modified;
  if (has_any(text, too_late_texts))
    return verdict::too_late;
  if (has_any(text, gone_texts) || has_any(text, dead_user_texts))
    return verdict::chat_gone;
  // After logOut every call gets this: refusing each would empty the outbox.
  if (text == "logged out" || text.ends_with(": logged out"))
    return verdict::bad_token;
  return verdict::refused;
}

// A wrong token is a bare "Not Found" (TELEGRAM.md 16). What names something
// that was not found is about the call.
verdict judge_not_found(std::string_view text) noexcept {
  bool bare =
      text.empty() || text == "not found" || text.ends_with("]: not found");
  return bare ? verdict::bad_token : verdict::refused;
}

// @param text the description in lower case
verdict judge(int code, const parts& said, std::string_view text) noexcept {
  bool too_many = code == 429 || has(text, "too many requests");
  if (code >= 400 && code < 500) {
    if (said.migrate_to != 0)
      return verdict::migrated;
    if (too_many || (code == 400 && said.retry_after > 0))
      return verdict::retry_after;
  }
  switch (code) {
    case 401:
      // Bare ones are some proxy's: no reason to stop a bot, either.
      if (!said.json)
        return verdict::try_again;
      return has_any(text, gone_texts) || has_any(text, dead_user_texts)
                 ? verdict::chat_gone
                 : verdict::bad_token;
    case 403:
      // Telegram always says why. A bare 403 is some proxy's, and must not
      // strike a whole audience off.
      return said.json ? verdict::chat_gone : verdict::try_again;
    case 404: return said.json ? judge_not_found(text) : verdict::try_again;
    case 408: return verdict::try_again;
    case 409: return verdict::conflict;
    case 421: return said.json ? verdict::bad_token : verdict::try_again;
    default: break;
  }
  if (code >= 400 && code < 500)
    return judge_request(text);
  return verdict::try_again;
}

// The code that counts: the body's, if it is one, since some servers answer
// everything with 200; else the status.
int code_of(unsigned status, const parts& said) noexcept {
  if (!said.ok && said.code >= 400 && said.code < 600)
    return static_cast<int>(said.code);
  return static_cast<int>(std::min(status, 999u));
}

std::string describe(unsigned status, parts& said) {
  if (!said.json)
    return "HTTP status " + std::to_string(status) +
           " without an answer in JSON";
  auto text = log::redact(std::move(said.description));
  return std::string{detail::prefix(text, longest_description)};
}

}  // namespace

std::string_view to_string(verdict v) noexcept {
  switch (v) {
    case verdict::sent: return "sent";
    case verdict::not_modified: return "not_modified";
    case verdict::too_late: return "too_late";
    case verdict::retry_after: return "retry_after";
    case verdict::try_again: return "try_again";
    case verdict::chat_gone: return "chat_gone";
    case verdict::migrated: return "migrated";
    case verdict::refused: return "refused";
    case verdict::conflict: return "conflict";
    case verdict::bad_token: return "bad_token";
  }
  return "try_again";
}

answer read_answer(unsigned status, std::string_view body,
                   std::string_view retry_after_header) {
  auto said = take_apart(body);
  answer out;
  out.code = code_of(status, said);
  if (said.ok && status >= 200 && status < 300) {
    out.what = verdict::sent;
    out.message_id = said.message_id;
    return out;
  }
  auto text = detail::lower(said.description);
  out.what = judge(out.code, said, text);
  if (out.what == verdict::retry_after)
    out.retry_after = wait_of(said, retry_after_header, text);
  if (out.what == verdict::migrated)
    out.migrate_to = said.migrate_to;
  out.blocked_for_good =
      out.what == verdict::chat_gone && has_any(text, dead_user_texts);
  out.description = describe(status, said);
  return out;
}

bool concerns_destination(const answer& what, std::string_view method,
                          const chat_key& to) noexcept {
  if (what.what != verdict::chat_gone)
    return false;
  // A user that is no more, in a group: some member that the call named.
  if (what.blocked_for_good && to.is_group())
    return false;
  // 403 is the bot's standing in the chat it spoke to.
  return what.code == 403 || detail::starts_nocase(method, "send") ||
         detail::starts_nocase(method, "edit");
}

std::string result_of(std::string_view body) {
  auto found = detail::find_member(body, "result");
  return found ? std::string{found->value} : std::string{};
}

}  // namespace troupe::telegram
