// What `once` promises a handler, and what it refuses.

#include <chrono>
#include <stdexcept>
#include <string>
#include <troupe/test_chat.hpp>
#include <vector>

#include "tests/api/probe.hpp"
#include "tests/support/catch.hpp"

namespace {

using namespace troupe;
using namespace std::chrono_literals;
using namespace troupe::probe;
using texts = std::vector<std::string>;

/// Asks once for each word of a text, and notes the answers.
behavior asking(chat<tally>* ctx) {
  return {
      [=](const text_message& m) {
        ctx->state.n++;
        std::string word;
        for (char c : m.text + ' ') {
          if (c != ' ') {
            word += c;
            continue;
          }
          const bool mine = ctx->once(word, 1h);
          ctx->state.seen.push_back(word + (mine ? "+" : "-"));
          word.clear();
        }
        if (m.text.starts_with("bad"))
          throw std::runtime_error{"boom"};
      },
  };
}

}  // namespace

TEST_CASE("once: the turn says which keys it was told true for") {
  seam s{only(asking)};
  auto r = s.text("a b a");
  REQUIRE(r.wanted.once.size() == 2);
  CHECK(r.wanted.once[0].key == "a");
  CHECK(r.wanted.once[1].key == "b");
  CHECK(r.wanted.once[0].ttl_ms == 3'600'000);
  CHECK(*r.wanted.state == R"({"n":1,"seen":["a+","b+","a+"]})");
  CHECK(s.text("bad").wanted.once.empty());
}

TEST_CASE("once: a key that is another's is false, and not asked for") {
  seam s{only(asking)};
  const std::vector<std::string> taken{"a"};
  detail::turn_event e;
  e.body = std::make_shared<const std::string>(
      R"({"update_id":5,"message":{"message_id":7,"date":1,"chat":{"id":42,)"
      R"("type":"private"},"text":"a b"}})");
  auto r = s.live->run(e, {s.now_ms, 1, "", taken});
  REQUIRE(r.wanted.once.size() == 1);
  CHECK(r.wanted.once[0].key == "b");
  CHECK(*r.wanted.state == R"({"n":1,"seen":["a-","b+"]})");
}

TEST_CASE("once: bad keys and times are refused, 64 keys are the most") {
  test_chat<tally> c{[](chat<tally>* ctx) -> behavior {
    return {[=](const text_message& m) {
      if (m.text == "empty")
        ctx->once("", 1h);
      if (m.text == "long")
        ctx->once(std::string(257, 'x'), 1h);
      if (m.text == "short")
        ctx->once("x", 1min - 1ms);
      if (m.text == "ages")
        ctx->once("x", 24h * 3'661);
      for (int i = 0; m.text == "many" && i < 65; ++i)
        ctx->once(std::to_string(i), 1h);
      for (int i = 0; m.text == "enough" && i < 64; ++i)
        ctx->state.n += ctx->once(std::to_string(i), 1h);
      if (m.text == "edges")
        ctx->state.n += ctx->once(std::string(256, 'x'), 1min) +
                        ctx->once("x", 24h * 3'660);
    }};
  }};
  for (auto text : {"empty", "long", "short", "ages", "many"})
    c.text(text);
  CHECK(c.dead_letters() ==
        texts{"a key of once must have 1 to 256 bytes",
              "a key of once must have 1 to 256 bytes",
              "the ttl of \"x\" must be a minute to ten years",
              "the ttl of \"x\" must be a minute to ten years",
              "a turn asks once for over 64 keys"});
  c.text("enough");
  c.text("edges");
  CHECK(c.state().n == 66);
  test_chat<tally> outside{[](chat<tally>* ctx) -> behavior {
    ctx->once("x", 1h);
    return {[](const text_message&) {}};
  }};
  outside.text("x");
  REQUIRE(outside.dead_letters().size() == 1);
  CHECK(outside.dead_letters()[0].starts_with("once outside a turn"));
}

TEST_CASE("once: of the chats of one bot one event gets true, until the ttl") {
  test_chat<tally> a{asking, 1};
  test_chat<tally> b{asking, 2};
  b.beside(a);
  a.text("x");
  b.text("x y");
  a.text("y x");
  CHECK(a.state().seen == texts{"x+", "y-", "x-"});
  CHECK(b.state().seen == texts{"x-", "y+"});
  CHECK(b.state().n == 1);  // of the run that was thrown away nothing is left
  b.advance(1h - 1ms);
  b.text("x");
  b.advance(1ms);
  b.text("x");
  CHECK(b.state().seen == texts{"x-", "y+", "x-", "x+"});
}

TEST_CASE("once: a denied turn starts from what is stored, also its mode") {
  test_chat<tally> c{asking};
  c.text("a");
  c.restart();
  c.take("b", 24h);
  c.text("b c");
  CHECK(c.state().n == 2);
  CHECK(c.state().seen == texts{"a+", "b-", "c+"});
  CHECK(c.stored_state() == R"({"n":2,"seen":["a+","b-","c+"]})");
}

TEST_CASE("once: the turn of a throwing handler holds nothing") {
  test_chat<tally> a{asking, 1};
  test_chat<tally> b{asking, 2};
  b.beside(a);
  a.text("bad x");
  CHECK(a.dead_letters() == texts{"boom"});
  b.text("x");
  CHECK(b.state().seen == texts{"x+"});
}

TEST_CASE("once: keys that only a thrown-away run asked for are free again") {
  auto careful = [](chat<tally>* ctx) -> behavior {
    return {[=](const text_message&) {
      // All or nothing.
      if (ctx->once("first", 1h) && ctx->once("second", 1h))
        ctx->state.n = 1;
      else
        ctx->once("neither", 1h);
    }};
  };
  test_chat<tally> a{careful, 1};
  test_chat<tally> b{asking, 2};
  b.beside(a);
  a.take("first", 24h);
  a.text("x");
  CHECK(a.state().n == 0);
  b.text("second neither");
  CHECK(b.state().seen == texts{"second+", "neither-"});
}

TEST_CASE("once: a handler that wants ever more keys of others ends") {
  test_chat<tally> c{[](chat<tally>* ctx) -> behavior {
    return {[=](const text_message&) {
      for (int i = 0; !ctx->once(std::to_string(i), 1h); ++i)
        ctx->state.n = i;
    }};
  }};
  for (int i = 0; i < 64; ++i)
    c.take(std::to_string(i), 24h);
  c.text("x");
  CHECK(c.dead_letters().empty());
  CHECK(c.state().n == 63);
  c.text("x");  // the 65th is its own of before
  CHECK(c.dead_letters() ==
        texts{"the turn asks for over 64 keys of once that others have"});
  CHECK(c.state().n == 63);
}

TEST_CASE("a timer that sets itself for its own instant is another timer") {
  seam s{only([](chat<tally>* ctx) -> behavior {
    return {[=](const timer& t) {
      ctx->schedule(t.name, 0ms);
      ctx->schedule("other", 0ms);
    }};
  })};
  auto r = s.of(detail::turn_event::source::timer, "", "t");
  REQUIRE(r.wanted.timers.size() == 2);
  CHECK(r.wanted.timers[0].due_ms == s.now_ms + 1);
  CHECK(r.wanted.timers[1].due_ms == s.now_ms);
}
