#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "net/loop.hpp"
#include "store/redis_client.hpp"
#include "store/store.hpp"

namespace troupe::store::redis {

/// A connected client and what its keys begin with. Destroyed in this order:
/// the client, then its loop.
struct opened {
  std::unique_ptr<net::loop> loop;
  std::unique_ptr<client> to;
  std::string prefix;
};

/// A store on what was opened; it takes all of it.
std::unique_ptr<backend> make_store(opened on, std::uint16_t shards,
                                    const clock& time);

/// Bytes that the data takes in all primaries together, other stores' on the
/// same servers included.
void used_memory(client& of, callback<std::uint64_t> done);

}  // namespace troupe::store::redis
