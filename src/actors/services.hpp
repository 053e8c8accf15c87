#pragma once

#include <algorithm>
#include <array>
#include <atomic>
#include <caf/actor.hpp>
#include <map>
#include <memory>
#include <mutex>
#include <vector>

#include "actors/campaign_board.hpp"
#include "actors/lane.hpp"
#include "actors/meters.hpp"
#include "actors/node.hpp"
#include "actors/tracer.hpp"
#include "actors/turn_pool.hpp"

namespace troupe::actors {

/// This node's hold on one shard. A new claim makes a new object, so that what
/// was begun under an old lease keeps its old epoch and is refused.
struct ownership {
  /// @param from since when nobody else sends for the shard
  /// @param until the lease is certainly ours before, by our own clock
  ownership(store::lease l, mono_time from, mono_time until)
      : held{l}, since{from}, safe_until_{until.time_since_epoch().count()} {}

  const store::lease held;
  const mono_time since;
  std::atomic<std::uint32_t> next_call{1};
  std::atomic<std::int64_t> to_turn{0};  ///< handed to chats, not done
  /// Turns and calls under way, and lanes that decide on one.
  std::atomic<std::int64_t> busy{0};
  /// It is given up, or lost: no turn and no call begins any more.
  std::atomic<bool> ending{false};

  call_id new_call() { return make_call_id(held.term, next_call++); }
  bool made(call_id c) const { return c.value >> 32 == held.term.value; }

  /// Until when another node can't have taken the shard, whatever became of
  /// our renewals: after it nothing may leave in its name (G6).
  mono_time safe_until() const {
    return mono_time{mono_time::duration{safe_until_}};
  }
  bool safe(mono_time now) const { return now < safe_until(); }
  /// A renewal succeeded. **Threads**: one.
  void prolong(mono_time until) {
    safe_until_ =
        std::max<std::int64_t>(safe_until_, until.time_since_epoch().count());
  }

 private:
  std::atomic<std::int64_t> safe_until_;
};

/// Why nothing is done in a shard's name just now (see `ownership::safe`).
inline error lapsed() {
  return {errc::unavailable, "the lease was not renewed in time"};
}

// Updates inside `accept` at once: far more than Telegram's 100 connections.
constexpr std::int64_t most_accepting = 4'096;

/// How it stands with the road to another node, for the stats page.
struct road_report {
  std::string name;
  const char* state;  ///< a word
  std::string why;    ///< it is not open; empty: it is, or nobody tried yet
  std::size_t waiting = 0;
};

/// What all actors of a node share. Made before the first actor, gone after
/// the last. **Threads**: any; what changes is atomic.
struct services {
  services(node_options o, std::shared_ptr<const detail::bot_base> b,
           store::backend& s, http::client& t, net::loop& l,
           metrics::registry& r)
      : how{std::move(o)},
        bot{std::move(b)},
        store{s},
        telegram{t},
        loop{l},
        count{r},
        trace{how.tracing, how.bot_token, *how.time},
        global_per_second{how.limits.global_per_second},
        chat_per_second{how.limits.chat_per_second},
        group_per_minute{how.limits.group_per_minute},
        bulk_per_second{how.limits.bulk_per_second},
        campaigns{std::make_shared<campaign_board>()},
        follows{std::make_unique<std::atomic<bool>[]>(s.shards())},
        terms{std::make_unique<std::atomic<std::uint32_t>[]>(s.shards())},
        away{std::make_unique<std::atomic<bool>[]>(s.shards())},
        pushed_back{std::make_unique<std::atomic<bool>[]>(s.shards())} {}

  const node_options how;
  const std::shared_ptr<const detail::bot_base> bot;
  store::backend& store;
  http::client& telegram;
  net::loop& loop;
  meters count;
  tracer trace;
  /// As they are now: they may change while the node runs. Those in `how` are
  /// of the start.
  std::atomic<unsigned> global_per_second, chat_per_second, group_per_minute,
      bulk_per_second;
  const std::shared_ptr<campaign_board> campaigns;
  std::unique_ptr<turn_pool> pool;

