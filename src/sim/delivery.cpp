#include <algorithm>
#include <charconv>
#include <utility>

#include "sim/engine.hpp"

namespace troupe::sim {

using namespace std::chrono_literals;

namespace {

constexpr std::chrono::seconds delivery_timeout = 60s;
// A load balancer gives a node that hangs less than Telegram would.
constexpr std::chrono::seconds balancer_timeout = 2s;
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
  for (auto& old : std::exchange(webhook_targets, {})) {
    old.client->close();
    loop.post([old] {});
  }
  counts.in_flight = 0;
  if (auto refused = feed.take_refused())
    throw_out(*refused);
  auto hook = feed.current();
  if (!hook)
    return;
  std::vector<std::string> urls{hook->url};
  // A bot that names an address itself has a balancer of its own there.
  if (hook->url == how.webhook_url)
    urls.insert(urls.end(), how.more_webhooks.begin(), how.more_webhooks.end());
  for (auto& url : urls) {
    auto [base, path] = split_url(url);
    auto origin = http::parse_origin(base);
    if (!origin)
      continue;
    http::client_options options;
    options.max_connections = hook->max_connections + 1;
    options.idle_timeout = 60s;
    options.max_body = 1 << 20;
    // A bot under test has a certificate of its own making.
    options.verify = false;
    auto made = http::client::make(loop, *origin, options);
    if (made)
      webhook_targets.push_back({std::move(*made), path});
  }
  balance = balancer{webhook_targets.size()};
}

void simulator::impl::deliver_due(moment at) {
  if (webhook_targets.empty())
    return;
  while (auto job = feed.next(at.mono))
    deliver(*job, at);
}

void simulator::impl::deliver(const feed::job& job, moment at) {
  auto p = std::make_shared<parcel>();
  auto& r = p->request;
  r.method = "POST";
  r.headers.add("Content-Type", "application/json");
  r.headers.add("Accept-Encoding", "gzip, deflate");
  if (!feed.current()->secret.empty())
    r.headers.add("X-Telegram-Bot-Api-Secret-Token", feed.current()->secret);
  r.body = job.update->body;
  p->what = job.what;
  p->generation = feed.generation();
  p->sent = at.mono;
  ++counts.in_flight;
  send_update(p, balance.size());
}

void simulator::impl::send_update(const std::shared_ptr<const parcel>& what,
                                  std::size_t tries) {
  const auto target = balance.next(now().mono);
  auto& to = webhook_targets[target];
  auto request = what->request;
  request.target = to.path;
  auto limit = balance.size() > 1 ? balancer_timeout : delivery_timeout;
  to.client->send(std::move(request), limit,
                  [this, what, target, tries](const auto& answer) {
                    if (closing || what->generation != feed.generation())
                      return;
                    // 503: a node that is starting, draining or without its
                    // store.
                    const bool down = !answer || answer->status == 503;
                    if (down)
                      balance.failed(target, now().mono);
                    else
                      balance.succeeded(target);
                    if (down && tries > 1)
                      send_update(what, tries - 1);
                    else
                      delivered(what->generation, what->what, what->sent,
                                answer);
                  });
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
  if (now_in != phase::waiting || bot_seen || probing ||
      webhook_targets.empty() || at.mono < next_probe)
    return;
  probing = true;
  const auto target = balance.next(at.mono);
  webhook_targets[target].client->send(
      http::request{}, probe_timeout, [this](const auto& answer) {
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
