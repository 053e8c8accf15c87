#include <algorithm>
#include <tuple>

#include "actors/shard_actor.hpp"

// What a shard's actor does beside its work: it ends who is idle, and tells
// how it stands.
namespace troupe::actors {

namespace {

constexpr std::size_t busiest_reported = 5;
constexpr std::size_t busiest_looked_at = 256;

}  // namespace

void shard_actor::passivate() {
  auto now = shared_->how.time->mono();
  auto ns = now.time_since_epoch().count();
  passivate_chats(now);
  // Lanes are few: one ends within seconds of its last call, or minutes.
  std::erase_if(lanes_, [&](auto& x) {
    auto& s = *x.second.state;
    if (s.waiting != 0 || ns < s.clear_at)
      return false;
    send_exit(x.second.who, caf::exit_reason::user_shutdown);
    return true;
  });
  if (owned_ && now - owned_->since > store::spending_window)
    spent_.clear();
}

/// Ends chats from the one that was longest without an event, up to the first
/// that is not idle long enough. One that still works on its last event counts
/// as used now; so another may stay for twice the time, but no walk over all of
/// them is needed.
void shard_actor::passivate_chats(mono_time now) {
  auto idle_from = (now - shared_->how.chat_idle).time_since_epoch().count();
  for (auto left = chats_.size(); left > 0; --left) {
    auto& x = *used_.oldest();
    auto& s = *x.second.state;
    if (s.waiting != 0) {
      used_.use(x);
      continue;
    }
    if (s.last_active > idle_from)
      return;
    send_exit(x.second.who, caf::exit_reason::user_shutdown);
    used_.drop(x);
    const auto key = x.first;
    chats_.erase(key);
  }
}

// -- reports ------------------------------------------------------------------

void shard_actor::report(const report_shard& m) {
  shard_report r;
  r.shard = id_;
  if (owned_)
    r.term = owned_->held.term;
  r.chats = chats_.size();
  r.lanes = lanes_.size();
  if (owned_)
    r.journal_waiting =
        std::uint64_t(std::max<std::int64_t>(owned_->to_turn, 0));
  // The busy ones are among those with the latest events.
  for (auto x = used_.newest(); x && r.busiest.size() < busiest_looked_at;
       x = x->second.older)
    r.busiest.push_back(
        {x->first, x->second.state->done, x->second.state->waiting});
  for (auto& [key, s] : lanes_)
    r.calls_waiting += s.state->waiting;
  auto keep = std::min(busiest_reported, r.busiest.size());
  std::partial_sort(r.busiest.begin(), r.busiest.begin() + std::ptrdiff_t(keep),
                    r.busiest.end(), [](auto& a, auto& b) {
                      return std::tie(a.waiting, a.turns) >
                             std::tie(b.waiting, b.turns);
                    });
  r.busiest.resize(keep);
  m.tell(std::move(r));
}

void shard_actor::report_one(const report_chat& m) {
  chat_report r;
  if (auto it = chats_.find(m.key); it != chats_.end()) {
    r.active = true;
    r.waiting = it->second.state->waiting;
    r.turns = it->second.state->done;
  }
  if (auto it = lanes_.find(m.key); it != lanes_.end()) {
    auto& s = *it->second.state;
    r.calls_waiting = s.waiting;
    r.calls_done = s.done;
    r.lane = s.doing.load();
    auto now = shared_->how.time->mono().time_since_epoch().count();
    r.frozen_ms = std::max<std::int64_t>(0, (s.frozen_until - now) / 1'000'000);
  }
  m.tell(std::move(r));
}

}  // namespace troupe::actors
