#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "net/loop.hpp"
#include "store/redis_batcher.hpp"
#include "store/redis_parts.hpp"

namespace troupe::store::redis {

/// Brings parcels from the shard whose commit sent them to their own, where
/// each is taken in once however often it is brought. What can't be brought is
/// tried again until the store closes; then the shard's next owner goes on.
/// **Threads**: the loop's.
class carrier {
 public:
  carrier(net::loop& on, batcher& by, const clock& time);

  /// `done` when each has been tried once; before, `took_place` for each notice
  /// that was appended.
  /// @param ids what the commit's answer said of `plan`
  void carry(shard_id from, const commit_plan& plan,
             const std::vector<posted>& ids,
             std::function<void(std::size_t which, seq_no)> took_place,
             std::function<void()> done);
  /// What a claim found.
  void carry_kept(shard_id from, std::vector<kept_parcel> all);
  /// After a commit whose answer was lost: it may have sent some.
  void look_for(shard_id from);

 private:
  struct pending;
  struct delivery;

  void deliver(std::shared_ptr<delivery> what);
  void deliver_later(std::shared_ptr<delivery> what);
  void arrived(const std::shared_ptr<delivery>& what);

  net::loop& loop_;
  batcher& batch_;
  const clock& time_;
};

}  // namespace troupe::store::redis
