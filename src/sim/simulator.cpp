#include "sim/simulator.hpp"

#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <future>
#include <utility>

#include "core/json.hpp"
#include "sim/engine.hpp"

namespace troupe::sim {

using namespace std::chrono_literals;

namespace {

// A repeat after a lost answer may still come; only then it is quiet.
constexpr auto quiet_for = 1500ms;
constexpr auto longest_sleep = 50ms;
constexpr auto publish_every = 100ms;

// What a reader of the log has to know about the run; no secret is in it.
std::string describe(const sim_options& how) {
  auto& limits = how.bot.limits;
  auto& rates = how.bot.rates;
  json::object o;
  o["seed"] = how.users.seed;
  o["users"] = how.users.users;
  o["groups"] = how.users.groups;
  o["rate"] = how.users.rate;
  o["prefix"] = how.users.prefix;
  o["global_per_second"] = limits.global_per_second;
  o["chat_per_second"] = limits.chat_per_second;
  o["group_per_minute"] = limits.group_per_minute;
  o["answer_delay_ms"] = how.bot.answer_delay.count();
  o["drop_answers"] = rates.drop;
  o["errors"] = rates.gateway;
  o["flood"] = rates.flood;
  o["blocked"] = how.users.blocked;
  o["resend"] = how.feed.resend;
  o["webhook"] = !how.webhook_url.empty();
  auto text = json::serialize(o);
  return text.substr(1, text.size() - 2);
}

}  // namespace

std::string_view to_string(phase p) noexcept {
  switch (p) {
    case phase::serving: return "serving";
    case phase::waiting: return "waiting";
    case phase::playing: return "playing";
    case phase::settling: return "settling";
    case phase::settled: return "settled";
    case phase::unsettled: return "unsettled";
    case phase::no_bot: return "no_bot";
    case phase::stopped: return "stopped";
  }
  return "";
}

simulator::impl::impl(sim_options options, std::unique_ptr<event_log> file)
    : how{std::move(options)},
      started{system_clock().mono()},
      bot{how.bot},
      feed{how.feed},
      users{how.users},
      journal{std::move(file), started} {
  for (auto& o : how.outages)
    outages.push_back({o});
}

simulator::impl::~impl() {
  // The order matters: no handler, then no loop, then the members.
  if (server)
    server->close();
  loop.stop();
  if (done_fd >= 0)
    ::close(done_fd);
}

moment simulator::impl::now() const noexcept {
  return {system_clock().mono(), system_clock().wall()};
}

result<void> simulator::impl::open() {
  done_fd = ::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  if (done_fd < 0)
    return error{errc::unavailable,
                 std::string{"eventfd: "} + std::strerror(errno)};
  if (!how.webhook_url.empty()) {
    params with;
    with.add("url", how.webhook_url);
    with.add("secret_token", how.webhook_secret);
    with.add("max_connections", std::to_string(how.webhook_connections));
    auto answer = feed.set_webhook(with, now());
    if (answer.status != 200)
      return error{errc::bad_input, "the webhook was refused: " + answer.body};
    connect_webhook(now());
    if (webhook_targets.size() != 1 + how.more_webhooks.size())
      return error{errc::bad_input, "the webhook's address can't be used"};
  }
  http::server_options options;
  options.address = how.host;
  options.port = how.port;
  options.max_connections = 8192;
  options.idle_timeout = 500s;
  auto made = http::server::listen(
      loop, options, [this](http::request&& what, http::responder to) {
        take(std::move(what), std::move(to));
      });
  if (!made)
    return made.error();
  server = std::move(*made);
  port = server->port();
  return {};
}

void simulator::impl::begin() {
  auto at = now();
  journal.config(at, describe(how));
  for (std::uint64_t n = 0; n < how.users.users; ++n)
    bot.chats().at(user_id_of(n)).blocked = users.is_blocked(n);
  for (std::uint64_t n = 0; n < how.users.groups; ++n)
    bot.chats().at(group_id_of(n));
  enter(
      how.users.users + how.users.groups > 0 ? phase::waiting : phase::serving,
      at);
  pump();
}

void simulator::impl::pump() {
  if (closing)
    return;
  auto at = now();
  look_for_bot(at);
  look_for_outages(at);
  write_due(at);
  deliver_due(at);
  if (auto a = feed.poll(at.mono))
    answer_poll(*a, at);
  advance_phase(at);
  if (at.mono >= next_publish)
    publish(at.mono);
  schedule(at.mono);
}

void simulator::impl::write_due(moment at) {
  if (users.burst_begins(at.mono)) {
    journal.mark("burst", at.mono);
    // In an outage it waits for the end of that.
    if (!feed.paused())
      feed.restart(at.mono);
  }
  while (auto u = users.next(at.mono))
    if (!say(*u, at))
      return;  // the queue is full; later again
}

bool simulator::impl::say(const virtual_users::utterance& u, moment at) {
  if (post_text(u.chat, u.user, u.text, at))
    return true;
  users.forget(u);
  return false;
}

std::optional<update_id> simulator::impl::post_text(std::int64_t chat_id,
                                                    std::int64_t user,
                                                    std::string_view text,
                                                    moment at) {
  auto kind = telegram::update_kind::message;
  if (!feed.allows(kind)) {
    journal.dropped(at.mono, chat_id, kind, "kind");
    return std::nullopt;
  }
  auto member =
      text_update(bot.chats().at(chat_id), user, text, to_ms(at.wall) / 1000);
  auto id = feed.push(kind, queue_of(kind, chat_id, user, 0), member, at.mono);
  if (!id) {
    journal.dropped(at.mono, chat_id, kind, "queue");
    return std::nullopt;
  }
  ++counts.updates;
  journal.update(at.mono, *id, chat_id, user, kind, text);
  return id;
}

void simulator::impl::look_for_outages(moment at) {
  if (!users.started())
    return;
  for (auto& o : outages) {
    if (!o.begun && at.mono >= *users.start_time() + duration_of(o.when.from)) {
      o.begun = true;
      journal.mark("outage", at.mono);
      feed.pause();
    }
    if (!o.over && at.mono >= *users.start_time() + duration_of(o.when.to)) {
      o.over = true;
      journal.mark("recovery", at.mono);
      feed.restart(at.mono);
    }
  }
}

bool simulator::impl::is_quiet() const {
  return users.unanswered() == 0 && counts.in_flight == 0 &&
         calls_under_way == 0 && feed.updates().size() == 0;
}

void simulator::impl::advance_phase(moment at) {
  switch (now_in) {
    case phase::waiting:
      if (bot_seen) {
        users.start(at.mono);
        enter(phase::playing, at);
      } else if (at.mono >= phase_since + how.wait_bot) {
        enter(phase::no_bot, at);
      }
      break;
    case phase::playing:
      if (users.finished(at.mono))
        enter(phase::settling, at);
      break;
    case phase::settling:
      if (is_quiet() && at.mono >= last_activity + quiet_for)
        enter(phase::settled, at);
      else if (at.mono >= phase_since + how.settle)
        enter(phase::unsettled, at);
      break;
    default: break;
  }
}

void simulator::impl::enter(phase next, moment at) {
  now_in = next;
  phase_since = at.mono;
  std::string rest = R"("updates":)" + std::to_string(counts.updates) +
                     R"(,"unanswered":)" + std::to_string(users.unanswered()) +
                     R"(,"pending":)" + std::to_string(feed.updates().size());
  journal.mark(to_string(next), at.mono, rest);
  publish(at.mono);
  bool over = next == phase::settled || next == phase::unsettled ||
              next == phase::no_bot;
  if (over)
    journal.flush();
  if (next == phase::no_bot || (over && !how.stay))
    finish();
}

void simulator::impl::finish() {
  std::uint64_t one = 1;
  // Full means that it is readable already.
  [[maybe_unused]] auto n = ::write(done_fd, &one, sizeof one);
}

void simulator::impl::schedule(mono_time t) {
  auto at = t + longest_sleep;
  auto consider = [&](std::optional<mono_time> when) {
    if (when)
      at = std::min(at, std::max(*when, t + 1ms));
  };
  consider(feed.wake(t));
  consider(users.wake(t));
  if (scheduled <= at && scheduled > t)
    return;
  scheduled = at;
  loop.after(std::chrono::ceil<milliseconds>(at - t), [this, at] {
    if (scheduled == at)
      scheduled = mono_time::max();
    pump();
  });
}

void simulator::impl::publish(mono_time t) {
  next_publish = t + publish_every;
  counts.now = now_in;
  counts.pending = feed.updates().size();
  counts.unanswered = users.unanswered();
  counts.calls = journal.calls();
  std::lock_guard hold{published_mutex};
  published = counts;
}

result<std::unique_ptr<simulator>> simulator::start(sim_options how) {
  std::unique_ptr<event_log> file;
  if (!how.log_file.empty()) {
    auto opened = event_log::open(how.log_file);
    if (!opened)
      return opened.error();
    file = std::move(*opened);
  }
  auto made = std::make_unique<impl>(std::move(how), std::move(file));
  if (auto opened = made->open(); !opened)
    return opened.error();
  made->loop.post([p = made.get()] { p->begin(); });
  return std::unique_ptr<simulator>{new simulator{std::move(made)}};
}

simulator::simulator(std::unique_ptr<impl> p) : impl_{std::move(p)} {}

simulator::~simulator() {
  stop();
}

std::uint16_t simulator::port() const noexcept {
  return impl_->port;
}

sim_state simulator::state() const {
  std::lock_guard hold{impl_->published_mutex};
  return impl_->published;
}

int simulator::done_fd() const noexcept {
  return impl_->done_fd;
}

std::string simulator::log_trouble() const {
  return impl_->journal.trouble();
}

void simulator::stop() {
  if (impl_->stopped.exchange(true))
    return;
  auto done = std::make_shared<std::promise<void>>();
  auto when = done->get_future();
  impl_->loop.post([p = impl_.get(), done] {
    auto at = p->now();
    bool open_end = p->now_in == phase::playing ||
                    p->now_in == phase::settling ||
                    p->now_in == phase::waiting || p->now_in == phase::serving;
    if (open_end)
      p->enter(phase::stopped, at);
    p->closing = true;
    p->journal.mark("end", at.mono);
    p->finish();
    done->set_value();
  });
  when.wait();
  impl_->server->close();
  for (auto& target : impl_->webhook_targets)
    target.client->close();
  impl_->loop.stop();
  impl_->journal.flush();
}

}  // namespace troupe::sim
