#include "actors/poller_actor.hpp"

#include <utility>

#include "actors/hints.hpp"
#include "actors/spans.hpp"
#include "core/json.hpp"
#include "core/log.hpp"
#include "telegram/call.hpp"
#include "telegram/update.hpp"

namespace troupe::actors {

namespace {

using namespace std::chrono_literals;

// Two pollers of one token end each other's calls (TELEGRAM.md 33).
constexpr milliseconds poll_conflict_pause{3'500};
constexpr milliseconds poll_bad_token_pause{30'000};
constexpr milliseconds longest_pause{30'000};
// The server holds a call for the whole poll timeout and may be slow.
constexpr milliseconds answer_slack{15'000};
constexpr const char* poll_lease = "poller";

void trace_polled(services& shared, const std::vector<store::arrival>& batch,
                  const std::vector<store::receipt>& receipts) {
  if (!shared.trace.on())
    return;
  for (std::size_t i = 0; i < batch.size(); ++i)
    trace_accept(shared, batch[i],
                 {false, shared.trace.ns(batch[i].at), std::nullopt},
                 &receipts[i], nullptr);
}

}  // namespace

poller_actor::poller_actor(caf::actor_config& config,
                           std::shared_ptr<services> shared)
    : actor_base{config},
      shared_{std::move(shared)},
      kinds_{shared_->how.allowed_updates} {}

caf::behavior poller_actor::make_behavior() {
  if (shared_->clustered())
    send(this, tick_atom::value);
  else
    ours_until_ = mono_time::max();
  return {
      [this](tick_atom) { ask_for_turn(); },
      [this](const poll_turn& m) { on_turn(m); },
      [this](leave_atom) {
        ours_until_ = mono_time::min();
        shared_->store.relinquish(poll_lease, shared_->instance,
                                  [shared = shared_](auto answer) {
                                    if (!answer)  // then it runs out
                                      shared->count.store_errors.add();
                                  });
      },
      [this](go_atom) { poll(); },
      [this](new_kinds& m) { kinds_ = std::move(m.names); },
      [this](poll_answer& m) { on_answer(m); },
      [this](poll_accepted& m) { on_accepted(m); },
  };
}

void poller_actor::ask_for_turn() {
  if (shared_->draining)
    return;
  delayed_send(this, shared_->how.cluster.beat, tick_atom::value);
  if (std::exchange(asking_, true))
    return;
  shared_->store.acquire(
      poll_lease, shared_->instance, shared_->how.cluster.ttl,
      [me = caf::actor_cast<caf::actor>(this),
       asked = shared_->how.time->mono()](auto answer) {
        caf::anon_send(me, poll_turn{asked, std::move(answer)});
      });
}

void poller_actor::on_turn(const poll_turn& m) {
  asking_ = false;
  if (!m.answer) {
    shared_->count.store_errors.add();
    return;
  }
  const bool was_ours = ours_until_ != mono_time::min();
  if (!*m.answer) {
    // Not confirmed, so whoever polls now gets them.
    ours_until_ = mono_time::min();
    held_ = nullptr;
    offset_ = 0;
    return;
  }
  auto& how = shared_->how.cluster;
  ours_until_ = m.asked + how.ttl - how.margin;
  if (!was_ours)
    log::info("polling", {{"node", shared_->instance}});
  if (!pausing_)
    poll();
}

void poller_actor::poll() {
  pausing_ = false;
  if (polling_ || shared_->draining || shared_->how.time->mono() >= ours_until_)
    return;
  if (held_) {
    accept(std::move(held_), held_offset_);
    return;
  }
  // It has one queue for all: no chat's can be left there alone.
  if (shared_->overloaded() || shared_->any_pushed_back) {
    pause(200ms);  // leave them with Telegram
    return;
  }
  polling_ = true;
  http::request r;
  r.method = "POST";
  r.target = "/bot" + shared_->how.bot_token + "/getUpdates";
  r.headers.add("Content-Type", "application/json");
  auto timeout_s = shared_->how.poll_timeout.count() / 1000;
  r.body = "{\"timeout\":" + std::to_string(timeout_s) + ",\"limit\":100";
  if (offset_ != 0)
    r.body += ",\"offset\":" + std::to_string(offset_);
  // An empty list is Telegram's default; without one it would keep to what was
  // asked for before.
  r.body += ",\"allowed_updates\":[";
  for (const auto& kind : kinds_) {
    if (r.body.back() != '[')
      r.body += ',';
    append_json_string(r.body, kind);
  }
  r.body += "]}";
  shared_->telegram.send(std::move(r), shared_->how.poll_timeout + answer_slack,
                         [me = caf::actor_cast<caf::actor>(this)](auto answer) {
                           caf::anon_send(me, poll_answer{std::move(answer)});
                         });
}

void poller_actor::on_answer(poll_answer& m) {
  polling_ = false;
  if (shared_->draining)
    return;
  if (!m.answer) {
    log::warn("poll_failed", {{"error", to_string(m.answer.error().what)}});
    back_off();
    return;
  }
  shared_->count.polls.add();
  auto& r = *m.answer;
  if (r.status == 200) {
    on_updates(r.body);
    return;
  }
  auto answer =
      telegram::read_answer(r.status, r.body, r.headers.find("Retry-After"));
  log::warn("poll_refused",
            {{"code", answer.code}, {"description", answer.description}});
  switch (answer.what) {
    case telegram::verdict::conflict:
      shared_->count.poll_conflicts.add();
      pause(poll_conflict_pause);
      return;
    case telegram::verdict::retry_after: pause(answer.retry_after); return;
    case telegram::verdict::bad_token: pause(poll_bad_token_pause); return;
    default: back_off();
  }
}

void poller_actor::on_updates(const std::string& body) {
  auto updates = telegram::split_updates(body);
  if (!updates) {
    log::error("poll_unreadable", {{"error", to_string(updates.error())}});
    back_off();
    return;
  }
  failures_ = 0;
  if (updates->empty()) {
    poll();
    return;
  }
  // Telegram lists ids in its own order; the last one counts, even if it is
  // lower than what came before (TELEGRAM.md 21).
  auto next = updates->back().where.id.value + 1;
  auto batch = std::make_shared<std::vector<store::arrival>>();
  auto now = shared_->how.time->wall();
  for (auto& u : *updates) {
    if (u.where.kind == telegram::update_kind::none)
      continue;  // nothing in it to turn
    // Confirmed with the rest, so it goes into the journal like the rest, and
    // from there to the dead letters: no bot can read it.
    if (!u.trouble.empty())
      log::warn("bad_update", {{"update", u.where.id.value},
                               {"bytes", std::uint64_t{u.body.size()}},
                               {"error", u.trouble}});
    batch->push_back(
        {u.where.id, u.where.key, store::make_payload(std::move(u.body)), now});
  }
  accept(std::move(batch), next);
}

void poller_actor::accept(std::shared_ptr<std::vector<store::arrival>> batch,
                          std::int64_t next_offset) {
  if (batch->empty()) {
    offset_ = next_offset;
    poll();
    return;
  }
  polling_ = true;
  shared_->accepting += std::int64_t(batch->size());
  shared_->store.accept(*batch, [me = caf::actor_cast<caf::actor>(this), batch,
                                 next_offset](auto answer) {
    caf::anon_send(me, poll_accepted{next_offset, batch, std::move(answer)});
  });
}

void poller_actor::on_accepted(poll_accepted& m) {
  polling_ = false;
  if (!m.answer) {
    shared_->accepting -= std::int64_t(m.batch->size());
    shared_->store_failed();
    shared_->count.store_errors.add();
    log::error("accept_failed", {{"updates", std::uint64_t{m.batch->size()}},
                                 {"error", to_string(m.answer.error())}});
    held_ = std::move(m.batch);
    held_offset_ = m.next_offset;
    back_off();
    return;
  }
  shared_->store_down = false;
  trace_polled(*shared_, *m.batch, *m.answer);
  hint_shards(*shared_, *m.batch, *m.answer);
  shared_->accepting -= std::int64_t(m.batch->size());
  offset_ = m.next_offset;
  poll();
}

void poller_actor::pause(milliseconds how_long) {
  pausing_ = true;
  delayed_send(this, how_long, go_atom::value);
}

void poller_actor::back_off() {
  auto shift = std::min(failures_++, 6u);
  pause(std::min<milliseconds>(500ms * (1 << shift), longest_pause));
}

}  // namespace troupe::actors
