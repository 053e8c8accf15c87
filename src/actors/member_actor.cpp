#include "actors/member_actor.hpp"

#include <algorithm>

#include "actors/placement.hpp"
#include "core/json.hpp"
#include "core/log.hpp"

namespace troupe::actors {

namespace {

constexpr std::int64_t most_slices = 1'000;
constexpr std::int64_t longest_freeze_ms = 3'600'000;

/// Of a node's details; anything odd is as if it were not there.
std::int64_t told_number(const json::value& details, const char* name,
                         std::int64_t most, std::int64_t otherwise) {
  auto object = details.if_object();
  auto value = object ? object->if_contains(name) : nullptr;
  auto n = value ? value->if_int64() : nullptr;
  return n && *n >= 0 && *n <= most ? *n : otherwise;
}

}  // namespace

store::node_info introduction(const services& shared) {
  // As a time of day, which stays the same however often it is passed on.
  auto now = shared.now();
  auto frozen = mono_time{mono_time::duration{shared.frozen_until}} - now.mono;
  auto until = now.wall + std::chrono::duration_cast<milliseconds>(frozen);
  return {shared.instance, "",
          json::serialize(json::object{
              {"node", shared.how.name},
              {"shards", shared.store.shards()},
              {"budget_want", std::int64_t{shared.budget_want}},
              {"budget_largest", std::int64_t{shared.budget_largest}},
              {"frozen_until_ms", to_ms(until)},
          })};
}

member_actor::member_actor(caf::actor_config& config,
                           std::shared_ptr<services> shared)
    : actor_base{config}, shared_{std::move(shared)} {}

caf::behavior member_actor::make_behavior() {
  delayed_send(this, shared_->how.cluster.beat, tick_atom::value);
  return {
      [this](nodes_alive& m) { on_alive(m); },
      [this](leave_atom) { leave(); },
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
  for (auto& n : *m.answer)
    names.push_back(n.name);
  if (shared_->global)
    tell_wants(*m.answer);
  {
    std::lock_guard guard{shared_->nodes_lock};
    shared_->nodes = std::move(*m.answer);
  }
  if (names == known_)
    return;
  std::string text;
  for (auto& n : names)
    text += (text.empty() ? "" : " ") + n;
  log::info("nodes_changed", {{"alive", text}});
  known_ = names;
  place_shards(names);
}

void member_actor::place_shards(const std::vector<std::string>& names) {
  wanted_shards out;
  out.mine.resize(shared_->shards.size());
  for (std::uint16_t i = 0; i < out.mine.size(); ++i)
    out.mine[i] = names[place({i}, names)] == shared_->instance;
  caf::anon_send(shared_->leases, std::move(out));
}

void member_actor::tell_wants(const std::vector<store::node_info>& nodes) {
  peer_wants out;
  const auto latest_ms = to_ms(shared_->how.time->wall()) + longest_freeze_ms;
  for (auto& n : nodes) {
    auto details = parse_json(n.details);
    if (!details)
      details = json::value{};
    out.all.push_back(
        {n.name, unsigned(told_number(*details, "budget_want", most_slices, 1)),
         unsigned(told_number(*details, "budget_largest", most_slices, 1))});
    if (n.name != shared_->instance)
      out.frozen_until = std::max(
          out.frozen_until,
          from_ms(told_number(*details, "frozen_until_ms", latest_ms, 0)));
  }
  caf::anon_send(shared_->global, std::move(out));
}

/// The others take over as soon as each shard is handed over.
void member_actor::leave() {
  left_ = true;
  shared_->store.leave(shared_->instance, [shared = shared_](auto answer) {
    if (!answer)
      shared->count.store_errors.add();  // then they learn it by the TTL
  });
  wanted_shards none;
  none.mine.resize(shared_->shards.size());
  caf::anon_send(shared_->leases, std::move(none));
}

}  // namespace troupe::actors
