// Which event reaches which handler, and which is not turned at all.

#include <algorithm>
#include <caf/skip.hpp>
#include <chrono>
#include <memory>
#include <stdexcept>
#include <string>
#include <troupe/bot.hpp>
#include <troupe/test_chat.hpp>
#include <vector>

#include "tests/api/probe.hpp"
#include "tests/support/catch.hpp"

namespace {

using namespace troupe;
using namespace std::chrono_literals;
using namespace troupe::probe;
using standing = detail::turn_result::standing;
using source = detail::turn_event::source;

// Handlers for nearly everything, each noting its event.
bot<tally> noting(trace t) {
  return only([t](chat<tally>*) -> behavior {
    return {
        commands{
            {"start",
             [=](const command& c) { t->push_back("start:" + c.arguments); }}},
        callbacks{{"a", [=](const callback&) { t->push_back("a"); }}},
        timers{{"t",
                [=](const timer& e) {
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

TEST_CASE(
    "another bot's command is no command of ours, once we know our name") {
  auto t = new_trace();
  seam s{noting(t)};
  s.text("/start@other_bot");
  s.username = "My_Bot";
  s.text("/start@my_bot x");
  s.text("/start@other_bot");
  CHECK(*t ==
        std::vector<std::string>{"start:", "start:x", "text:/start@other_bot"});
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
  // An album's message is its first.
  s.of(source::outcome,
       R"({"label":"pics","method":"sendMediaGroup","ok":true,)"
       R"("result":[{"message_id":56},{"message_id":57}]})");
  CHECK(good.kind == "sent");
  CHECK(bad.kind == "failed");
  CHECK(*t == std::vector<std::string>{"t", "t with body", "7:hi", "cart:55",
                                       "cart:403", "pics:56"});
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
  s.live->load("", "", *first.wanted.memo, 0);
  CHECK(s.press("a").how == end::repeated);
  s.live->load("", "", "", 0);
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

TEST_CASE("the audience learns who is here, who left and their language") {
  auto t = new_trace();
  seam s{noting(t)};
  auto message = s.text("hi");
  CHECK(message.audience == standing::active);
  CHECK(message.language == "de");
  CHECK(s.text("hi", -100).language.empty());
  CHECK(s.press("a").audience == standing::same);
  auto move = [&](const std::string& what) {
    return s.update(R"({"update_id":8,"message":{"message_id":1,"date":1,
      "chat":{"id":-5,"type":"group"},")" +
                    what + R"(":-1000000000005}})");
  };
  const auto gone = move("migrate_to_chat_id");
  CHECK(gone.audience == standing::moved);
  CHECK(gone.moved_to == -1'000'000'000'005);
  const auto come = move("migrate_from_chat_id");
  CHECK(come.audience == standing::active);
  CHECK(come.moved_from == -1'000'000'000'005);
  auto member = [&](const std::string& status) {
    return s.update(R"({"update_id":9,"my_chat_member":{"chat":{"id":42,
      "type":"private"},"from":{"id":42,"is_bot":false,"first_name":"A",
      "language_code":"fr"},"date":1,
      "old_chat_member":{"status":"member","user":{"id":1}},
      "new_chat_member":{"status":")" +
                    status + R"(","user":{"id":1}}}})");
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
