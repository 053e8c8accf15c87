#include "actors/lease_actor.hpp"

#include <algorithm>

#include "core/log.hpp"

namespace troupe::actors {

namespace {

// A store that has not answered for so long hangs. Less than leases last.
constexpr milliseconds store_patience{1'500};
// A shard that another node hands over is free within milliseconds of it.
constexpr milliseconds claim_every{100};
constexpr milliseconds read_pause{100};

bool same(const store::lease& a, const store::lease& b) {
  return a.shard == b.shard && a.term == b.term;
}

}  // namespace

lease_actor::lease_actor(caf::actor_config& config,
                         std::shared_ptr<services> shared)
    : actor_base{config},
      shared_{std::move(shared)},
      // Where leases don't expire, it is only for the journals' ends.
      renew_every_{shared_->clustered() ? shared_->how.cluster.beat
                                        : shared_->how.cluster.ttl / 2},
      wanted_(shared_->shards.size(), !shared_->clustered()) {}

caf::behavior lease_actor::make_behavior() {
  delayed_send(this, renew_every_, tick_atom::value);
  return {
      [this](adopted_leases& m) { adopt(m); },
      [this](wanted_shards& m) {
        wanted_ = std::move(m.mine);
        placed_ = true;
        balance();
      },
      [this](claimed& m) { on_claimed(m); },
      [this](spending_read& m) { on_spending(m); },
      [this](const shard_free& m) { on_free(m); },
      [this](const lease_released& m) {
        shared_->leases_held -= 1;
        // Else they run out by themselves.
        if (!m.answer)
          shared_->count.store_errors.add();
      },
      [this](renewed& m) { on_renewed(m); },
      [this](retry_atom) {
        std::vector<owned> waiting;
        for (auto& [shard, x] : held_)
          if (!x.begun)
            waiting.push_back(x.what);
        read_spending(std::move(waiting));
      },
      [this](go_atom) {
        claim_soon_ = false;
        balance();
      },
      [this](tick_atom) {
        renew();
        balance();
        delayed_send(this, renew_every_, tick_atom::value);
      },
  };
}

// Where leases expire, ours is only sure for what was left of it when we asked.
mono_time lease_actor::safe_until(mono_time asked) const {
  if (!shared_->clustered())
    return mono_time::max();
  auto& how = shared_->how.cluster;
  return asked + how.ttl - how.margin;
}

void lease_actor::adopt(adopted_leases& m) {
  std::vector<owned> all;
  for (auto& l : m.leases) {
    // What an earlier process sent may arrive until this one started.
    all.push_back(std::make_shared<ownership>(l, shared_->started,
                                              safe_until(shared_->started)));
    hold(all.back());
  }
  shared_->leases_held += std::int64_t(all.size());
  start(all, m.spent);
}

// -- claiming and giving up ---------------------------------------------------

void lease_actor::balance() {
  if (shared_->stopping)
    return;
  std::vector<shard_id> missing;
  for (std::uint16_t i = 0; i < wanted_.size(); ++i) {
    auto held = held_.find({i});
    if (held == held_.end()) {
      if (wanted_[i])
        missing.push_back({i});
      continue;
    }
    if (wanted_[i])
      continue;
    auto& lease = held->second.what->held;
    if (held->second.begun) {
      caf::anon_send(shared_->shards[i], hand_over{lease.term});  // even twice
      continue;
    }
    release(lease);
    forget({i});
  }
  if (!missing.empty())
    claim(std::move(missing));
  else if (placed_)
    shared_->joined = true;
}

void lease_actor::hold(const owned& what) {
  held_[what->held.shard] = {what};
  shared_->terms[what->held.shard.value] = what->held.term.value;
}

void lease_actor::forget(shard_id which) {
  held_.erase(which);
  shared_->terms[which.value] = 0;
}

void lease_actor::claim(std::vector<shard_id> missing) {
  if (claiming_ || claim_soon_)
    return;
  claiming_ = true;
  shared_->store.claim(std::move(missing), shared_->instance,
                       shared_->how.cluster.ttl,
                       [me = caf::actor_cast<caf::actor>(this),
                        asked = shared_->how.time->mono()](auto answer) {
                         caf::anon_send(me, claimed{asked, std::move(answer)});
                       });
}

void lease_actor::on_claimed(claimed& m) {
  claiming_ = false;
  claim_soon_ = true;
  delayed_send(this, claim_every, go_atom::value);
  if (!m.answer) {
    shared_->count.store_errors.add();
    shared_->store_failed();
    return;
  }
  shared_->store_works(m.asked);
  auto now = shared_->how.time->mono();
  // What the last owner let go at its last moment may be longer on its way
  // than the lease was.
  auto late =
      std::max(shared_->how.limits.margin / 4 - shared_->how.cluster.margin,
               milliseconds{0});
  std::vector<owned> fresh;
  for (auto& l : *m.answer) {
    fresh.push_back(
        std::make_shared<ownership>(l, now + late, safe_until(m.asked)));
    if (!held_.contains(l.shard))
      shared_->leases_held += 1;
    hold(fresh.back());
  }
  shared_->count.shards_taken.add(fresh.size());
  read_spending(std::move(fresh));
}

/// What groups spent under the last owner, before the first call to them: read
/// after the claim, since until then it could still settle calls.
void lease_actor::read_spending(std::vector<owned> of) {
  if (of.empty())
    return;
  shared_->store.spent(shared_->how.time->wall() - store::spending_window,
                       [me = caf::actor_cast<caf::actor>(this),
                        of = std::move(of)](auto answer) {
                         caf::anon_send(me, spending_read{of, answer});
                       });
}

void lease_actor::on_spending(spending_read& m) {
  if (!m.answer) {
    shared_->count.store_errors.add();
    delayed_send(this, read_pause, retry_atom::value);
    return;
  }
  std::erase_if(m.of, [&](auto& x) {
    auto held = held_.find(x->held.shard);
    return held == held_.end() || held->second.what != x || held->second.begun;
  });
  start(m.of, *m.answer);
  balance();
}

void lease_actor::start(const std::vector<owned>& which,
                        const std::vector<store::spending>& spent) {
  std::vector<std::vector<store::spending>> by_shard(wanted_.size());
  auto shards = static_cast<std::uint16_t>(wanted_.size());
  for (auto& x : spent)
    by_shard[shard_of(x.to, shards).value].push_back(x);
  for (auto& x : which) {
    auto shard = x->held.shard.value;
    held_[x->held.shard].begun = true;
    caf::anon_send(shared_->shards[shard],
                   start_shard{x, std::move(by_shard[shard])});
  }
  if (shared_->clustered() && !which.empty())
    log::info("shards_taken", {{"shards", std::uint64_t{which.size()}},
                               {"now", std::uint64_t{held_.size()}}});
}

void lease_actor::on_free(const shard_free& m) {
  auto held = held_.find(m.shard);
  if (held == held_.end() || held->second.what->held.term != m.term)
    return;
  auto lease = held->second.what->held;
  forget(m.shard);
  if (m.lost)
    shared_->leases_held -= 1;
  else
    release(lease);
  balance();
}

void lease_actor::release(const store::lease& which) {
  shared_->store.release(
      {which}, [me = caf::actor_cast<caf::actor>(this)](auto answer) {
        caf::anon_send(me, lease_released{std::move(answer)});
      });
}

// -- renewing -----------------------------------------------------------------

void lease_actor::renew() {
  // Who sends us updates may go by /readyz: no accept would tell of a store
  // that fails, or does not answer at all.
  const auto now = shared_->how.time->mono();
  if (renewing_ && now - renewing_since_ > store_patience)
    shared_->store_failed();
  if (renewing_ || held_.empty() || shared_->stopping)
    return;
  renewing_ = true;
  renewing_since_ = now;
  std::vector<owned> which;
  std::vector<store::lease> leases;
  for (auto& [shard, x] : held_) {
    which.push_back(x.what);
    leases.push_back(x.what->held);
  }
  shared_->store.renew(
      std::move(leases), shared_->how.cluster.ttl,
      [me = caf::actor_cast<caf::actor>(this), which = std::move(which),
       asked = now](auto answer) {
        caf::anon_send(me, renewed{asked, which, std::move(answer)});
      });
}

void lease_actor::on_renewed(renewed& m) {
  renewing_ = false;
  if (!m.answer) {
    shared_->count.store_errors.add();
    shared_->store_failed();
    return;  // asked again at the next tick
  }
  // What took too long was noted as a failure after it was asked for.
  shared_->store_works(m.asked);
  for (auto& x : m.leases) {
    auto still = std::find_if(m.answer->begin(), m.answer->end(),
                              [&](auto& l) { return same(l, x->held); });
    if (still == m.answer->end()) {
      lose(*x);
      continue;
    }
    x->prolong(safe_until(m.asked));
    caf::anon_send(shared_->shards[x->held.shard.value],
                   journal_ends{x->held.term, still->tail});
  }
}

void lease_actor::lose(const ownership& which) {
  auto held = held_.find(which.held.shard);
  // Claimed anew meanwhile, maybe by ourselves: only the lost term goes.
  if (held == held_.end() || held->second.what.get() != &which)
    return;
  // Kept until the shard has let go (`shard_free`), unless it never began.
  if (held->second.begun) {
    caf::anon_send(shared_->shards[which.held.shard.value],
                   lost_lease{which.held.term});
    return;
  }
  forget(which.held.shard);
  shared_->leases_held -= 1;
}

}  // namespace troupe::actors
