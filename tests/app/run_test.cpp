#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <charconv>
#include <chrono>
#include <condition_variable>
#include <csignal>
#include <cstdlib>
#include <functional>
#include <mutex>
#include <sstream>
#include <string>
#include <thread>

#include "app/bot_api.hpp"
#include "core/json.hpp"
#include "http/client.hpp"
#include "tests/app/letters.hpp"
#include "tests/app/support.hpp"
#include "tests/app/telegram.hpp"
#include "tests/support/catch.hpp"

using namespace troupe;
using namespace troupe::app;
using namespace troupe::app::test;
using namespace std::chrono_literals;

namespace {

const std::string token = "880011:GGHdqTcvCH1vGWJxfSeofSAs0K5PALDsaw";
const std::string secret = "GG-hook-secret";

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

bool eventually(const std::function<bool()>& condition) {
  const auto until = std::chrono::steady_clock::now() + 60s;
  while (!condition()) {
    if (std::chrono::steady_clock::now() > until)
      return false;
    std::this_thread::sleep_for(10ms);
  }
  return true;
}

/// A port that was free a moment ago.
std::uint16_t free_port() {
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

}  // namespace

TEST_CASE("a bot takes an update, answers, drains and ends with 0") {
  stage s;
  s.telegram.answer("sendMessage", 200,
                    "{\"ok\":true,\"result\":{\"message_id\":9}}");
  {
    running_bot bot{s.environment()};
    REQUIRE(eventually([&] { return s.get("/readyz") == 200; }));
    CHECK(s.post(5001, 42, "a") == 200);
    CHECK(eventually([&] { return s.telegram.count("sendMessage") == 1; }));
    CHECK(has(s.telegram.last("sendMessage"), "n=1"));
    CHECK(s.get("/stats") == 200);
    CHECK(s.get("/stats/chats/42") == 200);
    CHECK(s.get("/metrics") == 200);
    CHECK(s.telegram.count("setWebhook") == 0);
    CHECK(bot.stop() == 0);
  }
  CHECK(s.get("/healthz") == 0);
  // The next start goes on where this one ended.
  running_bot again{s.environment()};
  REQUIRE(eventually([&] { return s.get("/readyz") == 200; }));
  CHECK(s.post(5001, 42, "a") == 200);
  CHECK(s.post(5002, 42, "b") == 200);
  CHECK(eventually([&] { return s.telegram.count("sendMessage") == 2; }));
  CHECK(has(s.telegram.last("sendMessage"), "n=2"));
  CHECK(again.stop() == 0);
}

TEST_CASE("the running node is asked for its dead letters") {
  stage s;
  const auto env = s.environment();
  running_bot bot{env};
  REQUIRE(eventually([&] { return s.get("/readyz") == 200; }));
  CHECK(s.post(6001, 7, "poison") == 200);
  // The store is held: only the node can answer.
  REQUIRE(eventually([&] {
    return has(run_bot({"dead-letters", "list"}, env).out, "poisoned");
  }));
  CHECK(has(run_bot({"check"}, env).out, "store: held by the running node"));
  CHECK(run_bot({"stats", "--json"}, env).code == 0);
  const auto retried = run_bot({"dead-letters", "retry", "--all"}, env);
  CHECK(retried.code == 0);
  CHECK(retried.out == "1 retried\n");
  REQUIRE(eventually([&] {
    return has(run_bot({"dead-letters", "list"}, env).out, "poisoned");
  }));
  CHECK(run_bot({"dead-letters", "drop", "--all"}, env).out == "1 dropped\n");

  auto other = env;
  other["TROUPE_BOT_TOKEN"] = "880012:GGHdqTcvCH1vGWJxfSeofSAs0K5PALDsaw";
  const auto refused = run_bot({"dead-letters", "list"}, other);
  CHECK(refused.code == 1);
  CHECK(has(refused.err, "does not know us"));
  CHECK(bot.stop() == 0);
}

TEST_CASE("G1: a polled update that nobody can read becomes a dead letter") {
  stage s;
  s.telegram.answer("getUpdates", 200,
                    "{\"ok\":true,\"result\":[{\"update_id\":9001,"
                    "\"message\":{\"poison\":01,\"text\":\"\xff\"}}]}");
  auto env = s.environment();
  env["TROUPE_BOT_MODE"] = "polling";
  env["TROUPE_BOT_ALLOWED_UPDATES"] = "message, chat_member";
  running_bot bot{env};
  REQUIRE(eventually([&] { return s.get("/readyz") == 200; }));
  REQUIRE(eventually(
      [&] { return has(s.telegram.last("getUpdates"), "\"offset\":9002"); }));
  CHECK(has(s.telegram.last("getUpdates"),
            R"("allowed_updates":["message","chat_member"])"));
  s.telegram.answer("getUpdates", 503, "");
  REQUIRE(eventually([&] {
    return has(run_bot({"dead-letters", "list"}, env).out, "poisoned");
  }));
  const auto shown = run_bot({"dead-letters", "show", "1"}, env);
  CHECK(shown.code == 0);
  CHECK(has(shown.out, "9001"));
  CHECK(has(shown.out, "\xef\xbf\xbd"));
  CHECK(bot.stop() == 0);
}

TEST_CASE("with a public URL the webhook is registered, again if need be") {
  stage s;
  s.telegram.answer("setWebhook", 502, "<html>Bad Gateway</html>");
  auto env = s.environment();
  env["TROUPE_WEBHOOK_PUBLIC_URL"] = "https://bots.example";
  running_bot bot{env};
  CHECK(eventually([&] { return s.telegram.count("setWebhook") >= 1; }));
  s.telegram.answer("setWebhook", 200, "{\"ok\":true,\"result\":true}");
  CHECK(eventually([&] { return s.telegram.count("setWebhook") >= 2; }));
  CHECK(has(s.telegram.last("setWebhook"), secret));
  CHECK(bot.stop() == 0);
}

TEST_CASE("strangers are counted, and get their answer before their body") {
  stage s;
  running_bot bot{s.environment()};
  REQUIRE(eventually([&] { return s.get("/readyz") == 200; }));
  http::request what;
  what.method = "POST";
  what.target = "/webhook";
  what.body = "{}";
  CHECK(s.ask(s.webhook, what) == 401);
  CHECK(has(s.body, "secret token is missing"));
  what.headers.add("X-Telegram-Bot-Api-Secret-Token", "guess");
  CHECK(s.ask(s.webhook, what) == 403);
  CHECK(s.post(5001, 42, "a") == 200);
  CHECK(s.get("/metrics") == 200);
  for (const char* status : {"401", "403"}) {
    CHECK(has(s.body,
              "troupe_http_rejected_total{listener=\"webhook\",status=\"" +
                  std::string{status} + "\"} 1\n"));
  }
  CHECK(bot.stop() == 0);
}

TEST_CASE("a signal during the start ends the process at once") {
  // A server that accepts and says nothing; made without a thread, for a fork
  // takes none along.
  const int silent = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  REQUIRE(silent >= 0);
  sockaddr_in at{};
  at.sin_family = AF_INET;
  at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  REQUIRE(::bind(silent, reinterpret_cast<sockaddr*>(&at), sizeof at) == 0);
  socklen_t size = sizeof at;
  ::getsockname(silent, reinterpret_cast<sockaddr*>(&at), &size);
  REQUIRE(::listen(silent, 8) == 0);
  const temporary_folder folder;
  const pid_t child = ::fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    std::ostringstream out;
    std::ostringstream err;
    const surroundings around{
        "shopbot",
        {"run"},
        {{"TROUPE_BOT_TOKEN", token},
         {"TROUPE_BOT_API_ROOT",
          "http://127.0.0.1:" + std::to_string(ntohs(at.sin_port))},
         {"TROUPE_STORE_URL", "sqlite:" + (folder / "bot.db")},
         {"TROUPE_WEBHOOK_SECRET", secret},
         {"TROUPE_WEBHOOK_LISTEN", "127.0.0.1:0"},
         {"TROUPE_STATS_LISTEN", ""}},
        out,
        err};
    // Whoever gets here was not ended.
    std::_Exit(100 + run_program(around, std::make_shared<counting_bot>()));
  }
  const int peer = ::accept(silent, nullptr, nullptr);  // getMe is on its way
  CHECK(peer >= 0);
  CHECK(::kill(child, SIGTERM) == 0);
  int status = 0;
  CHECK(::waitpid(child, &status, 0) == child);
  CHECK(WIFEXITED(status));
  CHECK(WEXITSTATUS(status) == 0);
  ::close(peer);
  ::close(silent);
}

TEST_CASE("Telegram out of reach does not keep a bot from starting") {
  stage s;
  auto env = s.environment();
  env["TROUPE_BOT_API_ROOT"] = "http://127.0.0.1:9";
  running_bot bot{env};
  CHECK(eventually([&] { return s.get("/readyz") == 200; }));
  CHECK(s.post(7001, 42, "a") == 200);
  CHECK(bot.stop() == 0);
}

TEST_CASE("a token refused after the start ends the bot with 78") {
  stage s;
  s.telegram.answer("getMe", 502, "");
  running_bot bot{s.environment()};
  REQUIRE(eventually([&] { return s.get("/readyz") == 200; }));
  s.telegram.answer("getMe", 401,
                    "{\"ok\":false,\"error_code\":401,"
                    "\"description\":\"Unauthorized\"}");
  CHECK(bot.end() == 78);
  CHECK(has(bot.err(), "bot.token"));
}
