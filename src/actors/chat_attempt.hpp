#pragma once

#include <algorithm>
#include <string>
#include <vector>

#include "actors/chat_actor.hpp"
#include "actors/turn_commit.hpp"

namespace troupe::actors {

// The audience's "last seen" is kept to the hour: a write per turn for it
// would double nothing but the store's work.
inline constexpr std::int64_t audience_every_ms = 3'600'000;

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

  // Keys of `once` (see turn_names.hpp).
  std::string identity;
  std::vector<std::string> taken;     ///< others have them
  std::vector<std::string> reserved;  ///< by any run of this turn
  mono_time reserved_at{};
  bool reserving = false;    ///< it failed, and is to be repeated
  bool again = false;        ///< to be run anew, unless its commit was done
  bool recommitted = false;  ///< it was run anew after a commit without answer

  turn_subject subject(chat_key key, std::uint64_t version, bool anew) const {
    return {key, version, what.fired ? nullptr : &what.what, what.fired.get(),
            anew};
  }

  /// Its keys may be another's before a commit that is begun now is done.
  bool outlived_keys(mono_time now) const {
    auto& keys = result.wanted.once;
    auto shortest =
        std::min_element(keys.begin(), keys.end(),
                         [](auto& a, auto& b) { return a.ttl_ms < b.ttl_ms; });
    return shortest != keys.end() &&
           now - reserved_at > milliseconds{shortest->ttl_ms / 2};
  }

  void tell_audience(chat_key key, std::int64_t now_ms, std::int64_t last_ms) {
    using standing = detail::turn_result::standing;
    if (key.type != chat_key::kind::chat || what.fired ||
        result.audience == standing::same)
      return;
    bool blocked = result.audience == standing::blocked;
    if (!blocked && now_ms - last_ms <= audience_every_ms)
      return;
    commit.audience.push_back({key,
                               blocked ? store::audience_status::blocked
                                       : store::audience_status::active,
                               result.language});
  }
};

}  // namespace troupe::actors
