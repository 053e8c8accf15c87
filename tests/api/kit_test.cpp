#include <chrono>
#include <set>
#include <stdexcept>
#include <string>
#include <troupe/test_chat.hpp>
#include <variant>
#include <vector>

#include "tests/support/catch.hpp"

namespace {

using namespace troupe;
using namespace std::chrono_literals;
using texts = std::vector<std::string>;

struct log_book {
  std::vector<std::string> lines;
};
BOOST_DESCRIBE_STRUCT(log_book, (), (lines))

behavior keeping(chat<log_book>* ctx) {
  auto note = [=](std::string line) {
    ctx->state.lines.push_back(std::move(line));
  };
  return {
      callbacks{
          {"b",
           [=](const callback& q) { note("pressed by " + q.from.first_name); }},
      },
      timers{
          {"tick",
           [=](const timer& t) {
             note("tick " + std::to_string(t.body.as_int64()));
             if (t.body.as_int64() < 3)
               ctx->schedule("tick", 1h, t.body.as_int64() + 1);
           }},
          {"late", [=](const timer&) { note("late"); }},
      },
      [=](const text_message& m) {
        if (m.text == "labelled")
          ctx->reply("x").as("l");
        else if (m.text == "once")
          ctx->reply("x").as("l").at_most_once();
        else if (m.text == "edit")
          ctx->edit("l", "y");
        else if (m.text == "button")
          ctx->reply("press", buttons{{{"B!", "b"}}}).as("l");
        else if (m.text == "ticks") {
          ctx->schedule("late", 90min);
          ctx->schedule("tick", 1h, 1);
        } else if (m.text == "self")
          ctx->notify(ctx->id(), "me");
        else if (m.text == "others")
          ctx->notify(7, "you");
        else if (m.text == "dice")
          ctx->call("sendDice", {{"emoji", "x"}});
        else if (m.text == "elsewhere")
          ctx->reply("x").to(7);
      },
      [=](const sent& s) { note("sent " + s.label + ' ' + s.method); },
      [=](const failed& f) {
        note("failed " + f.label + ' ' + std::to_string(f.code) + ' ' +
             (f.unknown ? "unknown" : f.description));
      },
      [=](const notice& n) { note(n.from + " says " + n.text); },
  };
}

}  // namespace

TEST_CASE("a labelled call comes back as sent, an unlabelled one does not") {
  test_chat<log_book> c{keeping};
  c.text("labelled");
  CHECK(c.state().lines == texts{"sent l sendMessage"});
  c.text("dice");
  CHECK(c.state().lines.size() == 1);
  CHECK(c.sent() == texts{"sendMessage: x", R"(sendDice: {"emoji":"x"})"});
}

TEST_CASE("a refused call comes back as failed, with Telegram's words") {
  test_chat<log_book> c{keeping};
  c.refuse_next(403, "Forbidden: bot was blocked by the user");
  c.text("labelled");
  CHECK(c.state().lines ==
        texts{"failed l 403 Forbidden: bot was blocked by the user"});
  CHECK(c.sent() == texts{"sendMessage: x -> 403 Forbidden: bot was blocked "
                          "by the user"});
  c.text("labelled");
  CHECK(c.state().lines.back() == "sent l sendMessage");
}

TEST_CASE("a lost call comes back as failed and unknown") {
  test_chat<log_book> c{keeping};
  c.lose_next();
  c.text("once");
  CHECK(c.state().lines == texts{"failed l 0 unknown"});
  CHECK(c.sent() == texts{"sendMessage: x -> unknown"});
}

TEST_CASE("an edit of what was never sent fails") {
  test_chat<log_book> c{keeping};
  c.text("edit");
  CHECK(c.sent() == texts{"editMessageText(l): y -> 400 Bad Request: message "
                          "to edit not found"});
  c.text("labelled");
  c.restart();
  c.text("edit");
  CHECK(c.sent().back() == "editMessageText(l): y");
}

TEST_CASE("buttons are pressed by text or data, and go away with an edit") {
  test_chat<log_book> c{keeping};
  CHECK_THROWS_AS(c.press("b"), std::logic_error);
  c.text("button");
  c.press("b");
  c.press("B!");  // two seconds later: not the same press
  c.press_again();
  CHECK(c.turns().back() == "callback_query repeated");
  person bo;
  bo.id = 43;
  bo.first_name = "Bo";
  c.speaker(bo);
  c.press_again();
  CHECK(c.state().lines == texts{"sent l sendMessage", "pressed by Ann",
                                 "pressed by Ann", "pressed by Bo"});
  c.text("edit");
  CHECK_THROWS_AS(c.press("b"), std::logic_error);
}

