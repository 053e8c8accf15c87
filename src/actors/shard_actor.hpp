#pragma once

#include <memory>
#include <unordered_map>
#include <vector>
#include "actors/actor_base.hpp"

#include "actors/messages.hpp"
#include "actors/recency.hpp"
#include "actors/sequencer.hpp"

namespace troupe::actors {

/// The owner of one shard, while this node has its lease: hands its journal out
/// to its chats in sequence, its outbox to its lanes in order, and makes
/// outcomes durable. Everything that reaches a chat or a lane passes here,
/// which is why they can be ended when idle without a message ever getting
/// lost.
///
/// unowned -> outbox -> journal -> following -> ending -> unowned; a lost lease
/// leads to unowned from everywhere.
class shard_actor : public actor_base {
 public:
  shard_actor(caf::actor_config& config, std::shared_ptr<services> shared,
              shard_id id);
  const char* name() const override { return "shard"; }

 protected:
  caf::behavior make_behavior() override;

 private:
  struct slot;
  using named_slot = std::pair<const chat_key, slot>;
  struct slot {
    caf::actor who;
    std::shared_ptr<slot_state> state;
    named_slot* newer = nullptr;  // of chats: see recency
    named_slot* older = nullptr;
  };
  using slots = std::unordered_map<chat_key, slot>;
  enum class step : std::uint8_t {
    unowned,
    outbox,     ///< reading what is to send
    journal,    ///< reading what is to turn
    following,  ///< hints come; gaps are healed
    ending      ///< what is under way ends, nothing begins
  };

  void start(start_shard& m);
  void ask_outbox();
  bool expected(epoch term, bool fits);
  void on_outbox(outbox_page& m);
  void ask_journal(seq_no after, bool healing);
  void on_unread();
  void fall_behind();
  void follow(bool more);
  void on_healed(journal_page& m);
  void on_journal(journal_page& m);
  void on_appended(appended& m);
  void dispatch(std::vector<store::entry> entries);
  void dispatch_call(store::call what, bool inherited);
  void dispatch_timer(store::timer what);
  void take_in(std::vector<store::entry> appended);
  void look_for_gap();
  void count_kept();
  slot& chat_slot(const chat_key& key);
  slot& lane_slot(const chat_key& key);
  void on_outcome(outcome_of& m);
  void flush_outcomes();
  void on_settled(settled& m);
  void lose(epoch term);
  void begin_hand_over(epoch term);
  void look_whether_quiet();
  void let_go();
  void drop_outcomes();
  void end_children();
  void passivate();
  void passivate_chats(mono_time now);
  void report(const report_shard& m);
  void report_one(const report_chat& m);

  const std::shared_ptr<services> shared_;
  const shard_id id_;
  std::shared_ptr<ownership> owned_;
  step step_ = step::unowned;
  mono_time ending_since_{};
  bool was_quiet_ = false;
  sequencer order_;
  call_id outbox_read_;
  seq_no journal_read_;
  bool reading_ = false;  ///< a page is under way from the store
  bool heal_asked_ = false;
  bool behind_ = false;      ///< waits for room to read its journal on
  std::int64_t kept_ = 0;    ///< of `order_`, in `services::hinted`
  std::int64_t unread_ = 0;  ///< of `order_`, in `services::unread`
  slots chats_;
  recency<named_slot> used_;  ///< of `chats_`
  slots lanes_;
  std::unordered_map<chat_key, std::vector<store::spending>> spent_;
  std::vector<outcome_of> outcomes_;
  std::shared_ptr<std::vector<outcome_of>> settling_;
  unsigned settle_failures_ = 0;
};

}  // namespace troupe::actors
