#pragma once

#include <vector>

#include "actors/services.hpp"

/// How shards hear of what was appended to their journals. **Threads**: any.
namespace troupe::actors {

/// Hints on their way to the road, in the mailbox of its actor: over it they
/// are dropped.
constexpr std::int64_t most_road_bytes = 4 * 1024 * 1024;

/// Tells a shard's owner of entries that were appended to its journal: the
/// shard's actor here, or by road the node that should own it. A hint may be
/// lost: everything is in the store.
void hint(services& shared, shard_id shard, std::vector<store::entry> entries);

/// Tells the shards of fresh receipts; `batch` and `receipts` in one order.
void hint_shards(services& shared, std::vector<store::arrival>& batch,
                 const std::vector<store::receipt>& receipts);

}  // namespace troupe::actors
