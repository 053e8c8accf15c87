#pragma once

#include <memory>
#include <vector>
#include "actors/actor_base.hpp"

#include "actors/messages.hpp"

namespace troupe::actors {

/// Takes updates that passed the gate, hands them to the store in batches, and
/// has them answered when they are durable. The answer and the hints to the
/// shards leave straight from the store's callback.
class webhook_actor : public actor_base {
 public:
  webhook_actor(caf::actor_config& config, std::shared_ptr<services> shared);
  const char* name() const override { return "webhook"; }

 protected:
  caf::behavior make_behavior() override;

 private:
  void flush();

  const std::shared_ptr<services> shared_;
  std::vector<web_arrival> waiting_;
  bool flush_sent_ = false;
};

}  // namespace troupe::actors
