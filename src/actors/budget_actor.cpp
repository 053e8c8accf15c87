#include "actors/budget_actor.hpp"

#include "core/log.hpp"

namespace troupe::actors {

budget_actor::budget_actor(caf::actor_config& config,
                           std::shared_ptr<services> shared)
    : actor_base{config},
      shared_{std::move(shared)},
      machine_{shared_->how.limits.global_per_second,
               shared_->how.limits.bulk_per_second,
               shared_->how.limits.margin} {
  // An earlier process may have spent its whole window up to now.
  machine_.spend_all(shared_->started);
}

caf::behavior budget_actor::make_behavior() {
  return {
      [this](permit_wanted& m) {
        auto claim = next_claim_++;
        waiting_.emplace(claim, std::move(m.lane));
        machine_.want(claim, m.cost, m.bulk);
        serve();
      },
      [this](const permit_back& m) {
        machine_.answered(m.ticket, m.at, m.arrived);
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
        r.limit = machine_.total().limit();
        r.factor = machine_.total().factor(now);
        auto frozen = machine_.frozen_until() - now;
        r.frozen_ms = std::max<std::int64_t>(
            0, std::chrono::duration_cast<milliseconds>(frozen).count());
        m.tell(r);
      },
  };
}

void budget_actor::serve() {
  auto now = shared_->how.time->mono();
  for (auto& grant : machine_.ready(now)) {
    auto it = waiting_.find(grant.to);
    caf::anon_send(it->second, lane_permit{grant.ticket, now});
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
