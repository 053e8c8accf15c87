#include <chrono>
#include <cstdint>
#include <limits>
#include <stdexcept>
#include <string>
#include <troupe/bot.hpp>
#include <utility>
#include <variant>
#include <vector>

#include "tests/api/probe.hpp"
#include "tests/support/catch.hpp"

namespace {

using namespace troupe;
using namespace std::chrono_literals;
using probe::end;
using probe::seam;
using plain = chat<std::monostate>;

// Runs `act` as the handler of a text, and gives what the turn wants.
template <class Act>
detail::turn_result acting(Act act, std::int64_t id = 42) {
  seam s{bot<std::monostate>{[act](plain* ctx) -> behavior {
           return {[=](const text_message&) { act(*ctx); }};
         }},
         id};
  return s.text("x", id);
}

template <class Act>
detail::wanted_call call_of(Act act, std::int64_t id = 42) {
  auto r = acting(act, id);
  INFO(r.error);
  REQUIRE(r.how == end::done);
  REQUIRE(r.wanted.calls.size() == 1);
  return r.wanted.calls[0];
}

template <class Act>
std::string error_of(Act act, std::int64_t id = 42) {
  auto r = acting(act, id);
  CHECK(r.how == end::threw);
  CHECK(r.wanted.calls.empty());
  return r.error;
}

}  // namespace

TEST_CASE("a reply is a sendMessage to the own chat") {
  auto c = call_of([](plain& ctx) {
    ctx.reply("a\"b\xff").as("l").at_most_once().with("parse_mode", "HTML");
  });
  CHECK(c.method == "sendMessage");
  CHECK(c.body ==
        "{\"chat_id\":42,\"text\":\"a\\\"b\xef\xbf\xbd\",\"parse_mode\":"
        "\"HTML\"}");
  CHECK(c.label == "l");
  CHECK(c.target.empty());
  CHECK(c.at_most_once);
  CHECK(c.reply);
}

TEST_CASE("buttons become an inline keyboard") {
  auto c = call_of([](plain& ctx) {
    ctx.reply("x", buttons{{{"A\"", "a"}, {"B", "b"}}, {{"C", "c"}}}.row(
                       {button::link("D", "https://e.org")}));
  });
  CHECK(c.body ==
        R"({"chat_id":42,"text":"x","reply_markup":{"inline_keyboard":[[)"
        R"({"text":"A\"","callback_data":"a"},{"text":"B","callback_data":"b"})"
        R"(],[{"text":"C","callback_data":"c"}],)"
        R"([{"text":"D","url":"https://e.org"}]]}})");
  CHECK_THROWS_AS(button("x", ""), std::invalid_argument);
  CHECK_THROWS_AS(button("", "x"), std::invalid_argument);
  CHECK_THROWS_AS(button("x", std::string(65, 'd')), std::invalid_argument);
  CHECK_THROWS_AS(button::link("x", ""), std::invalid_argument);
}

TEST_CASE("an edit names the label, an answer the press") {
  auto e = call_of([](plain& ctx) { ctx.edit("cart", "new"); });
  CHECK(e.method == "editMessageText");
  CHECK(e.target == "cart");
  CHECK(e.body == R"({"chat_id":42,"text":"new"})");
  CHECK(e.reply);
  auto a = call_of([](plain& ctx) {
    callback q;
    q.id = "99";
    ctx.answer(q, "ok").with("show_alert", true);
  });
  CHECK(a.method == "answerCallbackQuery");
  CHECK(a.body ==
        R"({"callback_query_id":"99","text":"ok","show_alert":true})");
  CHECK(a.reply);
}