TEST_CASE("time fires timers in order, those they set included") {
  test_chat<log_book> c{keeping};
  auto start = c.now();
  c.text("ticks");
  CHECK(c.waits_for("tick"));
  c.restart();
  c.advance(2h);
  CHECK(c.state().lines == texts{"tick 1", "late", "tick 2"});
  c.advance(24h);
  CHECK(c.state().lines.back() == "tick 3");
  CHECK_FALSE(c.waits_for("tick"));
  CHECK(c.now() - start == 26h);
}

TEST_CASE("notices reach this chat if they are for it") {
  test_chat<log_book> c{keeping};
  c.text("self");
  c.text("others");
  c.notice("hi", "poll:7");
  CHECK(c.state().lines == texts{"42 says me", "poll:7 says hi"});
  CHECK(c.notices() == texts{"42: me", "7: you"});
}

TEST_CASE("calls are there in full") {
  test_chat<log_book> c{keeping};
  c.text("once");
  c.text("elsewhere");
  REQUIRE(c.calls().size() == 2);
  CHECK(c.calls()[0] ==
        boost::json::value{{"method", "sendMessage"},
                           {"parameters", {{"chat_id", 42}, {"text", "x"}}},
                           {"label", "l"},
                           {"at_most_once", true},
                           {"reply", true}});
  CHECK(c.sent()[1] == "sendMessage to 7: x");
  c.forget();
  CHECK(c.sent().empty());
  CHECK(c.calls().empty());
}

TEST_CASE("a handler that throws once is tried again, like in production") {
  int left = 2;
  auto make = [&left](chat<log_book>* ctx) -> behavior {
    return {[ctx, &left](const text_message& m) {
      ctx->state.lines.push_back(m.text);
      if (left-- > 0)
        throw std::runtime_error{"not yet"};
    }};
  };
  test_chat<log_book> c{make};
  c.text("a");
  CHECK(c.dead_letters().empty());
  CHECK(c.state().lines == texts{"a"});
  left = 3;
  c.text("b");
  CHECK(c.dead_letters() == texts{"not yet"});
  c.text("c");
  CHECK(c.state().lines == texts{"a", "c"});
}

TEST_CASE("a chat that never comes to rest is an error, not a hang") {
  test_chat<std::monostate> c{[](chat<std::monostate>* ctx) -> behavior {
    return {
        [=](const text_message&) { ctx->reply("x").as("l"); },
        [=](const sent&) { ctx->reply("x").as("l"); },
    };
  }};
  CHECK_THROWS_AS(c.text("go"), std::runtime_error);
}

TEST_CASE("any update can be given, and one that waited too long is stale") {
  test_chat<std::monostate> c{[](chat<std::monostate>* ctx) -> behavior {
    return {[=](const inline_query& q) {
      ctx->call("answerInlineQuery",
                {{"inline_query_id", q.id}, {"results", boost::json::array{}}});
    }};
  }};
  const auto* q = R"({"inline_query":{"id":"5","from":{"id":42,"is_bot":false,
    "first_name":"A"},"query":"x","offset":""}})";
  c.update(q);
  c.update(q, 31s);
  CHECK(c.turns() == texts{"inline_query done", "inline_query stale"});
  CHECK(c.calls().size() == 1);
}

TEST_CASE("a group's chat has the group's id, and its people their own") {
  test_chat<std::monostate> c{
      [](chat<std::monostate>* ctx) -> behavior {
        return {[=](const text_message& m) {
          ctx->reply(std::to_string(m.from.id) + " in " + m.chat_type);
        }};
      },
      -1001234567890};
  c.text("x");
  CHECK(c.sent() == texts{"sendMessage: 1 in supergroup"});
  CHECK(c.calls()[0].at("parameters").at("chat_id").as_int64() ==
        -1001234567890);
}

TEST_CASE("a chat's tags are there after its turn, and after a restart") {
  test_chat<std::monostate> c{[](chat<std::monostate>* ctx) -> behavior {
    return {[=](const text_message& m) {
      if (m.text == "in") {
        ctx->untag("beta");
        ctx->tag("beta");
        ctx->tag("vip");
      } else if (m.text == "out") {
        ctx->tag("vip");
        ctx->untag("vip");
      } else if (m.text == "many") {
        for (int i = 0; i < 17; ++i)
          ctx->tag("t" + std::to_string(i));
      } else {
        ctx->tag(m.text);
      }
    }};
  }};
  c.text("in");
  CHECK(c.tags() == std::set<std::string, std::less<>>{"beta", "vip"});
  c.text("out");
  c.restart();
  CHECK(c.tags() == std::set<std::string, std::less<>>{"beta"});
  c.text("two words");
  c.text("many");
  REQUIRE(c.dead_letters().size() == 2);
  CHECK(c.dead_letters()[0].find("is no tag") != std::string::npos);
  CHECK(c.dead_letters()[1] == "a turn changes over 16 tags");
  CHECK(c.tags().size() == 1);
}
