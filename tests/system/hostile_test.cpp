#include <cstdint>
#include <string>
#include <vector>

#include "tests/support/catch.hpp"
#include "tests/system/stage.hpp"

using namespace troupe;
using namespace troupe::system_test;

namespace {

/// What a bot on the open network gets to see.
class hostile_peer {
 public:
  hostile_peer()
      : on_{{"--global-per-second", "0", "--chat-per-second", "0"},
            {{"TROUPE_LIMITS_GLOBAL_PER_SECOND", "0"},
             {"TROUPE_LIMITS_CHAT_PER_SECOND", "0"},
             {"TROUPE_LOG_LEVEL", "debug"}}} {
    on_.start_bot();
    check_works();
  }

  int post(const std::string& body, const headers& more = knows()) {
    return remember(ask(on_.bot_port(), "POST", "/webhook", body, more));
  }
  int get(const std::string& method, const std::string& path,
          const headers& more = knows()) {
    return remember(ask(on_.bot_port(), method, path, {}, more));
  }
  /// Bytes as they are. @returns the status; 0 if it was closed on
  int bytes(const std::string& what, bool shut = false) {
    wire to{on_.bot_port()};
    REQUIRE(to.open());
    to.send(what);
    if (shut)
      to.shut();
    return remember(to.read());
  }
  /// The bot still takes, turns and answers an update.
  void check_works() {
    const std::int64_t before = number(on_.sim_state(), "sent");
    on_.write(77, "still there " + std::to_string(++asked_));
    REQUIRE(eventually(
        [&] { return number(on_.sim_state(), "sent") == before + 1; }));
  }
  void end() {
    check_works();
    REQUIRE(eventually([&] { return on_.idle(); }));
    on_.stop();
    CHECK(on_.calls().back().text == "n=" + std::to_string(asked_) +
                                         " text=still there " +
                                         std::to_string(asked_));
    for (const std::string& said : {on_.said(), answers_}) {
      CHECK_FALSE(has(said, token.substr(token.find(':') + 1)));
      CHECK_FALSE(has(said, secret));
    }
  }
  stage& on() { return on_; }

  static headers knows() {
    return {{"X-Telegram-Bot-Api-Secret-Token", secret}};
  }

 private:
  int remember(const reply& got) {
    answers_ += got.head + got.body;
    return got.status;
  }

  stage on_;
  std::string answers_;
  int asked_ = 0;
};

std::string post_of(const std::string& body, std::size_t length) {
  return "POST /webhook HTTP/1.1\r\nHost: a\r\n"
         "X-Telegram-Bot-Api-Secret-Token: " +
         secret + "\r\nContent-Length: " + std::to_string(length) + "\r\n\r\n" +
         body;
}

std::string nested(int levels) {
  return "{\"update_id\":1,\"message\":" + std::string(levels, '[') +
         std::string(levels, ']') + "}";
}

}  // namespace

TEST_CASE(
    "G12: strangers and wrong requests get the right status, and learn "
    "nothing") {
  hostile_peer peer;
  CHECK(peer.post("{}", {}) == 401);
  CHECK(peer.post("{}", {{"X-Telegram-Bot-Api-Secret-Token", "guess"}}) == 403);
  CHECK(peer.post("{}", {{"X-Telegram-Bot-Api-Secret-Token", secret + "x"}}) ==
        403);
  CHECK(peer.get("GET", "/webhook") == 405);
  CHECK(peer.get("PUT", "/webhook") == 405);
  CHECK(peer.get("GET", "/") == 404);
  CHECK(peer.get("GET", "/../../etc/passwd") == 404);
  CHECK(peer.get("POST", "/bot" + token + "/getMe") == 404);
  CHECK(peer.get("GET", "/admin/dead-letters") == 404);
  // The pages for operators: nothing is done there without the bearer token.
  const reply admin =
      ask(peer.on().stats_port(), "POST", "/admin/dead-letters/drop",
          "{\"all\":true}", {{"Authorization", "Bearer " + secret}});
  CHECK((admin.status == 401 || admin.status == 403));
  peer.end();
}

