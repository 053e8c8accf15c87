#pragma once

#include <memory>
#include "actors/actor_base.hpp"

#include "actors/lane.hpp"
#include "actors/messages.hpp"

namespace troupe::actors {

/// The limiter of one chat or group: a `lane` with a mailbox. Its shard spawns
/// it at the first call and ends it when it remembers nothing any more.
class lane_actor : public actor_base {
 public:
  /// @param owned of the shard whose actor spawns it
  lane_actor(caf::actor_config& config, std::shared_ptr<services> shared,
             std::shared_ptr<ownership> owned, chat_key to,
             std::shared_ptr<slot_state> state,
             std::vector<store::spending> spent);
  ~lane_actor() override;

  const char* name() const override { return "lane"; }

 protected:
  caf::behavior make_behavior() override;

 private:
  void perform(lane::actions& todo);
  void operator()(lane::ask& a);
  void operator()(lane::give_back& a);
  void operator()(lane::send& a);
  void operator()(lane::settle& a);
  void operator()(lane::fetch& a);
  void operator()(lane::resolve& a);
  void operator()(lane::flood& a);
  void operator()(lane::forget& a);
  void operator()(lane::report& a);
  void on_answer(lane_answer& m);
  void count_answer(const attempt_end& end, const attempt_mark& mark,
                    tracing::span_id span);
  void count_campaign(const store::settlement& s);
  void count_flying(std::int64_t n);
  void count_told(std::int64_t n);
  void look_around();
  unsigned limit_now() const;
  void look_ahead();

  const std::shared_ptr<services> shared_;
  const std::shared_ptr<ownership> owned_;
  const chat_key to_;
  const std::shared_ptr<slot_state> state_;
  lane machine_;
  mono_time wake_set_{};
  std::int64_t told_ = 0;   ///< outcomes we wait to be told of
  bool inherited_ = false;  ///< a call of an earlier process was counted
};

/// The lane's settings for a chat, from the node's options.
lane::options lane_options(const services& in, chat_key to);

}  // namespace troupe::actors
