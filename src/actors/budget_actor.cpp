#include "actors/budget_actor.hpp"

#include <algorithm>

#include "core/log.hpp"

namespace troupe::actors {

namespace {

// A slice that another gives back is ours soon after.
constexpr milliseconds slice_every{100};
// An album waits for its node's turn: long enough to gather slices (half a
// second until all know, one until they count as unspent) and to use them.
constexpr milliseconds turn_of_large_calls{4'000};

}  // namespace

budget_actor::budget_actor(caf::actor_config& config,
                           std::shared_ptr<services> shared)
    : actor_base{config},
      shared_{std::move(shared)},
      machine_{shared_->how.limits.global_per_second,
               shared_->how.limits.bulk_per_second,
               shared_->how.limits.margin} {
  if (!shared_->clustered()) {
    // An earlier process may have spent its whole window up to now.
    machine_.spend_all(shared_->started);
    return;
  }
  machine_.resize(0);
  auto& how = shared_->how;
  slices::options mine;
  mine.per_second = how.limits.global_per_second;
  mine.ttl = how.cluster.ttl;
  mine.margin = how.cluster.margin;
  mine.renew_every = how.cluster.beat;
  mine.arrival = how.limits.margin;
  // Somewhere of its own, so that few ask for the same one.
  mine.first = static_cast<unsigned>(stable_hash(shared_->instance) % 1024);
  slices_.emplace(mine);
}

caf::behavior budget_actor::make_behavior() {
  if (slices_)
    delayed_send(this, slice_every, slice_atom::value);
  return {
      [this](slice_atom) {
        rate_ *= 0.9;  // a tenth of a second has passed
        tick_slices();
        delayed_send(this, slice_every, slice_atom::value);
      },
      [this](const slice_answer& m) { on_slice(m); },
      [this](const peer_wants& m) { share(m); },
      [this](leave_atom) {
        leaving_ = true;
        if (slices_)
          slices_->aim(0);
      },
      [this](permit_wanted& m) {
        largest_ = std::max(largest_, m.cost);
        auto claim = next_claim_++;
        waiting_.emplace(claim, waiter{std::move(m.lane), m.cost, m.bulk,
                                       std::move(m.owned)});
        machine_.want(claim, m.cost, m.bulk);
        serve();
      },
      [this](const permit_back& m) {
        machine_.answered(m.ticket, m.at, m.arrived);
        serve();
      },
      [this](const new_budget& m) {
        machine_.configure(m.per_second, m.bulk_per_second,
                           shared_->how.time->mono());
        if (slices_)
          slices_->configure(m.per_second);
        serve();
      },
      [this](const flood_seen& m) {
        auto now = shared_->how.time->mono();
        if (machine_.flooded(m.chat, now, m.retry_after)) {
          shared_->frozen_until =
              machine_.frozen_until().time_since_epoch().count();
          shared_->count.global_freezes.add();
          log::warn("global_freeze",
                    {{"ms", std::int64_t{m.retry_after.count()}}});
        }
      },
      [this](tick_atom) {
        wake_set_ = {};
        serve();
      },
      [this](const report_global& m) {
        auto now = shared_->how.time->mono();
        global_report r;
        r.waiting = machine_.waiting();
        r.used = machine_.total().used(now);
        if (slices_) {
          r.slices = slices_->held(now);
          r.slices_of = slices_->total();
        }
        r.limit = machine_.total().limit();
        r.factor = machine_.total().factor(now);
        auto frozen = machine_.frozen_until() - now;
        r.frozen_ms = std::max<std::int64_t>(
            0, std::chrono::duration_cast<milliseconds>(frozen).count());
        m.tell(r);
      },
  };
}

// -- slices -------------------------------------------------------------------

void budget_actor::share(const peer_wants& m) {
  if (!slices_ || leaving_)
    return;
  auto turn = std::uint64_t(to_ms(shared_->how.time->wall())) /
              std::uint64_t(turn_of_large_calls.count());
  slices_->aim(fair_share(m.all, shared_->instance, slices_->total(), turn));
  auto now = shared_->now();
  if (m.frozen_until > now.wall) {
    auto until = now.mono + (m.frozen_until - now.wall);
    machine_.freeze(until);
    shared_->frozen_until = std::max<std::int64_t>(
        shared_->frozen_until, until.time_since_epoch().count());
  }
  tick_slices();
}

/// Does what the slices want done, and says what we could use of the budget:
/// all of it while calls wait, else a little more than was used.
void budget_actor::tick_slices() {
  if (shared_->stopping)
    return;
  forget_ended();
  auto now = shared_->how.time->mono();
  machine_.resize(slices_->limit(now));
  shared_->slices_held = slices_->held(now);
  auto used = machine_.total().used(now);
  bool wait = machine_.waiting() > 0;
  if (!wait)
    largest_ = 1;
  shared_->budget_want =
      wait ? slices_->total() : slices_->slices_for(unsigned(rate_)) + 1;
  shared_->budget_largest = slices_->slices_for(largest_);
  for (auto& a : slices_->tick(now, used)) {
    if (auto* free = std::get_if<slices::relinquish>(&a)) {
      shared_->store.relinquish(slice_name(free->slice), shared_->instance,
                                [shared = shared_](auto answer) {
                                  if (!answer)  // then it runs out
                                    shared->count.store_errors.add();
                                });
      continue;
    }
    auto slice = std::get<slices::acquire>(a).slice;
    shared_->store.acquire(
        slice_name(slice), shared_->instance, shared_->how.cluster.ttl,
        [me = caf::actor_cast<caf::actor>(this), slice, now](auto answer) {
          caf::anon_send(me, slice_answer{slice, now, std::move(answer)});
        });
  }
  serve();
}

void budget_actor::on_slice(const slice_answer& m) {
  auto now = shared_->how.time->mono();
  std::optional<bool> holds;
  if (m.answer)
    holds = m.answer->has_value();
  else
    shared_->count.store_errors.add();
  if (auto gain = slices_->answered(m.slice, m.asked, holds, now))
    machine_.spend(gain->spent_at, gain->messages);
  shared_->slices_held = slices_->held(now);
  machine_.resize(slices_->limit(now));
  serve();
}

/// Without the budget: nodes that were told different ones share the slices,
/// so that together they keep to the larger one (`slices::configure`).
std::string budget_actor::slice_name(unsigned slice) {
  return "budget/" + std::to_string(slice);
}

// -- permits ------------------------------------------------------------------

/// The lanes of a shard that is given up or lost are gone. A permit for one
/// would be nobody's, and count until a margin and a second are over; and what
/// it waits for would be taken from the nodes that do send.
void budget_actor::forget_ended() {
  std::unordered_set<budget::claim> gone;
  for (auto& [claim, w] : waiting_)
    if (w.owned->ending)
      gone.insert(claim);
  if (gone.empty())
    return;
  machine_.withdraw(gone);
  std::erase_if(waiting_, [&](auto& w) { return gone.contains(w.first); });
}

void budget_actor::serve() {
  auto now = shared_->how.time->mono();
  if (slices_)
    machine_.resize(slices_->limit(now));
  for (auto& grant : machine_.ready(now)) {
    auto it = waiting_.find(grant.to);
    rate_ += it->second.cost;
    caf::anon_send(it->second.lane,
                   lane_permit{grant.ticket, now, it->second.bulk});
    waiting_.erase(it);
  }
  auto at = machine_.next(now);
  if (!at || (wake_set_ != mono_time{} && wake_set_ <= *at))
    return;
  wake_set_ = *at;
  auto wait = std::max<mono_time::duration>(*at - now, {});
  delayed_send(this, std::chrono::ceil<milliseconds>(wait), tick_atom::value);
}

}  // namespace troupe::actors