TEST_CASE("bodies that are no updates are refused and change nothing") {
  hostile_peer peer;
  for (const std::string body :
       {"", "{", "[]", "null", "{\"update_id\":}", "{\"message\":{}}",
        "{\"update_id\":\"x\"}", "{\"update_id\":1.5}",
        "{\"update_id\":9223372036854775808}", "{\"update_id\":1}{}",
        "{\"update_id\":1,\"message\":{\"text\":\"\xC0\xAF\"}}",
        "{\"update_id\":1,\"message\":{\"text\":\"\xED\xA0\x80\"}}"}) {
    INFO(body);
    CHECK(peer.post(body) == 400);
  }
  CHECK(peer.post(nested(5'000)) == 400);
  CHECK(peer.post(std::string(1'000'000, '[')) == 400);
  peer.check_works();
  // Strange, but an update: never refused, or its chat's queue would stop.
  const auto id = 900'000'000;
  const std::string of =
      ",\"message\":{\"message_id\":1,\"date\":1,\"chat\":"
      "{\"id\":-9007199254740993,\"type\":\"group\"}";
  for (const std::string& body :
       {"{\"update_id\":" + std::to_string(id) + "}",
        "{\"update_id\":" + std::to_string(id + 1) + ",\"new_kind\":{\"a\":1}}",
        "{\"update_id\":" + std::to_string(id + 2) + of + "}}",
        "{\"update_id\":" + std::to_string(id + 3) + of +
            ",\"text\":\"\\ud800 \\u0000\"}}",
        std::string{"{\"update_id\":9223372036854775807}"}}) {
    INFO(body);
    CHECK(peer.post(body) == 200);
  }
  REQUIRE(eventually([&] { return peer.on().idle(); }));
  peer.end();
}

TEST_CASE("requests that are too large, broken or cut off are dropped") {
  hostile_peer peer;
  CHECK(peer.post(std::string(10'000'000, ' ')) == 413);
  CHECK(peer.bytes(post_of("", 10'000'000)) == 413);
  CHECK(peer.bytes("POST /webhook HTTP/1.1\r\nHost: a\r\nX: " +
                   std::string(100'000, 'x') + "\r\n\r\n") == 431);
  CHECK(peer.bytes("NONSENSE\r\n\r\n") == 400);
  CHECK(peer.bytes(std::string("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
                               11)) == 400);
  CHECK(peer.bytes("POST /webhook HTTP/1.1\r\nHost: a\r\n"
                   "Content-Length: -1\r\n\r\n") == 400);
  CHECK(peer.bytes("POST /webhook HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n"
                   "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n") == 400);
  // Cut off in the header, in the body, right away.
  const std::string whole = post_of("{\"update_id\":1}", 15);
  for (const std::size_t cut :
       {std::size_t{0}, std::size_t{10}, whole.size() - 1}) {
    const int status = peer.bytes(whole.substr(0, cut), true);
    INFO("cut at " << cut);
    CHECK((status == 0 || status == 400));
  }
  peer.end();
}

TEST_CASE("slow peers are dropped, however many, and hold nobody up") {
  hostile_peer peer;
  std::vector<wire> slow;
  for (int i = 0; i < 200; ++i) {
    slow.emplace_back(peer.on().bot_port());
    REQUIRE(slow.back().open());
    slow.back().send("POST /webhook HTTP/1.1\r\nHost: a\r\nX-Slow");
  }
  peer.check_works();
  // The limit is 10 s; a byte now and then does not help.
  for (int i = 0; i < 5; ++i) {
    pause(std::chrono::seconds{1});
    for (wire& one : slow)
      one.send("x");
    peer.check_works();
  }
  for (wire& one : slow)
    CHECK(one.ends());
  peer.end();
}
