#pragma once

#include <array>
#include <atomic>
#include <caf/actor.hpp>
#include <memory>
#include <vector>

#include "actors/lane.hpp"
#include "actors/meters.hpp"
#include "actors/node.hpp"
#include "actors/turn_pool.hpp"

namespace troupe::actors {

/// This node's hold on one shard. A new claim makes a new object, so that what
/// was begun under an old lease keeps its old epoch and is refused.
struct ownership {
  explicit ownership(store::lease l) : held{l} {}

  const store::lease held;
  std::atomic<std::uint32_t> next_call{1};
  std::atomic<std::int64_t> to_turn{0};  ///< handed to chats, not done

  call_id new_call() { return make_call_id(held.term, next_call++); }
};

/// How long a lease lasts unless it is renewed (DESIGN section 8).
constexpr milliseconds lease_ttl{2'000};

// Updates inside `accept` at once: far more than Telegram's 100 connections.
constexpr std::int64_t most_accepting = 4'096;
// Parked entries cost some dozen bytes each; still, not without a bound.
constexpr std::int64_t most_parked = 1'000'000;

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
        count{r} {}

  const node_options how;
  const std::shared_ptr<const detail::bot_base> bot;
  store::backend& store;
  http::client& telegram;
  net::loop& loop;
  meters count;
  std::unique_ptr<turn_pool> pool;

  // Set once, before the first message.
  std::vector<caf::actor> shards;
  caf::actor webhook;
  caf::actor global;  ///< invalid if there is no global limit
  caf::actor timers;
  caf::actor leases;
  caf::actor poller;
  std::vector<caf::actor> senders;
  mono_time started{};
  wall_time started_wall{};

  std::string late_name;  ///< written once, before `named`
  std::atomic<bool> named{false};

  /// Nothing new is accepted.
  std::atomic<bool> draining{false};
  /// No turn and no call begins any more.
  std::atomic<bool> stopping{false};
  /// The store is closed: nothing may touch it, or what outlives it, any more.
  std::atomic<bool> closed{false};
  /// The last store operation that mattered failed.
  std::atomic<bool> store_down{false};
  std::atomic<std::int64_t> store_failed_at{0};  ///< mono ns
  /// Until then, mono ns, no call begins at all: a 429 of the whole bot (G8).
  std::atomic<std::int64_t> frozen_until{0};

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
  std::atomic<std::int64_t> turning{0};    ///< turns under way, commit included
  std::atomic<std::int64_t> outbox{0};     ///< calls committed, not settled
  std::atomic<std::int64_t> flying{0};     ///< calls on their way to Telegram
  std::atomic<std::int64_t> settling{0};   ///< outcomes not yet durable
  std::atomic<std::int64_t> deciding{0};   ///< lanes that handle an event
  std::atomic<std::int64_t> chats{0};      ///< chat actors alive
  std::atomic<std::int64_t> lanes{0};      ///< chat and group limiters alive

  /// Too much is in memory, or on the way into the store (G11).
  bool overloaded() const noexcept {
    return pending + hinted > std::int64_t(how.max_pending) ||
           accepting > most_accepting || parked > most_parked;
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

  const caf::actor& shard_for(const chat_key& key) const {
    return shards[shard_of(key, static_cast<std::uint16_t>(shards.size()))
                      .value];
  }
  moment now() const { return {how.time->mono(), how.time->wall()}; }
  milliseconds since(wall_time t) const { return how.time->wall() - t; }
};

}  // namespace troupe::actors
