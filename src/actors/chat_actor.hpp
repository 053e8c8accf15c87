#pragma once

#include <list>
#include <memory>
#include <vector>
#include "actors/actor_base.hpp"

#include "actors/messages.hpp"

namespace troupe::actors {

/// One chat: keeps its journal entries in order and turns them one at a time.
///
/// The actor only moves things; the behaviour runs on the turn pool and the
/// commit on the store's thread, so a chat that waits costs no thread. Its
/// shard spawns it at the first entry and ends it when it has been idle.
class chat_actor : public actor_base {
 public:
  chat_actor(caf::actor_config& config, std::shared_ptr<services> shared,
             caf::actor shard, std::shared_ptr<ownership> owned, chat_key key,
             std::shared_ptr<slot_state> state);
  ~chat_actor() override;

  const char* name() const override { return "chat"; }

  /// Bodies a chat keeps in memory; entries behind them are read from the
  /// store when it is their turn.
  static constexpr std::uint32_t loaded = 32;

 protected:
  caf::behavior make_behavior() override;

 private:
  struct item {
    store::entry what;  ///< of a timer: only `key`
    std::unique_ptr<store::timer> fired;
  };
  struct attempt;

  void on(chat_work& m);
  void on(timer_work& m);
  void on(loaded_record& m);
  void on(loaded_entries& m);
  void on(turn_ended& m);
  void on(lock_answered& m);
  void on(campaign_read& m);
  void on(lock_released& m);
  void on(release_again& m);
  void on(keys_reserved& m);
  void on(commit_ended& m);
  void on(turn_again& m);
  void on(chat_forgotten& m);
  void on(chat_over& m);

  void push(item x);
  void next();
  void load_record();
  void load_bodies();
  void count_turning(bool yes);
  bool may_begin();
  void begin_turn();
  void run_turn();
  void on_turn_end();
  void reserve_again();
  static void reserve_keys(services& shared, caf::actor chat, attempt& job);
  void run_again();
  void give_back_unused();
  void on_sql_refused(const store::turn_receipt& receipt);
  bool ask_lock();
  void begin_campaign();
  void turn_campaign(const campaign_facts& facts);
  void commit_campaign(campaign_step step);
  void begin_forget();
  void drop_fired();
  void note_campaign(bool under_way);
  void campaign_applied();
  void wait_for_lock();
  void release_locks(bool committed);
  void release(lock_release what);
  void bury(const std::string& why);
  void commit();
  static void send_commit(services& shared, const ownership& owned,
                          caf::actor chat, attempt& job);
  void applied(const store::turn_receipt& receipt);
  void finish(bool committed);
  void log_turn(const char* outcome, tracing::span_id span) const;
  tracing::span span_in_turn(const char* name) const;
  tracing::span_id trace_handler();
  void trace_commit(const std::string& refused);
  void trace_wait();
  tracing::span_id trace_turn(const char* outcome);
  void link_to(const store::entry& told);
  void retry_later(unsigned attempts, milliseconds first, milliseconds most);

  const std::shared_ptr<services> shared_;
  const caf::actor shard_;
  const std::shared_ptr<ownership> owned_;
  const chat_key key_;
  const std::shared_ptr<slot_state> state_;

  enum class step : std::uint8_t {
    idle,
    loading,
    fetching,
    locking,
    asking,
    turning,
    committing,
    checking,
    forgetting,
    pausing
  };
  step step_ = step::idle;
  bool have_record_ = false;
  bool anew_ = false;  ///< the record had expired; until the next commit
  bool turning_ = false;
  bool campaign_here_ = false;  ///< it is one that is under way
  std::list<item> queue_;       ///< a deque takes 576 bytes when empty
  std::shared_ptr<detail::live_chat> live_;
  std::unique_ptr<std::string> campaign_;    ///< its state, if it is one
  std::unique_ptr<std::string> bad_record_;  ///< why it does not fit, if so
  std::uint64_t version_ = 0;
  std::shared_ptr<attempt> now_;  ///< the turn under way
  std::uint64_t attempts_made_ = 0;
  unsigned store_failures_ = 0;
  std::size_t asked_ = 0;         ///< bodies under way from the store
  std::int64_t audience_ms_ = 0;  ///< when the audience was last told
};

}  // namespace troupe::actors
