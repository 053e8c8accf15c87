
#include "store/faulty.hpp"
#include "tests/actors/rig.hpp"
#include "tests/support/catch.hpp"

using namespace troupe;
using namespace troupe::testing;

// A script of 30 updates to three chats, played once without a fault, and then
// once for every store operation, in which that operation fails (before or
// after it was done). Every run must end in the same state: what was answered
// 200 is replied to, in order, once.

namespace {

constexpr int updates = 30;
constexpr int chats = 3;

struct end_state {
  std::map<std::int64_t, std::vector<std::string>> texts;
  std::map<std::int64_t, std::string> states;
  std::uint64_t operations = 0;
};

std::string state_of(store::backend& s, std::int64_t chat) {
  std::promise<std::string> p;
  s.load({chat_key::chat(chat)}, [&](auto r) {
    p.set_value(r ? r->front().state : to_string(r.error()));
  });
  return p.get_future().get();
}

/// Plays the script as Telegram would: an update that was not answered 200 is
/// posted again, and a chat's next one only after its last was accepted.
end_state play(std::uint64_t fail_at, std::optional<store::fault> fault) {
  telegram_double telegram;
  auto broken = std::make_unique<store::faulty>(memory_store(2));
  auto& s = *broken;
  if (fault)
    s.at(fail_at, *fault);
  rig r{fast(), std::make_shared<counter_bot>(), std::move(broken),
        telegram.url()};
  for (int i = 0; i < updates; ++i) {
    auto chat = i % chats + 1;
    auto text = (i == 10 ? "soon" : "u") + std::to_string(i);
    int tries = 0;
    while (r.post_and_wait(text_update(i + 1, chat, text)) != 200)
      REQUIRE(++tries < 10);
  }
  // 30 replies and one timer's text.
  CHECK(eventually([&] { return telegram.accepted() >= updates + 1; }));
  CHECK(r.node().drain(60s));
  end_state end;
  s.heal();
  for (std::int64_t chat = 1; chat <= chats; ++chat) {
    end.texts[chat] = telegram.texts(chat);
    end.states[chat] = state_of(s, chat);
  }
  end.operations = s.operations();
  return end;
}

void check_same(const end_state& is, const end_state& should) {
  CHECK(is.states == should.states);
  for (auto& [chat, texts] : should.texts) {
    // The timer's text comes when its second is up: anywhere among the rest.
    auto without_timer = [](std::vector<std::string> all) {
      std::erase_if(all, [](auto& t) { return t.starts_with("timer "); });
      return all;
    };
    auto got = is.texts.find(chat);
    REQUIRE(got != is.texts.end());
    CHECK(without_timer(got->second) == without_timer(texts));
    CHECK(got->second.size() == texts.size());
  }
}

}  // namespace

TEST_CASE("G1-G5: whichever store operation fails, the end is the same") {
  auto clean = play(0, std::nullopt);
  REQUIRE(clean.texts[1].size() == 10);
  REQUIRE(clean.texts[2].size() == 11);
  // Operations 1 and 2 (claim, spent) belong to the start, which may refuse.
  using what = store::fault::what;
  auto kind = GENERATE(what::fail, what::commit_then_error);
  for (std::uint64_t n = 3; n <= clean.operations; ++n) {
    INFO("operation " << n << " of " << clean.operations
                      << (kind == what::fail ? " not done" : " done"));
    check_same(play(n, store::fault{kind, 1, {}}), clean);
  }
}

TEST_CASE(
    "G1: an accept that was done but not answered is turned all the same") {
  telegram_double telegram;
  auto broken = std::make_unique<store::faulty>(memory_store(2));
  auto& s = *broken;
  rig r{fast(), std::make_shared<counter_bot>(), std::move(broken),
        telegram.url()};
  REQUIRE(r.post_and_wait(text_update(1, 1, "a")) == 200);
  CHECK(eventually([&] { return telegram.accepted() == 1; }));
  s.at_accept(s.accepts() + 1,
              store::fault{store::fault::what::commit_then_error, 1, {}});
  CHECK(r.post_and_wait(text_update(2, 1, "b")) == 503);
  CHECK(r.post_and_wait(text_update(2, 1, "b")) == 200);
  // Nothing comes after it: no later hint gives it away.
  CHECK(eventually([&] { return telegram.accepted() == 2; }));
  CHECK(telegram.texts(1) ==
        std::vector<std::string>{"n=1 text=a", "n=2 text=b"});
}

