#pragma once

#include <memory>

#include "store/store.hpp"

namespace troupe::store::redis {

/// Opens or creates the store of bot `how.bot` on the Redis that `how.url`
/// names (redis_url.hpp has the forms). Other nodes may have it open, too.
///
/// **Durability**: what the server's AOF gives (`appendfsync`), and with
/// `wait_replicas` n that n replicas have it.
///
/// **Errors**: as `open`; `errc::incompatible` also for a server that may lose
/// what it answered (no AOF, keys evicted), unless `how.allow_volatile`.
result<std::unique_ptr<backend>> open(const options& how);

}  // namespace troupe::store::redis
