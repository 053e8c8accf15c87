#pragma once

#include <charconv>
#include <chrono>
#include <condition_variable>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <sstream>
#include <string>
#include <thread>
#include <utility>

#include "app/bot_api.hpp"
#include "http/client.hpp"
#include "tests/app/support.hpp"
#include "tests/app/telegram.hpp"
#include "tests/support/catch.hpp"

/// A bot's whole program, running in a thread of the test.
namespace troupe::app::test {

using namespace std::chrono_literals;

inline const std::string token = "880011:GGHdqTcvCH1vGWJxfSeofSAs0K5PALDsaw";
inline const std::string secret = "GG-hook-secret";

/// Counts a chat's updates, and answers each with its number; throws at
/// "poison".
class counting_chat final : public detail::live_chat {
 public:
  explicit counting_chat(std::int64_t id) : id_{id} {}
  void load(std::string_view state, std::string_view, std::string_view,
            std::int64_t) override {
    count_ = 0;
    std::from_chars(state.data(), state.data() + state.size(), count_);
  }
  detail::turn_result run(const detail::turn_event& what,
                          const detail::turn_scene&) override {
    detail::turn_result out;
    out.kind = "test";
    if (has(*what.body, "poison")) {
      out.how = detail::turn_result::end::threw;
      out.error = "poisoned";
      return out;
    }
    ++count_;
    out.wanted.state = std::to_string(count_);
    detail::wanted_call call;
    call.method = "sendMessage";
    call.body = "{\"chat_id\":" + std::to_string(id_) +
                ",\"text\":\"n=" + std::to_string(count_) + "\"}";
    call.reply = true;
    out.wanted.calls.push_back(std::move(call));
    return out;
  }

 private:
  std::int64_t id_;
  int count_ = 0;
};

class counting_bot final : public detail::bot_base {
 public:
  std::unique_ptr<detail::live_chat> spawn(std::string,
                                           std::int64_t id) const override {
    return std::make_unique<counting_chat>(id);
  }
};

/// Signals by hand.
class hand final : public stop_source {
 public:
  struct state {
    std::mutex mutex;
    std::condition_variable changed;
    int signals = 0;
    bool interrupted = false;
  };
  explicit hand(std::shared_ptr<state> s) : s_{std::move(s)} {}
  news wait(milliseconds at_most) override {
    std::unique_lock lock{s_->mutex};
    s_->changed.wait_for(lock, at_most,
                         [this] { return s_->signals > 0 || s_->interrupted; });
    if (s_->signals > 0) {
      --s_->signals;
      return news::signal;
    }
    return std::exchange(s_->interrupted, false) ? news::interrupted
                                                 : news::nothing;
  }
  void interrupt() override {
    {
      const std::lock_guard lock{s_->mutex};
      s_->interrupted = true;
    }
    s_->changed.notify_all();
  }

 private:
  std::shared_ptr<state> s_;
};

inline bool eventually(const std::function<bool()>& condition) {
  const auto until = std::chrono::steady_clock::now() + 60s;
  while (!condition()) {
    if (std::chrono::steady_clock::now() > until)
      return false;
    std::this_thread::sleep_for(10ms);
  }
  return true;
}

/// A port that was free a moment ago.
inline std::uint16_t free_port() {
  net::loop loop;
  auto server = http::server::listen(loop, {}, [](auto&&, auto) {});
  REQUIRE(server.has_value());
  return (*server)->port();
}

/// A bot's program, running in a thread.
class running_bot {
 public:
  explicit running_bot(std::map<std::string, std::string> environment)
      : environment_{std::move(environment)}, thread_{[this] {
          std::ostringstream out;
          std::ostringstream err;
          surroundings around{"shopbot", {"run"}, environment_, out, err};
          around.stop = [this]() -> result<std::unique_ptr<stop_source>> {
            return std::unique_ptr<stop_source>{std::make_unique<hand>(state_)};
          };
          code_ = run_program(around, std::make_shared<counting_bot>());
          err_ = err.str();
        }} {}
  ~running_bot() {
    if (thread_.joinable())
      stop();
  }
  /// Signals, and gives the exit code.
  int stop() {
    {
      const std::lock_guard lock{state_->mutex};
      ++state_->signals;
    }
    state_->changed.notify_all();
    return end();
  }
  int end() {
    thread_.join();
    return code_;
  }
  const std::string& err() const { return err_; }

 private:
  std::map<std::string, std::string> environment_;
  std::shared_ptr<hand::state> state_ = std::make_shared<hand::state>();
  int code_ = -1;
  std::string err_;
  std::thread thread_;
};

/// A folder, a fake Telegram, two ports, and what is asked of them.
struct stage {
  std::map<std::string, std::string> environment() const {
    return {{"TROUPE_BOT_TOKEN", token},
            {"TROUPE_BOT_API_ROOT", telegram.root()},
            {"TROUPE_STORE_URL", "sqlite:" + (folder / "bot.db")},
            {"TROUPE_STORE_SHARDS", "4"},
            {"TROUPE_WEBHOOK_LISTEN", address(webhook)},
            {"TROUPE_WEBHOOK_SECRET", secret},
            {"TROUPE_STATS_LISTEN", address(stats)},
            {"TROUPE_LIMITS_CHAT_PER_SECOND", "0"},
            {"TROUPE_TURN_ATTEMPTS", "1"},
            {"TROUPE_LOG_LEVEL", "warn"}};
  }
  static std::string address(std::uint16_t port) {
    return "127.0.0.1:" + std::to_string(port);
  }
  /// Status of a request; 0 without an answer.
  unsigned ask(std::uint16_t port, http::request what) {
    net::loop loop;
    http::origin to;
    to.host = "127.0.0.1";
    to.port = port;
    auto client = http::client::make(loop, to);
    REQUIRE(client.has_value());
    const auto got = app::ask(**client, std::move(what), 30s);
    body = got ? got->body : std::string{};
    return got ? got->status : 0;
  }
  unsigned get(const std::string& target) {
    http::request what;
    what.target = target;
    return ask(stats, what);
  }
  unsigned post(std::int64_t id, std::int64_t chat, const std::string& text) {
    http::request what;
    what.method = "POST";
    what.target = "/webhook";
    what.headers.add("Content-Type", "application/json");
    what.headers.add("X-Telegram-Bot-Api-Secret-Token", secret);
    what.body = "{\"update_id\":" + std::to_string(id) +
                ",\"message\":{\"message_id\":1,\"date\":1,\"chat\":{\"id\":" +
                std::to_string(chat) + ",\"type\":\"private\"},\"text\":\"" +
                text + "\"}}";
    return ask(webhook, what);
  }

  temporary_folder folder;
  fake_telegram telegram;
  std::uint16_t webhook = free_port();
  std::uint16_t stats = free_port();
  std::string body;
};

}  // namespace troupe::app::test
