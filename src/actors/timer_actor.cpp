#include "actors/timer_actor.hpp"

#include <map>
#include <utility>

#include "core/log.hpp"

namespace troupe::actors {

namespace {

// Due timers asked for at once, and under way at once.
constexpr std::size_t due_page = 512;
// Under way at once: a shard keeps those that it can't turn yet in memory.
constexpr std::size_t most_fired = 4 * due_page;

}  // namespace

timer_actor::timer_actor(caf::actor_config& config,
                         std::shared_ptr<services> shared)
    : actor_base{config}, shared_{std::move(shared)} {}

caf::behavior timer_actor::make_behavior() {
  return {
      [this](go_atom) {
        stale_ = asking_;
        ask();
      },
      [this](const timer_armed& m) { wake_at(m.due); },
      [this](const timer_done& m) {
        fired_.erase(id_of(m.what));
        if (again_ && fired_.size() < due_page / 2)
          ask();
      },
      [this](const timers_dropped& m) {
        auto shards = static_cast<std::uint16_t>(shared_->shards.size());
        std::erase_if(fired_, [&](auto& id) {
          return shard_of(std::get<chat_key>(id), shards) == m.shard;
        });
      },
      [this](due_answer& m) { on_due(m); },
      [this](tick_atom) {
        wake_.reset();
        // What is on its way may have been read before the timer was set.
        stale_ = asking_;
        ask();
      },
  };
}

void timer_actor::ask() {
  if (asking_ || shared_->stopping || shared_->draining)
    return;
  if (fired_.size() >= most_fired) {
    again_ = true;  // when enough of these are done
    return;
  }
  std::vector<shard_id> all;
  for (std::uint16_t i = 0; i < shared_->shards.size(); ++i)
    if (shared_->follows[i])
      all.push_back({i});
  if (all.empty())
    return;  // asked when one comes
  asking_ = true;
  again_ = false;
  // Those under way are still due; ask for so many more.
  shared_->store.due(std::move(all), shared_->how.time->wall(),
                     due_page + fired_.size(),
                     [me = caf::actor_cast<caf::actor>(this)](auto answer) {
                       caf::anon_send(me, due_answer{std::move(answer)});
                     });
}

void timer_actor::on_due(due_answer& m) {
  asking_ = false;
  auto now = shared_->how.time->wall();
  if (!m.answer) {
    shared_->count.store_errors.add();
    wake_at(now + milliseconds{500});
    return;
  }
  auto& found = *m.answer;
  std::map<std::uint16_t, fired_timers> by_shard;
  auto shards = static_cast<std::uint16_t>(shared_->shards.size());
  again_ = found.due.size() >= due_page + fired_.size();
  for (auto& t : found.due)
    if (fired_.insert(id_of(t)).second)
      by_shard[shard_of(t.key, shards).value].timers.push_back(std::move(t));
  for (auto& [shard, batch] : by_shard)
    caf::anon_send(shared_->shards[shard], std::move(batch));
  auto next = now + shared_->how.timer_look;
  if (found.next)
    next = std::min(next, *found.next);
  wake_at(next);
  if (std::exchange(stale_, false))
    ask();
}

void timer_actor::wake_at(wall_time at) {
  if (wake_ && *wake_ <= at)
    return;
  wake_ = at;
  auto now = shared_->how.time->wall();
  auto wait = std::clamp<milliseconds>(at - now, milliseconds{0},
                                       shared_->how.timer_look);
  delayed_send(this, wait, tick_atom::value);
}

}  // namespace troupe::actors