TEST_CASE(
    "a node is not ready while its store fails, with no update to show it") {
  telegram_double telegram;
  auto broken = std::make_unique<store::faulty>(memory_store());
  auto& s = *broken;
  rig r{fast(), std::make_shared<counter_bot>(), std::move(broken),
        telegram.url()};
  CHECK(r.node().ready());
  s.at(s.operations() + 1, store::fault{store::fault::what::fail, ~0ULL, {}});
  CHECK(eventually([&] { return !r.node().ready(); }));
  s.heal();
  CHECK(eventually([&] { return r.node().ready(); }));
}

TEST_CASE("G11: while the store is away updates are refused, none is lost") {
  telegram_double telegram;
  auto broken = std::make_unique<store::faulty>(memory_store());
  auto& s = *broken;
  rig r{fast(), std::make_shared<counter_bot>(), std::move(broken),
        telegram.url()};
  REQUIRE(r.post_and_wait(text_update(1, 1, "a")) == 200);
  CHECK(eventually([&] { return telegram.accepted() == 1; }));
  s.at(s.operations() + 1,
       store::fault{store::fault::what::fail, 1'000'000, {}});
  CHECK(r.post_and_wait(text_update(2, 1, "b")) == 503);
  CHECK(r.last().headers.has("Retry-After"));
  CHECK_FALSE(r.node().ready());
  s.heal();
  // Known without an update: nobody sends any to a node that is not ready.
  CHECK(eventually([&] { return r.node().ready(); }));
  CHECK(r.post_and_wait(text_update(2, 1, "b")) == 200);
  CHECK(r.node().ready());
  CHECK(eventually([&] { return telegram.accepted() == 2; }));
  CHECK(telegram.texts(1) ==
        std::vector<std::string>{"n=1 text=a", "n=2 text=b"});
}

TEST_CASE("G11: overload is pushed back, and passes") {
  telegram_double telegram;
  std::promise<void> open;
  auto gate = open.get_future().share();
  auto bot = std::make_shared<counter_bot>(
      [gate](const std::string&) { gate.wait(); });
  auto how = fast();
  how.max_pending = 50;
  how.turns.max_threads = 4;
  rig r{how, bot, memory_store(), telegram.url()};
  int accepted = 0;
  unsigned status = 0;
  for (int i = 1; i <= 200 && status != 503; ++i) {
    status = r.post_and_wait(text_update(i, i, "x"));
    accepted += status == 200;
  }
  CHECK(status == 503);
  CHECK(accepted >= 50);
  CHECK(accepted <= 51);
  open.set_value();
  CHECK(
      eventually([&] { return telegram.accepted() == std::size_t(accepted); }));
  CHECK(r.post_and_wait(text_update(1000, 1000, "x")) == 200);
}

TEST_CASE(
    "G1, G11: while too many calls wait to be sent, updates are refused") {
  std::atomic<bool> away{true};
  telegram_double telegram{[&](const auto&, int) {
    return away ? std::optional{http::response{502, {}, ""}} : std::nullopt;
  }};
  auto how = fast();
  how.max_unsent = 50;
  rig r{how, std::make_shared<counter_bot>(), memory_store(), telegram.url()};
  std::size_t accepted = 0;
  unsigned status = 0;
  const auto depth = [&](const char* of) {
    return r.stats().at("depth").at(of).to_number<std::size_t>();
  };
  // Each is turned before the next: nothing waits but calls.
  for (int i = 1; i <= 200 && status != 503; ++i) {
    status = r.post_and_wait(text_update(i, i, "x"));
    accepted += status == 200;
    REQUIRE(eventually([&] { return depth("outbox") == accepted; }));
  }
  CHECK(status == 503);
  CHECK(accepted == 51);
  CHECK(r.last().headers.find("Retry-After") == "1");
  away = false;
  CHECK(eventually([&] { return telegram.accepted() == accepted; }));
  CHECK(r.post_and_wait(text_update(1000, 1000, "x")) == 200);
}

