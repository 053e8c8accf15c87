#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/clock.hpp"
#include "core/result.hpp"
#include "sim/bot.hpp"
#include "sim/feed.hpp"
#include "sim/users.hpp"

namespace troupe::sim {

/// Seconds after the users' start between which no webhook is delivered.
struct outage {
  double from = 0;
  double to = 0;
};

struct sim_options {
  std::string host = "127.0.0.1";
  std::uint16_t port = 0;  ///< 0: any
  bot_options bot;
  feed_options feed;
  user_options users;
  std::string webhook_url;  ///< set from the start; empty: none
  /// More addresses of the same bot, as behind a load balancer: each update
  /// goes to the next of them all, past those that are down.
  std::vector<std::string> more_webhooks;
  std::string webhook_secret;
  std::size_t webhook_connections = 40;
  std::vector<outage> outages;
  milliseconds settle{60'000};    ///< most time to wait for quiet at the end
  milliseconds wait_bot{60'000};  ///< most time to wait for the bot at first
  bool stay = false;              ///< serve on when the users are done
  std::string log_file;           ///< empty: none
};

/// Where the run is.
enum class phase : std::uint8_t {
  serving,  ///< no users: just a server
  waiting,  ///< for the bot to appear; the users hold still
  playing,
  settling,   ///< the users are done; deliveries and answers still go on
  settled,    ///< all was delivered and answered, and it was quiet
  unsettled,  ///< `settle` passed before that
  no_bot,     ///< `wait_bot` passed and no bot appeared
  stopped,    ///< asked to
};

std::string_view to_string(phase p) noexcept;

/// Counts since the start.
struct sim_state {
  phase now = phase::serving;
  std::uint64_t updates = 0;    ///< made
  std::uint64_t delivered = 0;  ///< answered 2xx or confirmed
  std::uint64_t failed_deliveries = 0;
  std::size_t pending = 0;    ///< waiting in the queue
  std::size_t in_flight = 0;  ///< deliveries without an answer
  std::uint64_t calls = 0;
  std::uint64_t sent = 0;  ///< messages and edits recorded
  std::uint64_t refused_429 = 0;
  std::uint64_t faults = 0;
  std::uint64_t unanswered = 0;  ///< users' texts without a reply
};

/// The simulated Telegram: an HTTP server for a bot's calls, webhook
/// deliveries, virtual users and a log. Everything runs on one thread of its
/// own.
/// **Threads**: any, one at a time.
class simulator {
 public:
  /// **Errors**: `errc::conflict` for a port in use, `errc::bad_input` for an
  /// address or webhook that can't be used, `errc::unavailable` for the log.
  static result<std::unique_ptr<simulator>> start(sim_options how);
  ~simulator();

  std::uint16_t port() const noexcept;
  /// At most 100 ms old.
  sim_state state() const;
  /// Readable once the run is over (not in `stay`, unless stopped): for poll.
  int done_fd() const noexcept;
  /// Ends the run: writes the log's last line and flushes. Idempotent.
  void stop();
  /// Why the log is incomplete; empty if it is not.
  std::string log_trouble() const;

  struct impl;

 private:
  explicit simulator(std::unique_ptr<impl> p);
  std::unique_ptr<impl> impl_;
};

}  // namespace troupe::sim
