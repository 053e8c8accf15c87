#include <caf/skip.hpp>
#include <chrono>
#include <cstdint>
#include <memory>
#include <stdexcept>
#include <string>
#include <thread>
#include <troupe/bot.hpp>
#include <troupe/test_chat.hpp>
#include <variant>
#include <vector>

#include "tests/api/probe.hpp"
#include "tests/support/catch.hpp"

namespace {

using namespace troupe;
using namespace std::chrono_literals;
using probe::end;
using probe::seam;
using standing = detail::turn_result::standing;
using source = detail::turn_event::source;

struct tally {
  int n = 0;
  std::vector<std::string> seen;
};
BOOST_DESCRIBE_STRUCT(tally, (), (n, seen))

// What a behaviour saw, in order.
using trace = std::shared_ptr<std::vector<std::string>>;

trace new_trace() { return std::make_shared<std::vector<std::string>>(); }

bot<tally> only(std::function<behavior(chat<tally>*)> make) {
  return bot<tally>{std::move(make)};
}

// Handlers for nearly everything, each noting its event.
bot<tally> noting(trace t) {
  return only([t](chat<tally>*) -> behavior {
    return {
        commands{{"start",
                  [=](const command& c) {
                    t->push_back("start:" + c.arguments);
                  }}},
        callbacks{{"a", [=](const callback&) { t->push_back("a"); }}},
        timers{{"t", [=](const timer& e) {
                  t->push_back(e.body.is_null() ? "t" : "t with body");
                }}},
        [=](const text_message& m) { t->push_back("text:" + m.text); },
        [=](const edited_message& m) { t->push_back("edit:" + m.text); },
        [=](const member_update& m) {
          t->push_back(m.old_status + "->" + m.new_status);
        },
        [=](const inline_query& q) { t->push_back("inline:" + q.query); },
        [=](const notice& n) { t->push_back(n.from + ':' + n.text); },
        [=](const sent& s) {
          t->push_back(s.label + ':' + std::to_string(s.message_id));
        },
        [=](const failed& f) {
          t->push_back(f.label + ':' + std::to_string(f.code));
        },
        [=](const raw_update& u) { t->push_back("raw:" + u.kind); },
    };
  });
}

std::string inline_json(const char* kind = "inline_query") {
  return std::string{R"({"update_id":8,")"} + kind +
         R"(":{"id":"i1","from":{"id":42,"is_bot":false,"first_name":"A"},)"
         R"("query":"cats","offset":"","result_id":"r"}})";
}

}  // namespace

TEST_CASE("a command goes to its table entry") {
  auto t = new_trace();
  seam s{noting(t)};
  auto r = s.text("/start 42");
  CHECK(r.how == end::done);
  CHECK(r.kind == "command");
  s.text("/START");
  CHECK(*t == std::vector<std::string>{"start:42", "start:"});
}

TEST_CASE("a command without an entry is a text") {
  auto t = new_trace();
  seam s{noting(t)};
  s.text("/stop");
  CHECK(*t == std::vector<std::string>{"text:/stop"});
}

TEST_CASE("a command without handler and text handler is a raw update") {
  auto t = new_trace();
  seam s{only([t](chat<tally>*) -> behavior {
    return {
        commands{{"start", [=](const command&) { t->push_back("start"); }}},
        [=](const raw_update& u) {
          t->push_back(u.kind + ':' + std::to_string(u.update_id));
        },
    };
  })};
  s.text("/stop");
  s.text("hello");
  CHECK(*t == std::vector<std::string>{"message:5", "message:5"});
}

TEST_CASE("another bot's command is no command of ours, once we know our name") {
  auto t = new_trace();
  seam s{noting(t)};
  s.text("/start@other_bot");
  s.username = "My_Bot";
  s.text("/start@my_bot x");
  s.text("/start@other_bot");
  CHECK(*t == std::vector<std::string>{"start:", "start:x",
                                       "text:/start@other_bot"});
}

TEST_CASE("a press that no table takes is a raw update") {
  auto t = new_trace();
  seam s{noting(t)};
  s.press("a");
  s.press("b");
  CHECK(*t == std::vector<std::string>{"a", "raw:callback_query"});
}

