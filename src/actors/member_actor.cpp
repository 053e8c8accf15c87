#include "actors/member_actor.hpp"

#include <algorithm>
#include <utility>

#include "actors/placement.hpp"
#include "core/log.hpp"

namespace troupe::actors {

namespace {

constexpr std::int64_t longest_freeze_ms = 3'600'000;

}  // namespace

member_actor::member_actor(caf::actor_config& config,
                           std::shared_ptr<services> shared)
    : actor_base{config}, shared_{std::move(shared)} {}

caf::behavior member_actor::make_behavior() {
  delayed_send(this, shared_->how.cluster.beat, tick_atom::value);
  return {
      [this](nodes_alive& m) { on_alive(m); },
      [this](leave_atom) { leave(); },
      [this](go_atom) { give_all_up(); },
      [this](tick_atom) {
        if (left_)
          return;
        beat();
        delayed_send(this, shared_->how.cluster.beat, tick_atom::value);
      },
  };
}

void member_actor::beat() {
  if (asking_ || shared_->stopping)
    return;
  asking_ = true;
  shared_->store.heartbeat(
      introduction(*shared_), shared_->how.cluster.ttl,
      [me = caf::actor_cast<caf::actor>(this)](auto answer) {
        caf::anon_send(me, nodes_alive{std::move(answer)});
      });
}

void member_actor::on_alive(nodes_alive& m) {
  asking_ = false;
  if (left_)
    return;
  if (!m.answer) {
    // Who is alive stays as it was: if we can't reach the store, our leases
    // run out by themselves; if nobody can, nobody moves anything.
    shared_->count.store_errors.add();
    return;
  }
  std::vector<std::string> names;
  std::vector<node_word> words;
  std::vector<store::node_info> nodes;
  for (auto& n : *m.answer) {
    auto word = read_word(n.details, shared_->store.shards());
    if (word.only_looks)
      continue;
    names.push_back(n.name);
    words.push_back(std::move(word));
    nodes.push_back(std::move(n));
  }
  const bool changed = names != known_;
  known_ = std::move(names);
  if (shared_->road)
    caf::anon_send(shared_->road, peers_alive{nodes});
  keep(std::move(nodes));
  if (shared_->global)
    tell_wants(words);
  push_back(words);
  look_for_drains(words);
  if (!changed)
    return;
  std::string text;
  for (auto& n : known_)
    text += (text.empty() ? "" : " ") + n;
  log::info("nodes_changed", {{"alive", text}});
  place_shards(known_);
}

/// For the stats, with how old each node's word is: since when we know it.
void member_actor::keep(std::vector<store::node_info> nodes) {
  const auto now = shared_->how.time->mono();
  std::lock_guard guard{shared_->nodes_lock};
  auto& before = shared_->nodes;
  std::vector<mono_time> heard;
  for (auto& n : nodes) {
    auto same = std::find_if(before.begin(), before.end(), [&](auto& b) {
      return b.name == n.name && b.details == n.details;
    });
    heard.push_back(
        same == before.end()
            ? now
            : shared_->nodes_heard[std::size_t(same - before.begin())]);
  }
  before = std::move(nodes);
  shared_->nodes_heard = std::move(heard);
}

void member_actor::place_shards(const std::vector<std::string>& names) {
  wanted_shards out;
  out.mine.resize(shared_->shards.size());
  for (std::uint16_t i = 0; i < out.mine.size(); ++i)
    out.mine[i] = names[place({i}, names)] == shared_->instance;
  for (std::uint16_t i = 0; i < out.mine.size(); ++i)
    shared_->away[i] = !out.mine[i];
  caf::anon_send(shared_->leases, std::move(out));
}

void member_actor::tell_wants(const std::vector<node_word>& words) {
  peer_wants out;
  const auto latest_ms = to_ms(shared_->how.time->wall()) + longest_freeze_ms;
  for (std::size_t i = 0; i < words.size(); ++i) {
    auto& w = words[i];
    out.all.push_back(
        {known_[i], unsigned(w.budget_want), unsigned(w.budget_largest)});
    if (known_[i] != shared_->instance && w.frozen_until_ms <= latest_ms)
      out.frozen_until = std::max(out.frozen_until, from_ms(w.frozen_until_ms));
  }
  caf::anon_send(shared_->global, std::move(out));
}

/// What is accepted for an owner that is behind fills the store, which is
/// nobody's to fill without end: Telegram keeps it.
void member_actor::push_back(const std::vector<node_word>& words) {
  std::vector<bool> refused(shared_->shards.size());
  std::string behind;
  for (std::size_t i = 0; i < words.size(); ++i) {
    if (!words[i].behind)
      continue;
    behind += (behind.empty() ? "" : " ") + known_[i];
    for (auto& run : words[i].holds)
      for (unsigned shard = run.first; shard <= run.last; ++shard)
        refused[shard] = true;
  }
  for (std::size_t i = 0; i < refused.size(); ++i)
    shared_->pushed_back[i] = refused[i];
  shared_->any_pushed_back = !behind.empty();
  if (behind == behind_)
    return;
  behind_ = std::move(behind);
  log::warn("nodes_behind",
            {{"nodes", behind_},
             {"effect", behind_.empty() ? "their updates are accepted again"
                                        : "their updates are refused (503)"}});
}

/// Forgets whom nobody needs to be told of any more, and does what we are told.
void member_actor::look_for_drains(const std::vector<node_word>& words) {
  {
    const auto now = shared_->how.time->mono();
    std::lock_guard guard{shared_->nodes_lock};
    std::erase_if(shared_->drains, [&](auto& asked) {
      return now >= asked.second || std::find(known_.begin(), known_.end(),
                                              asked.first) == known_.end();
    });
  }
  for (auto& w : words)
    if (std::find(w.drain.begin(), w.drain.end(), shared_->instance) !=
            w.drain.end() &&
        !std::exchange(told_to_drain_, true)) {
      log::info("told_to_drain", {{"by", w.node}});
      shared_->how.asked_to_drain();
    }
}

/// The others hear it with their next heartbeats, and only then ask for our
/// shards: until all did, we go on with them, so that none is nobody's.
void member_actor::leave() {
  left_ = true;
  shared_->store.leave(shared_->instance, [shared = shared_](auto answer) {
    if (!answer)
      shared->count.store_errors.add();  // then they learn it by the TTL
  });
  const auto beat = shared_->how.cluster.beat;
  const bool alone = known_.size() <= 1;
  delayed_send(this, alone ? milliseconds{0} : beat + beat / 4, go_atom::value);
}

void member_actor::give_all_up() {
  wanted_shards none;
  none.mine.resize(shared_->shards.size());
  caf::anon_send(shared_->leases, std::move(none));
  if (shared_->global)
    caf::anon_send(shared_->global, leave_atom::value);
}

}  // namespace troupe::actors
