#pragma once

#include <memory>
#include <string>

#include "actors/services.hpp"
#include "store/store.hpp"
#include "troupe/detail/turn.hpp"

namespace troupe::actors {

/// What a turn is about, before it ran.
struct turn_subject {
  chat_key key;
  std::uint64_t version = 0;            ///< of the record
  const store::entry* entry = nullptr;  ///< or `fired`
  const store::timer* fired = nullptr;
  /// The record had expired: the commit clears what the turn did not put.
  bool anew = false;
};

/// The event as the behaviour's side takes it.
detail::turn_event event_of(const turn_subject& what);

/// The same number at every attempt at the same event, on any node.
std::uint64_t seed_of(const turn_subject& what) noexcept;

/// What this event is called wherever it is turned, and however often: no other
/// event ever has that name. (A timer set again for the same instant has.)
std::string identity_of(const turn_subject& what);

/// By what number traces know this event, wherever it is turned: an update's is
/// its id, others' begin with `not_an_update`.
std::uint64_t event_number(const turn_subject& what);

/// What acknowledges the subject and changes nothing else; clears an expired
/// record.
store::turn bare_commit(const turn_subject& what);

/// What to commit for a turn that ended with `result`. Call ids come from
/// `owned`, in order.
///
/// Several nodes: calls to a chat of another shard are left to that chat (see
/// docs/adr/0017), whose lane keeps its limit; but not those to a chat that a
/// labelled call of the same turn goes to: its outcome is owed to us.
/// @param shared_shards of the store, if other nodes may own some; else 0
store::turn commit_of(const turn_subject& what, detail::turn_result& result,
                      ownership& owned, wall_time now,
                      std::uint16_t shared_shards);

/// The commit of an `entry_kind::call`: just that call.
/// **Errors**: `errc::corrupt` if the body is not what was stored.
result<store::turn> commit_of_call(const turn_subject& what, ownership& owned,
                                   std::uint16_t shared_shards);

}  // namespace troupe::actors