  // Set once, before the first message.
  std::vector<caf::actor> shards;
  /// By shard: this node owns it and is through with its backlog.
  std::unique_ptr<std::atomic<bool>[]> follows;
  /// By shard: the epoch of the lease that this node holds; 0: none.
  std::unique_ptr<std::atomic<std::uint32_t>[]> terms;
  /// By shard: it should be another node's.
  std::unique_ptr<std::atomic<bool>[]> away;
  /// By shard: its owner says that it can't keep up.
  std::unique_ptr<std::atomic<bool>[]> pushed_back;
  std::atomic<bool> any_pushed_back{false};
  caf::actor webhook;
  caf::actor global;  ///< invalid if there is no global limit
  caf::actor timers;
  caf::actor leases;
  caf::actor members;   ///< invalid if nobody else can use the store
  caf::actor road;      ///< invalid if no other node is told of anything
  std::string address;  ///< where others find the road
  caf::actor poller;
  std::vector<caf::actor> senders;
  mono_time started{};
  /// By which the store and other nodes know this process: never used twice.
  std::string instance;

  std::string late_name;  ///< written once, before `named`
  std::atomic<bool> named{false};

  /// Nothing new is accepted.
  std::atomic<bool> draining{false};
  /// No turn and no call begins any more.
  std::atomic<bool> stopping{false};
  /// The store is closed: nothing may touch it, or what outlives it, any more.
  std::atomic<bool> closed{false};
  /// Held by who sets `closed`, and by timers of the loop, which may outlive
  /// the node, while they use the store.
  std::mutex closing;
  /// The last store operation that mattered failed.
  std::atomic<bool> store_down{false};
  std::atomic<std::int64_t> store_failed_at{0};  ///< mono ns
  /// Until then, mono ns, no call begins at all: a 429 of the whole bot (G8).
  std::atomic<std::int64_t> frozen_until{0};

  std::mutex nodes_lock;
  std::vector<store::node_info> nodes;  ///< alive, as last heard
  std::vector<mono_time> nodes_heard;   ///< since when `nodes` say just that
  /// Nodes that were asked here to drain, and until when others are told.
  std::map<std::string, mono_time> drains;

  /// It has had every shard that it should have.
  std::atomic<bool> joined{false};
  std::vector<road_report> roads;  ///< to each of them

  /// What this node could use of the bot's budget, in slices.
  std::atomic<unsigned> budget_want{1};
  std::atomic<unsigned> budget_largest{1};
  std::atomic<unsigned> slices_held{0};

  /// Adds to a count for as long as it lives.
  class counted {
   public:
    explicit counted(std::atomic<std::int64_t>& in) : in_{in} { in_ += 1; }
    ~counted() { in_ -= 1; }
    counted(const counted&) = delete;
    counted& operator=(const counted&) = delete;

   private:
    std::atomic<std::int64_t>& in_;
  };

  std::atomic<std::int64_t> accepting{0};  ///< updates inside `accept`
  std::atomic<std::int64_t> hinted{0};     ///< appended, not seen in order
  std::atomic<std::int64_t> pending{0};    ///< to turn, with a body in memory
  std::atomic<std::int64_t> parked{0};     ///< to turn, body in the store only
  std::atomic<std::int64_t> reading{0};    ///< room kept for what is being read
  std::atomic<std::int64_t> unread{0};     ///< to turn, in the store only
  std::atomic<std::int64_t> most_held{0};  ///< `held`, at its highest so far
  std::atomic<std::int64_t> behind_told{0};  ///< mono ns
  std::atomic<std::int64_t> turning{0};   ///< turns under way, commit included
  std::atomic<std::int64_t> outbox{0};    ///< calls committed, not settled
  std::atomic<std::int64_t> flying{0};    ///< calls on their way to Telegram
  std::atomic<std::int64_t> settling{0};  ///< outcomes not yet durable
  std::atomic<std::int64_t> deciding{0};  ///< lanes that handle an event
  std::atomic<std::int64_t> leases_held{0};  ///< claimed, not released
  std::atomic<std::int64_t> chats{0};        ///< chat actors alive
  std::atomic<std::int64_t> lanes{0};        ///< chat and group limiters alive
  std::atomic<std::int64_t> campaigns_here{0};  ///< under way, turned here
  std::atomic<std::int64_t> road_bytes{0};  ///< for the road, in its mailbox

