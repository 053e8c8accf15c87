#pragma once

#include <map>
#include <memory>
#include "actors/actor_base.hpp"

#include "actors/messages.hpp"

namespace troupe::actors {

/// Keeps the node's leases, and with each renewal tells every shard where its
/// journal ends. That is how an entry shows whose hint never came (an accept
/// that was done but not answered, a node that died in between): nothing else
/// might ever come after it to make a gap.
class lease_actor : public actor_base {
 public:
  lease_actor(caf::actor_config& config, std::shared_ptr<services> shared);
  const char* name() const override { return "lease"; }

 protected:
  caf::behavior make_behavior() override;

 private:
  void renew();
  void on_renewed(renewed& m);

  const std::shared_ptr<services> shared_;
  std::map<shard_id, store::lease> held_;
  bool asking_ = false;
  mono_time asked_at_{};
};

}  // namespace troupe::actors
