#include <algorithm>
#include <numeric>

#include "tests/actors/rig.hpp"
#include "tests/support/catch.hpp"

using namespace troupe;
using namespace troupe::testing;

namespace {

http::response telegram_error(int code, const std::string& description,
                              int retry_after = 0) {
  http::response r;
  r.status = unsigned(code);
  r.body = R"({"ok":false,"error_code":)" + std::to_string(code) +
           R"(,"description":")" + description + "\"";
  if (retry_after > 0)
    r.body +=
        R"(,"parameters":{"retry_after":)" + std::to_string(retry_after) + "}";
  r.body += "}";
  return r;
}

std::size_t dead_letters(store::backend& s,
                         std::vector<store::dead_letter>* out = nullptr) {
  std::promise<std::vector<store::dead_letter>> p;
  s.dead_letters({}, 100, [&](auto r) { p.set_value(std::move(*r)); });
  auto all = p.get_future().get();
  if (out)
    *out = all;
  return all.size();
}

}  // namespace

TEST_CASE("an update over the webhook is answered, turned and replied to") {
  telegram_double telegram;
  rig r{fast(), std::make_shared<counter_bot>(), memory_store(),
        telegram.url()};
  CHECK(r.node().ready());
  CHECK(r.post_and_wait(text_update(1, 42, "hello")) == 200);
  CHECK(eventually([&] { return telegram.accepted() == 1; }));
  CHECK(telegram.texts(42) == counted({"hello"}));
}

TEST_CASE("G2: a redelivered update changes nothing") {
  telegram_double telegram;
  rig r{fast(), std::make_shared<counter_bot>(), memory_store(),
        telegram.url()};
  for (int i = 0; i < 5; ++i)
    CHECK(r.post_and_wait(text_update(7, 42, "once")) == 200);
  CHECK(r.post_and_wait(text_update(8, 42, "twice")) == 200);
  CHECK(eventually([&] { return telegram.accepted() == 2; }));
  CHECK(telegram.texts(42) == counted({"once", "twice"}));
  CHECK(r.total("duplicates") == 4);
}

TEST_CASE(
    "G3: the updates of many chats, posted at once, keep each chat's order") {
  telegram_double telegram;
  rig r{fast(), std::make_shared<counter_bot>(), memory_store(),
        telegram.url()};
  std::map<std::int64_t, std::vector<std::string>> expected;
  std::int64_t id = 100;
  for (int round = 0; round < 20; ++round) {
    for (std::int64_t chat = 1; chat <= 25; ++chat) {
      auto text = "u" + std::to_string(round);
      expected[chat].push_back(text);
      r.post(text_update(id++, chat, text));
    }
    // As Telegram does: a chat's next update only after its last was answered.
    REQUIRE(r.settle());
  }
  CHECK(eventually([&] { return telegram.accepted() == 500; }));
  for (auto& [chat, texts] : expected)
    CHECK(telegram.texts(chat) == counted(texts));
  CHECK(r.statuses() == std::map<unsigned, int>{{200, 500}});
}

TEST_CASE("the gate: secret, path, method, and what is not an update") {
  telegram_double telegram;
  auto how = fast();
  how.webhook_secret = "s3cret_token";
  rig r{how, std::make_shared<counter_bot>(), memory_store(), telegram.url()};
  http::fields good;
  good.add("X-Telegram-Bot-Api-Secret-Token", "s3cret_token");
  http::fields bad;
  bad.add("X-Telegram-Bot-Api-Secret-Token", "s3cret_tokeN");
  auto u = text_update(1, 42, "x");
  CHECK(r.post_and_wait(u) == 401);
  CHECK(r.post_and_wait(u, bad) == 403);
  CHECK(r.post_and_wait(u, good, "/other") == 404);
  CHECK(r.post_and_wait(u, good, "/webhook", "PUT") == 405);
  CHECK(r.post_and_wait(u, {}, "/webhook/wrong") == 403);
  CHECK(r.post_and_wait("{", good) == 400);
  CHECK(r.post_and_wait("[]", good) == 400);
  CHECK(r.post_and_wait(R"({"message":{}})", good) == 400);
  CHECK(r.post_and_wait("", good) == 400);
  CHECK(telegram.accepted() == 0);
  CHECK(r.post_and_wait(u, good) == 200);
  CHECK(r.post_and_wait(text_update(2, 42, "y"), {}, "/webhook/s3cret_token") ==
        200);
  CHECK(r.post_and_wait(R"({"update_id":3})", good) == 200);
  CHECK(eventually([&] { return telegram.accepted() == 2; }));
}

