#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/callback.hpp"
#include "core/clock.hpp"
#include "core/ids.hpp"
#include "store/kept.hpp"
#include "store/sql.hpp"

/// The store contract. This page is its manual; `tests/store/contract_*` are
/// its proof, and every backend passes them.
///
/// **Threads**: every call may come from any thread. Callbacks run on a thread
/// of the store, one at a time per store; they must not block or throw, and
/// may call the store again (but `close` and the destructor, which wait for
/// them).
///
/// **Order**: calls made by one thread take effect in the order they were made;
/// only that the `accept`s of one group commit go together, at the place of the
/// first, and renewals, what is about nodes and names, and commits with SQL may
/// pass the others. A call that was answered is visible to every call made
/// after.
///
/// **Overload**: when too much waits, `accept` is answered `unavailable` at
/// once, whatever the disk is doing. Owners' calls are never refused for that:
/// they are bounded by what was accepted.
///
/// **Durability**: a call that was answered without error is durable as far as
/// the backend can (see each). Calls that wait together share one group
/// commit.
///
/// **Errors** of every call, besides what it lists:
/// - `errc::unavailable`: nothing was done; it may work later.
/// - `errc::unknown_outcome`: it may or may not have been done. Every write of
///   this contract may be repeated as it was: see **Repeat** at each.
/// - `errc::cancelled`: the store is closing; nothing was done.
/// - `errc::corrupt`: stored data does not make sense; a person must look.
namespace troupe::store {

/// Accepted updates are remembered this long, so that a redelivery changes
/// nothing: Telegram keeps an update for at most 24 h (TELEGRAM.md 23).
constexpr auto dedup_window = std::chrono::hours{25};

// -- accept -------------------------------------------------------------------

/// An update as it came in.
struct arrival {
  update_id id;
  chat_key key;
  payload body;  ///< the update's JSON, byte for byte
  wall_time at;  ///< when we received it
};

/// What became of one arrival.
struct receipt {
  bool fresh = false;  ///< false: seen before within the window, not appended
  shard_id shard;
  seq_no seq;  ///< its place in the shard's journal; 0 if not fresh
};

// -- journal ------------------------------------------------------------------

/// One accepted, not yet acknowledged thing to turn.
struct entry {
  seq_no seq;
  entry_kind type = entry_kind::update;
  chat_key key;
  update_id id;  ///< of the update; 0 otherwise
  wall_time accepted_at;
  payload body;
};

// -- ownership ----------------------------------------------------------------

/// Proof of ownership that every owner's write carries.
struct lease {
  shard_id shard;
  epoch term;   ///< higher at every claim
  seq_no tail;  ///< last sequence appended when the answer was made
};

// -- chat records -------------------------------------------------------------

/// Labels kept for one chat: they are read and written with its record. The
/// one whose call is the oldest makes room for a new one.
constexpr std::size_t most_labels = 256;

/// The latest call a chat committed under a label.
struct label {
  std::string name;
  call_id call;
  /// Of the last call under this label that was settled as sent to the chat
  /// itself and named a message; 0: none.
  std::int64_t message_id = 0;
};

/// What is kept for one chat.
struct chat_record {
  chat_key key;
  std::uint64_t version = 0;  ///< grows by one with every commit; 0: no record
  std::string state;          ///< JSON; empty: none yet, cleared or expired
  std::string mode;           ///< empty: the bot's first mode
  std::string memo;           ///< the runtime's own, opaque to the store
  std::vector<label> labels;
  std::optional<wall_time> expires;  ///< of state, mode and memo; none: never
  /// They have ended, and are empty here. Until they are swept the store has
  /// them still: a turn on this record puts all three, or brings them back.
  bool expired = false;
};

// -- commit -------------------------------------------------------------------

/// What may happen to a call whose outcome is unknown.
enum class call_policy : std::uint8_t {
  resend = 0,        ///< repeated until the outcome is known
  at_most_once = 1,  ///< never repeated
};

/// One committed Bot API call.
struct call {
  call_id id;          ///< allocated by the owner, ascending
  chat_key from;       ///< whose turn committed it
  chat_key to;         ///< the chat it goes to: its lane
  std::string method;  ///< e.g. "sendMessage"
  payload body;        ///< its parameters, a JSON object
  std::string label;   ///< empty: no label
  std::string target;  ///< edits: the label whose message they edit
  call_policy policy = call_policy::resend;
  bool reply = false;          ///< answers an update of `to` itself
  bool bulk = false;           ///< a campaign's; goes under interactive calls
  bool attempted = false;      ///< `at_most_once` only: an attempt was recorded
  wall_time at;                ///< when the event of its turn was accepted
  std::uint64_t campaign = 0;  ///< `bulk` only: whose it is; 0: nobody's
  std::uint64_t event = 0;     ///< not `bulk`: its turn's, for traces; < 2^56
};

/// A durable timer: one per (chat key, name).
struct timer {
  chat_key key;
  std::string name;
  wall_time due;
  std::string body;  ///< JSON or empty, handed back when it fires
};

/// Something for another chat, appended to its journal by the commit.
struct notice {
  chat_key to;
  std::string text;
  /// `call`: a call that the other chat shall make; `text` is its whole body.
  entry_kind type = entry_kind::notice;
};

/// What one turn leaves behind: all of it, or nothing.
struct turn {
  chat_key key;
  std::uint64_t version = 0;  ///< of the record it was turned on

