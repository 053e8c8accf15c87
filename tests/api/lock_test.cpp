// What `lock` promises a handler, and what it refuses.

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

/// "lock NAME", "keep NAME" (once it is granted), "wait NAME" (for no time),
/// "unlock NAME"; answers are noted.
behavior locking(chat<tally>* ctx) {
  return {
      [=](const text_message& m) {
        const auto space = m.text.find(' ');
        const auto name = m.text.substr(space + 1);
        if (m.text.starts_with("unlock"))
          ctx->unlock(name);
        else if (m.text.starts_with("wait"))
          ctx->lock(name, 1min, 0s);
        else if (space != m.text.npos)
          ctx->lock(name, 1min);
        if (m.text.starts_with("keep"))
          ctx->state.n = 1;
        ctx->state.seen.push_back(m.text);
      },
      [=](const locked& l) {
        if (l.name == "bad")
          throw std::runtime_error{"boom"};
        ctx->state.seen.push_back(l.name + '#' + std::to_string(l.token));
        if (ctx->state.n == 1)
          ctx->keep(l);
        ctx->state.n = 0;
      },
      [=](const lock_denied& l) { ctx->state.seen.push_back("no " + l.name); },
  };
}

}  // namespace

TEST_CASE("lock: one that is free is granted at once, and released after") {
  test_chat<tally> c{locking};
  c.text("lock a");
  CHECK(c.state().seen == texts{"lock a", "a#1"});
  CHECK(c.turns() == texts{"text_message done", "locked done"});
  CHECK_FALSE(c.holds_lock("a"));
  c.text("lock a");
  CHECK(c.state().seen.back() == "a#2");
}

TEST_CASE("lock: who has to wait goes on, and gets it when it is free") {
  test_chat<tally> c{locking};
  c.take_lock("a", 24h);
  c.text("lock a");
  c.text("hello");
  c.advance(5s);
  CHECK(c.state().seen == texts{"lock a", "hello"});
  c.restart();
  c.free_lock("a");
  c.advance(1s);
  CHECK(c.state().seen.size() == 3);
  CHECK(c.state().seen.back() == "a#2");
}

TEST_CASE("lock: it is denied when the wait is over, and not before") {
  test_chat<tally> c{locking};
  c.take_lock("a", 24h);
  c.text("lock a");
  c.advance(10s - 1ms);
  CHECK(c.state().seen == texts{"lock a"});
  c.advance(1ms);
  CHECK(c.state().seen == texts{"lock a", "no a"});
  c.advance(1h);
  CHECK(c.state().seen == texts{"lock a", "no a"});
  c.text("wait a");
  CHECK(c.state().seen == texts{"lock a", "no a", "wait a", "no a"});
}

TEST_CASE("lock: of two chats one keeps it; the next one's token is greater") {
  test_chat<tally> a{locking, 1};
  test_chat<tally> b{locking, 2};
  b.beside(a);
  a.text("keep x");
  CHECK(a.holds_lock("x"));
  b.text("lock x");
  a.restart();
  b.text("lock y");
  CHECK(b.state().seen == texts{"lock x", "lock y", "y#2"});
  a.text("unlock x");
  CHECK_FALSE(a.holds_lock("x"));
  b.advance(1s);
  CHECK(b.state().seen.back() == "x#3");
  CHECK_FALSE(b.holds_lock("x"));
}

TEST_CASE("lock: who keeps it and asks again has it for longer, same token") {
  test_chat<tally> c{locking};
  c.text("keep a");
  c.advance(50s);
  c.restart();
  c.text("keep a");
  CHECK(c.state().seen == texts{"keep a", "a#1", "keep a", "a#1"});
  c.advance(50s);
  CHECK(c.holds_lock("a"));
  c.advance(10s);
  CHECK_FALSE(c.holds_lock("a"));  // its ttl is over
  c.text("keep a");
  CHECK(c.state().seen.back() == "a#2");
  // Not kept this time: it is given up, and forgotten.
  c.text("lock a");
  CHECK(c.state().seen.back() == "a#2");
  CHECK_FALSE(c.holds_lock("a"));
  c.text("unlock a");
  c.text("lock a");
  CHECK(c.state().seen.back() == "a#3");
}

TEST_CASE("lock: a request can be taken back") {
  test_chat<tally> c{locking};
  c.take_lock("a", 24h);
  c.text("lock a");
  c.text("unlock a");
  c.free_lock("a");
  c.advance(1h);
  CHECK(c.state().seen == texts{"lock a", "unlock a"});
}

TEST_CASE("lock: a turn that fails for good gives it up") {
  test_chat<tally> c{locking};
  c.text("lock bad");
  CHECK(c.dead_letters() == texts{"boom"});
  CHECK_FALSE(c.holds_lock("bad"));
  test_chat<tally> deaf{[](chat<tally>* ctx) -> behavior {
    return {[=](const text_message&) { ctx->lock("a", 1min); }};
  }};
  deaf.text("x");
  CHECK(deaf.turns() == texts{"text_message done", "locked unhandled"});
  CHECK_FALSE(deaf.holds_lock("a"));
}