TEST_CASE("each update kind reaches its own event, the others come raw") {
  auto t = new_trace();
  seam s{noting(t)};
  s.text("new", 42, "edited_message");
  s.text("post", -100, "channel_post");
  s.update(inline_json());
  s.update(R"({"update_id":9,"my_chat_member":{"chat":{"id":42,
    "type":"private"},"from":{"id":42,"is_bot":false,"first_name":"A"},"date":1,
    "old_chat_member":{"status":"member","user":{"id":1}},
    "new_chat_member":{"status":"kicked","user":{"id":1}}}})");
  s.update(R"({"update_id":10,"poll":{"id":"77"}})");
  s.update(R"({"update_id":11,"kind_of_2030":{"x":1}})");
  CHECK(*t == std::vector<std::string>{"edit:new", "raw:channel_post",
                                       "inline:cats", "member->kicked",
                                       "raw:poll", "raw:unknown"});
}

TEST_CASE("timers, notices and outcomes are events of their own") {
  auto t = new_trace();
  seam s{noting(t)};
  CHECK(s.of(source::timer, "", "t").how == end::done);
  CHECK(s.of(source::timer, R"({"x":1})", "t").kind == "timer");
  CHECK(s.of(source::timer, "", "nobody's").how == end::unhandled);
  s.of(source::notice, R"({"from":"7","text":"hi"})");
  auto good = s.of(source::outcome,
                   R"({"label":"cart","method":"sendMessage","ok":true,)"
                   R"("result":{"message_id":55}})");
  auto bad = s.of(source::outcome,
                  R"({"label":"cart","method":"sendMessage","ok":false,)"
                  R"("unknown":false,"code":403,"description":"Forbidden"})");
  CHECK(good.kind == "sent");
  CHECK(bad.kind == "failed");
  CHECK(*t == std::vector<std::string>{"t", "t with body", "7:hi", "cart:55",
                                       "cart:403"});
}

