#include "actors/node.hpp"

#include <algorithm>
#include <caf/actor_system.hpp>
#include <caf/actor_system_config.hpp>
#include <caf/send.hpp>
#include <future>
#include <random>
#include <thread>

#include "actors/budget_actor.hpp"
#include "actors/campaign_desk.hpp"
#include "actors/cluster_view.hpp"
#include "actors/forget_desk.hpp"
#include "actors/hints.hpp"
#include "actors/lease_actor.hpp"
#include "actors/member_actor.hpp"
#include "actors/node_stats.hpp"
#include "actors/poller_actor.hpp"
#include "actors/road_actor.hpp"
#include "actors/road_middleman.hpp"
#include "actors/sender_actor.hpp"
#include "actors/shard_actor.hpp"
#include "actors/timer_actor.hpp"
#include "actors/webhook_actor.hpp"
#include "actors/webhook_gate.hpp"
#include "core/log.hpp"
#include "telegram/update.hpp"

namespace troupe::actors {

namespace {

using namespace std::chrono_literals;

constexpr milliseconds start_patience{60'000};
// Enough for the answer, which lists who was alive when it was made.
constexpr milliseconds just_looking{1};
constexpr unsigned overload_pause_s = 1;
constexpr unsigned draining_pause_s = 1;

unsigned cores() {
  return std::max(1u, std::thread::hardware_concurrency());
}

caf::actor_system_config system_config(const node_options& how, bool road) {
  caf::actor_system_config config;
  auto workers = how.workers != 0 ? how.workers : std::max(1u, cores() / 2);
  config.set("scheduler.max-threads", std::size_t{workers});
  // Sharing, not stealing: thieves poll, with sleeps of up to 10 ms, which is
  // both CPU while idle and latency at the first message after idling.
  config.set("scheduler.policy", caf::atom("sharing"));
  if (road)
    load_middleman(config, how.cluster.road);
  return config;
}

/// Waits for an asynchronous answer: for start-up only.
template <class T, class Start>
result<T> wait_for(Start start) {
  auto done = std::make_shared<std::promise<result<T>>>();
  auto answer = done->get_future();
  start([done](result<T> r) { done->set_value(std::move(r)); });
  if (answer.wait_for(start_patience) != std::future_status::ready)
    return error{errc::timed_out, "the store did not answer within 60 s"};
  return answer.get();
}

/// Two processes that were given one name must not take each other's leases
/// for their own, nor must a process those of its dead predecessor.
std::string unique_name(const std::string& name) {
  std::random_device random;
  std::string out = name + '-';
  for (int i = 0; i < 8; ++i)
    out += "0123456789abcdef"[random() % 16];
  return out;
}

}  // namespace

struct node::impl {
  impl(node_options how, std::shared_ptr<const detail::bot_base> bot,
       store::backend& store, net::loop& loop, http::client& telegram,
       metrics::registry& into)
      : with_road{!store.exclusive() && !how.cluster.road.host.empty()},
        config{system_config(how, with_road)},
        system{std::make_unique<caf::actor_system>(config)},
        gate{how.webhook_path, how.webhook_secret},
        shared{std::make_shared<services>(std::move(how), std::move(bot), store,
                                          telegram, loop, into)},
        past{std::make_shared<history>(shared->count)} {
    add_probes(into, shared);
  }

  result<void> start();
  result<void> start_alone();
  result<void> join();
  result<std::vector<store::node_info>> meet(milliseconds ttl, bool only_looks);
  result<void> open_road();
  void spawn_all();
  void stop_actors();
  bool quiet() const;

