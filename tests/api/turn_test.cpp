// What a turn leaves behind, and what it must not.

#include <chrono>
#include <stdexcept>
#include <string>
#include <thread>
#include <troupe/bot.hpp>
#include <troupe/test_chat.hpp>
#include <vector>

#include "tests/api/probe.hpp"
#include "tests/support/catch.hpp"

namespace {

using namespace troupe;
using namespace std::chrono_literals;
using namespace troupe::probe;

struct free_form {
  boost::json::value any;
};
BOOST_DESCRIBE_STRUCT(free_form, (), (any))

}  // namespace

TEST_CASE("a throw undoes state, effects, mode and memo") {
  auto make = [](chat<tally>* ctx) -> behavior {
    return {
        [=](const text_message& m) {
          ctx->state.n++;
          ctx->state.seen.push_back(m.text);
          ctx->reply("out");
          ctx->schedule("t", 1h);
          ctx->notify(7, "x");
          ctx->become("second");
          if (m.text == "bad")
            throw std::runtime_error{"boom"};
          if (m.text == "worse")
            throw 42;
        },
    };
  };
  seam s{bot<tally>{}.mode("first", make).mode("second", make)};
  auto first = s.text("ok");
  REQUIRE(first.wanted.state);
  CHECK(*first.wanted.state == R"({"n":1,"seen":["ok"]})");
  auto bad = s.text("bad");
  CHECK(bad.how == end::threw);
  CHECK(bad.error == "boom");
  CHECK(bad.wanted.calls.empty());
  CHECK(bad.wanted.timers.empty());
  CHECK(bad.wanted.notices.empty());
  CHECK_FALSE(bad.wanted.state);
  CHECK_FALSE(bad.wanted.mode);
  CHECK(s.text("worse").how == end::threw);
  auto next = s.text("fine");
  CHECK(*next.wanted.state == R"({"n":2,"seen":["ok","fine"]})");
}

TEST_CASE("a throw in a chat without a record leaves it without one") {
  test_chat<tally> c{[](chat<tally>* ctx) -> behavior {
    return {[=](const text_message&) {
      ctx->state.n = 3;
      throw std::runtime_error{"boom"};
    }};
  }};
  c.text("x");
  CHECK(c.dead_letters() == std::vector<std::string>{"boom"});
  CHECK(c.state().n == 0);
  CHECK(c.stored_state().empty());
}

TEST_CASE("a state that has no JSON form fails its turn, not the next one") {
  seam s{only([](chat<tally>* ctx) -> behavior {
    return {[=](const text_message& m) {
      ctx->state.seen.push_back(m.text == "bad" ? "\xff" : m.text);
    }};
  })};
  auto bad = s.text("bad");
  CHECK(bad.how == end::threw);
  CHECK(bad.error == "state.seen[0] is not UTF-8");
  CHECK(*s.text("ok").wanted.state == R"({"n":0,"seen":["ok"]})");
}

TEST_CASE("the state is wanted only if it changed") {
  seam s{only([](chat<tally>* ctx) -> behavior {
    return {[=](const text_message& m) {
      if (m.text == "+")
        ctx->state.n++;
      if (m.text == "0")
        ctx->state.n = 0;
    }};
  })};
  CHECK_FALSE(s.text("=").wanted.state);
  CHECK(s.text("+").wanted.state == R"({"n":1,"seen":[]})");
  CHECK_FALSE(s.text("=").wanted.state);
  CHECK(s.text("0").wanted.state == R"({"n":0,"seen":[]})");
  s.live->load("{}", "", "", 0);
  CHECK_FALSE(s.text("=").wanted.state);
}

TEST_CASE("a record that does not fit is refused by name") {
  seam s{only(
      [](chat<tally>*) -> behavior { return {[](const text_message&) {}}; })};
  auto refused = [&](std::string state, std::string mode, std::string memo) {
    try {
      s.live->load(state, mode, memo, 0);
    } catch (const std::exception& e) {
      return std::string{e.what()};
    }
    return std::string{"fine"};
  };
  CHECK(refused(R"({"n":"1"})", "", "") ==
        "state.n must be a whole number, not a string");
  CHECK(refused("", "checkout", "") ==
        "the chat is in mode \"checkout\", which the bot does not have");
  CHECK(refused("", "", "[]") == "the chat's memo is not ours");
  CHECK(refused(R"({"n":1})", "main", "") == "fine");
}

TEST_CASE("clear drops the state, unless it is filled again") {
  seam s{only([](chat<tally>* ctx) -> behavior {
    return {[=](const text_message& m) {
      if (m.text == "+")
        ctx->state.n++;
      if (m.text.starts_with("clear"))
        ctx->clear();
      if (m.text == "clear+")
        ctx->state.n++;
    }};
  })};
  CHECK_FALSE(s.text("clear").wanted.state);
  s.text("+");
  CHECK(s.text("clear").wanted.state == "");
  CHECK_FALSE(s.text("clear").wanted.state);
  s.text("+");
  s.text("+");
  CHECK(s.text("clear+").wanted.state == R"({"n":1,"seen":[]})");
}

