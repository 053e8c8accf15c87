#pragma once

#include <condition_variable>
#include <functional>
#include <mutex>
#include <optional>
#include <string>
#include <thread>

#include "app/bot_api.hpp"
#include "app/settings.hpp"

namespace troupe::app {

/// What getMe said at the start.
struct identity {
  bool known = false;
  bool refused = false;  ///< the token is no good
  std::string username;
  std::string trouble;  ///< why it is not known
};

/// Asks once who we are.
identity who_am_i(const bot_api& api);

/// Makes Telegram know about us, in the background: getMe until it is
/// answered, then setWebhook if `webhook.public_url` is set, or a look whether
/// a webhook stands in the way of polling. Waits between attempts, doubling up
/// to a minute, and as long as a 429 says. A refusal is no reason to give up: a
/// host's name may come to be known, a certificate may be replaced; a bot that
/// gives up would be ready and get nothing. When it is through it waits for
/// `again`.
/// **Lifetime**: the client outlives it; close the client before destroying
/// it, so that no call is waited for.
class registrar {
 public:
  /// Between two attempts; after a refusal, the longest.
  struct pauses {
    milliseconds first{1'000};
    milliseconds longest{60'000};
  };
  /// @param on_name gets the bot's username, unless `identified`
  /// Both are called at most once, on the registrar's thread.
  registrar(const settings& with, bot_api api, bool identified,
            std::function<void(std::string)> on_name,
            std::function<void()> on_bad_token, pauses how_long);
  ~registrar();
  registrar(const registrar&) = delete;
  registrar& operator=(const registrar&) = delete;

  /// Registers the webhook once more, as `with` says. Waits for nothing: a call
  /// that is on ends first, and no further one goes out with the old settings.
  /// **Threads**: any one at a time.
  void again(settings with);

  /// No further attempt; does not wait for the one that is on.
  void stop();

 private:
  enum class next { done, again, never };
  void work();
  void introduce();
  /// False if it was stopped, or there is no point in going on.
  bool until_done(next (registrar::*step)());
  next identify();
  next register_webhook();
  next look_for_webhook();
  next judge(const char* event, const result<api_reply>& got);
  /// False if there is no point in waiting, nor in going on: it was stopped,
  /// or other settings are to be registered.
  bool pause(milliseconds how_long);

  settings with_;  // its own: the bot's may be read again meanwhile
  bot_api api_;
  bool identified_;
  std::function<void(std::string)> on_name_;
  std::function<void()> on_bad_token_;
  pauses pauses_;
  milliseconds asked_to_wait_{0};
  std::mutex mutex_;
  std::condition_variable told_;
  std::optional<settings> wanted_;
  bool stop_ = false;
  std::thread thread_;
};

}  // namespace troupe::app
