#include "store/owners.hpp"

#include <limits>

namespace troupe::store {

bool owners::claim(shard_id s, const std::string& node, mono_time now,
                   milliseconds ttl) {
  auto& slot = slots_[s.value];
  const bool expired = expiring_ && slot.until <= now;
  if (slot.held && !expired && slot.node != node)
    return false;
  // Call ids carry the epoch in their upper half and are stored as int64.
  TROUPE_CHECK(slot.term.value <
               std::uint32_t{std::numeric_limits<std::int32_t>::max()});
  ++slot.term.value;
  slot.held = true;
  slot.until = now + ttl;
  slot.node = node;
  return true;
}

bool owners::renew(const lease& l, mono_time now, milliseconds ttl) {
  if (!holds(l))
    return false;
  slots_[l.shard.value].until = now + ttl;
  return true;
}

error fenced(const lease& l) {
  return {errc::fenced, "epoch " + std::to_string(l.term.value) + " of shard " +
                            std::to_string(l.shard.value) +
                            " is not held any more"};
}

}  // namespace troupe::store
