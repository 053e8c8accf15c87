#pragma once

#include <string>
#include <vector>

#include "core/callback.hpp"
#include "store/store.hpp"
#include "troupe/detail/turn.hpp"

namespace troupe::actors {

/// Reserves what a turn was told true for, or prolongs it, in the name of its
/// event (see `identity_of`). `done` is told once, on the store's thread, which
/// of the keys are another event's; the rest is reserved.
/// **Errors**: the first of the store's. Some keys may be reserved then.
/// **Repeat**: prolongs.
void reserve(store::backend& in, const std::vector<detail::wanted_once>& keys,
             const std::string& holder,
             callback<std::vector<std::string>> done);

/// Frees a reserved key, if that works: else it ends with its ttl.
void give_back(store::backend& in, const std::string& key,
               const std::string& holder);

}  // namespace troupe::actors
