#include "actors/lease_actor.hpp"

#include <algorithm>

namespace troupe::actors {

namespace {

// Two chances before a lease runs out.
constexpr milliseconds renew_every = lease_ttl / 2;

}  // namespace

lease_actor::lease_actor(caf::actor_config& config,
                         std::shared_ptr<services> shared)
    : actor_base{config}, shared_{std::move(shared)} {}

caf::behavior lease_actor::make_behavior() {
  delayed_send(this, renew_every, tick_atom::value);
  return {
      [this](const lease_taken& m) { held_[m.held.shard] = m.held; },
      [this](renewed& m) { on_renewed(m); },
      [this](tick_atom) {
        renew();
        delayed_send(this, renew_every, tick_atom::value);
      },
  };
}

void lease_actor::renew() {
  if (asking_ || held_.empty() || shared_->stopping)
    return;
  asking_ = true;
  asked_at_ = shared_->how.time->mono();
  std::vector<store::lease> all;
  all.reserve(held_.size());
  for (auto& [shard, held] : held_)
    all.push_back(held);
  shared_->store.renew(
      all, lease_ttl,
      [me = caf::actor_cast<caf::actor>(this), all](auto answer) {
        caf::anon_send(me, renewed{all, std::move(answer)});
      });
}

void lease_actor::on_renewed(renewed& m) {
  asking_ = false;
  if (!m.answer) {
    shared_->count.store_errors.add();
    return;  // asked again at the next tick
  }
  // Who sends us updates may go by /readyz, and then no accept would ever say
  // that the store works again.
  shared_->store_works(asked_at_);
  for (auto& asked : m.asked) {
    auto still = std::find_if(m.answer->begin(), m.answer->end(), [&](auto& l) {
      return l.shard == asked.shard && l.term == asked.term;
    });
    auto& shard = shared_->shards[asked.shard.value];
    if (still != m.answer->end()) {
      caf::anon_send(shard, journal_ends{asked.term, still->tail});
      continue;
    }
    // Claimed anew meanwhile, maybe by ourselves: only the lost term goes.
    if (auto it = held_.find(asked.shard);
        it != held_.end() && it->second.term == asked.term)
      held_.erase(it);
    caf::anon_send(shard, lost_lease{asked.term});
  }
}

}  // namespace troupe::actors
