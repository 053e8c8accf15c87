#include "actors/road_actor.hpp"

#include <algorithm>
#include <set>
#include <utility>

#include "actors/cluster_view.hpp"
#include "actors/placement.hpp"
#include "actors/road_middleman.hpp"
#include "core/log.hpp"
#include "net/crypto.hpp"

namespace troupe::actors {

namespace {

constexpr milliseconds look_for_peers_every{100};
// Of an attempt, from the dial to the welcome.
constexpr milliseconds dial_patience{5'000};
constexpr milliseconds dial_pause{200};  // doubles
constexpr milliseconds longest_dial_pause{15'000};
// Who refused us will do so again, until a person did something.
constexpr milliseconds refused_pause{30'000};
// It has not heard of us yet.
constexpr milliseconds later_pause{100};
constexpr milliseconds strangers_told_every{10'000};
constexpr std::size_t longest_name = 300;

}  // namespace

road_actor::road_actor(caf::actor_config& config,
                       std::shared_ptr<services> shared, caf::actor dialer)
    : actor_base{config},
      shared_{std::move(shared)},
      dialer_{std::move(dialer)},
      facts_{facts_of(*shared_)} {
  // Whatever the other end of a connection sends can't end us, nor make CAF
  // print.
  set_default_handler(caf::drop);
  set_error_handler([](caf::error&) {});
  set_exit_handler([this](const caf::exit_msg& m) {
    if (!shared_->closed)
      return;
    owners_.clear();
    peers_.clear();
    // CAF keeps a published actor while a connection is being made, and its
    // system does not end before the dialer, which has a thread, is let go.
    dialer_ = nullptr;
    quit(m.reason);
  });
  set_down_handler([this](const caf::down_msg& m) { on_down(m); });
}

caf::behavior road_actor::make_behavior() {
  delayed_send(this, look_for_peers_every, tick_atom::value);
  return {
      [this](hints_out& m) { on_out(m); },
      [this](road_hints& m) { on_hints(m); },
      [this](const road_taken& m) {
        if (auto* from = sender()) {
          from->second.out.taken(m.number);
          flush();
        }
      },
      [this](go_atom) {
        flush_sent_ = false;
        flush();
      },
      [this](peers_alive& m) { on_alive(m); },
      [this](const road_hello& m) { on_hello(m); },
      [this](const road_welcome& m) { on_welcome(m); },
      [this](road_refused& m) { on_refused(m); },
      [this](tick_atom) {
        look();
        delayed_send(this, look_for_peers_every, tick_atom::value);
      },
  };
}

// -- who there is -------------------------------------------------------------

void road_actor::on_alive(peers_alive& m) {
  if (m.nodes.empty())
    return;
  std::vector<std::string> names;
  for (auto& n : m.nodes)
    names.push_back(n.name);
  for (auto& n : m.nodes) {
    if (n.name == shared_->instance)
      continue;
    auto& p = peers_[n.name];
    p.address = n.address;
    p.encrypted = read_word(n.details, shared_->store.shards()).encrypted;
  }
  if (names != std::exchange(alive_, names)) {
    // CAF can't cut a connection; but nobody listens to it any more, and a name
    // never comes back to another process.
    const std::set<std::string> here{names.begin(), names.end()};
    for (auto& [name, p] : peers_)
      if (!here.contains(name))
        close(p);
    std::erase_if(peers_, [&](auto& x) { return !here.contains(x.first); });
    owners_.assign(shared_->store.shards(), nullptr);
    for (std::uint16_t i = 0; i < owners_.size(); ++i) {
      auto found = peers_.find(names.at(place({i}, names)));
      owners_[i] = found == peers_.end() ? nullptr : &*found;
    }
  }
  look();
}

void road_actor::look() {
  const auto now = shared_->how.time->mono();
  for (auto& x : peers_) {
    auto& p = x.second;
    if (p.at == step::open || now < p.next_try)
      continue;
    if (p.address.empty())
      continue;
    // Not dialled: each end would wait for the other one to begin, and CAF
    // would never close such a connection.
    if (p.encrypted != shared_->how.cluster.road.encrypted())
      fail(x,
           p.encrypted ? "it wants certificates, and this node has none: set "
                         "cluster.ca, cluster.certificate and cluster.key"
                       : "it has no certificates: set cluster.ca, "
                         "cluster.certificate and cluster.key there",
           refused_pause);
    else if (p.at != step::idle)
      fail(x, "it did not answer in time", dial_pause);
    else if (shared_->instance < x.first)
      dial(x);
  }
  publish();
}

/// For the stats page.
void road_actor::publish() {
  constexpr const char* words[] = {"idle", "dialling", "greeting", "open"};
  std::vector<road_report> out;
  for (auto& [name, p] : peers_)
    out.push_back(
        {name, words[static_cast<std::size_t>(p.at)], p.why, p.out.waiting()});
  std::lock_guard guard{shared_->nodes_lock};
  shared_->roads = std::move(out);
}

/// The open peer that the present message is from, if it is.
road_actor::named_peer* road_actor::sender() {
  const auto& from = current_sender();
  for (auto& x : peers_)
    if (from && x.second.at == step::open && x.second.who == from)
      return &x;
  return nullptr;
}

// -- opening a road -----------------------------------------------------------

void road_actor::dial(named_peer& to) {
  auto& p = to.second;
  p.next_try = shared_->how.time->mono() + dial_patience;
  auto where = split_address(p.address);
  if (!where) {
    fail(to, to_string(where.error()), refused_pause);
    return;
  }
  p.at = step::dialling;
  const auto attempt = ++p.attempt;
  request(dialer_, dial_patience, caf::connect_atom::value, where->host,
          where->port)
      .then(
          [this, name = to.first, attempt](const caf::node_id&,
                                           const caf::strong_actor_ptr& found,
                                           const std::set<std::string>&) {
            on_dialled(name, attempt, found);
          },
          [this, name = to.first, attempt](const caf::error& why) {
            fail_dialled(name, attempt, why);
          });
}

void road_actor::on_dialled(const std::string& name, std::uint64_t attempt,
                            const caf::strong_actor_ptr& found) {
  auto it = peers_.find(name);
  if (it == peers_.end() || it->second.attempt != attempt ||
      it->second.at != step::dialling)
    return;
  auto& p = it->second;
  if (!found) {
    fail(*it, "no node is behind its address", dial_pause);
    return;
  }
  p.who = caf::actor_cast<caf::actor>(found);
  p.at = step::greeting;
  monitor(p.who);
  const hello mine{facts_, shared_->instance, name,
                   proof_of(shared_->how.bot_token, shared_->instance, name)};
  send(p.who, road_hello{write_hello(mine)});
}

void road_actor::fail_dialled(const std::string& name, std::uint64_t attempt,
                              const caf::error& why) {
  auto it = peers_.find(name);
  if (it == peers_.end() || it->second.attempt != attempt ||
      it->second.at != step::dialling)
    return;
  fail(*it, why_not_connected(why, shared_->how.cluster.road), dial_pause);
}

/// Comes from whoever reaches the port.
void road_actor::on_hello(const road_hello& m) {
  if (!current_sender())
    return;
  auto said = read_hello(m.text);
  if (!said) {
    refuse("?", "its hello can't be read");
    return;
  }
  if (auto why = mismatch(facts_, said->facts); !why.empty()) {
    refuse(said->from, std::move(why), mismatch(said->facts, facts_));
    return;
  }
  auto& token = shared_->how.bot_token;
  if (!net::equal_constant_time(said->proof,
                                proof_of(token, said->from, said->to))) {
    refuse(said->from, "it has another bot token: look at bot.token");
    return;
  }
  auto known = peers_.find(said->from);
  if (said->to != shared_->instance) {
    refuse(said->from, "its address leads to another node (" +
                           shared_->instance + "): look at cluster.advertise");
    return;
  }
  if (known == peers_.end()) {
    // It joined a moment ago.
    send(caf::actor_cast<caf::actor>(current_sender()),
         road_refused{"its heartbeat did not get here yet", true});
    return;
  }
  auto& p = known->second;
  close(p);
  p.who = caf::actor_cast<caf::actor>(current_sender());
  monitor(p.who);
  send(p.who, road_welcome{proof_of(token, said->to, said->from)});
  open(*known);
}

/// @param told as it reads at the other end; empty: as here
void road_actor::refuse(const std::string& from, std::string why,
                        std::string told) {
  send(caf::actor_cast<caf::actor>(current_sender()),
       road_refused{told.empty() ? why : std::move(told), false});
  auto known = peers_.find(from);
  const auto now = shared_->how.time->mono();
  if (known != peers_.end()) {
    if (known->second.why == why)
      return;
    known->second.why = why;
  } else if (stranger_told_ == mono_time{} ||
             now - stranger_told_ > strangers_told_every) {
    stranger_told_ = now;
  } else {
    return;
  }
  log::error("road_refused",
             {{"peer", from.substr(0, longest_name)}, {"error", why}});
  publish();
}

void road_actor::on_welcome(const road_welcome& m) {
  for (auto& x : peers_) {
    auto& p = x.second;
    if (p.at != step::greeting || p.who != current_sender())
      continue;
    if (!net::equal_constant_time(
            m.proof,
            proof_of(shared_->how.bot_token, x.first, shared_->instance))) {
      fail(x, "it has another bot token", refused_pause);
      return;
    }
    open(x);
    return;
  }
}

void road_actor::on_refused(road_refused& m) {
  for (auto& x : peers_) {
    auto& p = x.second;
    if (p.at != step::greeting || p.who != current_sender())
      continue;
    if (!m.later) {
      fail(x, "it refused this node: " + m.why.substr(0, 500), refused_pause);
      return;
    }
    close(p);
    p.next_try = shared_->how.time->mono() + later_pause;
    return;
  }
}

void road_actor::open(named_peer& to) {
  auto& p = to.second;
  p.at = step::open;
  p.failures = 0;
  p.why.clear();
  log::info("road_open", {{"peer", to.first}, {"address", p.address}});
  publish();
}

void road_actor::fail(named_peer& to, std::string why, milliseconds pause) {
  auto& p = to.second;
  close(p);
  for (unsigned i = 0; i < p.failures && pause < longest_dial_pause; ++i)
    pause *= 2;
  p.failures += 1;
  p.next_try = shared_->how.time->mono() + pause;
  if (why != p.why)
    log::error("road_closed", {{"peer", to.first},
                               {"address", p.address},
                               {"error", why},
                               {"effect", "its updates reach it later"}});
  p.why = std::move(why);
  publish();
}

void road_actor::on_down(const caf::down_msg& m) {
  for (auto& x : peers_) {
    auto& p = x.second;
    if (!p.who || p.who.address() != m.source)
      continue;
    const bool was_open = p.at == step::open;
    close(p);
    // If it is gone for good, it is so for the store soon.
    p.next_try = shared_->how.time->mono() + dial_pause;
    if (was_open)
      log::info("road_lost", {{"peer", x.first}, {"address", p.address}});
    publish();
  }
}

void road_actor::close(peer& p) {
  if (p.who)
    demonitor(p.who);
  p.who = nullptr;
  p.at = step::idle;
  shared_->count.hints_lost.add(p.out.clear());
}

// -- hints --------------------------------------------------------------------

void road_actor::on_out(hints_out& m) {
  shared_->road_bytes -= m.weight;
  auto* to = owners_.empty() ? nullptr : owners_[m.shard.value];
  if (to == nullptr || to->second.at != step::open) {
    shared_->count.hints_lost.add(m.entries.size());
    return;
  }
  for (auto& e : m.entries)
    if (!to->second.out.offer(to_hint(m.shard, e)))
      shared_->count.hints_lost.add();
  if (flush_sent_)
    return;
  // Behind what is in the mailbox already: that makes one batch.
  flush_sent_ = true;
  send(this, go_atom::value);
}

void road_actor::flush() {
  for (auto& [name, p] : peers_) {
    if (p.at != step::open)
      continue;
    while (auto batch = p.out.next()) {
      shared_->count.hints_sent.add(batch->what.size());
      send(p.who, std::move(*batch));
    }
  }
}

void road_actor::on_hints(road_hints& m) {
  auto* from = sender();
  if (from == nullptr)
    return;
  auto& spoil = shared_->how.cluster.road.spoil;
  const auto fate = spoil ? spoil() : road_fault::none;
  if (fate == road_fault::hang)
    return;
  send(from->second.who, road_taken{m.number});
  if (fate == road_fault::lose)
    return;
  const auto shards = static_cast<std::uint16_t>(shared_->shards.size());
  std::map<shard_id, std::vector<store::entry>> by_shard;
  for (auto& h : m.what) {
    const shard_id shard{h.shard};
    if (auto e = to_entry(std::move(h), shards))
      by_shard[shard].push_back(std::move(*e));
  }
  for (auto& [shard, entries] : by_shard) {
    const auto many = entries.size();
    // Its mailbox is memory, too. A renewal tells the shard of them.
    if (shared_->full(std::int64_t(many), false)) {
      shared_->count.hints_left.add(many);
      continue;
    }
    shared_->count.hints_taken.add(many);
    shared_->hinted += std::int64_t(many);
    caf::anon_send(shared_->shards[shard.value], appended{std::move(entries)});
  }
}

}  // namespace troupe::actors
