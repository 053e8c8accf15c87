#include "app/registrar.hpp"

#include <atomic>
#include <chrono>
#include <functional>
#include <thread>

#include "http/client.hpp"
#include "tests/app/telegram.hpp"
#include "tests/support/catch.hpp"

using namespace troupe;
using namespace troupe::app;
using namespace troupe::app::test;
using namespace std::chrono_literals;

namespace {

bool eventually(const std::function<bool()>& condition) {
  const auto until = std::chrono::steady_clock::now() + 60s;
  while (!condition()) {
    if (std::chrono::steady_clock::now() > until)
      return false;
    std::this_thread::sleep_for(1ms);
  }
  return true;
}

/// A registrar in a hurry, and the server it talks to.
struct desk {
  desk() {
    with.webhook_public_url = "https://bots.example";
    auto made =
        http::client::make(loop, http::parse_origin(telegram.root()).value());
    REQUIRE(made.has_value());
    client = std::move(*made);
  }
  ~desk() { client->close(); }

  void start(bool identified) {
    work.emplace(
        with, bot_api{*client, "1:test"}, identified,
        [this](std::string name) { names.push_back(std::move(name)); },
        [this] { ++bad_tokens; }, registrar::pauses{1ms, 5ms});
  }

  settings with = default_settings();
  fake_telegram telegram;
  net::loop loop;
  std::unique_ptr<http::client> client;
  std::atomic<int> bad_tokens{0};
  std::vector<std::string> names;  ///< read them when `work` has ended
  std::optional<registrar> work;
};

}  // namespace

TEST_CASE("a refused setWebhook is tried again until it is taken") {
  desk d;
  d.telegram.answer("setWebhook", 400,
                    "{\"ok\":false,\"error_code\":400,\"description\":"
                    "\"Bad Request: bad webhook: Failed to resolve host\"}");
  d.start(true);
  REQUIRE(eventually([&] { return d.telegram.count("setWebhook") >= 4; }));
  d.telegram.answer("setWebhook", 200, "{\"ok\":true,\"result\":true}");
  // The end of its work is the end of its calls.
  auto before = d.telegram.count("setWebhook");
  CHECK(eventually([&] {
    std::this_thread::sleep_for(100ms);
    return std::exchange(before, d.telegram.count("setWebhook")) ==
           d.telegram.count("setWebhook");
  }));
  CHECK(d.bad_tokens == 0);
}

TEST_CASE("a page that is no answer of Telegram's is no verdict on the token") {
  desk d;
  d.telegram.answer("getMe", 404, "<html>no such page</html>");
  d.telegram.answer("setWebhook", 401, "<html>log in first</html>");
  CHECK_FALSE(who_am_i(bot_api{*d.client, "1:test"}).refused);
  d.start(false);
  REQUIRE(eventually([&] { return d.telegram.count("getMe") >= 4; }));
  d.telegram.answer("getMe", 200,
                    "{\"ok\":true,\"result\":{\"id\":5,"
                    "\"username\":\"shopbot\"}}");
  REQUIRE(eventually([&] { return d.telegram.count("setWebhook") >= 3; }));
  CHECK(d.bad_tokens == 0);
  d.telegram.answer("setWebhook", 401,
                    "{\"ok\":false,\"error_code\":401,\"description\":"
                    "\"Unauthorized\"}");
  CHECK(eventually([&] { return d.bad_tokens == 1; }));
  d.work.reset();
  CHECK(d.names == std::vector<std::string>{"shopbot"});
}

TEST_CASE("other update kinds are registered, whatever the registrar is at") {
  desk d;
  d.telegram.answer("setWebhook", 200, "{\"ok\":true,\"result\":true}");
  d.start(true);
  const auto registered = [&](const std::string& kind) {
    return eventually([&] {
      return d.telegram.last("setWebhook").find('"' + kind + '"') !=
             std::string::npos;
    });
  };
  // It is through, or at its first call: the settings may come at any time.
  d.with.bot_allowed_updates = "message";
  d.work->again(d.with);
  CHECK(registered("message"));
  // It waits between two attempts.
  d.telegram.answer("setWebhook", 400,
                    "{\"ok\":false,\"error_code\":400,\"description\":"
                    "\"Bad Request: bad webhook\"}");
  d.with.bot_allowed_updates = "poll";
  d.work->again(d.with);
  CHECK(registered("poll"));
  d.with.bot_allowed_updates = "callback_query";
  d.work->again(d.with);
  CHECK(registered("callback_query"));
  // And the latest is what it insists on.
  const auto before = d.telegram.count("setWebhook");
  REQUIRE(
      eventually([&] { return d.telegram.count("setWebhook") >= before + 3; }));
  CHECK(registered("callback_query"));
  CHECK(d.telegram.count("getMe") == 0);
}
