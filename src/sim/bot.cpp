#include "sim/bot.hpp"

#include <algorithm>
#include <utility>

#include "core/json.hpp"

namespace troupe::sim {

namespace {

constexpr std::string_view gateway_page =
    "<html>\r\n<head><title>502 Bad Gateway</title></head>\r\n<body>\r\n"
    "<center><h1>502 Bad Gateway</h1></center>\r\n</body>\r\n</html>\r\n";
constexpr std::size_t max_text_bytes = 32'768;
constexpr std::size_t longest_query = 64;
constexpr std::size_t most_quiet = 10'000;

api_answer bad_request(std::string_view text) {
  return bad(400, "Bad Request: " + std::string{text});
}

std::size_t code_points(std::string_view text) {
  return static_cast<std::size_t>(std::count_if(
      text.begin(), text.end(),
      [](char c) { return (static_cast<unsigned char>(c) & 0xc0u) != 0x80u; }));
}

bool blank(std::string_view text) {
  return text.find_first_not_of(" \t\r\n") == std::string_view::npos;
}

// As much of a text as shows that it is too long, in whole code points.
std::string_view head_of(std::string_view text) {
  auto size = max_text_bytes + 4;
  if (text.size() <= size)
    return text;
  while ((static_cast<unsigned char>(text[size]) & 0xc0u) == 0x80u &&
         size > max_text_bytes + 1)
    --size;
  return text.substr(0, size);
}

// The markup as it will be echoed, if it is an inline keyboard.
bool read_markup(const params& with, std::string& out) {
  auto raw = with.get("reply_markup");
  if (raw.empty() || raw == "null")
    return true;
  auto parsed = parse_json(raw);
  if (!parsed || !parsed->is_object())
    return false;
  if (parsed->get_object().contains("inline_keyboard"))
    out = json::serialize(*parsed);
  return true;
}

}  // namespace

api_answer good(std::string_view result, std::string_view description) {
  api_answer out;
  out.body.reserve(result.size() + 32);
  out.body += R"({"ok":true,"result":)";
  out.body += result;
  if (!description.empty()) {
    out.body += R"(,"description":)";
    append_json_string(out.body, description);
  }
  out.body += '}';
  return out;
}

api_answer bad(unsigned code, std::string_view description,
               unsigned retry_after) {
  api_answer out;
  out.status = code;
  out.retry_after = retry_after;
  out.body = R"({"ok":false,"error_code":)" + std::to_string(code) +
             R"(,"description":)";
  append_json_string(out.body, description);
  if (retry_after > 0)
    out.body +=
        R"(,"parameters":{"retry_after":)" + std::to_string(retry_after) + '}';
  out.body += '}';
  return out;
}

namespace {

api_answer too_many(unsigned retry_after) {
  return bad(429,
             "Too Many Requests: retry after " + std::to_string(retry_after),
             retry_after);
}

// The scope of a 429 for a call that is no send.
std::string quiet_key(const method& m, const call_outcome& c) {
  return std::string{m.name} + ' ' + std::to_string(c.chat) + ' ' + c.query;
}

}  // namespace

bot::bot(bot_options how)
    : how_{std::move(how)},
      id_{lenient_integer(how_.token, 1)},
      limits_{how_.limits},
      faults_{how_.rates, how_.seed} {
  self_ = R"({"id":)" + std::to_string(id_) +
          R"(,"is_bot":true,"first_name":"Simulated bot",)"
          R"("username":"simulated_bot"})";
}

chat* bot::destination(const params& with, std::string& why) {
  auto raw = with.get("chat_id");
  if (raw.empty()) {
    why = "chat_id is empty";
    return nullptr;
  }
  auto found = world_.find(lenient_integer(raw, 0));
  if (!found)
    why = "chat not found";
  return found;
}

call_outcome bot::call(const method& m, const params& with, moment now) {
  call_outcome out;
  if (!meet(m, with, now, out))
    out.answer = carry_out(m, with, now, out);
  return out;
}

bool bot::meet(const method& m, const params& with, moment now,
               call_outcome& out) {
  out.chat = with.integer("chat_id");
  out.delay = how_.answer_delay;
  if (!m.text_param.empty())
    out.text = head_of(with.get(m.text_param));
  out.query = with.get("callback_query_id").substr(0, longest_query);
  // What was announced comes first: nothing excuses a call during it.
  if (refuse_early(m, now, out))
    return true;
  auto trouble = faults_.strike(lowered(m.name), out.chat, m.is_send());
  out.fault = trouble.kind;
  switch (trouble.kind) {
    case fault_kind::reset:
      out.cut = true;
      out.answer.status = 0;
      return true;
    case fault_kind::gateway:
      out.answer = {502, std::string{gateway_page}, 0, "text/html"};
      return true;
    case fault_kind::flood:
      refuse(m, now, std::max(trouble.retry_after, 1u), out);
      return true;
    case fault_kind::forbidden:
      out.answer = bad(403, "Forbidden: bot was blocked by the user");
      return true;
    case fault_kind::drop: out.cut = true; break;
    case fault_kind::delay: out.delay += trouble.delay; break;
    case fault_kind::none: break;
  }
  return false;
}

bool bot::refuse_early(const method& m, moment now, call_outcome& out) {
  if (m.is_send()) {
    auto verdict = limits_.judge(now.mono, out.chat, 0);
    out.limit = verdict.by;
    if (verdict.by != limit_scope::none)
      refuse(m, now, verdict.retry_after, out);
    return verdict.by != limit_scope::none;
  }
  auto found = quiet_.find(quiet_key(m, out));
  if (found == quiet_.end() || now.mono < found->second.from)
    return false;
  auto left = found->second.until - now.mono;
  if (left <= left.zero()) {
    quiet_.erase(found);
    return false;
  }
  out.limit = limit_scope::frozen;
  auto seconds = std::chrono::ceil<std::chrono::seconds>(left).count();
  refuse(m, now, static_cast<unsigned>(seconds), out);
  return true;
}

// 429, and from the moment it leaves on nothing of the same scope may come.
void bot::refuse(const method& m, moment now, unsigned retry_after,
                 call_outcome& out) {
  out.answer = too_many(retry_after);
  auto leaves = now.mono + out.delay;
  if (m.is_send()) {
    if (limits_.announce(leaves, out.chat, retry_after))
      out.bot_freeze = limits_.bot_freeze();
    return;
  }
  if (quiet_.size() >= most_quiet)
    std::erase_if(quiet_, [&](auto& q) { return q.second.until <= now.mono; });
  if (quiet_.size() >= most_quiet)
    return;
  auto& f = quiet_[quiet_key(m, out)];
  if (leaves >= f.until)
    f.from = leaves;
  f.until =
      std::max<mono_time>(f.until, leaves + std::chrono::seconds{retry_after});
}

api_answer bot::carry_out(const method& m, const params& with, moment now,
                          call_outcome& out) {
  switch (m.kind) {
    case method_kind::send:
    case method_kind::album:
    case method_kind::edit: return send(m, with, now, out);
    case method_kind::remove: {
      std::string why;
      auto in = destination(with, why);
      return in ? remove(with, in) : bad_request(why);
    }
    case method_kind::answer_query:
      if (!world_.answer_query(with.get("callback_query_id"), now.mono))
        return bad_request(
            "query is too old and response timeout expired or query ID is "
            "invalid");
      return good("true");
    case method_kind::who_am_i: {
      auto me = self_;
      me.pop_back();
      return good(me + R"(,"can_join_groups":true,)"
                       R"("can_read_all_group_messages":false,)"
                       R"("supports_inline_queries":true})");
    }
    case method_kind::nod:
    case method_kind::get_updates:
    case method_kind::set_webhook:
    case method_kind::delete_webhook:
    case method_kind::webhook_info: break;
  }
  return good("true");
}

api_answer bot::send(const method& m, const params& with, moment now,
                     call_outcome& out) {
  std::string why;
  auto to = destination(with, why);
  if (!to)
    return bad_request(why);
  if (out.text.size() > max_text_bytes)
    return bad_request("text is too long");
  bool needs_text = m.text_param == "text";
  if (needs_text && blank(out.text))
    return bad_request("message text is empty");
  if (m.text_limit > 0 && code_points(out.text) > m.text_limit)
    return bad_request(needs_text ? "message is too long"
                                  : "message caption is too long");
  auto required = required_of(m);
  if (!required.empty() && !with.has(required))
    return bad_request("Parameter \"" + std::string{required} +
                       "\" is required");
  if (to->blocked)
    return bad(403, to->is_group()
                        ? "Forbidden: bot was kicked from the group chat"
                        : "Forbidden: bot was blocked by the user");
  if (m.kind == method_kind::edit)
    return edit(m, with, now, *to, out);
  if (m.kind == method_kind::album)
    return send_album(with, now, *to, out);

  std::string markup;
  if (!read_markup(with, markup))
    return bad_request("object expected as reply markup");
  api_answer refused;
  if (refuse_by_limits(now, 1, out, refused))
    return refused;
  auto& sent =
      world_.send(*to, out.text, std::move(markup), to_ms(now.wall) / 1000);
  out.recorded = true;
  out.message_id = sent.id;
  std::string message;
  message.reserve(320 + out.text.size());
  append_message(message, *to, sent, self_, 0);
  return good(message);
}

api_answer bot::send_album(const params& with, moment now, chat& to,
                           call_outcome& out) {
  auto media = parse_json(with.get("media"));
  if (!media || !media->is_array() || media->get_array().empty())
    return bad_request("expected an Array of InputMedia");
  auto count = media->get_array().size();
  if (count > 10)
    return bad_request("too many messages to send as an album");
  api_answer refused;
  if (refuse_by_limits(now, static_cast<unsigned>(count), out, refused))
    return refused;
  std::string messages = "[";
  for (std::size_t i = 0; i < count; ++i) {
    auto& sent = world_.send(to, {}, {}, to_ms(now.wall) / 1000);
    if (i == 0)
      out.message_id = sent.id;
    else
      messages += ',';
    append_message(messages, to, sent, self_, 0);
  }
  out.recorded = true;
  out.cost = static_cast<unsigned>(count);
  return good(messages + ']');
}

api_answer bot::edit(const method& m, const params& with, moment now, chat& in,
                     call_outcome& out) {
  std::string why;
  out.message_id = with.integer("message_id");
  auto target = world_.find_sent(in, out.message_id, "edit", why);
  if (!target)
    return bad_request(why);
  std::string markup;
  if (!read_markup(with, markup))
    return bad_request("object expected as reply markup");
  auto text = m.text_param.empty() ? target->text : out.text;
  if (target->date != 0 && m.name != "editMessageMedia" &&
      text == target->text && markup == target->markup)
    return bad_request(
        "message is not modified: specified new message content and reply "
        "markup are exactly the same as a current content and reply markup "
        "of the message");
  api_answer refused;
  if (refuse_by_limits(now, 1, out, refused))
    return refused;
  target->text = std::move(text);
  target->markup = std::move(markup);
  if (target->date == 0)
    target->date = to_ms(now.wall) / 1000;
  out.recorded = true;
  std::string message;
  append_message(message, in, *target, self_, to_ms(now.wall) / 1000);
  return good(message);
}

api_answer bot::remove(const params& with, chat* in) {
  std::string why;
  auto target =
      world_.find_sent(*in, with.integer("message_id"), "delete", why);
  if (!target)
    return bad_request(why);
  target->deleted = true;
  target->text.clear();
  return good("true");
}

bool bot::refuse_by_limits(moment now, unsigned cost, call_outcome& out,
                           api_answer& answer) {
  auto verdict = limits_.judge(now.mono, out.chat, cost);
  if (verdict.by == limit_scope::none) {
    limits_.spend(now.mono, out.chat, cost);
    return false;
  }
  out.limit = verdict.by;
  answer = too_many(verdict.retry_after);
  if (limits_.announce(now.mono + out.delay, out.chat, verdict.retry_after))
    out.bot_freeze = limits_.bot_freeze();
  return true;
}

}  // namespace troupe::sim