TEST_CASE("become counts from the next event on, and by name") {
  auto t = new_trace();
  auto b = bot<tally>{}
               .mode("one",
                     [t](chat<tally>* ctx) -> behavior {
                       t->push_back("made one");
                       return {[=](const text_message&) {
                         ctx->become("two");
                         ctx->reply("from one");
                       }};
                     })
               .mode("two", [t](chat<tally>* ctx) -> behavior {
                 t->push_back("made two");
                 return {[=](const text_message& m) {
                   ctx->reply("from two");
                   ctx->become(m.text == "stay" ? "two" : "one");
                 }};
               });
  seam s{b};
  auto first = s.text("x");
  CHECK(first.wanted.mode == "two");
  CHECK(first.wanted.calls.at(0).body.find("from one") != std::string::npos);
  auto stay = s.text("stay");
  CHECK_FALSE(stay.wanted.mode);
  CHECK(stay.wanted.calls.at(0).body.find("from two") != std::string::npos);
  CHECK(s.text("x").wanted.mode == "one");
  s.text("x");
  CHECK(*t == std::vector<std::string>{"made one", "made two"});
  s.live->load("", "two", "", 0);
  CHECK(s.text("stay").wanted.calls.at(0).body.find("from two") !=
        std::string::npos);
}

TEST_CASE("an unknown mode is a loud error that lists the known ones") {
  seam s{only([](chat<tally>* ctx) -> behavior {
    return {[=](const text_message&) { ctx->become("shop"); }};
  })};
  auto r = s.text("x");
  CHECK(r.how == end::threw);
  CHECK(r.error == "the bot has no mode \"shop\", but main");
}

TEST_CASE("a write outside a turn is a loud logic error") {
  chat<tally>* kept = nullptr;
  std::vector<outgoing> calls;
  bool in_thread = false;
  seam s{only([&](chat<tally>* ctx) -> behavior {
    kept = ctx;
    return {[&](const text_message&) {
      calls.push_back(kept->reply("x"));
      std::thread other{[&] {
        try {
          kept->reply("y");
        } catch (const std::logic_error&) {
          in_thread = true;
        }
      }};
      other.join();
    }};
  })};
  CHECK(s.text("x").wanted.calls.size() == 1);
  CHECK(in_thread);
  REQUIRE(kept);
  CHECK_THROWS_AS(kept->reply("x"), std::logic_error);
  CHECK_THROWS_AS(kept->edit("l", "x"), std::logic_error);
  CHECK_THROWS_AS(kept->answer(callback{}), std::logic_error);
  CHECK_THROWS_AS(kept->call("getMe"), std::logic_error);
  CHECK_THROWS_AS(kept->schedule("t", 1h), std::logic_error);
  CHECK_THROWS_AS(kept->cancel("t"), std::logic_error);
  CHECK_THROWS_AS(kept->become("main"), std::logic_error);
  CHECK_THROWS_AS(kept->notify(7, "x"), std::logic_error);
  CHECK_THROWS_AS(kept->now(), std::logic_error);
  CHECK_THROWS_AS(kept->random(), std::logic_error);
  CHECK_THROWS_AS(kept->clear(), std::logic_error);
  CHECK_THROWS_AS(calls.at(0).as("late"), std::logic_error);
  CHECK(kept->id() == 42);
  CHECK(kept->key() == "42");
}

TEST_CASE("a function that makes a behaviour can't act") {
  seam s{only([](chat<tally>* ctx) -> behavior {
    ctx->reply("too early");
    return {[](const text_message&) {}};
  })};
  auto r = s.text("x");
  CHECK(r.how == end::threw);
  CHECK(r.error.find("reply outside a turn") == 0);
}

TEST_CASE("another chat's context is no way into this turn") {
  chat<tally>* other = nullptr;
  auto b = only([&](chat<tally>* ctx) -> behavior {
    return {[&other, ctx](const text_message&) {
      if (other)
        other->reply("x");
      other = ctx;
    }};
  });
  seam one{b, 1}, two{b, 2};
  CHECK(one.text("x").how == end::done);
  CHECK(two.text("x").how == end::threw);
}

