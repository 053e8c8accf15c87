#include <algorithm>
#include <charconv>
#include <utility>

#include "sim/engine.hpp"

namespace troupe::sim {

using namespace std::chrono_literals;

namespace {

constexpr auto delivery_timeout = 60s;
constexpr auto probe_timeout = 2s;
constexpr auto probe_every = 200ms;

// Scheme and authority; the path goes separately.
std::pair<std::string, std::string> split_url(const std::string& url) {
  auto authority = url.find("://");
  auto path = authority == std::string::npos
                  ? std::string::npos
                  : url.find_first_of("/?", authority + 3);
  if (path == std::string::npos)
    return {url, "/"};
  auto target = url.substr(path);
  return {url.substr(0, path), target[0] == '?' ? "/" + target : target};
}

std::optional<unsigned> retry_after_of(const http::response& r) {
  auto text = r.headers.find("Retry-After");
  unsigned n = 0;
  auto [end, fault] =
      std::from_chars(text.data(), text.data() + text.size(), n);
  if (fault != std::errc{} || end != text.data() + text.size())
    return std::nullopt;
  return n;
}

}  // namespace

// The old client may be the one whose callback is running: it goes later.
void simulator::impl::connect_webhook(moment) {
  if (connected_generation == feed.generation())
    return;
  connected_generation = feed.generation();
  if (auto old = std::exchange(webhook_client, nullptr)) {
    old->close();
    loop.post([old] {});
  }
  counts.in_flight = 0;
  if (auto refused = feed.take_refused())
    throw_out(*refused);
  auto hook = feed.current();
  if (!hook)
    return;
  auto [base, target] = split_url(hook->url);
  auto origin = http::parse_origin(base);
  if (!origin)
    return;
  http::client_options options;
  options.max_connections = hook->max_connections + 1;
  options.idle_timeout = 60s;
  options.max_body = 1 << 20;
  // A bot under test has a certificate of its own making.
  options.verify = false;
  auto made = http::client::make(loop, *origin, options);
  if (!made)
    return;
  webhook_client = std::move(*made);
  webhook_target = target;
}

void simulator::impl::deliver_due(moment at) {
  if (!webhook_client)
    return;
  while (auto job = feed.next(at.mono))
    deliver(*job, at);
}

void simulator::impl::deliver(const feed::job& job, moment at) {
  http::request r;
  r.method = "POST";
  r.target = webhook_target;
  r.headers.add("Content-Type", "application/json");
  r.headers.add("Accept-Encoding", "gzip, deflate");
  if (!feed.current()->secret.empty())
    r.headers.add("X-Telegram-Bot-Api-Secret-Token", feed.current()->secret);
  r.body = job.update->body;
  ++counts.in_flight;
  webhook_client->send(
      std::move(r), delivery_timeout,
      [this, generation = feed.generation(), d = job.what, sent = at.mono](
          const auto& answer) { delivered(generation, d, sent, answer); });
}

void simulator::impl::delivered(
    std::uint64_t generation, const webhook_queues::delivery& d, mono_time sent,
    const boost::system::result<http::response, http::failure>& r) {
  if (closing || generation != feed.generation())
    return;
  auto at = now();
  --counts.in_flight;
  last_activity = at.mono;
  auto status = r ? r->status : 0;
  auto retry_after = r ? retry_after_of(*r) : std::nullopt;
  std::string why;
  if (!r)
    why = r.error().what.code == errc::timed_out ? "Read timeout expired"
                                                 : "Webhook connection closed";
  else if (status < 200 || status > 299)
    why = "Wrong response from the webhook: " + std::to_string(status);
  journal.delivery(d, sent, at.mono, status);
  auto fate = feed.done(d, status, retry_after, why, at);
  if (!why.empty())
    ++counts.failed_deliveries;
  else if (!d.resend)
    ++counts.delivered;
  if (fate == webhook_queues::fate::given_up)
    connect_webhook(at);
  if (why.empty() && !r->body.empty())
    run_method_in_response(*r, at);
  pump();
}

// TELEGRAM.md 57: the bot may answer a delivery with a call.
void simulator::impl::run_method_in_response(const http::response& r,
                                             moment at) {
  if (!reader.read(r.body))
    return;
  auto name = std::string{reader.text("method")};
  if (name.empty() || name.starts_with("get") || name.starts_with("Get"))
    return;
  auto m = find_method(name);
  if (!m || m->kind == method_kind::set_webhook ||
      m->kind == method_kind::delete_webhook || m->name == "close" ||
      m->name == "logOut")
    return;
  params with;
  for (auto& member : reader)
    with.add(std::string{member.name}, std::string{member.value});
  answer_call(*m, with, nullptr, at);
}

// The users hold still until somebody answers at the webhook's address; a
// getUpdates call shows the bot as well.
void simulator::impl::look_for_bot(moment at) {
  if (now_in != phase::waiting || bot_seen || probing || !webhook_client ||
      at.mono < next_probe)
    return;
  probing = true;
  http::request r;
  webhook_client->send(std::move(r), probe_timeout, [this](const auto& answer) {
    probing = false;
    next_probe = now().mono + probe_every;
    bot_seen = bot_seen || answer.has_value();
    pump();
  });
}

void simulator::impl::count_confirmed(const update_queue::confirmation& c,
                                      mono_time at) {
  counts.delivered += c.count;
  journal.confirmed(at, c);
}

void simulator::impl::begin_poll(const params& with, http::responder to,
                                 const call_outcome& met, moment at) {
  bot_seen = true;
  last_activity = at.mono;
  auto who = next_token++;
  auto step = feed.begin_poll(who, with, at.mono);
  if (step.refused) {
    journal.refused_poll(at.mono, step.refused->status);
    call_outcome out = met;
    out.answer = std::move(*step.refused);
    finish_call(out, to);
    return;
  }
  count_confirmed(step.confirmed, at.mono);
  held.emplace(who, held_poll{std::move(to), met.delay, met.cut});
  if (step.step.thrown_out)
    throw_out(*step.step.thrown_out);
  if (step.step.now)
    answer_poll(*step.step.now, at);
}

void simulator::impl::answer_poll(const poller::answer& a, moment at) {
  auto it = held.find(a.who);
  if (it == held.end())
    return;
  auto asked = std::move(it->second);
  held.erase(it);
  auto page = feed.fetch(a, at.mono);
  count_confirmed(page.confirmed, at.mono);
  journal.poll(a, page, at.mono);
  call_outcome out;
  out.delay = asked.delay;
  out.cut = asked.cut;
  out.answer.body = std::move(page.body);
  finish_call(out, asked.to);
}

void simulator::impl::throw_out(const poller::refusal& r) {
  auto it = held.find(r.who);
  if (it == held.end())
    return;
  auto to = std::move(it->second.to);
  held.erase(it);
  journal.refused_poll(now().mono, 409);
  reply(std::move(to),
        bad(409, feed.current()
                     ? "Conflict: terminated by setWebhook request"
                     : "Conflict: terminated by other getUpdates request; "
                       "make sure that only one bot instance is running"),
        r.delay);
}

}  // namespace troupe::sim
