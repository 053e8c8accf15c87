#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "actors/handshake.hpp"
#include "core/callback.hpp"
#include "core/clock.hpp"
#include "core/metrics.hpp"
#include "core/span.hpp"
#include "http/client.hpp"
#include "http/http.hpp"
#include "http/server.hpp"
#include "store/store.hpp"
#include "troupe/detail/turn.hpp"

/// The runtime: everything between the sockets and the store. The only module
/// that knows CAF; no CAF type shows in this header.
namespace troupe::actors {

struct limit_options {
  unsigned global_per_second = 30;  ///< 0: none. TELEGRAM.md 59
  unsigned chat_per_second = 1;     ///< private chats; 0: none
  unsigned group_per_minute = 20;   ///< groups and channels; 0: none
  unsigned bulk_per_second = 20;    ///< campaigns' share of the global budget
  /// A call without an answer yet is taken to have arrived this long after it
  /// left, at the latest; an answered one by its answer.
  milliseconds margin{1'000};
  bool count_replies = true;  ///< replies spend the global budget
};

struct turn_options {
  unsigned threads = 0;           ///< 0: as many as cores
  unsigned max_threads = 64;      ///< stand-ins for blocked ones included
  unsigned attempts = 3;          ///< then a dead letter
  milliseconds backoff{200};      ///< doubles per attempt, +-25 % jitter
  milliseconds deadline{10'000};  ///< over it a handler is reported
};

struct send_options {
  unsigned senders = 4;           ///< sender actors
  milliseconds timeout{20'000};   ///< of a call; >= 15 s, TELEGRAM.md 66
  milliseconds retry_first{500};  ///< doubles up to `retry_max`
  milliseconds retry_max{30'000};
};

/// What becomes of a batch of hints: for tests.
enum class road_fault : std::uint8_t { none, lose, hang };

/// How nodes reach each other. Not needed for anything but speed: without it a
/// node finds what another accepted for it at its next renewal.
struct road_options {
  std::string host = "127.0.0.1";  ///< to listen on; empty: no road
  std::uint16_t port = 0;          ///< 0: any
  std::string advertise;           ///< what others dial; empty: what was bound
  /// PEM files, all or none: mutual TLS. A peer needs a certificate of that CA.
  std::string ca, certificate, key;
  std::function<road_fault()> spoil;  ///< for tests; none: none

  bool encrypted() const noexcept { return !ca.empty(); }
};

/// For a store that several nodes use.
struct cluster_options {
  /// How long a lease, and being taken for alive, lasts unless it is renewed.
  milliseconds ttl{2'000};
  milliseconds beat{500};  ///< how often both are renewed
  /// So long before a lease may be another's nothing leaves in its name. Covers
  /// what a call may take to arrive after its last moment to begin, a quarter
  /// of `limit_options::margin`, and clocks of different speed.
  milliseconds margin{500};
  /// What turns and calls under way get to end before a shard is handed over;
  /// a turn cut short is run again elsewhere, a call may be sent twice.
  milliseconds hand_over{5'000};
  road_options road;
  /// For tests: as if it were another version's.
  std::int64_t protocol = cluster_protocol;
};

/// Spans of what is done for an update (tracer.hpp).
struct trace_options {
  tracing::sink* into = nullptr;  ///< null: none. Outlives the node
  double sample = 1;              ///< part of the traces, 0 to 1
  /// Where calls go, to be shown.
  std::string server_address = {};
  std::uint16_t server_port = 0;
};

struct node_options {
  std::string name = "node";
  std::string bot_token;
  std::string bot_username;    ///< for "/start@name"; may be empty
  std::string webhook_secret;  ///< empty: not asked for
  std::string webhook_path = "/webhook";
  bool poll = false;  ///< getUpdates instead of the webhook
  milliseconds poll_timeout{50'000};
  /// Kinds that getUpdates asks for; none: Telegram's default ones.
  std::vector<std::string> allowed_updates;
  limit_options limits;
  turn_options turns;
  send_options sending;
  cluster_options cluster;
  trace_options tracing;
  milliseconds chat_idle{60'000};   ///< then a chat actor is passivated
  milliseconds timer_look{30'000};  ///< at least this often: wall clocks jump
  /// Accepted, waiting in memory; over it 503. Of what others accept for us
  /// never more than twice as many are in memory: the rest is in the store.
  std::size_t max_pending = 20'000;
  /// Waiting with their bodies in the store only, some 100 bytes each.
  std::size_t max_parked = 1'000'000;
  /// Ours, accepted by others, which we have no room for; over it they answer
  /// 503, too.
  std::size_t max_unread = 20'000;
  /// Calls committed and not settled, some 500 bytes each; over it 503.
  std::size_t max_unsent = 100'000;
  /// Called once, when the store is ours and before anything is begun: from
  /// here on an end is a drain.
  std::function<void()> before_work = [] {};
  /// Called once, by any thread, if the cluster was asked to have this node
  /// drain: end it as after SIGTERM.
  std::function<void()> asked_to_drain = [] {};
  std::string version;        ///< what other nodes show as ours
  std::string stats_address;  ///< where our stats are; empty: nowhere
  unsigned workers = 0;       ///< CAF's; 0: half as many as cores
  const clock* time = &system_clock();
};

/// One running node. **Threads**: any, but for start and stop.
/// **Lifetime**: the store, the loop and the client outlive it.
class node {
 public:
  /// Claims the shards, replays journal and outbox, starts the actors. Blocks
  /// until ready to accept. If others may use the store, it joins them instead:
  /// shards come, and go, while it runs.
  /// **Errors**: what the store says; `errc::conflict` if a node that is alive
  /// on it is of another bot, version or number of shards; as to the road, see
  /// `road_options`.
  static result<std::unique_ptr<node>> start(
      node_options how, std::shared_ptr<const detail::bot_base> bot,
      store::backend& store, net::loop& loop, http::client& telegram,
      metrics::registry& into);
  ~node();

  /// One request to the webhook listener, answered when durable. Anything but
  /// a good POST to the webhook path is answered at once.
  void webhook(http::request&& what, http::responder answer);

  /// True while it accepts: started, leases held, store healthy, not draining.
  bool ready() const noexcept;

  /// Stops accepting, finishes turns in progress, settles calls in flight,
  /// gives the leases up. Blocks until done or `deadline` passed; what is left
  /// stays in the store (where other nodes, if there are, go on with it at
  /// once). True if nothing was cut short.
  bool drain(milliseconds deadline);

  /// Takes other limits and update kinds, from here on. What a limit had let
  /// out stays counted. A group's lane may take a minute to look again.
  /// `margin` and `count_replies` stay as they were, and so does whether there
  /// is a global limit at all. **Threads**: one.
  void configure(const limit_options& limits,
                 std::vector<std::string> allowed_updates);

  /// Who getMe says we are, if nobody knew it at the start. Once.
  /// **Threads**: one.
  void identify(std::string username);

  /// `/stats` and `/stats/chats/<key>` as JSON. `errc::not_found` for a chat
  /// that has no record; `errc::timed_out` if the actors are stuck.
  void stats(callback<std::string> done);
  void chat_stats(chat_key key, callback<std::string> done);

  /// Moves dead letters back to their chats and wakes them.
  void retry(std::vector<dead_letter_id> which, callback<std::size_t> done);

  /// Starts a campaign: JSON {"name", "method", "params", "audience", "rate",
  /// "at_ms", "dry_run", "repeat", "request"}. Answers its page, once it has a
  /// number.
  /// **Repeat**: a request that began one of the latest hundred campaigns, or
  /// any within 25 h, begins no other; its answer is that campaign's page.
  /// Without "request" each call is a request of its own.
  /// **Errors**: `errc::bad_input`; `errc::conflict`: that request began
  /// another campaign; `errc::timed_out`: it may have been accepted, and then
  /// begins by itself: ask again with the request that the text names.
  void start_campaign(const std::string& command, callback<std::string> done);
  /// `pause`, `resume` or `cancel`. Answers once that is accepted.
  /// **Errors**: `errc::bad_input`, `errc::not_found`.
  void steer_campaign(std::int64_t number, const std::string& what,
                      callback<std::string> done);
  /// One campaign's page, or with 0 the latest hundred, newest first.
  /// **Errors**: `errc::not_found`.
  void campaigns(std::int64_t number, callback<std::string> done);

  /// Has the owner of a chat forget all about it, after what was accepted
  /// before. Answers {"chat", "removed", "left"}, each with how many records,
  /// entries, calls, timers, dead letters, members and tags there were and are.
  /// **Errors**: `errc::bad_input`; `errc::timed_out`: it is accepted, but was
  /// not done within 5 s.
  void forget(chat_key key, callback<std::string> done);

  /// Has a node of this store, ours or another, drain: by its instance name or
  /// its given one. Answers which it is.
  /// **Errors**: `errc::not_found`, `errc::conflict` (several, or no cluster).
  result<std::string> ask_to_drain(const std::string& name);

  struct impl;

 private:
  explicit node(std::unique_ptr<impl> p);
  std::unique_ptr<impl> impl_;
};

}  // namespace troupe::actors
