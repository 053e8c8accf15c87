#include "store/owners.hpp"

#include <limits>

namespace troupe::store {

bool owners::claim(shard_id s, const std::string& node) {
  auto& slot = slots_[s.value];
  if (slot.held && slot.node != node)
    return false;
  // Call ids carry the epoch in their upper half and are stored as int64.
  TROUPE_CHECK(slot.term.value <
               std::uint32_t{std::numeric_limits<std::int32_t>::max()});
  ++slot.term.value;
  slot.held = true;
  slot.node = node;
  return true;
}

error fenced(const lease& l) {
  return {errc::fenced, "epoch " + std::to_string(l.term.value) + " of shard " +
                            std::to_string(l.shard.value) +
                            " is not held any more"};
}

}  // namespace troupe::store