TEST_CASE("G11: a poller asks for no more than can be turned") {
  telegram_double telegram;
  std::promise<void> open;
  auto gate = open.get_future().share();
  auto how = fast();
  how.poll = true;
  how.max_pending = 5;
  for (int i = 1; i <= 10; ++i)
    telegram.queue(i, text_update(i, 1, "t"));
  rig r{how, std::make_shared<counter_bot>([gate](const std::string&) {
          gate.wait();
        }),
        memory_store(), telegram.url()};
  REQUIRE(eventually([&] {
    return r.stats().at("depth").at("to_turn").to_number<int>() >= 9;
  }));
  const auto asked = telegram.offsets().size();
  std::this_thread::sleep_for(1s);  // it would have asked many times
  CHECK(telegram.offsets().size() == asked);
  open.set_value();
  CHECK(eventually([&] {
    return telegram.accepted() == 10 && telegram.offsets().size() > asked;
  }));
  CHECK(telegram.offsets().back() == 11);
}

TEST_CASE("G1, G3: what comes while a chat reads bodies back is turned, too") {
  constexpr int first = 40, more = 80;
  telegram_double telegram;
  std::promise<void> begin, last_loaded, go_on;
  auto may_begin = begin.get_future().share();
  auto may_go_on = go_on.get_future().share();
  auto owned = std::make_unique<store::faulty>(memory_store(1));
  auto& slow = *owned;
  auto hook = [&, may_begin, may_go_on](const std::string& text) {
    if (text == "1")
      may_begin.wait();
    if (text == "32") {
      last_loaded.set_value();
      may_go_on.wait();
    }
  };
  rig r{fast(), std::make_shared<counter_bot>(hook), std::move(owned),
        telegram.url()};
  std::vector<std::string> texts;
  auto next = [&] {
    texts.push_back(std::to_string(texts.size() + 1));
    return text_update(std::int64_t(texts.size()), 7, texts.back());
  };
  // The last eight find the chat's memory full, and keep no body.
  while (texts.size() < first)
    CHECK(r.post_and_wait(next()) == 200);
  CHECK(r.stats().at("depth").at("parked") == 8);
  begin.set_value();
  last_loaded.get_future().wait();
  CHECK(eventually([&] {
    auto depth = r.stats().at("depth");
    return depth.at("outbox") == 0 && depth.at("in_flight") == 0 &&
           depth.at("settling") == 0;
  }));
  // The commit of the 32nd takes a while. Behind it stand the accept of what
  // comes now, and then the reading of the eight: it sees only those eight,
  // and is answered last.
  const auto before = slow.operations();
  slow.at(before + 1, {store::fault::what::delay, 1'000, 150ms});
  go_on.set_value();
  CHECK(eventually([&] { return slow.operations() > before; }));
  while (texts.size() < more)
    r.post(next());
  CHECK(r.settle());
  slow.heal();
  CHECK(eventually([&] { return telegram.accepted() == more; }));
  CHECK(telegram.texts(7).size() == more);
  CHECK(r.stats().at("depth").at("parked") == 0);
}

TEST_CASE("G10, G11: one chat's flood is parked and refuses nobody") {
  telegram_double telegram;
  std::promise<void> open;
  auto gate = open.get_future().share();
  auto bot = std::make_shared<counter_bot>([gate](const std::string& text) {
    if (text == "u1")
      gate.wait();
  });
  auto how = fast();
  how.max_pending = 100;
  rig r{how, bot, memory_store(), telegram.url()};
  std::vector<std::string> expected;
  for (int i = 1; i <= 500; ++i) {
    auto text = "u" + std::to_string(i);
    expected.push_back("n=" + std::to_string(i) + " text=" + text);
    REQUIRE(r.post_and_wait(text_update(i, 1, text)) == 200);
  }
  CHECK(r.stats().at("depth").at("parked").to_number<int>() > 300);
  REQUIRE(r.post_and_wait(text_update(1000, 2, "other")) == 200);
  CHECK(eventually([&] { return telegram.texts(2).size() == 1; }));
  open.set_value();
  CHECK(eventually([&] { return telegram.texts(1).size() == 500; }, 240s));
  CHECK(telegram.texts(1) == expected);
  CHECK(r.stats().at("depth").at("parked") == 0);
  CHECK(eventually([&] { return r.stats().at("depth").at("to_turn") == 0; }));
}
