#include "tests/store/redis_pipeline_fixture.hpp"

using namespace troupe;
using namespace troupe::store::redis;
using namespace troupe::store::redis::pipeline_test;

TEST_CASE("commands leave together and replies come to them in order") {
  pipeline_rig r;
  r.push("a");
  r.push("b");
  r.push("c");
  CHECK(r.write() == wire({"a"}) + wire({"b"}) + wire({"c"}));
  CHECK(r.line.in_flight() == 3);
  CHECK(r.feed("+OK\r\n:"));
  CHECK(r.order == names{"a"});
  CHECK(r.feed("7\r\n-ERR no\r\n"));
  CHECK(r.order == names{"a", "b", "c"});
  CHECK(r.ends.at("b")->number == 7);
  CHECK(r.code("c") == errc::internal);
  CHECK(r.why("c") == "h:1: ERR no");
  CHECK(r.cells.read().commands == 3);
  CHECK(r.cells.read().in_flight == 0);
}

TEST_CASE("arguments of every kind are written byte for byte") {
  pipeline_rig r;
  auto what = std::make_unique<command>();
  what->code = first;
  what->words = {"k1", "k2"};
  what->args = {arg{"text"},
                arg{std::string{"\0\r\n", 3}},
                arg{-5},
                arg{std::uint64_t{18446744073709551615u}},
                arg{""},
                arg{std::make_shared<const std::string>("shared")},
                arg{std::shared_ptr<const std::string>{}}};
  r.line.push(std::move(what));
  CHECK(r.write() == wire({"EVAL",
                           first.text(),
                           "2",
                           "k1",
                           "k2",
                           "text",
                           {"\0\r\n", 3},
                           "-5",
                           "18446744073709551615",
                           "",
                           "shared",
                           ""}));
}

TEST_CASE("a batch is bounded, a command is not cut") {
  pipeline_rig r{{.batch = 100}};
  for (int i = 0; i < 9; ++i)
    r.push(std::string(40, static_cast<char>('a' + i)));
  std::string out;
  r.line.fill(out, r.now);
  CHECK(out.size() == 2 * wire({std::string(40, 'a')}).size());
  CHECK(r.line.waiting() == 7);
}

TEST_CASE("a lost connection: unknown if written, resent if repeatable") {
  pipeline_rig r;
  r.push("a", repeatable);
  r.push("b");
  r.push("c", repeatable);
  r.push("d");
  const auto before = wire({"a"}).size();
  r.write(3 * before - 1);  // c left in part, d not at all
  r.push("e");
  r.lost("connection reset");
  CHECK(r.order == names{"b"});
  CHECK(r.code("b") == errc::unknown_outcome);
  CHECK(r.why("b").find("h:1: connection reset") == 0);
  CHECK(r.line.waiting() == 4);
  CHECK(r.line.in_flight() == 0);
  r.line.connected("h:1", r.now);
  CHECK(r.write() == wire({"a"}) + wire({"c"}) + wire({"d"}) + wire({"e"}));
  CHECK(r.feed("+1\r\n+2\r\n+3\r\n+4\r\n"));
  CHECK(r.order == names{"b", "a", "c", "d", "e"});
  CHECK(r.cells.read().unknown == 1);
}

TEST_CASE("what was never written is never unknown") {
  pipeline_rig r;
  r.push("a", {.timeout = 2s});
  r.write(0);
  r.push("b", {.timeout = 2s});
  r.lost("connection refused");
  CHECK(r.ends.empty());
  r.now += 3s;
  CHECK(r.expire());
  for (const auto* name : {"a", "b"}) {
    CHECK(r.code(name) == errc::unavailable);
    CHECK(r.why(name).find("connection refused") != std::string::npos);
  }
}

