#include "actors/node_stats.hpp"

#include <algorithm>
#include <caf/send.hpp>
#include <mutex>
#include <optional>

#include "actors/campaign_desk.hpp"
#include "actors/cluster_view.hpp"
#include "actors/messages.hpp"
#include "core/json.hpp"

namespace troupe::actors {

namespace {

constexpr milliseconds patience{2'000};
constexpr milliseconds sample_every{1'000};
constexpr std::size_t busiest_shown = 20;

/// Collects answers from several threads and finishes once: when all came, or
/// when time is up.
struct collection {
  std::mutex lock;
  std::size_t missing = 0;
  bool finished = false;
  std::vector<shard_report> shards;
  std::optional<global_report> global;
  std::optional<store::figures> figures;
  json::array campaigns;
  std::function<void(collection&)> finish;

  template <class Put>
  void put(Put p, bool last = false) {
    std::unique_lock guard{lock};
    if (finished)
      return;
    p(*this);
    if (missing > 0)
      --missing;
    if (missing > 0 && !last)
      return;
    finished = true;
    guard.unlock();
    finish(*this);
  }
};

json::object latency(const metrics::histogram& h) {
  return {{"count", h.count()},
          {"p50_ms", h.quantile(0.5) * 1000},
          {"p95_ms", h.quantile(0.95) * 1000},
          {"p99_ms", h.quantile(0.99) * 1000}};
}

json::object counters(const meters& m) {
  return {
      {"accepted", m.accepted.value()},
      {"duplicates", m.duplicates.value()},
      {"refused_overload", m.refused_overload.value()},
      {"refused_store", m.refused_store.value()},
      {"refused_bad", m.refused_bad.value()},
      {"turns_done", m.turns_done.value()},
      {"turns_unhandled", m.turns_unhandled.value()},
      {"turns_stale", m.turns_stale.value()},
      {"turns_repeated", m.turns_repeated.value()},
      {"turns_threw", m.turns_threw.value()},
      {"turns_denied", m.turns_denied.value()},
      {"locks_granted", m.locks_granted.value()},
      {"locks_denied", m.locks_denied.value()},
      {"locks_lost", m.locks_lost.value()},
      {"lock_waits", m.lock_waits.value()},
      {"dead_letters", m.dead_letters.value()},
      {"calls_sent", m.calls_sent.value()},
      {"calls_failed", m.calls_failed.value()},
      {"calls_unknown", m.calls_unknown.value()},
      {"calls_collapsed", m.calls_collapsed.value()},
      {"unknown_outcomes", m.unknown_outcomes.value()},
      {"answers_429", m.answers_429.value()},
      {"answers_5xx", m.answers_5xx.value()},
      {"answers_refused", m.answers_refused.value()},
      {"answers_gone", m.answers_gone.value()},
      {"network_failures", m.network_failures.value()},
      {"global_freezes", m.global_freezes.value()},
      {"turns_late", m.turns_late.value()},
      {"store_errors", m.store_errors.value()},
      {"fenced", m.fenced.value()},
      {"held_back", m.held_back.value()},
      {"shards_taken", m.shards_taken.value()},
      {"leases_lost", m.leases_lost.value()},
      {"handovers", m.handovers.value()},
      {"gaps_healed", m.gaps_healed.value()},
      {"entries_healed", m.entries_healed.value()},
      {"hints_sent", m.hints_sent.value()},
      {"hints_taken", m.hints_taken.value()},
      {"hints_lost", m.hints_lost.value()},
      {"hints_left", m.hints_left.value()},
  };
}

json::array busiest_chats(std::vector<shard_report>& shards) {
  std::vector<shard_report::busy> all;
  for (auto& s : shards)
    all.insert(all.end(), s.busiest.begin(), s.busiest.end());
  auto keep = std::min(busiest_shown, all.size());
  std::partial_sort(all.begin(), all.begin() + std::ptrdiff_t(keep), all.end(),
                    [](auto& a, auto& b) {
                      return std::tie(a.waiting, a.turns) >
                             std::tie(b.waiting, b.turns);
                    });
  json::array out;
  for (std::size_t i = 0; i < keep; ++i)
    out.push_back(json::object{{"chat", to_string(all[i].key)},
                               {"waiting", all[i].waiting},
                               {"turns", all[i].turns}});
  return out;
}

json::object actors_of(const services& s, const collection& c) {
  auto pool = s.pool->now();
  auto load = s.telegram.now();
  return {{"shards", c.shards.size()},
          {"chats", s.chats.load()},
          {"lanes", s.lanes.load()},
          {"senders", s.senders.size()},
          {"turn_threads", pool.threads},
          {"turn_threads_blocked", pool.blocked},
          {"turns_waiting_for_a_thread", pool.waiting},
          {"connections", load.connections}};
}

std::string render(services& s, const history& past, collection& c) {
  json::object root;
  root["node"] = s.how.name;
  root["ready"] = is_ready(s);
  root["draining"] = s.draining.load();
  auto up = s.how.time->mono() - s.started;
  root["uptime_s"] = std::chrono::duration<double>(up).count();
  root["actors"] = actors_of(s, c);
  root["depth"] = json::object{
      {"accepting", s.accepting.load()}, {"to_turn", s.pending.load()},
      {"most_held", s.most_held.load()}, {"parked", s.parked.load()},
      {"unread", s.unread.load()},       {"turning", s.turning.load()},
      {"outbox", s.outbox.load()},       {"in_flight", s.flying.load()},
      {"settling", s.settling.load()}};
  if (c.global)
    root["global_limit"] = json::object{
        {"waiting", c.global->waiting},     {"used", c.global->used},
        {"limit", c.global->limit},         {"slices", c.global->slices},
        {"slices_of", c.global->slices_of}, {"factor", c.global->factor},
        {"frozen_ms", c.global->frozen_ms}};
  if (c.figures) {
    auto& f = *c.figures;
    root["store"] = json::object{{"journal", f.journal},
                                 {"outbox", f.outbox},
                                 {"timers", f.timers},
                                 {"chats", f.chats},
                                 {"dead_letters", f.dead_letters},
                                 {"bytes", f.bytes},
                                 {"free_bytes", f.free_bytes}};
  }
  root["latency"] =
      json::object{{"accept", latency(s.count.accept_seconds)},
                   {"turn_wait", latency(s.count.turn_wait_seconds)},
                   {"turn_run", latency(s.count.turn_run_seconds)},
                   {"commit", latency(s.count.commit_seconds)},
                   {"call", latency(s.count.call_seconds)},
                   {"reply", latency(s.count.reply_seconds)}};
  root["recent"] = past.recent();
  root["history"] = past.curves();
  if (s.clustered())
    root["cluster"] = cluster_of(s);
  root["totals"] = counters(s.count);
  root["busiest"] = busiest_chats(c.shards);
  std::sort(c.shards.begin(), c.shards.end(),
            [](auto& a, auto& b) { return a.shard < b.shard; });
  json::array shards;
  for (auto& r : c.shards)
    shards.push_back(json::object{{"shard", r.shard.value},
                                  {"owner", r.term.value ? s.instance : ""},
                                  {"epoch", r.term.value},
                                  {"chats", r.chats},
                                  {"lanes", r.lanes},
                                  {"to_turn", r.journal_waiting},
                                  {"to_send", r.calls_waiting}});
  root["shards"] = std::move(shards);
  root["campaigns"] = std::move(c.campaigns);
  root["unanswered"] = c.missing;
  return json::serialize(root);
}

}  // namespace

void collect_stats(const std::shared_ptr<services>& shared,
                   const std::shared_ptr<const history>& past,
                   callback<std::string> done) {
  auto all = std::make_shared<collection>();
  all->missing = shared->shards.size() + 2 + (shared->global ? 1 : 0);
  all->finish = [shared, past, done = std::move(done)](collection& c) {
    done(render(*shared, *past, c));
  };
  for (auto& shard : shared->shards)
    caf::anon_send(
        shard, report_shard{[all](shard_report r) {
          all->put([&](collection& c) { c.shards.push_back(std::move(r)); });
        }});
  if (shared->global)
    caf::anon_send(shared->global, report_global{[all](global_report r) {
                     all->put([&](collection& c) { c.global = r; });
                   }});
  list_campaigns(shared, campaigns_shown, [all](auto found) {
    all->put([&](collection& c) {
      if (found)
        c.campaigns = std::move(*found);
    });
  });
  shared->store.stats([all](auto f) {
    all->put([&](collection& c) {
      if (f)
        c.figures = *f;
    });
  });
  shared->loop.after(patience, [all] { all->put([](collection&) {}, true); });
}

void keep_history(const std::shared_ptr<services>& of,
                  const std::shared_ptr<history>& past) {
  const auto& s = *of;
  past->take({s.pending + s.parked + s.unread, s.outbox}, s.how.time->mono(),
             s.how.time->wall());
  of->loop.after(sample_every,
                 [weak = std::weak_ptr{of}, kept = std::weak_ptr{past}] {
                   const auto still = weak.lock();
                   const auto into = kept.lock();
                   if (!still || !into)
                     return;
                   // After its node's end there may be no clock to ask, nor
                   // counts to read.
                   const std::lock_guard guard{still->closing};
                   if (!still->closed)
                     keep_history(still, into);
                 });
}

// A node that joins is handed its shards first: until then whoever rolls a
// deployment waits with the next one.
bool is_ready(const services& s) noexcept {
  return !s.draining && !s.store_down && (!s.clustered() || s.joined);
}

void add_probes(metrics::registry& into, std::weak_ptr<services> of) {
  auto probe = [&](const char* name, const char* help, auto value) {
    into.add_probe(name, help, {}, [of, value] {
      auto s = of.lock();
      return s ? double(value(*s)) : 0.0;
    });
  };
  probe("troupe_journal_depth",
        "Accepted updates, notices and outcomes that wait for their turn.",
        [](services& s) { return s.pending + s.parked + s.unread; });
  probe("troupe_journal_unread",
        "Of the journal's depth, what is left in the store: this node's memory "
        "has no room for it.",
        [](services& s) { return s.unread.load(); });
  probe("troupe_outbox_depth", "Committed calls that are not settled.",
        [](services& s) { return s.outbox.load(); });
  probe("troupe_turns_in_progress", "Turns under way, commit included.",
        [](services& s) { return s.turning.load(); });
  probe("troupe_calls_in_flight", "Calls on their way to Telegram.",
        [](services& s) { return s.flying.load(); });
  probe("troupe_campaign_running",
        "Campaigns that count or send, turned by this node.",
        [](services& s) { return s.campaigns_here.load(); });
  probe("troupe_active_chats", "Chats in memory.",
        [](services& s) { return s.chats.load(); });
  probe("troupe_nodes_alive", "Nodes of this store, as last heard.",
        [](services& s) {
          std::lock_guard guard{s.nodes_lock};
          return s.clustered() ? s.nodes.size() : std::size_t{1};
        });
  probe("troupe_shards", "Shards of the store.",
        [](services& s) { return s.store.shards(); });
  probe("troupe_shards_held", "Shards that this node has the lease of.",
        [](services& s) { return s.leases_held.load(); });
  probe("troupe_ready", "1 while updates are taken, as /readyz says.",
        [](services& s) { return is_ready(s); });
}

}  // namespace troupe::actors