TEST_CASE("chat_id is filled in where a method demands it and none is given") {
  auto body = [](std::string method, boost::json::value v) {
    return call_of([=](plain& ctx) { ctx.call(method, v); }).body;
  };
  CHECK(body("sendDice", nullptr) == R"({"chat_id":42})");
  CHECK(body("SENDDICE", {{"emoji", "x"}}) == R"({"chat_id":42,"emoji":"x"})");
  CHECK(body("sendDice", {{"chat_id", 7}}) == R"({"chat_id":7})");
  CHECK(body("sendDice", {{"chat_id", "@name"}}) == R"({"chat_id":"@name"})");
  CHECK(body("editMessageCaption", {{"message_id", 1}}) ==
        R"({"chat_id":42,"message_id":1})");
  CHECK(body("editMessageCaption", {{"inline_message_id", "i"}}) ==
        R"({"inline_message_id":"i"})");
  CHECK(body("getMe", nullptr) == "{}");
  CHECK(body("sendGift", {{"user_id", 7}}) == R"({"user_id":7})");
  CHECK(body("setChatMenuButton", nullptr) == "{}");
  CHECK(body("methodOf2030", {{"a", {1, 2.5, nullptr, "x"}}}) ==
        R"({"a":[1,2.5,null,"x"]})");
}

TEST_CASE("only calls to the own chat of an update are replies") {
  auto reply = [](auto act) { return call_of(act).reply; };
  CHECK(reply([](plain& c) { c.call("sendDice"); }));
  CHECK(reply([](plain& c) { c.call("sendDice", {{"chat_id", 42}}); }));
  CHECK(reply([](plain& c) { c.call("sendDice", {{"chat_id", "42"}}); }));
  CHECK_FALSE(reply([](plain& c) { c.call("sendDice", {{"chat_id", 7}}); }));
  CHECK_FALSE(reply([](plain& c) { c.reply("x").to(7); }));
  CHECK_FALSE(reply([](plain& c) { c.reply("x").with("chat_id", 7); }));
  seam s{bot<std::monostate>{[](plain* ctx) -> behavior {
    return {[=](const timer&) { ctx->reply("x"); }};
  }}};
  auto fired = s.of(detail::turn_event::source::timer, "", "t");
  REQUIRE(fired.wanted.calls.size() == 1);
  CHECK_FALSE(fired.wanted.calls[0].reply);
}

TEST_CASE("a call's parameters stand once, the last one counts") {
  auto c = call_of([](plain& ctx) {
    ctx.reply("a").with("text", "b").with("text", "c").to(7);
  });
  CHECK(c.body == R"({"chat_id":7,"text":"c"})");
  auto d = call_of([](plain& ctx) {
    ctx.call("sendDice", {{"chat_id", 5}}).to(7);
  });
  CHECK(d.body == R"({"chat_id":7})");
}

TEST_CASE("calls keep their order, and refining one leaves the others") {
  auto r = acting([](plain& ctx) {
    auto first = ctx.reply("1");
    ctx.reply("2");
    first.as("one");
    ctx.reply("3");
  });
  REQUIRE(r.wanted.calls.size() == 3);
  CHECK(r.wanted.calls[0].label == "one");
  CHECK(r.wanted.calls[1].label.empty());
  CHECK(r.wanted.calls[2].body == R"({"chat_id":42,"text":"3"})");
}

