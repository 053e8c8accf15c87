#include "store/redis_cluster.hpp"

#include <algorithm>
#include <iterator>
#include <utility>

namespace troupe::store::redis {

namespace {

/// Time for one node to tell the slot map; there are others.
constexpr milliseconds one_node{1000};

/// The slot map is asked for at most so often.
constexpr milliseconds map_every{100};

/// A command on keys that are halfway to another node is tried again after.
constexpr milliseconds halfway{20};

/// A node that serves nothing any more may still finish what it was given.
constexpr milliseconds last_answers{500};

/// Ends what waited too long.
void expire_homeless(std::vector<command_ptr>& list) {
  const auto now = mono_now();
  const auto late = std::stable_partition(
      list.begin(), list.end(),
      [&](const auto& what) { return what->deadline > now; });
  for (auto it = late; it != list.end(); ++it) {
    const auto& what = **it;
    const auto slot = "slot " + std::to_string(what.slot);
    if (!what.done)
      continue;
    if (what.doubt)
      what.done(error{errc::unknown_outcome,
                      slot + ": no answer in time; it may have been done"});
    else
      what.done(error{errc::unavailable,
                      slot + " is served by nobody; nothing was done in time"});
  }
  list.erase(late, list.end());
}

}  // namespace

std::vector<std::shared_ptr<node>> cluster_hub::primaries() {
  std::vector<std::shared_ptr<node>> out;
  for (const auto& each : members_)
    out.push_back(each.peer);
  return out;
}

node& cluster_hub::node_at(const address& at) {
  const auto it =
      std::find_if(members_.begin(), members_.end(),
                   [&](const member& each) { return each.at == at; });
  if (it != members_.end())
    return *it->peer;
  auto fresh = make_node();
  members_.push_back({at, fresh});
  with_.count.nodes.store(members_.size(), std::memory_order_relaxed);
  fresh->start();
  return *fresh;
}

void cluster_hub::locate(node& which) {
  const auto it = std::find_if(
      members_.begin(), members_.end(),
      [&](const member& each) { return each.peer.get() == &which; });
  if (it != members_.end())
    which.connect(it->at);
}

void cluster_hub::dispatch(command_ptr what) {
  what->asking = false;
  const auto halfway_there = held_.find(what->slot);
  if (halfway_there != held_.end())
    return halfway_there->second.later.push_back(std::move(what));
  if (const auto* owner = map_.owner(what->slot))
    return node_at(*owner).push(std::move(what));
  homeless_.push_back(std::move(what));
  want_map();
}

void cluster_hub::detour(pipeline::detour what) {
  if (what.why.what == verdict::kind::ask) {
    what.what->asking = true;
    auto& there = node_at(what.why.at);
    there.push(std::move(what.what));
    return there.flush();
  }
  const auto slot = what.what->slot;
  const auto [it, fresh] = held_.try_emplace(slot);
  it->second.returned.push_back(std::move(what.what));
  if (!fresh)
    return;
  with_.on->after(halfway, [weak = weak_from_this(), slot] {
    if (const auto self = std::static_pointer_cast<cluster_hub>(weak.lock()))
      self->release(slot);
  });
}

void cluster_hub::release(std::uint16_t slot) {
  if (closed_)
    return;
  auto ready = std::move(held_.extract(slot).mapped());
  for (auto* list : {&ready.returned, &ready.later})
    for (auto& what : *list)
      dispatch(std::move(what));
  flush();
}

void cluster_hub::redistribute(node& from) {
  for (auto& what : from.take_waiting()) {
    if (what->pinned)
      from.push(std::move(what));
    else
      dispatch(std::move(what));
  }
}

void cluster_hub::node_opened(node&) {
  check_open();
}

void cluster_hub::node_failed(node& which, const greeting::failure& why) {
  hub::node_failed(which, why);
  want_map();
}

void cluster_hub::node_halted(node& which, pipeline::halt what) {
  for (const auto& move : what.moves) {
    auto to = move.at;
    if (to.host.empty())
      to.host = which.at().host;
    map_.assign(move.slot, to);
  }
  if (what.relocate || !what.moves.empty())
    want_map();
  if (std::find(awaited_.begin(), awaited_.end(), &which) != awaited_.end())
    return drained(which);
  redistribute(which);
  if (what.bounced || what.why.starts_with("CLUSTERDOWN"))
    which.resume_after_pause();
  else if (what.relocate)
    which.relocate(what.why);
  else
    which.resume();
  flush();
}

void cluster_hub::want_map() {
  map_wanted_ = true;
  if (closed_ || scout_ || next_map_ || timer_set_)
    return;
  const auto now = mono_now();
  if (now >= ask_at_)
    return ask_for_map();
  timer_set_ = true;
  with_.on->after(std::chrono::ceil<milliseconds>(ask_at_ - now),
                  [weak = weak_from_this()] {
                    const auto self =
                        std::static_pointer_cast<cluster_hub>(weak.lock());
                    if (!self)
                      return;
                    self->timer_set_ = false;
                    if (self->map_wanted_)
                      self->want_map();
                  });
}

std::vector<address> cluster_hub::whom_to_ask() const {
  std::vector<address> all;
  const auto add = [&](const address& at) {
    if (std::find(all.begin(), all.end(), at) == all.end())
      all.push_back(at);
  };
  for (const bool up : {true, false})
    for (const auto& each : members_)
      if (each.peer->up() == up)
        add(each.at);
  for (const auto& at : map_.replicas())
    add(at);
  for (const auto& at : with_.where.hosts)
    add(at);
  return all;
}

void cluster_hub::ask_for_map() {
  map_wanted_ = false;
  auto how = with_.peer.hello;
  how.question = {"CLUSTER", "SLOTS"};
  found_ = std::make_shared<slot_map>();
  scout_ = make_scout(one_node);
  scout_->ask(
      whom_to_ask(), std::move(how),
      [found = found_](const reply& answer, const address& from) {
        auto map = slot_map::parse(answer, from);
        if (!map)
          return map.error().context;
        *found = std::move(*map);
        return std::string{};
      },
      [this](const greeting::failure& why) { scouted(why); });
}

void cluster_hub::scouted(const greeting::failure& why) {
  const auto self = shared_from_this();
  scout_.reset();
  if (why.why.empty() && found_->uncovered() == 0) {
    patience_.reset();
    ask_at_ = mono_now() + map_every;
  } else {
    ask_at_ = mono_now() + std::max(map_every, patience_.next());
  }
  if (!why.why.empty()) {
    failed(why);
    return want_map();
  }
  if (const auto lacking = found_->uncovered(); lacking > 0) {
    failed({std::to_string(lacking) + " of " + std::to_string(slot_count) +
                " slots are served by nobody",
            false});
    map_wanted_ = true;
  }
  change_map(std::move(*found_));
}

void cluster_hub::change_map(slot_map to) {
  for (const auto& each : members_) {
    bool loses = false, keeps = false;
    for (std::uint16_t slot = 0; slot < slot_count; ++slot) {
      const auto* before = map_.owner(slot);
      if (before == nullptr || *before != each.at)
        continue;
      const auto* after = to.owner(slot);
      const bool kept = after != nullptr && *after == each.at;
      (kept ? keeps : loses) = true;
    }
    if (!loses)
      continue;
    losers_.push_back(each.peer);
    awaited_.push_back(each.peer.get());
    if (!keeps)
      hurry(each.peer);
  }
  next_map_ = std::move(to);
  if (losers_.empty())
    return install();
  const auto losers = losers_;
  for (const auto& each : losers) {
    each->drain("its slots are served elsewhere");
    each->settle();
  }
}

void cluster_hub::hurry(const std::shared_ptr<node>& which) {
  with_.on->after(last_answers, [weak = std::weak_ptr<node>{which}] {
    const auto peer = weak.lock();
    if (peer && peer->draining())
      peer->drop("its slots are served elsewhere");
  });
}

void cluster_hub::drained(node& which) {
  awaited_.erase(std::find(awaited_.begin(), awaited_.end(), &which));
  // Halted until all of them are: what they hand over keeps its order so.
  if (awaited_.empty() && next_map_)
    install();
}

void cluster_hub::install() {
  const auto self = shared_from_this();
  auto before = std::exchange(map_, std::move(*next_map_));
  next_map_.reset();
  const auto remaining = map_.primaries();
  for (const auto& at : remaining)
    node_at(at);
  for (auto& what : std::exchange(homeless_, {}))
    dispatch(std::move(what));
  const auto losers = std::exchange(losers_, {});
  for (const auto& each : losers)
    redistribute(*each);
  for (const auto& each : losers)
    each->resume();
  retire(remaining);
  flush();
  if (map_wanted_ || !homeless_.empty())
    want_map();
  check_open();
}

void cluster_hub::retire(const std::vector<address>& remaining) {
  const auto serves = [&](const member& each) {
    return std::find(remaining.begin(), remaining.end(), each.at) !=
               remaining.end() ||
           !each.peer->empty();
  };
  const auto gone =
      std::stable_partition(members_.begin(), members_.end(), serves);
  std::vector<member> leaving{std::move_iterator{gone},
                              std::move_iterator{members_.end()}};
  members_.erase(gone, members_.end());
  for (const auto& each : leaving)
    each.peer->close();
  with_.count.nodes.store(members_.size(), std::memory_order_relaxed);
}

void cluster_hub::check_open() {
  if (!opening() || map_.uncovered() > 0)
    return;
  const bool all = std::all_of(members_.begin(), members_.end(),
                               [](const member& m) { return m.peer->up(); });
  if (all)
    tell_opened({});
}

void cluster_hub::sweep() {
  hub::sweep();
  expire_homeless(homeless_);
  for (auto& [slot, waiting] : held_) {
    expire_homeless(waiting.returned);
    expire_homeless(waiting.later);
  }
}

std::vector<command_ptr> cluster_hub::close() {
  closed_ = true;
  if (scout_)
    scout_->close();
  scout_.reset();
  auto out = std::exchange(homeless_, {});
  const auto add = [&](std::vector<command_ptr> more) {
    out.insert(out.end(), std::move_iterator{more.begin()},
               std::move_iterator{more.end()});
  };
  for (auto& [slot, waiting] : std::exchange(held_, {})) {
    add(std::move(waiting.returned));
    add(std::move(waiting.later));
  }
  for (const auto& each : std::exchange(members_, {}))
    add(each.peer->close());
  return out;
}

}  // namespace troupe::store::redis
