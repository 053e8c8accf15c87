#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "store/store.hpp"

namespace troupe::store {

/// Who holds which shard inside this process, for stores that no other process
/// can open: leases don't expire, and a restart frees them all.
class owners {
 public:
  explicit owners(std::uint16_t shards) : slots_(shards) {}

  /// The current epoch, to persist; and to restore after a restart.
  epoch term(shard_id s) const { return slots_[s.value].term; }
  void restore(shard_id s, epoch term) { slots_[s.value].term = term; }

  /// Takes the shard unless another node holds it; true if taken.
  bool claim(shard_id s, const std::string& node);

  bool holds(const lease& l) const {
    return l.shard.value < slots_.size() && slots_[l.shard.value].held &&
           slots_[l.shard.value].term == l.term;
  }

  void release(const lease& l) {
    if (holds(l))
      slots_[l.shard.value].held = false;
  }

 private:
  struct holding {
    epoch term;
    bool held = false;
    std::string node;
  };
  std::vector<holding> slots_;
};

/// The answer to a write whose lease is not the current one.
error fenced(const lease& l);

}  // namespace troupe::store
