#pragma once

#include <memory>
#include <optional>
#include <set>
#include <tuple>
#include "actors/actor_base.hpp"

#include "actors/messages.hpp"

namespace troupe::actors {

/// Fires durable timers: asks the store for what is due, hands it to the
/// shards, and sleeps until the next. A timer stays in the store until its
/// turn is committed, so nothing here needs to survive.
class timer_actor : public actor_base {
 public:
  timer_actor(caf::actor_config& config, std::shared_ptr<services> shared);
  const char* name() const override { return "timer"; }

 protected:
  caf::behavior make_behavior() override;

 private:
  using identity = std::tuple<chat_key, std::string, wall_time>;
  static identity id_of(const store::timer& t) {
    return {t.key, t.name, t.due};
  }

  void ask();
  void on_due(due_answer& m);
  void wake_at(wall_time at);

  const std::shared_ptr<services> shared_;
  std::set<identity> fired_;  ///< handed out, not turned yet
  bool asking_ = false;
  bool again_ = false;
  bool stale_ = false;  ///< a shard came to us, or we woke, since we asked
  std::optional<wall_time> wake_;
};

}  // namespace troupe::actors
