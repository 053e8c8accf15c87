#pragma once

#include <atomic>
#include <caf/actor.hpp>
#include <caf/allowed_unsafe_message_type.hpp>
#include <caf/atom.hpp>
#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "actors/campaign.hpp"
#include "actors/lane.hpp"
#include "actors/services.hpp"
#include "actors/slices.hpp"
#include "http/server.hpp"
#include "store/store.hpp"

/// The messages between the actors of one node. They never leave the process
/// (what crosses nodes is another, serialisable set), so CAF may take them as
/// they are.
namespace troupe::actors {

using tick_atom = caf::atom_constant<caf::atom("tick")>;
using retry_atom = caf::atom_constant<caf::atom("retry")>;
using heal_atom = caf::atom_constant<caf::atom("heal")>;
using go_atom = caf::atom_constant<caf::atom("go")>;
using slice_atom = caf::atom_constant<caf::atom("slice")>;
using quiet_atom = caf::atom_constant<caf::atom("quiet")>;
using leave_atom = caf::atom_constant<caf::atom("leave")>;

/// What a shard and one of its chats or lanes both look at.
struct slot_state {
  std::atomic<std::uint32_t> waiting{0};     ///< sent to it, not done
  std::atomic<std::int64_t> last_active{0};  ///< mono, ns
  std::atomic<std::uint64_t> done{0};        ///< turns or calls since it lives
  std::atomic<std::int64_t> clear_at{0};  ///< lanes: may be ended from, mono ns
  std::atomic<std::int64_t> frozen_until{0};  ///< lanes: mono ns
  std::atomic<const char*> doing{"idle"};     ///< a word for the stats page