  const bool with_road;
  caf::actor_system_config config;
  std::unique_ptr<caf::actor_system> system;
  webhook_gate gate;
  std::shared_ptr<services> shared;
  std::shared_ptr<history> past;
};

result<void> node::impl::start() {
  auto& s = *shared;
  s.started = s.how.time->mono();
  s.instance = s.store.exclusive() ? s.how.name : unique_name(s.how.name);
  return s.store.exclusive() ? start_alone() : join();
}

result<void> node::impl::start_alone() {
  auto& s = *shared;
  std::vector<shard_id> all;
  for (std::uint16_t i = 0; i < s.store.shards(); ++i)
    all.push_back({i});
  auto leases = wait_for<std::vector<store::lease>>([&](auto done) {
    s.store.claim(all, s.instance, s.how.cluster.ttl, std::move(done));
  });
  if (!leases)
    return leases.error();
  if (leases->size() != all.size())
    return error{errc::conflict, "another node holds shards of this store"};
  auto since = s.how.time->wall() - store::spending_window;
  auto spent = wait_for<std::vector<store::spending>>(
      [&](auto done) { s.store.spent(since, std::move(done)); });
  if (!spent)
    return spent.error();
  s.how.before_work();
  spawn_all();
  caf::anon_send(s.leases,
                 adopted_leases{std::move(*leases), std::move(*spent)});
  return {};
}

result<void> node::impl::join() {
  auto& s = *shared;
  // Said, so that nobody hands a shard over to one that goes again at once; and
  // for a moment only, since an older node does not heed it.
  if (auto met = meet(just_looking, true); !met)
    return met.error();
  if (with_road)
    if (auto opened = open_road(); !opened)
      return opened;
  // Another may have come meanwhile.
  auto alive = meet(s.how.cluster.ttl, false);
  if (!alive)
    return alive.error();
  s.how.before_work();
  spawn_all();
  s.members = system->spawn<member_actor>(shared);
  caf::anon_send(s.members, nodes_alive{std::move(alive)});
  return {};
}

/// Says that we are there, hears who else is, and leaves if we don't fit.
result<std::vector<store::node_info>> node::impl::meet(milliseconds ttl,
                                                       bool only_looks) {
  auto& s = *shared;
  auto alive = wait_for<std::vector<store::node_info>>([&](auto done) {
    s.store.heartbeat(introduction(s, only_looks), ttl, std::move(done));
  });
  if (!alive)
    return alive;
  auto agreed = agree(s, *alive);
  if (agreed)
    return alive;
  wait_for<void>(
      [&](auto done) { s.store.leave(s.instance, std::move(done)); });
  return agreed.error();
}

result<void> node::impl::open_road() {
  auto& s = *shared;
  auto& how = s.how.cluster.road;
  s.road = system->spawn<road_actor>(shared, dialer_of(*system, how));
  auto address = open_port(*system, how, s.road);
  if (!address)
    return address.error();
  s.address = std::move(*address);
  log::info("road_listening",
            {{"address", s.address}, {"encrypted", how.encrypted()}});
  return {};
}

void node::impl::spawn_all() {
  auto& s = *shared;
  auto threads = s.how.turns.threads != 0 ? s.how.turns.threads : cores();
  turn_pool::options pool;
  pool.threads = threads;
  pool.max_threads = std::max(threads, s.how.turns.max_threads);
  pool.deadline = s.how.turns.deadline;
  pool.late = [&count = s.count](const std::string& chat, milliseconds ran) {
    count.turns_late.add();
    log::warn("handler_late",
              {{"chat", chat}, {"running_ms", std::int64_t{ran.count()}}});
  };
  s.pool = std::make_unique<turn_pool>(std::move(pool));
  for (std::uint16_t i = 0; i < s.store.shards(); ++i)
    s.shards.push_back(system->spawn<shard_actor>(shared, shard_id{i}));
  if (s.how.limits.global_per_second != 0)
    s.global = system->spawn<budget_actor>(shared);
  s.timers = system->spawn<timer_actor>(shared);
  s.leases = system->spawn<lease_actor>(shared);
  s.webhook = system->spawn<webhook_actor>(shared);
  for (unsigned i = 0; i < std::max(1u, s.how.sending.senders); ++i)
    s.senders.push_back(system->spawn<sender_actor>(shared));
  if (s.how.poll)
    s.poller = system->spawn<poller_actor>(shared);
  if (s.poller)
    caf::anon_send(s.poller, go_atom::value);
}

void node::impl::stop_actors() {
  auto& s = *shared;
  std::vector<caf::actor> all = s.shards;
  all.insert(all.end(), s.senders.begin(), s.senders.end());
  for (auto& a :
       {s.global, s.timers, s.leases, s.members, s.webhook, s.poller, s.road})
    if (a)
      all.push_back(a);
  for (auto& a : all)
    caf::anon_send_exit(a, caf::exit_reason::user_shutdown);
  all.clear();
  system->await_all_actors_done();
  s.shards.clear();
  s.senders.clear();
  for (auto a : {&s.global, &s.timers, &s.leases, &s.members, &s.webhook,
                 &s.poller, &s.road})
    *a = nullptr;
}

node::node(std::unique_ptr<impl> p) : impl_{std::move(p)} {}

result<std::unique_ptr<node>> node::start(
    node_options how, std::shared_ptr<const detail::bot_base> bot,
    store::backend& store, net::loop& loop, http::client& telegram,
    metrics::registry& into) {
  auto p = std::make_unique<impl>(std::move(how), std::move(bot), store, loop,
                                  telegram, into);
  if (auto started = p->start(); !started) {
    p->shared->closed = true;
    p->stop_actors();
    return started.error();
  }
  keep_history(p->shared, p->past);
  return std::unique_ptr<node>{new node{std::move(p)}};
}

node::~node() {
  auto& s = *impl_->shared;
  s.draining = true;
  s.stopping = true;
  {
    std::lock_guard guard{s.closing};
    s.closed = true;
  }
  // No callback comes after these, so no actor is needed after them.
  s.store.close();
  s.telegram.close();
  if (s.pool && !s.pool->stop(2s)) {
    // A handler that never returns still uses all this: leave it be.
    log::error("handler_stuck", {{"note", "a handler outlived the bot"}});
    impl_.release();  // NOLINT(bugprone-unused-return-value)
    return;
  }
  impl_->stop_actors();
}

void node::webhook(http::request&& what, http::responder answer) {
  auto& s = *impl_->shared;
  if (auto no = impl_->gate.refuse(what)) {
    s.count.refused_bad.add();
    answer(std::move(*no));
    return;
  }
  // Counted before the look: a drain that begins after it waits for us.
  const services::counted arriving{s.accepting};
  if (s.draining) {
    answer(come_back(draining_pause_s, "shutting down"));
    return;
  }
  if (s.overloaded()) {
    s.count.refused_overload.add();
    answer(come_back(overload_pause_s, "overloaded"));
    return;
  }
  auto where = telegram::route(what.body);
  if (!where) {
    s.count.refused_bad.add();
    log::warn("bad_update", {{"peer", what.peer},
                             {"bytes", std::uint64_t{what.body.size()}},
                             {"error", to_string(where.error())}});
    answer(error_page(400, "Bad Request: " + where.error().context));
    return;
  }
  if (where->kind == telegram::update_kind::none) {
    answer(http::response{});  // confirm and drop: nothing in it to turn
    return;
  }
  // Of this chat's queue; Telegram goes on with those of others.
  if (s.pushed_back[s.shard_id_of(where->key).value]) {
    s.count.refused_overload.add();
    answer(come_back(overload_pause_s, "the owner of its shard is overloaded"));
    return;
  }
  std::optional<tracing::remote_span> theirs;
  if (s.trace.on())
    theirs = tracing::read_traceparent(what.headers.find("traceparent"));
  s.accepting += 1;
  auto now = s.now();
  caf::anon_send(
      s.webhook,
      web_arrival{{where->id, where->key,
                   store::make_payload(std::move(what.body)), now.wall},
                  std::move(answer),
                  now.mono,
                  theirs});
}

bool node::ready() const noexcept {
  return is_ready(*impl_->shared);
}

void node::configure(const limit_options& limits,
                     std::vector<std::string> allowed_updates) {
  auto& s = *impl_->shared;
  s.global_per_second = limits.global_per_second;
  s.bulk_per_second = limits.bulk_per_second;
  s.chat_per_second = limits.chat_per_second;
  s.group_per_minute = limits.group_per_minute;
  if (s.global && limits.global_per_second != 0)
    caf::anon_send(
        s.global, new_budget{limits.global_per_second, limits.bulk_per_second});
  if (s.poller)
    caf::anon_send(s.poller, new_kinds{std::move(allowed_updates)});
}

bool node::impl::quiet() const {
  auto& s = *shared;
  return s.turning == 0 && s.deciding == 0 && s.flying == 0 && s.settling == 0;
}

bool node::drain(milliseconds deadline) {
  auto& s = *impl_->shared;
  s.draining = true;
  auto from = std::chrono::steady_clock::now();
  auto end = from + deadline;
  // Looked at, not told: counts change on every thread, and a notification
  // at each would be paid for by every update.
  std::promise<void> never;
  auto pause = never.get_future();
  auto wait = [&](auto until, auto condition) {
    while (!condition()) {
      if (std::chrono::steady_clock::now() >= until)
        return false;
      pause.wait_for(5ms);
    }
    return true;
  };
  // First let what was accepted be turned, as long as half the time allows;
  // then let what is under way end. The rest is in the store.
  // In the order in which work goes from one count to the next, and a turn may
  // append entries: it is looked at first, too.
  // Other nodes don't wait for that: they take the rest from the store.
  if (s.members)
    caf::anon_send(s.members, leave_atom::value);
  if (s.members && s.poller)
    caf::anon_send(s.poller, leave_atom::value);
  wait(s.members ? end : from + deadline / 2, [&] {
    return s.turning == 0 && s.accepting == 0 && s.hinted == 0 &&
           s.unread == 0 && s.pending == 0 && s.parked == 0 && s.turning == 0 &&
           (!s.members || s.leases_held == 0);
  });
  s.stopping = true;
  bool clean = wait(end, [&] { return impl_->quiet(); });
  log::info("drained",
            {{"clean", clean},
             {"left_to_turn", std::int64_t{s.pending + s.parked + s.unread}},
             {"left_to_send", std::int64_t{s.outbox}}});
  return clean;
}

void node::identify(std::string username) {
  auto& s = *impl_->shared;
  if (s.named)
    return;
  s.late_name = std::move(username);
  s.named = true;
}

void node::stats(callback<std::string> done) {
  collect_stats(impl_->shared, impl_->past, std::move(done));
}

void node::chat_stats(chat_key key, callback<std::string> done) {
  collect_chat_stats(impl_->shared, key, std::move(done));
}

result<std::string> node::ask_to_drain(const std::string& name) {
  return actors::ask_to_drain(*impl_->shared, name);
}

void node::start_campaign(const std::string& command,
                          callback<std::string> done) {
  actors::start_campaign(impl_->shared, command, std::move(done));
}

void node::steer_campaign(std::int64_t number, const std::string& what,
                          callback<std::string> done) {
  actors::steer_campaign(impl_->shared, number, what, std::move(done));
}

void node::forget(chat_key key, callback<std::string> done) {
  forget_chat(impl_->shared, key, std::move(done));
}

void node::campaigns(std::int64_t number, callback<std::string> done) {
  show_campaigns(impl_->shared, number, std::move(done));
}

void node::retry(std::vector<dead_letter_id> which,
                 callback<std::size_t> done) {
  auto shared = impl_->shared;
  shared->store.retry(std::move(which),
                      [shared, done = std::move(done)](auto entries) {
                        if (!entries) {
                          done(entries.error());
                          return;
                        }
                        auto n = entries->size();
                        for (auto& e : *entries) {
                          const auto shard = shared->shard_id_of(e.key);
                          hint(*shared, shard, {std::move(e)});
                        }
                        done(n);
                      });
}

}  // namespace troupe::actors
