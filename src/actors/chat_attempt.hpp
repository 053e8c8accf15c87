#pragma once

#include <optional>
#include <string>
#include <vector>

#include "actors/chat_actor.hpp"
#include "actors/turn_commit.hpp"
#include "actors/turn_locks.hpp"

namespace troupe::actors {

// The audience's "last seen" is kept to the hour: a write per turn for it
// would double nothing but the store's work.
inline constexpr std::int64_t audience_every_ms = 3'600'000;

/// The lock that a turn is about.
struct asked_lock {
  detail::lock_request wanted;
  std::uint64_t token = 0;  ///< 0: not granted
  mono_time at{};           ///< asked for, or prolonged
  bool waits = false;       ///< for its next try: nothing is turned
};

/// One turn under way; the pool's thread and the actor take turns with it.
struct chat_actor::attempt {
  std::uint64_t number = 0;
  item what;
  unsigned tries = 0;
  detail::turn_result result;
  store::turn commit;
  unsigned commits = 0;
  std::int64_t waited_ms = 0;
  mono_time began{}, ran{}, done{};
  wall_time ended{};  ///< the handler, for what its commit says

  std::string identity;        ///< of the event
  std::uint64_t known_as = 0;  ///< to traces
  mono_time begun{};           ///< its first attempt
  std::vector<tracing::link> links;

  // Keys of `once` (see turn_names.hpp).
  std::vector<std::string> taken;      ///< others have them
  std::vector<std::string> unchanged;  ///< SQL of this turn (docs/adr/0026)
  std::vector<std::string> reserved;   ///< by any run of this turn
  mono_time reserved_at{};
  std::optional<asked_lock> lock;
  bool under_way = false;    ///< a campaign's: what its commit makes it
  std::string stopped;       ///< a campaign's: why it pauses itself, if so
  bool reserving = false;    ///< it failed, and is to be repeated
  bool again = false;        ///< to be run anew, unless its commit was done
  bool recommitted = false;  ///< it was run anew after a commit without answer

  turn_subject subject(chat_key key, std::uint64_t version, bool anew) const {
    return {key, version, what.fired ? nullptr : &what.what, what.fired.get(),
            anew};
  }

  /// A request for a lock is turned as its answer.
  detail::turn_event event(const turn_subject& about) const {
    auto e = event_of(about);
    if (!lock)
      return e;
    e.from = detail::turn_event::source::lock;
    e.name = lock->wanted.name;
    e.holder = lock->wanted.holder;
    e.token = lock->token;
    return e;
  }

  /// What it holds may be another's before a commit that is begun now is done:
  /// half of its time has to do for that.
  bool outlived_keys(mono_time now) const {
    for (auto& k : result.wanted.once)
      if (now - reserved_at > milliseconds{k.ttl_ms / 2})
        return true;
    return lock && lock->token != 0 &&
           now - lock->at > milliseconds{lock->wanted.ttl_ms / 2};
  }

  void tell_audience(chat_key key, std::int64_t now_ms, std::int64_t last_ms) {
    using standing = detail::turn_result::standing;
    if (key.type != chat_key::kind::chat)
      return;
    using store::audience_status;
    if (result.moved_from != 0)
      commit.audience.push_back(
          {chat_key::chat(result.moved_from), audience_status::migrated, {}});
    const bool moved = result.audience == standing::moved;
    const bool blocked = result.audience == standing::blocked;
    store::audience_change change;
    change.key = key;
    change.seen = !what.fired && result.audience != standing::same &&
                  (blocked || moved || now_ms - last_ms > audience_every_ms);
    if (change.seen) {
      change.status = moved     ? audience_status::migrated
                      : blocked ? audience_status::blocked
                                : audience_status::active;
      if (!moved)
        change.language = result.language;
    }
    change.tag = result.wanted.tagged;
    change.untag = result.wanted.untagged;
    if (change.seen || change.changes_tags())
      commit.audience.push_back(std::move(change));
    if (moved)
      commit.audience.push_back(
          {chat_key::chat(result.moved_to), audience_status::active, {}});
  }
};

}  // namespace troupe::actors
