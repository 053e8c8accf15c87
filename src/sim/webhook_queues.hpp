#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <queue>
#include <random>
#include <unordered_map>
#include <vector>

#include "core/clock.hpp"
#include "core/ids.hpp"
#include "sim/window.hpp"

namespace troupe::sim {

struct webhook_options {
  std::size_t max_connections = 40;
  /// Multiplies every delay of the schedule; for tests.
  double time_scale = 1.0;
  /// Fraction of delivered updates that are sent once more.
  double resend = 0;
  std::uint64_t seed = 1;
};

/// Webhook delivery of one bot (TELEGRAM.md 47-56) without its sockets: which
/// update may go out now, and what a failure means. Pure: time is given.
class webhook_queues {
 public:
  explicit webhook_queues(webhook_options how);

  /// At most 2 x max_connections updates are loaded at once, so that enough
  /// blocked queues stall everything, as on the real server.
  bool wants_more() const noexcept {
    return loaded_ < 2 * how_.max_connections;
  }
  void load(update_id id, std::int64_t queue, mono_time expires);

  struct delivery {
    update_id id;
    std::int64_t queue = 0;
    unsigned attempt = 1;
    bool resend = false;
  };
  /// The next update to send now. It occupies its queue and a connection
  /// until `done`.
  std::optional<delivery> next(mono_time now);

  enum class fate : std::uint8_t {
    delivered,  ///< forget the update
    again,      ///< delivered, but will be sent once more: keep it
    retry,      ///< it stays the head of its queue
    dropped,    ///< the next attempt would come after its end
    given_up,   ///< 410 for 23 h: the webhook is to be deleted
  };
  /// @param status the HTTP status, 0 if the connection gave none.
  /// @param retry_after the header, in seconds.
  fate done(const delivery& d, unsigned status,
            std::optional<unsigned> retry_after, mono_time now);

  /// When `next` may have something; none: not before `load` or `done`.
  std::optional<mono_time> wake(mono_time now) const;

  /// An outage: nothing goes out until `restart`.
  void pause() noexcept { paused_ = true; }
  /// Connections start over: one, then 10 more per 0.5 s.
  void restart(mono_time now);

  std::size_t loaded() const noexcept { return loaded_; }
  std::size_t in_flight() const noexcept { return busy_; }

 private:
  struct item {
    update_id id;
    mono_time expires{};
    unsigned attempts = 0;
    unsigned failures = 0;
    bool resend = false;
  };
  struct line {
    std::deque<item> items;
    bool busy = false;
  };
  struct waiting {
    mono_time due{};
    std::int64_t queue = 0;
    bool operator>(const waiting& o) const noexcept { return due > o.due; }
  };

  std::chrono::nanoseconds scaled(std::chrono::nanoseconds span) const;
  bool active(mono_time now) const;
  std::optional<mono_time> may_open_at(mono_time now) const;
  bool take_connection(mono_time now);
  void give_back(bool usable);
  fate succeeded(line& of, std::int64_t queue, mono_time now);
  fate failed(line& of, std::int64_t queue, unsigned status,
              std::optional<unsigned> retry_after, mono_time now);
  void pop(line& of, std::int64_t queue);
  double fraction();

  webhook_options how_;
  std::mt19937_64 random_;
  std::unordered_map<std::int64_t, line> lines_;
  std::deque<std::int64_t> ready_;  ///< queues whose head may go now
  std::priority_queue<waiting, std::vector<waiting>, std::greater<>> later_;
  std::size_t loaded_ = 0;
  std::size_t busy_ = 0;   ///< connections with a request on them
  std::size_t stale_ = 0;  ///< of those: to be closed when they are done
  std::size_t idle_ = 0;
  bool paused_ = false;
  sliding_window opened_;
  std::optional<mono_time> last_success_;
  std::optional<mono_time> last_open_;
  std::optional<mono_time> gone_since_;  ///< first of unbroken 410s
};

}  // namespace troupe::sim
