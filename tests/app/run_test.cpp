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
#include "tests/app/running.hpp"
#include "tests/app/support.hpp"
#include "tests/app/telegram.hpp"
#include "tests/support/catch.hpp"

using namespace troupe;
using namespace troupe::app;
using namespace troupe::app::test;
using namespace std::chrono_literals;

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
  CHECK(has(run_bot({"check"}, env).out,
            "ok    store: held by the running node, which is ready"));
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
