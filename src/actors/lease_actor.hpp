#pragma once

#include <map>
#include <memory>
#include <vector>
#include "actors/actor_base.hpp"

#include "actors/messages.hpp"

namespace troupe::actors {

/// Keeps the node's leases: claims shards that should be its own and are free,
/// renews what it holds, has shards handed over that should be another's.
///
/// With each renewal it tells every shard where its journal ends. That is how
/// an entry shows whose hint never came (an accept that was done but not
/// answered, a node that died in between, another node that accepted it):
/// nothing else might ever come after it to make a gap.
class lease_actor : public actor_base {
 public:
  lease_actor(caf::actor_config& config, std::shared_ptr<services> shared);
  const char* name() const override { return "lease"; }

 protected:
  caf::behavior make_behavior() override;

 private:
  using owned = std::shared_ptr<ownership>;
  struct holding {
    owned what;
    bool begun = false;  ///< its shard's actor has it
  };

  void adopt(adopted_leases& m);
  void balance();
  void hold(const owned& what);
  void forget(shard_id which);
  void claim(std::vector<shard_id> missing);
  void on_claimed(claimed& m);
  void read_spending(std::vector<owned> of);
  void on_spending(spending_read& m);
  void start(const std::vector<owned>& which,
             const std::vector<store::spending>& spent);
  void on_free(const shard_free& m);
  void release(const store::lease& which);
  void renew();
  void on_renewed(renewed& m);
  void lose(const ownership& which);
  mono_time safe_until(mono_time asked) const;

  const std::shared_ptr<services> shared_;
  const milliseconds renew_every_;
  std::vector<bool> wanted_;
  std::map<shard_id, holding> held_;
  bool placed_ = false;  ///< `wanted_` was told to us
  bool claiming_ = false;
  bool claim_soon_ = false;
  bool renewing_ = false;
  mono_time renewing_since_{};
};

}  // namespace troupe::actors