TEST_CASE("an event carries its facts and the update's own bytes") {
  std::shared_ptr<const std::string> body;
  seam s{only([&](chat<tally>*) -> behavior {
    return {[&](const text_message& m) {
      body = m.body;
      CHECK(m.update_id == 5);
      CHECK(m.chat_id == -1001);
      CHECK(m.chat_type == "supergroup");
      CHECK(m.from.id == 42);
      CHECK(m.from.first_name == "Ann");
      CHECK(m.from.last_name == "Lee");
      CHECK(m.from.username == "ann");
      CHECK(m.from.language == "de");
      CHECK(m.message_id == 7);
      CHECK(m.date == std::chrono::sys_seconds{1'700'000'000s});
      CHECK(m.text == "hi");
      CHECK(m.parse().at("message").at("text").as_string() == "hi");
    }};
  }),
         -1001};
  CHECK(s.text("hi", -1001).how == end::done);
  REQUIRE(body);
  CHECK(body.use_count() == 1);  // shared with the event, not copied
}

TEST_CASE("what nobody takes wants nothing and changes nothing") {
  seam s{only([](chat<tally>* ctx) -> behavior {
    return {[=](const text_message&) -> caf::skip_t {
      ctx->state.n = 9;
      ctx->reply("no");
      return caf::skip;
    }};
  })};
  auto r = s.text("x");
  CHECK(r.how == end::unhandled);
  CHECK(r.wanted.calls.empty());
  CHECK_FALSE(r.wanted.state);
  test_chat<tally> c{[](chat<tally>* ctx) -> behavior {
    return {[=](const text_message&) {
              ctx->state.n = 9;
              return false;
            }};
  }};
  c.text("x");
  CHECK(c.state().n == 0);
}

TEST_CASE("the same press within 2 s is one press") {
  auto t = new_trace();
  seam s{noting(t)};
  auto first = s.press("a");
  REQUIRE(first.wanted.memo);
  s.now_ms += 1'999;
  auto again = s.press("a");
  CHECK(again.how == end::repeated);
  CHECK_FALSE(again.wanted.memo);
  CHECK(s.press("b").how == end::done);
  CHECK(s.press("a", 43).how == end::done);
  CHECK(s.press("a", 42, 10).how == end::done);
  s.now_ms += 1;
  CHECK(s.press("a").how == end::done);
}

TEST_CASE("presses of others in between don't hide a repeated one") {
  auto t = new_trace();
  seam s{noting(t)};
  s.press("a");
  s.press("a", 43);
  CHECK(s.press("a").how == end::repeated);
}

TEST_CASE("a repeated press is known after a reload, by the memo") {
  auto t = new_trace();
  seam s{noting(t)};
  auto first = s.press("a");
  s.live->load("", "", *first.wanted.memo);
  CHECK(s.press("a").how == end::repeated);
  s.live->load("", "", "");
  CHECK(s.press("a").how == end::done);
}

TEST_CASE("many presses at once don't grow the memo without bound") {
  auto t = new_trace();
  seam s{noting(t)};
  std::size_t longest = 0;
  for (int i = 0; i < 1'000; ++i)
    longest = std::max(longest, s.press("a", i).wanted.memo->size());
  CHECK(longest < 1'000);
}

TEST_CASE("a press whose turn threw is not taken for turned") {
  int runs = 0;
  seam s{only([&](chat<tally>*) -> behavior {
    return {[&](const callback&) {
      if (++runs < 3)
        throw std::runtime_error{"not yet"};
    }};
  })};
  CHECK(s.press("a").how == end::threw);
  CHECK(s.press("a").how == end::threw);
  CHECK(s.press("a").how == end::done);
  CHECK(s.press("a").how == end::repeated);
}

TEST_CASE("inline queries die after 30 s, chosen results after 600 s") {
  auto t = new_trace();
  seam s{noting(t)};
  CHECK(s.update(inline_json(), 30'000).how == end::done);
  CHECK(s.update(inline_json(), 30'001).how == end::stale);
  CHECK(s.update(inline_json("chosen_inline_result"), 600'000).how ==
        end::done);
  CHECK(s.update(inline_json("chosen_inline_result"), 600'001).how ==
        end::stale);
  CHECK(t->size() == 2);
  CHECK(s.press("a").how == end::done);
}

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
  s.live->load("{}", "", "");
  CHECK_FALSE(s.text("=").wanted.state);
}

TEST_CASE("a record that does not fit is refused by name") {
  seam s{only([](chat<tally>*) -> behavior {
    return {[](const text_message&) {}};
  })};
  auto refused = [&](std::string state, std::string mode, std::string memo) {
    try {
      s.live->load(state, mode, memo);
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
  s.live->load("", "two", "");
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

TEST_CASE("the audience learns who is here, who left and their language") {
  auto t = new_trace();
  seam s{noting(t)};
  auto message = s.text("hi");
  CHECK(message.audience == standing::active);
  CHECK(message.language == "de");
  CHECK(s.text("hi", -100).language.empty());
  CHECK(s.press("a").audience == standing::same);
  auto member = [&](const std::string& status) {
    return s.update(R"({"update_id":9,"my_chat_member":{"chat":{"id":42,
      "type":"private"},"from":{"id":42,"is_bot":false,"first_name":"A",
      "language_code":"fr"},"date":1,
      "old_chat_member":{"status":"member","user":{"id":1}},
      "new_chat_member":{"status":")" + status + R"(","user":{"id":1}}}})");
  };
  CHECK(member("kicked").audience == standing::blocked);
  CHECK(member("member").audience == standing::active);
  CHECK(member("member").language == "fr");
}

TEST_CASE("what can't be read ends its turn with a reason") {
  auto t = new_trace();
  seam s{noting(t)};
  CHECK(s.update("{").how == end::threw);
  CHECK_FALSE(s.update("{").error.empty());
  CHECK(s.of(source::notice, "[]").how == end::threw);
  CHECK(s.of(source::outcome, "x").how == end::threw);
  CHECK(s.of(source::timer, "{", "t").how == end::threw);
  CHECK(t->empty());
}

TEST_CASE("a ttl slides with every turn, per mode before per bot") {
  auto make = [](chat<tally>* ctx) -> behavior {
    return {[=](const text_message& m) {
      if (m.text != "-")
        ctx->become(m.text);
    }};
  };
  seam s{bot<tally>{}
             .mode("a", make)
             .mode("b", make, 1h)
             .ttl(24h)};
  CHECK(s.text("-").wanted.expires_ms == s.now_ms + 86'400'000);
  CHECK(s.text("b").wanted.expires_ms == s.now_ms + 3'600'000);
  seam none{bot<tally>{make}};
  CHECK_FALSE(none.text("-").wanted.expires_ms);
  seam mixed{bot<tally>{}.mode("a", make).mode("b", make, 1h)};
  mixed.text("b");
  CHECK(*mixed.text("a").wanted.expires_ms > mixed.now_ms + 86'400'000LL * 365);
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
  CHECK(s.update(R"({"update_id":1,"poll":{"id":"1"}})").how ==
        end::unhandled);
  auto r = s.text("x");
  CHECK(r.wanted.mode == "a");
  CHECK_FALSE(r.wanted.state);  // n is 1 again, which is what is stored
  CHECK(s.text("x").wanted.state == R"({"n":2,"seen":[]})");
}
