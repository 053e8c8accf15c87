#include <algorithm>
#include <charconv>
#include <utility>

#include "core/json.hpp"
#include "sim/engine.hpp"
#include "telegram/facts.hpp"

namespace troupe::sim {

namespace {

api_answer plain(std::string body) {
  api_answer out;
  out.body = std::move(body);
  return out;
}

api_answer wrong(std::string_view what) {
  return bad(400, "Bad Request: " + std::string{what});
}

std::string with_id(std::string_view update, update_id id) {
  auto brace = update.find('{');
  auto rest = update.substr(brace + 1);
  auto first = rest.find_first_not_of(" \t\r\n");
  bool empty = first == std::string_view::npos || rest[first] == '}';
  std::string out = R"({"update_id":)" + std::to_string(id.value);
  out += empty ? "" : ",\n";
  out += rest;
  return out;
}

std::string id_answer(update_id id, std::string_view more = {}) {
  return R"({"ok":true,"update_id":)" + std::to_string(id.value) +
         std::string{more} + '}';
}

}  // namespace

api_answer simulator::impl::side_call(const http::request& what, moment at) {
  auto path = what.path().substr(5);
  if (what.method == "GET") {
    if (path == "state")
      return show_state(at);
    if (path == "calls") {
      params with;
      read_form(what.query(), with);
      return plain(journal.calls_since(static_cast<std::uint64_t>(
          std::max<std::int64_t>(with.integer("since"), 0))));
    }
    return bad(404, "Not Found");
  }
  if (path == "stop") {
    enter(phase::stopped, at);
    finish();
    return plain(R"({"ok":true})");
  }
  if (path == "update")
    return inject(what, at);
  if (!what.body.empty() && !reader.read(what.body))
    return wrong("the body is not a JSON object");
  if (what.body.empty())
    reader.read("{}");
  if (path == "text")
    return inject_text(at);
  if (path == "press")
    return inject_press(at);
  if (path == "block" || path == "unblock")
    return set_blocked(path == "block", at);
  if (path == "fault")
    return add_fault();
  if (path == "outage") {
    if (reader.text("on") == "true")
      feed.pause();
    else
      feed.restart(at.mono);
    return plain(R"({"ok":true})");
  }
  if (path == "jump") {
    auto next = reader.number("update_id");
    if (next <= 0)
      return wrong("update_id is missing");
    feed.updates().jump({next});
    return plain(id_answer({next}));
  }
  return bad(404, "Not Found");
}

api_answer simulator::impl::inject(const http::request& what, moment at) {
  if (!reader.read(what.body))
    return wrong("the body is not a JSON object");
  auto member = reader.find("update_id");
  std::string body = what.body;
  if (!member)
    body = with_id(body, feed.updates().next());
  auto facts = telegram::read_facts(body);
  if (!facts)
    return wrong(to_string(facts.error()));
  queued_update u;
  u.id = facts->id;
  u.kind = facts->kind;
  auto routed = telegram::route(body);
  auto poll =
      routed && routed->key.type == chat_key::kind::poll ? routed->key.id : 0;
  u.queue = queue_of(facts->kind, facts->chat_id, facts->user_id, poll);
  u.expires = at.mono + life_of(facts->kind);
  u.body = std::move(body);
  if (facts->chat_id != 0) {
    auto& c = bot.chats().at(facts->chat_id);
    c.last_message = std::max(c.last_message, facts->message_id);
  }
  auto id = u.id;
  if (!feed.push(std::move(u)))
    return wrong("this update_id waits already, or the queue is full");
  ++counts.updates;
  bool text = facts->is_text && facts->kind == telegram::update_kind::message;
  journal.update(at.mono, id, facts->chat_id, facts->user_id, facts->kind,
                 text ? std::string_view{facts->text} : std::string_view{});
  return plain(id_answer(id));
}

api_answer simulator::impl::inject_text(moment at) {
  auto user = reader.number("user", reader.number("chat"));
  auto chat = reader.number("chat", user);
  if (chat == 0 || user == 0)
    return wrong("user or chat is missing");
  std::string text{reader.text("text")};
  auto id = post_text(chat, user, text, at);
  if (!id)
    return wrong(
        "the update was dropped: its kind is not allowed, or the "
        "queue is full");
  return plain(id_answer(
      *id,
      R"(,"message_id":)" + std::to_string(bot.chats().at(chat).last_message)));
}

api_answer simulator::impl::inject_press(moment at) {
  auto user = reader.number("user", reader.number("chat"));
  auto chat = bot.chats().find(reader.number("chat", user));
  if (!chat || user == 0)
    return wrong("chat not found");
  auto kind = telegram::update_kind::callback_query;
  auto query = bot.chats().open_query(at.mono);
  auto member = press_update(*chat, user, reader.number("message_id"),
                             reader.text("data"), query, bot.self());
  auto id = feed.push(kind, queue_of(kind, chat->id, user, 0), member, at.mono);
  if (!id)
    return wrong(
        "the update was dropped: its kind is not allowed, or the "
        "queue is full");
  ++counts.updates;
  journal.update(at.mono, *id, chat->id, user, kind, {});
  return plain(id_answer(*id, R"(,"query_id":")" + query + '"'));
}

api_answer simulator::impl::set_blocked(bool blocked, moment at) {
  auto chat = bot.chats().find(reader.number("chat", reader.number("user")));
  if (!chat)
    return wrong("chat not found");
  chat->blocked = blocked;
  users.ignore(chat->id, blocked);
  auto user = reader.number("user", chat->id > 0 ? chat->id : 1);
  auto kind = telegram::update_kind::my_chat_member;
  auto member =
      block_update(*chat, user, blocked, bot.self(), to_ms(at.wall) / 1000);
  auto id = feed.push(kind, queue_of(kind, chat->id, user, 0), member, at.mono);
  if (!id)
    return plain(R"({"ok":true})");
  ++counts.updates;
  journal.update(at.mono, *id, chat->id, user, kind, {});
  return plain(id_answer(*id));
}

api_answer simulator::impl::add_fault() {
  auto kind = parse_fault_kind(reader.text("kind"));
  if (!kind)
    return wrong("kind is one of drop, reset, 502, 429, 403, delay");
  scripted_fault f;
  f.method = reader.text("method");
  for (auto& c : f.method)
    if (c >= 'A' && c <= 'Z')
      c = static_cast<char>(c - 'A' + 'a');
  if (!f.method.empty() && !find_method(f.method))
    return wrong("no such method");
  if (reader.find("chat"))
    f.chat = reader.number("chat");
  f.nth = static_cast<std::uint64_t>(
      std::max<std::int64_t>(reader.number("nth", 1), 1));
  f.times = static_cast<std::uint64_t>(
      std::max<std::int64_t>(reader.number("times", 1), 1));
  f.what = {*kind,
            static_cast<unsigned>(std::clamp<std::int64_t>(
                reader.number("retry_after", 1), 1, 86'400)),
            milliseconds{std::clamp<std::int64_t>(reader.number("delay_ms"), 0,
                                                  600'000)}};
  if (!bot.troubles().script(std::move(f)))
    return wrong("too many faults are scripted already");
  return plain(R"({"ok":true})");
}

api_answer simulator::impl::show_state(moment at) {
  publish(at.mono);
  json::object o;
  o["phase"] = to_string(counts.now);
  o["updates"] = counts.updates;
  o["delivered"] = counts.delivered;
  o["failed_deliveries"] = counts.failed_deliveries;
  o["pending"] = counts.pending;
  o["in_flight"] = counts.in_flight;
  o["calls"] = counts.calls;
  o["sent"] = counts.sent;
  o["refused_429"] = counts.refused_429;
  o["faults"] = counts.faults;
  o["unanswered"] = counts.unanswered;
  o["next_update_id"] = feed.updates().next().value;
  o["webhook"] = feed.current() != nullptr;
  return plain(json::serialize(o));
}

}  // namespace troupe::sim
