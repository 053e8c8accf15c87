#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "core/ids.hpp"

namespace troupe::actors {

/// Where among `nodes` the shard should live: by rendezvous hashing, so that
/// every node comes to the same answer without asking, and one that joins or
/// leaves moves its own share only.
///
/// Pure. All nodes must compute the same: never change it.
/// @param nodes names, in any order, at least one
/// @returns the name's index
std::size_t place(shard_id shard, const std::vector<std::string>& nodes);

}  // namespace troupe::actors
