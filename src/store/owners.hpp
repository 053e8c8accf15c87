#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "store/store.hpp"

namespace troupe::store {

/// Who holds which shard, for stores that keep it in memory: a restart frees
/// them all. The epoch alone is the fence; expiry only says from when on
/// another may take the shard.
class owners {
 public:
  /// @param expiring another node may take what was not renewed in time;
  /// otherwise a shard is held until it is released
  explicit owners(std::uint16_t shards, bool expiring = false)
      : slots_(shards), expiring_{expiring} {}

  /// The current epoch, to persist; and to restore after a restart.
  epoch term(shard_id s) const { return slots_[s.value].term; }
  void restore(shard_id s, epoch term) { slots_[s.value].term = term; }

  /// Takes the shard unless another node holds it; true if taken.
  bool claim(shard_id s, const std::string& node, mono_time now,
             milliseconds ttl);

  /// True if nobody claimed the shard since `l` was made, nor released it.
  bool holds(const lease& l) const {
    return l.shard.value < slots_.size() && slots_[l.shard.value].held &&
           slots_[l.shard.value].term == l.term;
  }

  /// Prolongs what is held, expired or not; true if it is.
  bool renew(const lease& l, mono_time now, milliseconds ttl);

  void release(const lease& l) {
    if (holds(l))
      slots_[l.shard.value].held = false;
  }

 private:
  struct holding {
    epoch term;
    bool held = false;
    mono_time until;
    std::string node;
  };
  std::vector<holding> slots_;
  bool expiring_;
};

/// The answer to a write whose lease is not the current one.
error fenced(const lease& l);

}  // namespace troupe::store