TEST_CASE(
    "G10: a chat whose handler throws ends in dead letters, others go on") {
  telegram_double telegram;
  auto bot = std::make_shared<counter_bot>([](const std::string& text) {
    if (text.starts_with("throw"))
      throw std::runtime_error{"no such item"};
  });
  rig r{fast(), bot, memory_store(), telegram.url()};
  r.post(text_update(1, 1, "throw"));
  r.post(text_update(2, 2, "fine"));
  REQUIRE(r.settle());
  r.post(text_update(3, 1, "after"));
  CHECK(eventually([&] { return telegram.accepted() == 2; }));
  CHECK(telegram.texts(1) == counted({"after"}));
  CHECK(telegram.texts(2) == counted({"fine"}));
  std::vector<store::dead_letter> dead;
  REQUIRE(dead_letters(r.store(), &dead) == 1);
  CHECK(dead[0].error == "no such item");
  CHECK(dead[0].update == update_id{1});
  CHECK(r.total("turns_threw") == 3);
}

TEST_CASE("dead letters that are retried are turned in their order") {
  telegram_double telegram;
  auto broken = std::make_shared<std::atomic<bool>>(true);
  auto bot = std::make_shared<counter_bot>([broken](const std::string&) {
    if (*broken)
      throw std::runtime_error{"down"};
  });
  rig r{fast(), bot, memory_store(), telegram.url()};
  for (int i = 1; i <= 4; ++i)
    REQUIRE(r.post_and_wait(text_update(i, 9, "t" + std::to_string(i))) == 200);
  REQUIRE(eventually([&] { return dead_letters(r.store()) == 4; }));
  *broken = false;
  std::vector<store::dead_letter> dead;
  dead_letters(r.store(), &dead);
  std::vector<dead_letter_id> which;
  for (auto it = dead.rbegin(); it != dead.rend(); ++it)
    which.push_back(it->id);
  std::promise<std::size_t> moved;
  r.node().retry(which, [&](auto n) { moved.set_value(n ? *n : 0); });
  CHECK(moved.get_future().get() == 4);
  CHECK(eventually([&] { return telegram.accepted() == 4; }));
  CHECK(telegram.texts(9) == counted({"t1", "t2", "t3", "t4"}));
  CHECK(dead_letters(r.store()) == 0);
}

TEST_CASE("G10: a handler that blocks holds up its own chat only") {
  telegram_double telegram;
  std::promise<void> open;
  auto gate = open.get_future().share();
  auto bot = std::make_shared<counter_bot>([gate](const std::string& text) {
    if (text == "wait")
      gate.wait();
  });
  rig r{fast(), bot, memory_store(), telegram.url()};
  for (std::int64_t chat = 1; chat <= 8; ++chat)
    r.post(text_update(chat, chat, "wait"));
  for (std::int64_t chat = 101; chat <= 150; ++chat)
    r.post(text_update(chat, chat, "quick"));
  CHECK(eventually([&] { return telegram.accepted() == 50; }));
  open.set_value();
  CHECK(eventually([&] { return telegram.accepted() == 58; }));
}

TEST_CASE(
    "G4, G5: what was committed before a restart is sent after it, once") {
  folder dir;
  telegram_double down{
      [&](const telegram_double::call&, int) -> std::optional<http::response> {
        return telegram_error(502, "Bad Gateway");
      }};
  telegram_double telegram;
  std::vector<std::string> texts;
  {
    rig r{fast(), std::make_shared<counter_bot>(), sqlite_store(dir / "db"),
          down.url()};
    for (int i = 1; i <= 10; ++i) {
      texts.push_back("t" + std::to_string(i));
      REQUIRE(r.post_and_wait(text_update(i, 5, texts.back())) == 200);
    }
    CHECK(eventually([&] { return r.total("turns_done") == 10; }));
  }
  rig r{fast(), std::make_shared<counter_bot>(), sqlite_store(dir / "db"),
        telegram.url()};
  CHECK(eventually([&] { return telegram.texts(5).size() == 10; }));
  CHECK(telegram.texts(5) == counted(texts));
  texts.push_back("t11");
  REQUIRE(r.post_and_wait(text_update(11, 5, "t11")) == 200);
  CHECK(eventually([&] { return telegram.texts(5).size() == 11; }));
  CHECK(telegram.texts(5) == counted(texts));
}