TEST_CASE("half a reply of a lost connection is forgotten") {
  pipeline_rig r;
  r.push("a", repeatable);
  r.write();
  CHECK(r.feed("$10\r\nhalf"));
  r.lost();
  r.line.connected("h:1", r.now);
  r.write();
  CHECK(r.feed("$2\r\nok\r\n"));
  CHECK(r.ends.at("a")->text == "ok");
}

TEST_CASE("a repeatable command that was written before is never unavailable") {
  pipeline_rig r;
  r.push("a", {.repeatable = true, .timeout = 2s});
  r.write();
  r.lost();
  r.now += 3s;
  CHECK(r.expire());
  CHECK(r.code("a") == errc::unknown_outcome);
}

TEST_CASE("a server that owes an answer and is silent is given up") {
  pipeline_rig r{{.patience = 1s}};
  r.push("a", {.timeout = 2s});
  r.push("b", {.repeatable = true, .timeout = 10s});
  r.push("c", {.timeout = 10s});
  r.write();
  r.now += 1900ms;
  CHECK(r.expire());
  r.now += 200ms;
  CHECK_FALSE(r.expire());
  CHECK(r.ends.empty());  // `lost` ends them
  r.lost("no answer in time");
  CHECK(r.code("a") == errc::unknown_outcome);
  CHECK(r.code("c") == errc::unknown_outcome);
  CHECK(r.line.waiting() == 1);
}

TEST_CASE("an overdue answer of a server that talks is for nobody") {
  pipeline_rig r{{.patience = 1s}};
  r.push("slow", {.repeatable = true, .timeout = 2s});
  r.push("b", {.timeout = 10s});
  r.write();
  r.now += 1500ms;
  r.feed("$3\r\n");  // it says something
  r.now += 600ms;
  CHECK(r.expire());
  CHECK(r.code("slow") == errc::unknown_outcome);
  CHECK(r.line.in_flight() == 2);
  r.feed("abc\r\n+b\r\n");
  CHECK(r.ends.at("b")->text == "b");
  CHECK(r.line.in_flight() == 0);
}

TEST_CASE("silence after an overdue answer ends the connection in the end") {
  pipeline_rig r{{.patience = 1s}};
  r.push("a", {.timeout = 100ms});
  r.write();
  r.now += 101ms;
  CHECK(r.expire());
  CHECK(r.code("a") == errc::unknown_outcome);
  r.now += 800ms;
  CHECK(r.expire());
  r.now += 100ms;
  CHECK_FALSE(r.expire());
}

TEST_CASE("a late command that never left goes with its connection unharmed") {
  pipeline_rig r{{.patience = 1s}};
  r.push("a", {.timeout = 2s});
  r.push("b", {.timeout = 2s});
  r.write(wire({"a"}).size());
  r.now += 3s;
  CHECK_FALSE(r.expire());
  r.lost("no answer in time");
  CHECK(r.code("a") == errc::unknown_outcome);
  CHECK(r.code("b") == errc::unavailable);
}

TEST_CASE("what a loading server refused is sent again after a pause") {
  pipeline_rig r;
  r.push("a");
  r.push("b");
  r.write();
  r.feed("-LOADING Redis is loading the dataset in memory\r\n");
  r.push("c");
  r.feed("-LOADING Redis is loading the dataset in memory\r\n");
  CHECK(r.write().empty());
  REQUIRE(r.line.paused_until(r.now));
  const auto until = *r.line.paused_until(r.now);
  r.now = until - 1ms;
  CHECK(r.write().empty());
  r.now = until;
  CHECK(r.write() == wire({"a"}) + wire({"b"}) + wire({"c"}));
  r.feed("-LOADING x\r\n-LOADING x\r\n-LOADING x\r\n");
  CHECK(*r.line.paused_until(r.now) - r.now > until - mono_time{1h});
  r.now += 20s;
  r.expire();
  for (const auto* name : {"a", "b", "c"}) {
    CHECK(r.code(name) == errc::unavailable);  // nothing was done
    CHECK(r.why(name).find("LOADING") != std::string::npos);
  }
}
