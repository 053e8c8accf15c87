#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "store/redis_batcher.hpp"
#include "store/store.hpp"

namespace troupe::store::redis {

/// A page of the audience: shard by shard, some shards at a time.
/// **Lifetime**: `by` until `done`.
void walk_audience(batcher& by, std::uint16_t shards,
                   const std::optional<chat_key>& after, std::size_t limit,
                   callback<std::vector<member>> done);

}  // namespace troupe::store::redis