  // What it acknowledges: a journal entry, or else a timer.
  seq_no seq;  ///< 0: acknowledges `fired`
  std::optional<timer> fired;

  std::optional<std::string> state;  ///< new state; absent: unchanged
  std::optional<std::string> mode;
  std::optional<std::string> memo;
  /// State, mode and memo count as cleared from here on. Absent: never, if the
  /// turn puts a state or a mode; else unchanged.
  std::optional<wall_time> expires;
  std::vector<call> calls;
  std::vector<timer> set;           ///< replaces timers of the same name
  std::vector<std::string> cancel;  ///< names of timers to remove, before set
  std::vector<notice> notices;
  std::vector<audience_change> audience;
  /// An error: what is acknowledged becomes a dead letter (a fired timer one
  /// of kind `timer`).
  std::optional<std::string> dead;
  std::vector<sql_statement> sql;  ///< a turn with some is alone in its call
};

/// What became of one turn.
struct turn_receipt {
  enum class status : std::uint8_t {
    committed,
    /// What it acknowledges is not there: the turn was committed before (the
    /// record's version is past `turn.version`), or its timer was replaced.
    /// Nothing was changed.
    stale,
    refused,  ///< for what its SQL came to; nothing was changed
  };
  status outcome = status::committed;
  /// Entries that the turn's notices appended, in the order of `notices`.
  std::vector<entry> appended;
  std::uint32_t tags_over = 0;  ///< for which the chat had no room
  sql_answer sql;               ///< of one that was refused
};

// -- settle -------------------------------------------------------------------

enum class call_outcome : std::uint8_t {
  sent,        ///< Telegram accepted it
  failed,      ///< Telegram refused it for good
  unknown,     ///< given up without knowing (at_most_once)
  collapsed,   ///< an edit that a later edit of the same message replaced
  attempting,  ///< a mark before it leaves; it spends what earlier tries did
};

struct settlement {
  call_id id;
  call_outcome outcome = call_outcome::sent;
  chat_key from;                ///< of the call
  chat_key to;                  ///< of the call
  std::string label;            ///< of the call
  std::int64_t message_id = 0;  ///< what it sent, if a message
  payload event;                ///< labelled: appended to `from`'s journal
  wall_time spent_at;           ///< when it was last sent; groups remember it
  std::uint16_t spent = 0;      ///< messages it counted as; 0: never left
  std::optional<audience_change> audience;
  std::optional<audience_change> joined;  ///< a group's, where it moved to
  /// An error: the call becomes a dead letter of kind `call`, with `dead_body`.
  std::optional<std::string> dead;
  payload dead_body;
  std::uint64_t campaign = 0;  ///< of the call: whose tally it adds to
};

/// How many calls of a campaign ended how.
struct campaign_tally {
  std::uint64_t sent = 0;
  std::uint64_t failed = 0;   ///< refused; `blocked` ones not counted
  std::uint64_t blocked = 0;  ///< refused for good: the member's standing ended
  std::uint64_t unknown = 0;

  std::uint64_t ended() const noexcept {
    return sent + failed + blocked + unknown;
  }
};

/// A group's recent spending, for its limiter after a restart.
struct spending {
  chat_key to;
  wall_time at;
  std::uint16_t messages = 1;
};

/// Spending of groups is remembered this long: their limit is per minute.
constexpr auto spending_window = std::chrono::seconds{60};

// -- nodes --------------------------------------------------------------------

/// A node that is alive, as it says of itself.
struct node_info {
  std::string name;     ///< one per running process, never used twice
  std::string address;  ///< where other nodes reach it; empty: nowhere
  std::string details;  ///< JSON, for people and for the handshake
};

/// Proof of holding a named lease.
struct grant {
  /// Fencing token: grows with every new holder of that name.
  std::uint64_t token = 0;
};

// -- the contract -------------------------------------------------------------

class backend {
 public:
  virtual ~backend() = default;

