#pragma once

#include <memory>
#include "actors/actor_base.hpp"

#include "actors/messages.hpp"

namespace troupe::actors {

/// Takes updates by getUpdates. The offset is advanced (which confirms to
/// Telegram) only after the store has them durably; after a restart it starts
/// without an offset, and the store drops what it knows (TELEGRAM.md R7).
///
/// Of several nodes one polls, by a named lease: Telegram lets only one
/// (TELEGRAM.md 33).
class poller_actor : public actor_base {
 public:
  poller_actor(caf::actor_config& config, std::shared_ptr<services> shared);
  const char* name() const override { return "poller"; }

 protected:
  caf::behavior make_behavior() override;

 private:
  void poll();
  void ask_for_turn();
  void on_turn(const poll_turn& m);
  void on_answer(poll_answer& m);
  void on_updates(const std::string& body);
  void accept(std::shared_ptr<std::vector<store::arrival>> batch,
              std::int64_t next_offset);
  void on_accepted(poll_accepted& m);
  void pause(milliseconds how_long);
  void back_off();

  const std::shared_ptr<services> shared_;
  std::vector<std::string> kinds_;  ///< that it asks for
  std::int64_t offset_ = 0;         ///< 0: from the oldest unconfirmed update
  unsigned failures_ = 0;
  bool polling_ = false;
  bool pausing_ = false;
  bool asking_ = false;
  mono_time ours_until_ = mono_time::min();  ///< only where others may poll
  // What the store could not take yet: tried again before the next poll.
  std::shared_ptr<std::vector<store::arrival>> held_;
  std::int64_t held_offset_ = 0;
};

}  // namespace troupe::actors
