#pragma once

#include <memory>
#include <unordered_map>
#include "actors/actor_base.hpp"

#include "actors/budget.hpp"
#include "actors/messages.hpp"

namespace troupe::actors {

/// The global limiter: a `budget` with a mailbox.
class budget_actor : public actor_base {
 public:
  budget_actor(caf::actor_config& config, std::shared_ptr<services> shared);
  const char* name() const override { return "budget"; }

 protected:
  caf::behavior make_behavior() override;

 private:
  void serve();

  const std::shared_ptr<services> shared_;
  budget machine_;
  std::unordered_map<budget::claim, caf::actor> waiting_;
  budget::claim next_claim_ = 1;
  mono_time wake_set_{};
};

}  // namespace troupe::actors