TEST_CASE("G1: updates accepted but not turned are turned after a restart") {
  folder dir;
  telegram_double telegram;
  auto open = std::make_shared<std::atomic<bool>>(false);
  auto bot = std::make_shared<counter_bot>([open](const std::string&) {
    if (!*open)
      throw std::runtime_error{"not yet"};
  });
  auto how = fast();
  how.turns.attempts = 1000;
  how.turns.backoff = 500ms;
  std::vector<std::string> texts;
  {
    rig r{how, bot, sqlite_store(dir / "db"), telegram.url()};
    for (int i = 1; i <= 100; ++i) {
      texts.push_back("t" + std::to_string(i));
      REQUIRE(r.post_and_wait(text_update(i, 5, texts.back())) == 200);
    }
  }
  *open = true;
  rig r{how, bot, sqlite_store(dir / "db"), telegram.url()};
  CHECK(eventually([&] { return telegram.texts(5).size() == 100; }));
  CHECK(telegram.texts(5) == counted(texts));
}

TEST_CASE("G8: after a 429 the chat waits, other chats do not") {
  std::atomic<int> refused{0};
  std::mutex lock;
  mono_time refused_at{};
  telegram_double telegram{[&](const telegram_double::call& c,
                               int) -> std::optional<http::response> {
    if (c.chat != 1 || refused.exchange(1) != 0)
      return std::nullopt;
    std::lock_guard guard{lock};
    refused_at = system_clock().mono();
    return telegram_error(429, "Too Many Requests: retry after 1", 1);
  }};
  rig r{fast(), std::make_shared<counter_bot>(), memory_store(),
        telegram.url()};
  for (int i = 1; i <= 3; ++i)
    REQUIRE(r.post_and_wait(text_update(i, 1, "a" + std::to_string(i))) == 200);
  REQUIRE(r.post_and_wait(text_update(10, 2, "b")) == 200);
  CHECK(eventually([&] { return telegram.accepted() == 4; }));
  CHECK(telegram.texts(1) == counted({"a1", "a2", "a3"}));
  mono_time first_again{};
  int to_chat = 0;
  for (auto& c : telegram.calls())
    if (c.chat == 1 && ++to_chat == 2)
      first_again = c.at;
  std::lock_guard guard{lock};
  CHECK(first_again - refused_at >= 1s);
}

TEST_CASE("polling: the offset is advanced only after durable accept") {
  telegram_double telegram;
  auto how = fast();
  how.poll = true;
  telegram.queue(500, text_update(500, 1, "a"));
  telegram.queue(501, text_update(501, 2, "b"));
  telegram.queue(502, R"({"update_id":502})");
  rig r{how, std::make_shared<counter_bot>(), memory_store(), telegram.url()};
  CHECK(eventually([&] { return telegram.accepted() == 2; }));
  CHECK(eventually([&] {
    auto o = telegram.offsets();
    return !o.empty() && o.back() == 503;
  }));
  CHECK(telegram.offsets().front() == 0);
  // Ids may go down after a week of silence.
  telegram.queue(20, text_update(20, 1, "c"));
  CHECK(eventually([&] { return telegram.texts(1).size() == 2; }));
}

TEST_CASE("a drain lets turns and calls end and keeps the rest") {
  folder dir;
  telegram_double telegram;
  {
    rig r{fast(), std::make_shared<counter_bot>(), sqlite_store(dir / "db"),
          telegram.url()};
    for (int i = 1; i <= 50; ++i)
      r.post(text_update(i, i, "x"));
    REQUIRE(r.settle());
    CHECK(r.node().drain(30s));
    CHECK(r.total("turns_done") == 50);
    CHECK_FALSE(r.node().ready());
    CHECK(r.post_and_wait(text_update(99, 1, "late")) == 503);
    CHECK(r.last().headers.has("Retry-After"));
  }
  auto before = telegram.accepted();
  rig r{fast(), std::make_shared<counter_bot>(), sqlite_store(dir / "db"),
        telegram.url()};
  CHECK(eventually([&] { return telegram.accepted() == 50; }));
  CHECK(before <= 50);
}

