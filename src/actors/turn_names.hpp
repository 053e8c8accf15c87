#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "core/callback.hpp"
#include "store/store.hpp"

namespace troupe::actors {

/// A named lease that a turn needs to be its own when it is committed.
struct wanted_name {
  std::string name;    ///< in the store
  std::string holder;  ///< in whose name
  std::int64_t ttl_ms = 0;
  std::uint64_t token = 0;  ///< it must have this token; 0: any
};

/// The name of a key of `once` in the store.
std::string once_name(const std::string& key);

/// Takes or prolongs what a turn needs. `done` is told once, on the store's
/// thread, which of the names are another's (or were, meanwhile: the token is
/// another); the rest is reserved.
/// **Errors**: the first of the store's. Some names may be reserved then.
/// **Repeat**: prolongs.
void reserve(store::backend& in, const std::vector<wanted_name>& names,
             callback<std::vector<std::string>> done);

/// Frees a name. `done` is told, on the store's thread, whether that worked: if
/// not, it ends with its ttl, or is freed by a repeat.
void give_back(store::backend& in, std::string name, std::string holder,
               std::function<void(bool)> done);

}  // namespace troupe::actors