  /// True if other nodes may own shards.
  bool clustered() const noexcept { return !store.exclusive(); }
  std::uint16_t shared_shards() const noexcept {
    return clustered() ? store.shards() : std::uint16_t{0};
  }

  /// Who makes the calls to `to` that a chat of `from` committed. While one
  /// node owns all shards, that is the one lane of `to`. Else each shard has a
  /// lane of its own, so that a call stays with the lease that it needs: of
  /// calls to chats of other shards those with a label (docs/adr/0017).
  const caf::actor& sender_for(const chat_key& from, const chat_key& to) const {
    return shard_for(clustered() ? from : to);
  }

  /// Entries that are in memory with their bodies, until they were turned.
  std::int64_t held() const noexcept { return pending + hinted; }

  /// Too much is in memory, or on the way into the store (G11).
  bool overloaded() const noexcept {
    return held() > std::int64_t(how.max_pending) ||
           accepting > most_accepting || too_many_parked() ||  // or is to leave
           too_many_unsent();
  }
  bool too_many_parked() const noexcept {
    return parked > std::int64_t(how.max_parked);
  }
  /// Each turn may add calls, and Telegram takes no more than the limits say,
  /// or is away: what is behind them must not come in for ever.
  bool too_many_unsent() const noexcept {
    return outbox > std::int64_t(how.max_unsent);
  }
  /// There is no room for so many more of what was appended, by whatever node:
  /// it is left in the store (docs/adr/0016).
  /// @param bare some have no body, which their chats load at once
  bool full(std::int64_t more, bool bare) const noexcept {
    const auto all = held() + reading + more + (bare ? parked.load() : 0);
    return all > 2 * std::int64_t(how.max_pending) || too_many_parked();
  }
  /// Others accept more for us than we turn or send. Not said if it is a few
  /// chats' doing: those hold little memory, and the others' updates go on
  /// (G10).
  bool behind() const noexcept {
    return (unread > std::int64_t(how.max_unread) &&
            held() > std::int64_t(how.max_pending) / 2) ||
           too_many_unsent();
  }
  void note_held() noexcept {
    const auto now = held();
    for (auto most = most_held.load();
         now > most && !most_held.compare_exchange_weak(most, now);) {
    }
  }
  void store_failed() {
    store_failed_at = how.time->mono().time_since_epoch().count();
    store_down = true;
  }
  /// An operation begun at `begun` succeeded.
  void store_works(mono_time begun) {
    if (begun.time_since_epoch().count() > store_failed_at)
      store_down = false;
  }

  /// By which name commands in groups call us; empty: not known yet.
  std::string_view username() const noexcept {
    return named ? std::string_view{late_name} : how.bot_username;
  }

  shard_id shard_id_of(const chat_key& key) const {
    return shard_of(key, static_cast<std::uint16_t>(shards.size()));
  }
  const caf::actor& shard_for(const chat_key& key) const {
    return shards[shard_id_of(key).value];
  }
  moment now() const { return {how.time->mono(), how.time->wall()}; }
  milliseconds since(wall_time t) const { return how.time->wall() - t; }
};

/// Room in memory for entries that are being read from the store; given back
/// when it goes, and they are counted where they went.
class room {
 public:
  room(std::shared_ptr<services> in, std::size_t entries)
      : in_{std::move(in)}, entries_{entries} {
    in_->reading += std::int64_t(entries_);
  }
  ~room() { in_->reading -= std::int64_t(entries_); }
  room(const room&) = delete;
  room& operator=(const room&) = delete;

  std::size_t entries() const noexcept { return entries_; }

 private:
  const std::shared_ptr<services> in_;
  const std::size_t entries_;
};
using room_ptr = std::shared_ptr<const room>;

/// Room for at most so many entries, if there is some; two that ask at one
/// moment may get a little too much. What is read goes before what is
/// accepted: it may fill half as much again as new updates may.
room_ptr room_for(const std::shared_ptr<services>& in, std::size_t most,
                  std::size_t least = 0);

}  // namespace troupe::actors