TEST_CASE("a drain waits for dead letters that were just retried") {
  constexpr int many = 100;
  telegram_double telegram;
  std::atomic<bool> broken{true};
  auto how = fast();
  how.turns.attempts = 1;
  rig r{how, std::make_shared<counter_bot>([&](const std::string&) {
          if (broken)
            throw std::runtime_error{"down"};
        }),
        memory_store(), telegram.url()};
  for (int i = 1; i <= many; ++i)
    r.post(text_update(i, i, "x"));
  REQUIRE(eventually([&] { return dead_letters(r.store()) == many; }));
  broken = false;
  std::vector<store::dead_letter> dead;
  dead_letters(r.store(), &dead);
  std::vector<dead_letter_id> which;
  for (auto& d : dead)
    which.push_back(d.id);
  std::promise<std::size_t> moved;
  r.node().retry(which, [&](auto n) { moved.set_value(n ? *n : 0); });
  REQUIRE(moved.get_future().get() == many);
  CHECK(r.node().drain(120s));
  CHECK(r.total("turns_done") == many);
}

TEST_CASE("a durable timer fires after a restart, once") {
  folder dir;
  hour_later clock;
  telegram_double telegram;
  {
    rig r{fast(), std::make_shared<counter_bot>(), sqlite_store(dir / "db"),
          telegram.url()};
    REQUIRE(r.post_and_wait(text_update(1, 5, "timer1")) == 200);
    CHECK(eventually([&] { return telegram.accepted() == 1; }));
    CHECK(r.node().drain(60s));
  }
  auto how = fast();
  how.time = &clock;
  rig r{how, std::make_shared<counter_bot>(), sqlite_store(dir / "db"),
        telegram.url()};
  CHECK(eventually([&] { return telegram.accepted() == 2; }));
  CHECK(telegram.texts(5) ==
        std::vector<std::string>{"n=1 text=timer1", "timer timer1"});
}

TEST_CASE("timers that came due while the bot was down fire at its start") {
  // More than may be under way together.
  constexpr unsigned chats = 2'500;
  telegram_double telegram;
  folder dir;
  hour_later clock;
  auto file = dir / "db";
  {
    rig r{fast(), std::make_shared<counter_bot>(), sqlite_store(file),
          telegram.url()};
    for (std::int64_t chat = 1; chat <= chats; ++chat) {
      r.post(text_update(chat, chat, "timer"));
      if (chat % 100 == 0)
        REQUIRE(r.settle());
    }
    CHECK(r.statuses() == std::map<unsigned, int>{{200, chats}});
    CHECK(eventually([&] { return telegram.accepted() == chats; }));
    CHECK(r.node().drain(60s));  // so that no call is repeated
  }
  auto how = fast();
  how.time = &clock;
  how.timer_look = std::chrono::hours{1};  // no second chance
  rig r{how, std::make_shared<counter_bot>(), sqlite_store(file),
        telegram.url()};
  CHECK(eventually([&] { return telegram.accepted() == 2 * chats; }));
}

TEST_CASE("a username that is learned late is known to every turn after") {
  telegram_double telegram;
  rig r{fast(), std::make_shared<counter_bot>(), memory_store(),
        telegram.url()};
  CHECK(r.post_and_wait(text_update(1, 5, "who")) == 200);
  CHECK(eventually([&] { return telegram.accepted() == 2; }));
  r.node().identify("shop_bot");
  CHECK(r.post_and_wait(text_update(2, 5, "who")) == 200);
  CHECK(eventually([&] { return telegram.accepted() == 4; }));
  CHECK(telegram.texts(5) == std::vector<std::string>{"n=1 text=who", "we are ",
                                                      "n=2 text=who",
                                                      "we are shop_bot"});
}