  void touch(mono_time now) {
    last_active.store(now.time_since_epoch().count(),
                      std::memory_order_relaxed);
  }
};

// -- to the webhook actor -----------------------------------------------------
struct web_arrival {
  store::arrival what;
  http::responder answer;
  mono_time since;
  /// Who posted it says that it is part of a trace of theirs.
  std::optional<tracing::remote_span> theirs;
};

// -- to shards ----------------------------------------------------------------
/// Begin with a fresh lease.
struct start_shard {
  std::shared_ptr<ownership> owned;
  std::vector<store::spending> spent;
};
/// Entries that were appended to the shard's journal. Sent by `hint` only.
struct appended {
  std::vector<store::entry> entries;
};
/// Committed calls for this shard to send: see `services::sender_for`.
struct committed_calls {
  std::vector<store::call> calls;
  /// Read from the outbox: an earlier owner may have sent them already.
  bool inherited = false;
};
/// Timers that are due.
struct fired_timers {
  std::vector<store::timer> timers;
};
/// An outcome to make durable; `tell` is told when it is, if valid.
struct outcome_of {
  store::settlement what;
  caf::actor tell;
};
struct journal_page {
  epoch term;
  bool healing;
  room_ptr kept;  ///< for as many as were asked for
  result<std::vector<store::entry>> page;
};
struct outbox_page {
  epoch term;
  result<std::vector<store::call>> page;
};
/// A chat is forgotten: its calls that wait shall not leave. Also to lanes.
struct calls_forgotten {
  chat_key from;
};
struct settled {
  std::shared_ptr<std::vector<outcome_of>> batch;
  result<std::vector<std::optional<store::entry>>> answer;
};
/// A commit, settle or renewal was refused: the lease is lost.
struct lost_lease {
  epoch term;
};
/// Another node shall have the shard: end what is under way, begin nothing.
struct hand_over {
  epoch term;
};
/// The journal of the shard ends here, as a renewal said.
struct journal_ends {
  epoch term;
  seq_no tail;
};

// -- to the lease keeper ------------------------------------------------------
/// Leases that the start of the node took, and what they need.
struct adopted_leases {
  std::vector<store::lease> leases;
  std::vector<store::spending> spent;
};
/// By shard: whether it should be this node's.
struct wanted_shards {
  std::vector<bool> mine;
};
struct claimed {
  mono_time asked;
  result<std::vector<store::lease>> answer;
};
struct spending_read {
  std::vector<std::shared_ptr<ownership>> of;
  result<std::vector<store::spending>> answer;
};
struct renewed {
  mono_time asked;
  std::vector<std::shared_ptr<ownership>> leases;
  result<std::vector<store::lease>> answer;
};
/// A shard has let go of its lease.
struct shard_free {
  shard_id shard;
  epoch term;
  bool lost;  ///< it is another's already: there is nothing to release
};
struct lease_released {
  result<> answer;
};

// -- to the member actor ------------------------------------------------------
struct nodes_alive {
  result<std::vector<store::node_info>> answer;
};

// -- to the road --------------------------------------------------------------
/// Who is alive, this node included.
struct peers_alive {
  std::vector<store::node_info> nodes;
};
/// Entries that were appended for another node. Sent by `hint` only.
struct hints_out {
  shard_id shard;
  std::int64_t weight;  ///< in `services::road_bytes`
  std::vector<store::entry> entries;
};

// -- to chats -----------------------------------------------------------------
struct chat_work {
  store::entry what;
};
struct timer_work {
  store::timer what;
};
struct loaded_record {
  result<std::vector<store::chat_record>> answer;
};
struct loaded_entries {
  room_ptr kept;
  result<std::vector<store::entry>> answer;
};
struct turn_ended {
  std::uint64_t attempt;
};
/// The lock that the turn is about, if it was granted.
struct lock_answered {
  std::uint64_t attempt;
  mono_time asked;
  result<std::optional<store::grant>> answer;
};
/// What a campaign's tick must know before its turn.
struct campaign_read {
  std::uint64_t attempt;
  std::shared_ptr<campaign_facts> facts;
  std::optional<error> failed;
};
/// A lock to give up.
struct lock_release {
  std::string name;  ///< in the store
  std::string holder;
  unsigned tries = 0;
};
struct lock_released {
  lock_release what;
  bool done;
};
struct release_again {
  lock_release what;
};
/// Of the names that a turn needs to be its own, those of others.
struct keys_reserved {
  std::uint64_t attempt;
  mono_time asked;
  result<std::vector<std::string>> denied;
};
struct commit_ended {
  std::uint64_t attempt;
  result<std::vector<store::turn_receipt>> answer;
};
struct chat_forgotten {
  std::uint64_t attempt;
  result<store::holdings> answer;
};
struct turn_again {};
/// The shard is not ours any more: the last event.
struct chat_over {};
/// All that is sent to a chat, as one type: a case of a CAF behaviour costs
/// some 60 bytes in each actor, and chats are what there is a million of.
struct chat_event {
  std::variant<chat_work, timer_work, loaded_record, loaded_entries,
               lock_answered, campaign_read, lock_released, release_again,
               turn_ended, keys_reserved, commit_ended, chat_forgotten,
               turn_again, chat_over>
      what;
};

// -- to lanes -----------------------------------------------------------------
struct lane_call {
  store::call what;
  bool inherited;
};
/// The shard is not ours any more: the last message.
struct lane_over {};
struct lane_permit {
  window::ticket ticket;
  mono_time at;  ///< when it was granted
  bool bulk;     ///< as it was asked for
};
/// What an attempt at a call is told by, in traces and in the log.
struct attempt_mark {
  std::string method;
  lane::origin of;
  mono_time departed;
};
struct lane_answer {
  call_id id;
  chat_key from;
  bool labelled;
  attempt_mark mark;
  boost::system::result<http::response, http::failure> answer;
  bool held_back = false;  ///< by us: it never left
};
struct lane_marked {
  call_id id;
  bool lost = false;  ///< it could not be recorded, nor ever will be
};
struct lane_fetched {
  result<std::vector<store::call>> answer;
};
struct lane_resolved {
  std::string label;
  result<std::vector<store::chat_record>> answer;
};

// -- to the global limiter ----------------------------------------------------
struct permit_wanted {
  caf::actor lane;
  unsigned cost;
  bool bulk;
  std::shared_ptr<const ownership> owned;  ///< wanted no more once it ends
};
struct permit_back {
  window::ticket ticket;
  mono_time at;
  bool arrived;
};
/// What every live node wants of the budget.
struct peer_wants {
  std::vector<budget_want> all;
  wall_time frozen_until{};  ///< one of them saw a 429 of the whole bot
};
struct slice_answer {
  unsigned slice;
  mono_time asked;
  result<std::optional<store::grant>> answer;
};
// -- to the poller ------------------------------------------------------------
/// What the next getUpdates asks for.
struct new_kinds {
  std::vector<std::string> names;
};

/// Other limits of the whole bot were configured.
struct new_budget {
  unsigned per_second;
  unsigned bulk_per_second;
};
struct flood_seen {
  chat_key chat;
  milliseconds retry_after;
};

// -- to senders ---------------------------------------------------------------
struct send_call {
  caf::actor lane;
  call_id id;
  chat_key from;
  bool labelled;
  attempt_mark mark;
  store::payload body;
  mono_time begin_by;
};

// -- to the timer actor -------------------------------------------------------
struct timer_armed {
  wall_time due;
};
struct timer_done {
  store::timer what;
};
/// What was fired for this shard came to nothing.
struct timers_dropped {
  shard_id shard;
};
struct due_answer {
  result<store::backend::due_timers> answer;
};

// -- to the poller ------------------------------------------------------------
struct poll_turn {
  mono_time asked;
  result<std::optional<store::grant>> answer;
};
struct poll_answer {
  boost::system::result<http::response, http::failure> answer;
};
struct poll_accepted {
  std::int64_t next_offset;
  std::shared_ptr<std::vector<store::arrival>> batch;
  result<std::vector<store::receipt>> answer;
};

// -- for the stats page -------------------------------------------------------
struct shard_report {
  shard_id shard;
  epoch term;
  std::size_t chats = 0, lanes = 0;
  std::uint64_t journal_waiting = 0, calls_waiting = 0;
  struct busy {
    chat_key key;
    std::uint64_t turns = 0;
    std::uint32_t waiting = 0;
  };
  std::vector<busy> busiest;
};
/// Asks a shard; it calls `tell` once, on its own thread.
struct report_shard {
  std::function<void(shard_report)> tell;
};
struct chat_report {
  bool active = false;
  std::uint32_t waiting = 0;
  std::uint64_t turns = 0;
  std::uint32_t calls_waiting = 0;
  std::uint64_t calls_done = 0;
  std::string lane;            ///< what its limiter waits for
  std::int64_t frozen_ms = 0;  ///< until its limiter may send again
};
struct report_chat {
  chat_key key;
  std::function<void(chat_report)> tell;
};
struct global_report {
  std::size_t waiting = 0;
  unsigned used = 0, limit = 0;
  unsigned slices = 0, slices_of = 0;  ///< of the budget; 0 of 0: all of it
  double factor = 1;
  std::int64_t frozen_ms = 0;
};
struct report_global {
  std::function<void(global_report)> tell;
};

}  // namespace troupe::actors