  /// Fixed when the store was created.
  virtual std::uint16_t shards() const noexcept = 0;

  /// True if no other process can hold leases while this one is open: leases
  /// of shards then never expire.
  virtual bool exclusive() const noexcept = 0;
  virtual bool takes_sql() const noexcept { return false; }  ///< of turns

  /// Appends each arrival to its shard's journal with the next sequence,
  /// unless its id was accepted within `dedup_window` (or stands earlier in
  /// the batch). All or nothing, for each shard; an error says that of some
  /// shard. Receipts are in the order of the batch.
  /// **Order**: arrivals that share one group commit, of this call or of
  /// several, are appended in update id order.
  /// **Repeat**: the repeated ones are answered as not fresh.
  virtual void accept(std::vector<arrival> batch,
                      callback<std::vector<receipt>> done) = 0;

  /// Takes the shards that nobody else holds, for `ttl`; the answer lists
  /// those taken, each with its new epoch. Who held one before and let it
  /// expire is fenced from here on.
  /// **Repeat**: claims again, with a higher epoch.
  virtual void claim(std::vector<shard_id> wanted, std::string node,
                     milliseconds ttl, callback<std::vector<lease>> done) = 0;

  /// Prolongs leases; the answer lists those still held, with fresh tails. One
  /// that expired and that nobody took meanwhile is held again.
  virtual void renew(std::vector<lease> held, milliseconds ttl,
                     callback<std::vector<lease>> done) = 0;

  /// Gives leases up. What is not held any more is skipped.
  virtual void release(std::vector<lease> held, callback<> done) = 0;

  /// Says that `me` is alive for `ttl`; the answer lists all nodes that are, by
  /// name, `me` included.
  virtual void heartbeat(node_info me, milliseconds ttl,
                         callback<std::vector<node_info>> done) = 0;

  /// The node of that name is not alive any more. An unknown one is skipped.
  virtual void leave(std::string name, callback<> done) = 0;

  /// Takes a lease on a name that nobody else holds, or prolongs one that
  /// `holder` has (with the token it had). Nothing if another holds it. One
  /// that expired is forgotten some minutes later. Durable as everything: it
  /// may last for days, also over a restart.
  /// **Repeat**: prolongs.
  virtual void acquire(std::string name, std::string holder, milliseconds ttl,
                       callback<std::optional<grant>> done) = 0;

  /// Gives a named lease up. What `holder` does not hold is skipped.
  virtual void relinquish(std::string name, std::string holder,
                          callback<> done) = 0;

  /// Journal entries of a shard with a sequence above `after`, ascending, at
  /// most `limit`.
  virtual void backlog(shard_id shard, seq_no after, std::size_t limit,
                       callback<std::vector<entry>> done) = 0;

  /// The named entries that are still there, ascending.
  virtual void entries(shard_id shard, std::vector<seq_no> wanted,
                       callback<std::vector<entry>> done) = 0;

  /// Records in the order of `keys`; `version` 0 where there is none.
  virtual void load(std::vector<chat_key> keys,
                    callback<std::vector<chat_record>> done) = 0;

  /// Commits turns of one shard, each of them whole or not at all; all keys
  /// belong to the lease's shard. Labelled calls become the latest of their
  /// label. Receipts are in the order of `turns`.
  /// **Errors**: `errc::fenced` if the lease's epoch is not the current one:
  /// nothing was done.
  /// **Repeat**: `turn_receipt::status::stale` for what was done; reload the
  /// record and compare its version with `turn.version` to tell.
  virtual void commit(lease held, std::vector<turn> turns,
                      callback<std::vector<turn_receipt>> done) = 0;

  /// Unsettled calls of a shard with an id above `after`, ascending, at most
  /// `limit`.
  virtual void outbox(shard_id shard, call_id after, std::size_t limit,
                      callback<std::vector<call>> done) = 0;

  /// The named calls that are not settled, ascending.
  virtual void calls(shard_id shard, std::vector<call_id> wanted,
                     callback<std::vector<call>> done) = 0;

  /// Records outcomes. Final ones remove the call, put the message id of a
  /// sent one under its label (if this call is still the label's latest), and
  /// append its event to the journal, in one step, and so a campaign's call is
  /// added to its tally. The answer has one element per outcome: the appended
  /// entry, or nothing.
  /// **Errors**: `errc::fenced`, as for `commit`.
  /// **Repeat**: a call that is not there is skipped.
  virtual void settle(lease held, std::vector<settlement> outcomes,
                      callback<std::vector<std::optional<entry>>> done) = 0;

