#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/clock.hpp"
#include "core/result.hpp"
#include "sim/bot.hpp"
#include "sim/params.hpp"
#include "sim/poller.hpp"
#include "sim/update_queue.hpp"
#include "sim/webhook_queues.hpp"

namespace troupe::sim {

struct feed_options {
  double time_scale = 1.0;
  double resend = 0;
  std::uint64_t seed = 1;
  /// Where ids start; 0: drawn at random, as Telegram does.
  std::int64_t first_update = 0;
};

/// A bot's updates on their way out: the queue, getUpdates, the webhook.
/// Pure: whoever owns the sockets carries out what it says.
class feed {
 public:
  explicit feed(feed_options how);

  struct webhook {
    std::string url;
    std::string secret;
    std::size_t max_connections = 40;
  };

  /// Queues an update; none if its kind is not allowed or the queue is full.
  /// @param member `"message":{...}`: the update without its id.
  std::optional<update_id> push(telegram::update_kind kind, std::int64_t queue,
                                std::string_view member, mono_time now);
  /// Queues one with its own id, as given.
  bool push(queued_update u);
  bool allows(telegram::update_kind kind) const noexcept;
  update_queue& updates() noexcept { return queue_; }
  const update_queue& updates() const noexcept { return queue_; }

  // The webhook.
  api_answer set_webhook(const params& with, moment now);
  api_answer delete_webhook(const params& with);
  api_answer webhook_info(moment now);
  const webhook* current() const noexcept { return hook_ ? &*hook_ : nullptr; }
  /// Grows when the webhook changes: answers of an older one mean nothing.
  std::uint64_t generation() const noexcept { return generation_; }
  struct job {
    webhook_queues::delivery what;
    const queued_update* update = nullptr;
  };
  std::optional<job> next(mono_time now);
  /// @param failure what to show in getWebhookInfo if it failed.
  webhook_queues::fate done(const webhook_queues::delivery& d, unsigned status,
                            std::optional<unsigned> retry_after,
                            std::string_view failure, moment now);
  void pause();
  bool paused() const noexcept { return paused_; }
  void restart(mono_time now);

  // getUpdates.
  struct poll_step {
    std::optional<api_answer> refused;  ///< 409: a webhook is set
    poller::step step;
    update_queue::confirmation confirmed;
  };
  poll_step begin_poll(poller::token who, const params& with, mono_time now);
  std::optional<poller::answer> poll(mono_time now);
  /// Who was held when the webhook was set.
  std::optional<poller::refusal> take_refused() noexcept;
  struct page {
    std::string body;  ///< the whole answer
    std::size_t count = 0;
    std::int64_t first = 0, last = 0;
    update_queue::confirmation confirmed;
  };
  page fetch(const poller::answer& a, mono_time now);

  /// When `next` or `poll` may have something.
  std::optional<mono_time> wake(mono_time now) const;

 private:
  void allow(const params& with);
  api_answer install(webhook hook, const params& with, moment now);

  feed_options how_;
  update_queue queue_;
  poller poller_;
  std::optional<webhook> hook_;
  std::optional<webhook_queues> deliveries_;
  std::deque<update_id> unloaded_;  ///< in order; only while a webhook is set
  bool paused_ = false;
  std::uint64_t generation_ = 0;
  std::optional<poller::refusal> refused_;
  std::optional<mono_time> last_set_;
  std::uint32_t allowed_;  ///< bit per update kind
  std::int64_t error_date_ = 0;
  std::string error_text_;
};

}  // namespace troupe::sim