TEST_CASE("idle chats are passivated and come back with their state") {
  telegram_double telegram;
  auto how = fast();
  how.chat_idle = 100ms;
  rig r{how, std::make_shared<counter_bot>(), memory_store(), telegram.url()};
  for (std::int64_t chat = 1; chat <= 200; ++chat)
    r.post(text_update(chat, chat, "a"));
  CHECK(eventually([&] { return telegram.accepted() == 200; }));
  CHECK(eventually([&] {
    auto actors = r.stats().at("actors");
    return actors.at("chats") == 0 && actors.at("lanes") == 0;
  }));
  for (std::int64_t chat = 1; chat <= 200; ++chat)
    r.post(text_update(1000 + chat, chat, "b"));
  CHECK(eventually([&] { return telegram.accepted() == 400; }));
  CHECK(telegram.texts(77) == counted({"a", "b"}));
}

TEST_CASE("gauges show the depths of journal and outbox, and readiness") {
  std::atomic<bool> answers{false};
  telegram_double telegram{[&](auto&, int) -> std::optional<http::response> {
    if (answers)
      return {};
    return telegram_error(502, "Bad Gateway");
  }};
  std::promise<void> open;
  auto gate = open.get_future().share();
  rig r{fast(), std::make_shared<counter_bot>([gate](const std::string& text) {
          if (text == "wait")
            gate.wait();
        }),
        memory_store(), telegram.url()};
  auto shows = [&](const std::string& line) {
    return eventually([&] {
      return ("\n" + r.metrics()).find("\n" + line + "\n") != std::string::npos;
    });
  };
  CHECK(shows("troupe_ready 1"));
  CHECK(shows("troupe_journal_depth 0"));
  for (int i = 1; i <= 3; ++i)
    CHECK(r.post_and_wait(text_update(i, 42, "wait")) == 200);
  CHECK(shows("troupe_journal_depth 3"));
  CHECK(shows("troupe_turns_in_progress 1"));
  CHECK(shows("troupe_active_chats 1"));
  CHECK(shows("troupe_outbox_depth 0"));
  open.set_value();
  CHECK(shows("troupe_journal_depth 0"));
  CHECK(shows("troupe_outbox_depth 3"));
  answers = true;
  CHECK(shows("troupe_outbox_depth 0"));
  CHECK(shows("troupe_calls_in_flight 0"));
  CHECK(r.node().drain(60s));
  CHECK(shows("troupe_ready 0"));
}

TEST_CASE("a chat that works stays, and does not keep the idle ones") {
  telegram_double telegram;
  std::promise<void> open;
  auto gate = open.get_future().share();
  auto how = fast();
  how.chat_idle = 100ms;
  rig r{how, std::make_shared<counter_bot>([gate](const std::string& text) {
          if (text == "wait")
            gate.wait();
        }),
        memory_store(1), telegram.url()};
  // The first of the shard, so the oldest of all.
  CHECK(r.post_and_wait(text_update(1, 1, "wait")) == 200);
  for (std::int64_t chat = 2; chat <= 50; ++chat)
    r.post(text_update(chat, chat, "a"));
  auto in_memory = [&] { return r.stats().at("actors").at("chats"); };
  CHECK(eventually([&] { return telegram.accepted() == 49; }));
  CHECK(eventually([&] { return in_memory() == 1; }));
  CHECK(r.stats().at("shards").at(0).at("to_turn") == 1);
  CHECK(r.stats().at("busiest").at(0).at("chat") == "1");
  open.set_value();
  CHECK(eventually([&] { return in_memory() == 0; }));
  CHECK(r.stats().at("shards").at(0).at("to_turn") == 0);
  CHECK(eventually([&] { return telegram.texts(1).size() == 1; }));
  CHECK(telegram.texts(1) == counted({"wait"}));
}

TEST_CASE("G12: neither token nor secret shows in stats or metrics") {
  telegram_double telegram;
  auto how = fast();
  how.webhook_secret = "s3cret_token";
  rig r{how, std::make_shared<counter_bot>(), memory_store(), telegram.url()};
  auto page = json::serialize(r.stats()) + r.metrics() + r.last().body;
  CHECK(page.find("test-token-of-the-rig") == std::string::npos);
  CHECK(page.find("s3cret_token") == std::string::npos);
}