TEST_CASE("lock: what a turn leaves to do says so") {
  seam s{only(locking)};
  auto r = s.text("lock a");
  REQUIRE(r.wanted.timers.size() == 1);
  CHECK(r.wanted.timers[0].name == ":lock:a");
  CHECK(r.wanted.timers[0].due_ms == s.now_ms);
  s.text("keep a");
  detail::turn_event e;
  e.from = detail::turn_event::source::lock;
  e.body = std::make_shared<const std::string>("");
  e.name = "a";
  e.token = 7;
  e.holder = "42/f";
  r = s.live->run(e, {s.now_ms, 1, "", {}});
  CHECK(r.kind == "locked");
  CHECK(r.wanted.keeps_lock);
  CHECK(*r.wanted.memo == R"({"presses":[],"locks":[["a","42/f"]]})");
  // The request of one who keeps it is in the name of that.
  r = s.text("lock a");
  REQUIRE(r.wanted.timers.size() == 1);
  CHECK(r.wanted.timers[0].body.find(R"("holder":"42/f")") !=
        std::string::npos);
  r = s.text("unlock a");
  REQUIRE(r.wanted.unlocked.size() == 1);
  CHECK(r.wanted.unlocked[0].holder == "42/f");
  CHECK(r.wanted.cancelled == texts{":lock:a"});
  CHECK(*r.wanted.memo == R"({"presses":[]})");
  e.token = 0;
  CHECK(s.live->run(e, {s.now_ms, 1, "", {}}).kind == "lock_denied");
}

TEST_CASE("lock: of unlock and keep in one turn the later one counts") {
  test_chat<tally> c{[](chat<tally>* ctx) -> behavior {
    return {[=](const text_message& m) { ctx->lock(m.text, 1min); },
            [=](const locked& l) {
              ctx->keep(l);
              ctx->unlock(l.name);
              if (l.name == "kept")
                ctx->keep(l);
            }};
  }};
  for (int i = 0; i < 2; ++i) {
    c.text("kept");
    CHECK(c.holds_lock("kept"));
    c.text("given up");
    CHECK_FALSE(c.holds_lock("given up"));
  }
}

TEST_CASE("lock: a throw takes back what was kept or given up") {
  seam s{only([](chat<tally>* ctx) -> behavior {
    return {[=](const text_message& m) {
              ctx->unlock("a");
              if (m.text == "bad")
                throw std::runtime_error{"boom"};
            },
            [=](const locked& l) { ctx->keep(l); }};
  })};
  s.live->load("", "", R"({"presses":[],"locks":[["a","h"]]})", 0);
  CHECK(s.text("bad").wanted.unlocked.empty());
  auto r = s.text("good");
  REQUIRE(r.wanted.unlocked.size() == 1);
  CHECK(r.wanted.unlocked[0].holder == "h");
  CHECK(s.text("good").wanted.unlocked.empty());
}

TEST_CASE("lock: bad names and times are refused, 16 are the most to keep") {
  test_chat<tally> c{[](chat<tally>* ctx) -> behavior {
    return {[=](const text_message& m) {
              if (m.text == "empty")
                ctx->lock("", 1min);
              if (m.text == "long")
                ctx->lock(std::string(257, 'x'), 1min);
              if (m.text == "short")
                ctx->lock("x", 10s - 1ms);
              if (m.text == "ages")
                ctx->lock("x", 24h + 1ms);
              if (m.text == "never")
                ctx->lock("x", 1min, -1ms);
              if (m.text == "late")
                ctx->lock("x", 1min, 24h * 7 + 1ms);
              if (m.text == "keep")
                ctx->keep(locked{"x", 1});
              if (m.text == "timer")
                ctx->schedule(":lock:x", 1s);
              if (m.text == "cancel")
                ctx->cancel(":lock:x");
              if (m.text == "many")
                for (int i = 0; i < 17; ++i)
                  ctx->lock(std::to_string(i), 10s, 24h * 7);
            },
            [=](const locked& l) {
              if (l.name == "8")
                ctx->keep(locked{"9", l.token});
              ctx->state.n++;
              ctx->keep(l);
            }};
  }};
  for (auto text : {"empty", "long", "short", "ages", "never", "late", "keep",
                    "timer", "cancel"})
    c.text(text);
  CHECK(c.dead_letters() ==
        texts{"a lock's name must have 1 to 256 bytes",
              "a lock's name must have 1 to 256 bytes",
              "the ttl of lock \"x\" must be 10 s to a day",
              "the ttl of lock \"x\" must be 10 s to a day",
              "the wait for lock \"x\" must be 0 to a week",
              "the wait for lock \"x\" must be 0 to a week",
              "keep(\"x\"): a lock can be kept in the turn of its `locked` "
              "only",
              "a timer's name must not begin with ':'",
              "a timer's name must not begin with ':'"});
  c.text("many");
  // All but "8", which kept another's name.
  CHECK(c.state().n == 16);
  CHECK(c.dead_letters().size() == 10);
  c.text("many");  // with those that are kept: "8" again, no 17th
  CHECK(c.state().n == 32);
  CHECK(c.dead_letters().size() == 11);
}

TEST_CASE("lock: a chat keeps 16 locks and no more") {
  test_chat<tally> c{[](chat<tally>* ctx) -> behavior {
    return {[=](const text_message& m) { ctx->lock(m.text, 1h); },
            [=](const locked& l) { ctx->keep(l); }};
  }};
  for (int i = 0; i < 17; ++i)
    c.text(std::to_string(i));
  CHECK(c.dead_letters() == texts{"a chat keeps at most 16 locks"});
  CHECK(c.holds_lock("15"));
  CHECK_FALSE(c.holds_lock("16"));
  c.text("3");  // again
  CHECK(c.dead_letters().size() == 1);
}
