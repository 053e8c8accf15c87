#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <mutex>

#include "store/engine.hpp"
#include "store/store.hpp"

namespace troupe::store {

struct group_limits {
  /// More than this waiting, and `accept` is refused.
  std::size_t waiting_jobs = 50'000;
  std::size_t waiting_bytes = std::size_t{256} << 20;
  /// A group takes what waits, up to this much.
  std::size_t group_jobs = 512;
  std::size_t group_bytes = std::size_t{16} << 20;
};

/// Engines beside the main one, on the same data, each with a writer of its
/// own: what they do waits for nothing that the main one does. Those of turns
/// are made when they are first needed.
struct group_sides {
  /// For what keeps a node alive, and names: heartbeats, renewals, `acquire`.
  std::shared_ptr<engine> upkeep;
  /// For commits with `turn::sql`, each a group by itself; null: there are
  /// none.
  std::function<std::shared_ptr<engine>()> for_sql;
};

/// Makes a backend of an engine. One writer thread owns the engine: it takes
/// everything that waits as one group, and answers when the group is durable.
/// An operation that fails its group runs again alone, and the others without
/// it.
/// A second thread answers what was refused (overload, closing), so that a
/// stuck disk can't hold back a refusal.
///
/// `close` runs what waits, then lets go of the engine.
///
/// @param shared held around each group, where several stores have one engine
std::unique_ptr<backend> make_group_store(
    std::shared_ptr<engine> engine, bool exclusive, group_limits limits = {},
    std::shared_ptr<std::mutex> shared = nullptr, group_sides sides = {});

}  // namespace troupe::store