TEST_CASE("a turn run again gives the same result") {
  seam s{only([](chat<tally>* ctx) -> behavior {
    return {[=](const text_message&) {
      ctx->reply(std::to_string(ctx->random()) + ' ' +
                 std::to_string(ctx->random(6)) + ' ' +
                 std::to_string(ctx->now().time_since_epoch().count()));
    }};
  })};
  auto first = s.text("x").wanted.calls.at(0).body;
  CHECK(s.text("x").wanted.calls.at(0).body == first);
  s.seed = 2;
  CHECK(s.text("x").wanted.calls.at(0).body != first);
  CHECK(first.find("1700000000000") != std::string::npos);
}

TEST_CASE("random numbers below an end reach all of them") {
  seam s{only([](chat<tally>* ctx) -> behavior {
    return {[=](const text_message&) {
      std::vector<int> hits(6);
      for (int i = 0; i < 6'000; ++i)
        hits.at(ctx->random(6))++;
      for (int h : hits)
        CHECK((h > 800 && h < 1'200));
      CHECK(ctx->random(1) == 0);
      CHECK_THROWS_AS(ctx->random(0), std::invalid_argument);
    }};
  })};
  CHECK(s.text("x").how == end::done);
}

TEST_CASE("a ttl slides with every turn, per mode before per bot") {
  auto make = [](chat<tally>* ctx) -> behavior {
    return {[=](const text_message& m) {
      if (m.text != "-")
        ctx->become(m.text);
    }};
  };
  seam s{bot<tally>{}.mode("a", make).mode("b", make, 1h).ttl(24h)};
  CHECK(s.text("-").wanted.expires_ms == s.now_ms + 86'400'000);
  CHECK(s.text("b").wanted.expires_ms == s.now_ms + 3'600'000);
  seam none{bot<tally>{make}};
  CHECK_FALSE(none.text("-").wanted.expires_ms);
  seam mixed{bot<tally>{}.mode("a", make).mode("b", make, 1h)};
  mixed.text("b");
  CHECK(*mixed.text("a").wanted.expires_ms > mixed.now_ms + 86'400'000LL * 365);
}

TEST_CASE("a reloaded chat knows when its time is over") {
  auto make = [](chat<tally>* ctx) -> behavior {
    return {[=](const text_message&) { ctx->state.n++; }};
  };
  seam s{bot<tally>{make}.ttl(1h)};
  s.live->load(R"({"n":5,"seen":[]})", "", "", s.now_ms + 10);
  s.now_ms += 9;
  CHECK(s.text("x").wanted.state == R"({"n":6,"seen":[]})");
  s.live->load(R"({"n":5,"seen":[]})", "", "", s.now_ms + 10);
  s.now_ms += 10;
  CHECK(s.text("x").wanted.state == R"({"n":1,"seen":[]})");
}

TEST_CASE("a living chat whose time is over starts anew") {
  auto make = [](chat<tally>* ctx) -> behavior {
    return {[=](const text_message& m) {
      ctx->state.n++;
      if (m.text == "b")
        ctx->become("b");
      if (m.text == "bad")
        throw std::runtime_error{"boom"};
    }};
  };
  seam s{bot<tally>{}.mode("a", make).mode("b", make).ttl(1h)};
  s.text("b");
  s.now_ms += 3'600'000;
  CHECK(s.text("bad").how == end::threw);
  CHECK(s.update(R"({"update_id":1,"poll":{"id":"1"}})").how == end::unhandled);
  auto r = s.text("x");
  CHECK(r.wanted.mode == "a");
  // n is 1 again, which was stored; but the store may have cleared it since.
  CHECK(r.wanted.state == R"({"n":1,"seen":[]})");
  CHECK(s.text("x").wanted.state == R"({"n":2,"seen":[]})");
}

TEST_CASE("what could not be read again is not committed") {
  auto deep = [](int levels) {
    return std::string(std::size_t(levels), '[') + "\"[{\\\"[\"" +
           std::string(std::size_t(levels), ']');
  };
  CHECK_NOTHROW(detail::check_depth(deep(100)));
  CHECK_NOTHROW(detail::parse_exact(deep(100)));
  CHECK_THROWS_AS(detail::check_depth(deep(101)), std::length_error);
  CHECK_THROWS(detail::parse_exact(deep(101)));
  bot<free_form> b{[&](chat<free_form>* ctx) -> behavior {
    return {[=](const text_message& m) {
      boost::json::value v;
      for (int n = std::stoi(m.text.substr(1)); n > 0; --n)
        v = boost::json::array{std::move(v)};
      if (m.text.front() == 't')
        ctx->schedule("t", 1h, v);
      else
        ctx->state.any = v;
    }};
  }};
  seam s{b};
  CHECK(s.text("t100").how == end::done);
  CHECK(s.text("s99").how == end::done);  // and the state's own level
  for (const auto* text : {"t101", "s100"}) {
    auto r = s.text(text);
    CHECK(r.how == end::threw);
    CHECK(r.error.find("100 levels") != std::string::npos);
  }
}