TEST_CASE("what makes no sense is refused where it is written") {
  callback q;
  q.id = "1";
  CHECK(error_of([=](plain& c) { c.answer(q).to(7); }) ==
        "answerCallbackQuery can't go to another chat");
  CHECK(error_of([](plain& c) { c.edit("l", "x").to(7); }) ==
        "editMessageText can't go to another chat");
  CHECK(error_of([](plain& c) { c.call("getMe").to(7); }) ==
        "getMe can't go to another chat");
  CHECK(error_of([](plain& c) { c.reply("x").as(""); }) ==
        "a label must not be empty");
  CHECK(error_of([](plain& c) { c.call("../getMe"); }) ==
        "\"../getMe\" is not the name of a method");
  CHECK(error_of([](plain& c) {
          c.call("getMe", {1, 2});
        }) == "the parameters of getMe must be an object");
  CHECK(error_of([](plain& c) { c.schedule("", 1h); }) ==
        "a timer needs a name");
  CHECK(error_of([](plain& c) { c.schedule(std::string(1'025, 'x'), 1h); }) ==
        "a timer's name must have 1 to 1024 bytes");
  CHECK(error_of([](plain& c) { c.notify(0, "x"); }) ==
        "notify needs the id of a chat");
}

TEST_CASE("a poll's chat can't be replied to") {
  seam s{bot<std::monostate>{[](plain* ctx) -> behavior {
           return {[=](const raw_update&) { ctx->reply("x"); }};
         }},
         0};
  auto r = s.update(R"({"update_id":1,"poll":{"id":"7"}})");
  CHECK(r.how == end::threw);
  CHECK(r.error.find("is no chat") != std::string::npos);
}

TEST_CASE("of one timer's settings in a turn the last one counts") {
  auto r = acting([](plain& ctx) {
    ctx.schedule("a", 1h, {{"x", 1}});
    ctx.schedule("a", 2h);
    ctx.schedule("b", 1h);
    ctx.cancel("b");
    ctx.cancel("c");
    ctx.schedule("c", -5h);
    ctx.schedule("d", std::chrono::milliseconds::max());
    ctx.schedule("e", ctx.now() + 1s, 17);
  });
  constexpr std::int64_t now = 1'700'000'000'000;
  REQUIRE(r.wanted.timers.size() == 4);
  CHECK(r.wanted.timers[0].name == "a");
  CHECK(r.wanted.timers[0].due_ms == now + 7'200'000);
  CHECK(r.wanted.timers[0].body.empty());
  CHECK(r.wanted.timers[1].name == "c");
  CHECK(r.wanted.timers[1].due_ms == now);
  CHECK(r.wanted.timers[2].due_ms == std::numeric_limits<std::int64_t>::max());
  CHECK(r.wanted.timers[3].due_ms == now + 1'000);
  CHECK(r.wanted.timers[3].body == "17");
  CHECK(r.wanted.cancelled == std::vector<std::string>{"b"});
}

TEST_CASE("a turn can't want more than one commit can hold") {
  auto r = acting([](plain& ctx) {
    for (int i = 0; i < 10'001; ++i)
      ctx.notify(7, "x");
  });
  CHECK(r.how == end::threw);
  CHECK(r.wanted.notices.empty());
}

TEST_CASE("a bot is refused before it runs if it can't work") {
  auto make = [](plain*) -> behavior { return {[](const text_message&) {}}; };
  using b = bot<std::monostate>;
  CHECK_THROWS_AS(b{}.share(), std::logic_error);
  CHECK_THROWS_AS(b{}.mode("", make), std::logic_error);
  CHECK_THROWS_AS(b{}.mode("a", nullptr), std::logic_error);
  CHECK_THROWS_AS(b{}.mode("a", make).mode("a", make), std::logic_error);
  CHECK_THROWS_AS(b{}.ttl(0ms), std::logic_error);
  CHECK_THROWS_AS(b{}.mode("a", make, -1h), std::logic_error);
}

TEST_CASE("a table is refused if an entry can never run") {
  auto f = [](const command&) {};
  CHECK_THROWS_AS((commands{{"", f}}), std::logic_error);
  CHECK_THROWS_AS((commands{{"a", nullptr}}), std::logic_error);
  CHECK_THROWS_AS((commands{{"a", f}, {"a", f}}), std::logic_error);
}

TEST_CASE("a table runs the entry that fits, else the fallback") {
  std::string ran;
  callbacks t{
      {"*", [&](const callback& q) { ran = "any " + q.data; }},
      {"pay", [&](const callback&) { ran = "pay"; }},
  };
  callback q;
  q.data = "pay";
  CHECK(t(q));
  CHECK(ran == "pay");
  q.data = "Pay";
  CHECK(t(q));
  CHECK(ran == "any Pay");
  timers none{{"a", [&](const timer&) { ran = "a"; }}};
  timer e;
  e.name = "b";
  CHECK_FALSE(none(e));
  CHECK(ran == "any Pay");
  commands slash{{"/start", [&](const command&) { ran = "start"; }}};
  command c;
  c.name = "Start";
  CHECK(slash(c));
  CHECK(ran == "start");
}
