#pragma once

#include <memory>
#include "actors/actor_base.hpp"

#include "actors/messages.hpp"

namespace troupe::actors {

/// One of the pool of senders: turns a call into a request and hands its
/// answer back to the lane. It never waits: calls of many chats are under way
/// at once, each chat's one after the other.
class sender_actor : public actor_base {
 public:
  sender_actor(caf::actor_config& config, std::shared_ptr<services> shared);
  const char* name() const override { return "sender"; }

 protected:
  caf::behavior make_behavior() override;

 private:
  const std::shared_ptr<services> shared_;
  const std::string prefix_;  ///< "/bot<token>/": never logged
};

}  // namespace troupe::actors