#define TROUPE_LOCAL_MESSAGE(type) \
  CAF_ALLOW_UNSAFE_MESSAGE_TYPE(troupe::actors::type)

TROUPE_LOCAL_MESSAGE(web_arrival)
TROUPE_LOCAL_MESSAGE(start_shard)
TROUPE_LOCAL_MESSAGE(appended)
TROUPE_LOCAL_MESSAGE(committed_calls)
TROUPE_LOCAL_MESSAGE(fired_timers)
TROUPE_LOCAL_MESSAGE(outcome_of)
TROUPE_LOCAL_MESSAGE(calls_forgotten)
TROUPE_LOCAL_MESSAGE(journal_page)
TROUPE_LOCAL_MESSAGE(outbox_page)
TROUPE_LOCAL_MESSAGE(settled)
TROUPE_LOCAL_MESSAGE(lost_lease)
TROUPE_LOCAL_MESSAGE(hand_over)
TROUPE_LOCAL_MESSAGE(adopted_leases)
TROUPE_LOCAL_MESSAGE(wanted_shards)
TROUPE_LOCAL_MESSAGE(claimed)
TROUPE_LOCAL_MESSAGE(spending_read)
TROUPE_LOCAL_MESSAGE(shard_free)
TROUPE_LOCAL_MESSAGE(lease_released)
TROUPE_LOCAL_MESSAGE(nodes_alive)
TROUPE_LOCAL_MESSAGE(peers_alive)
TROUPE_LOCAL_MESSAGE(hints_out)
TROUPE_LOCAL_MESSAGE(journal_ends)
TROUPE_LOCAL_MESSAGE(renewed)
TROUPE_LOCAL_MESSAGE(chat_event)
TROUPE_LOCAL_MESSAGE(lane_call)
TROUPE_LOCAL_MESSAGE(lane_over)
TROUPE_LOCAL_MESSAGE(lane_permit)
TROUPE_LOCAL_MESSAGE(lane_answer)
TROUPE_LOCAL_MESSAGE(lane_marked)
TROUPE_LOCAL_MESSAGE(lane_fetched)
TROUPE_LOCAL_MESSAGE(lane_resolved)
TROUPE_LOCAL_MESSAGE(permit_wanted)
TROUPE_LOCAL_MESSAGE(permit_back)
TROUPE_LOCAL_MESSAGE(peer_wants)
TROUPE_LOCAL_MESSAGE(slice_answer)
TROUPE_LOCAL_MESSAGE(new_budget)
TROUPE_LOCAL_MESSAGE(new_kinds)
TROUPE_LOCAL_MESSAGE(flood_seen)
TROUPE_LOCAL_MESSAGE(send_call)
TROUPE_LOCAL_MESSAGE(timer_armed)
TROUPE_LOCAL_MESSAGE(timer_done)
TROUPE_LOCAL_MESSAGE(timers_dropped)
TROUPE_LOCAL_MESSAGE(due_answer)
TROUPE_LOCAL_MESSAGE(poll_turn)
TROUPE_LOCAL_MESSAGE(poll_answer)
TROUPE_LOCAL_MESSAGE(poll_accepted)
TROUPE_LOCAL_MESSAGE(report_shard)
TROUPE_LOCAL_MESSAGE(report_chat)
TROUPE_LOCAL_MESSAGE(report_global)

#undef TROUPE_LOCAL_MESSAGE
