#include <algorithm>
#include <utility>

#include "sim/engine.hpp"

namespace troupe::sim {

namespace {

api_answer not_found() {
  return bad(404, "Not Found");
}

bool from_loopback(std::string_view peer) {
  return peer.starts_with("127.") || peer.starts_with("::1") ||
         peer.starts_with("[::1]") || peer.starts_with("::ffff:127.") ||
         peer.starts_with("[::ffff:127.");
}

}  // namespace

void simulator::impl::reply(http::responder to, api_answer answer,
                            milliseconds delay) {
  http::response r;
  r.status = answer.status;
  r.type = std::move(answer.type);
  r.body = std::move(answer.body);
  if (answer.retry_after > 0)
    r.headers.add("Retry-After", std::to_string(answer.retry_after));
  if (delay.count() == 0) {
    to(std::move(r));
    return;
  }
  ++calls_under_way;
  loop.after(delay, [this, to = std::move(to), r = std::move(r)]() mutable {
    --calls_under_way;
    to(std::move(r));
  });
}

void simulator::impl::take(http::request&& what, http::responder to) {
  if (closing)
    return to.drop();
  auto at = now();
  if (what.method != "GET" && what.method != "POST") {
    reply(std::move(to), {501, {}, 0, {}}, milliseconds{0});
    return;
  }
  std::string_view path = what.path();
  if (path.starts_with("/sim/") && from_loopback(what.peer)) {
    reply(std::move(to), side_call(what, at), milliseconds{0});
  } else if (path.starts_with("/bot")) {
    take_call(path.substr(4), what, to, at);
  } else {
    reply(std::move(to), not_found(), milliseconds{0});
  }
  pump();
}

void simulator::impl::take_call(std::string_view rest, http::request& what,
                                http::responder& to, moment at) {
  auto slash = rest.find('/');
  if (slash == std::string_view::npos) {
    reply(std::move(to), not_found(), milliseconds{0});
    return;
  }
  if (percent_decoded(rest.substr(0, slash), false) != bot.token()) {
    reply(std::move(to), bad(401, "Unauthorized"), milliseconds{0});
    return;
  }
  auto name = rest.substr(slash + 1);
  if (name.starts_with("test/"))
    name.remove_prefix(5);
  auto with = read_params(what, reader);
  auto m = find_method(name.empty() ? with.get("method") : name);
  if (!m) {
    reply(std::move(to), bad(404, "Not Found: method not found"),
          milliseconds{0});
    return;
  }
  switch (m->kind) {
    case method_kind::get_updates: poll_method(*m, with, to, at); break;
    case method_kind::set_webhook:
    case method_kind::delete_webhook:
    case method_kind::webhook_info: webhook_method(*m, with, to, at); break;
    default: answer_call(*m, with, &to, at);
  }
}

void simulator::impl::webhook_method(const method& m, const params& with,
                                     http::responder& to, moment at) {
  call_outcome out;
  if (bot.meet(m, with, at, out)) {
    note(m, out, at.mono, false);
    finish_call(out, to);
    return;
  }
  if (m.kind == method_kind::set_webhook)
    out.answer = feed.set_webhook(with, at);
  else if (m.kind == method_kind::delete_webhook)
    out.answer = feed.delete_webhook(with);
  else
    out.answer = feed.webhook_info(at);
  connect_webhook(at);
  note(m, out, at.mono, false);
  finish_call(out, to);
}

void simulator::impl::poll_method(const method& m, const params& with,
                                  http::responder& to, moment at) {
  call_outcome out;
  bool over = bot.meet(m, with, at, out);
  if (over || out.fault != fault_kind::none)
    note(m, out, at.mono, false);
  if (over)
    finish_call(out, to);
  else
    begin_poll(with, std::move(to), out, at);
}

void simulator::impl::answer_call(const method& m, const params& with,
                                  const http::responder* to, moment at) {
  auto out = bot.call(m, with, at);
  note(m, out, at.mono, to == nullptr);
  if (to)
    finish_call(out, *to);
}

void simulator::impl::finish_call(call_outcome& out,
                                  const http::responder& to) {
  if (!out.cut) {
    reply(to, std::move(out.answer), out.delay);
    return;
  }
  if (out.delay.count() == 0)
    return to.drop();
  ++calls_under_way;
  loop.after(out.delay, [this, to] {
    --calls_under_way;
    to.drop();
  });
}

void simulator::impl::note(const method& m, const call_outcome& c,
                           mono_time arrived, bool by_webhook) {
  last_activity = arrived;
  journal.call(m, c, arrived, by_webhook);
  if (c.fault != fault_kind::none)
    ++counts.faults;
  if (c.answer.status == 429)
    ++counts.refused_429;
  if (!m.is_send())
    return;
  if (c.recorded) {
    ++counts.sent;
    if (m.kind != method_kind::edit)
      users.heard(c.chat, c.text);
  } else if (c.answer.status == 403) {
    users.gave_up(c.chat);
  }
}

}  // namespace troupe::sim