  /// What groups spent since `since` (at most `spending_window` ago).
  virtual void spent(wall_time since, callback<std::vector<spending>> done) = 0;

  /// Timers of the given shards due at `now`, earliest first, at most `limit`,
  /// and when the next one after those is due. They stay until a turn
  /// acknowledges them.
  struct due_timers {
    std::vector<timer> due;
    std::optional<wall_time> next;
  };
  virtual void due(std::vector<shard_id> shards, wall_time now,
                   std::size_t limit, callback<due_timers> done) = 0;

  /// Timers of one chat, by name.
  virtual void timers(chat_key key, callback<std::vector<timer>> done) = 0;

  /// Dead letters with an id above `after`, ascending, at most `limit`.
  virtual void dead_letters(dead_letter_id after, std::size_t limit,
                            callback<std::vector<dead_letter>> done) = 0;

  /// Moves dead letters back to the end of their journals, in id order, in one
  /// step for each shard. The answer lists the appended entries; ids that are
  /// not there are skipped.
  virtual void retry(std::vector<dead_letter_id> which,
                     callback<std::vector<entry>> done) = 0;

  /// Removes dead letters for good; the answer is how many there were.
  virtual void drop(std::vector<dead_letter_id> which,
                    callback<std::size_t> done) = 0;

  /// Members of the audience after `after`, at most `limit`, in a fixed order
  /// of the store's own: a walk from page to page meets each member once.
  virtual void audience(std::optional<chat_key> after, std::size_t limit,
                        callback<std::vector<member>> done) = 0;

  /// Gives members a tag, or takes it from them: an operator's change, in one
  /// step for each shard. It needs no lease, since it meets nothing that an
  /// owner has read: of two changes at once both are made. The answer is how
  /// many have other tags now; whom the audience does not have, and who has no
  /// room for a tag, are left out.
  /// **Errors**: `errc::bad_input` for what is no tag.
  /// **Repeat**: changes nothing, and answers so.
  virtual void tag(std::vector<chat_key> whom, std::string name, bool add,
                   callback<std::size_t> done) = 0;

  /// How much is kept about a chat.
  virtual void about(chat_key key, callback<holdings> done) = 0;

  /// Removes all that `about` counts, in one step: of the journal up to and
  /// with `through`. What comes later is turned on no record. The answer is
  /// how much it was. Not removed: what others keep that names the chat (their
  /// calls and notices to it that are under way, named leases of its events),
  /// and its group's spending, which ends by itself. Bytes of it may stay
  /// where the server or the file has them: see each in docs/RUNBOOK.md.
  /// **Errors**: `errc::fenced`, as for `commit`; `errc::bad_input` for a chat
  /// of another shard.
  /// **Repeat**: removes what is there.
  virtual void forget(lease held, chat_key key, seq_no through,
                      callback<holdings> done) = 0;

  /// Tallies in the order of `campaigns`; zeros where there is none.
  virtual void tallies(std::vector<std::uint64_t> campaigns,
                       callback<std::vector<campaign_tally>> done) = 0;

  virtual void stats(callback<figures> done) = 0;

  /// Stops taking calls, answers those that wait, and closes. Later calls are
  /// answered with `errc::cancelled`. Blocks until done; idempotent. The
  /// destructor closes.
  virtual void close() = 0;
};

/// How to open a store.
struct options {
  /// Or `redis://...` (redis_url.hpp); `postgresql://...`, as libpq reads it;
  /// `memory:`; or `memory:NAME`, which all in this process that open it by
  /// that name share, each as a node of its own, until the last one closes it.
  std::string url = "sqlite:./troupe.db";
  std::uint16_t shards = 128;  ///< used at creation; must fit what is there
  const clock* time = &system_clock();
  bool synchronous_full = true;  ///< sqlite: fsync at every group commit
  /// redis, postgres: whose; several can share a server.
  std::string bot{};
  /// redis: also one without an append-only file, or that evicts keys.
  /// postgres: also with fsync or synchronous_commit off.
  bool allow_volatile = false;
  unsigned wait_replicas = 0;  ///< redis: that have a write before its answer
};

/// Opens or creates the store that `url` names.
/// **Errors**: `errc::bad_input` for a URL nobody understands;
/// `errc::conflict` if another instance holds it; `errc::corrupt` if it is not
/// a store of ours or damaged (it is left as it was); `errc::incompatible` for
/// another format version or shard count; `errc::unavailable` if it can't be
/// opened or created (path, permissions, disk).
result<std::unique_ptr<backend>> open(const options& how);

}  // namespace troupe::store
