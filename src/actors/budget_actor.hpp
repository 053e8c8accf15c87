#pragma once

#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>
#include "actors/actor_base.hpp"

#include "actors/budget.hpp"
#include "actors/messages.hpp"
#include "actors/slices.hpp"

namespace troupe::actors {

/// The global limiter: a `budget` with a mailbox; and with `slices` of it,
/// where several nodes share one.
class budget_actor : public actor_base {
 public:
  budget_actor(caf::actor_config& config, std::shared_ptr<services> shared);
  const char* name() const override { return "budget"; }

 protected:
  caf::behavior make_behavior() override;

 private:
  void serve();
  void forget_ended();
  void share(const peer_wants& m);
  void tick_slices();
  void on_slice(const slice_answer& m);
  static std::string slice_name(unsigned slice);

  const std::shared_ptr<services> shared_;
  budget machine_;
  struct waiter {
    caf::actor lane;
    unsigned cost;
    bool bulk;
    std::shared_ptr<const ownership> owned;
  };
  std::unordered_map<budget::claim, waiter> waiting_;
  budget::claim next_claim_ = 1;
  mono_time wake_set_{};
  // Only where several nodes share the budget:
  std::optional<slices> slices_;
  bool leaving_ = false;
  double rate_ = 0;       ///< messages granted in the last second, about
  unsigned largest_ = 1;  ///< cost of the calls that wait
};

}  // namespace troupe::actors
