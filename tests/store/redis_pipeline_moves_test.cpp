#include "tests/store/redis_pipeline_fixture.hpp"

using namespace troupe;
using namespace troupe::store::redis;
using namespace troupe::store::redis::pipeline_test;

TEST_CASE("READONLY halts the pipeline until its owner found the primary") {
  pipeline_rig r;
  r.push("a");
  r.push("b");
  r.write();
  r.feed("-READONLY You can't write against a read only replica.\r\n");
  CHECK_FALSE(r.line.take_halt());  // b is on its way
  r.feed("-READONLY You can't write against a read only replica.\r\n");
  const auto halt = r.line.take_halt();
  REQUIRE(halt);
  CHECK(halt->relocate);
  CHECK(halt->why.find("READONLY") == 0);
  CHECK(r.write().empty());
  r.line.resume();
  r.lost();
  r.line.connected("h:2", r.now);
  CHECK(r.write() == wire({"a"}) + wire({"b"}));
  CHECK(r.ends.empty());
}

TEST_CASE("MOVED drains the node and hands back its commands in order") {
  pipeline_rig r{{.cluster = true}};
  for (const auto* name : {"a", "b", "c"})
    r.push(name);
  r.write();
  r.push("d");
  r.feed("-MOVED 5 h:2\r\n+b\r\n");
  CHECK(r.write().empty());
  CHECK_FALSE(r.line.take_halt());
  r.feed("-MOVED 6 h:3\r\n");
  auto halt = r.line.take_halt();
  REQUIRE(halt);
  CHECK_FALSE(halt->relocate);
  REQUIRE(halt->moves.size() == 2);
  CHECK(halt->moves[0].slot == 5);
  CHECK(halt->moves[1].at == address{"h", 3});
  names back;
  for (const auto& what : r.line.take_waiting())
    back.push_back(what->words[0]);
  CHECK(back == names{"a", "c", "d"});
  r.line.resume();
  r.push("e");
  CHECK(r.write() == wire({"e"}));
}

TEST_CASE("ASK and TRYAGAIN hand a command over at once") {
  pipeline_rig r{{.cluster = true}};
  for (const auto* name : {"a", "b", "c"})
    r.push(name);
  r.write();
  r.feed("-ASK 5 h:2\r\n-TRYAGAIN x\r\n+c\r\n");
  REQUIRE(r.detours.size() == 2);
  CHECK(r.detours[0].what->words[0] == "a");
  CHECK(r.detours[0].why.at == address{"h", 2});
  CHECK(r.detours[1].why.what == verdict::kind::try_again);
  CHECK(r.order == names{"c"});
  CHECK_FALSE(r.line.draining());

  // The other node is told that it may, and its reply to that is no answer.
  r.detours[0].what->asking = true;
  r.line.push(std::move(r.detours[0].what));
  r.push("d");
  CHECK(r.write() == wire({"ASKING"}) + wire({"a"}) + wire({"d"}));
  r.feed("+OK\r\n+for a\r\n+for d\r\n");
  CHECK(r.ends.at("a")->text == "for a");
  CHECK(r.ends.at("d")->text == "for d");
}

TEST_CASE("a node of a cluster that nobody expected is named as one") {
  pipeline_rig r;
  r.push("a");
  r.write();
  r.feed("-MOVED 5 h:2\r\n");
  CHECK(r.code("a") == errc::incompatible);
  CHECK(r.why("a").find("redis+cluster") != std::string::npos);
}

TEST_CASE("a pipeline that drains on demand halts when all is answered") {
  pipeline_rig r;
  r.push("a");
  r.write();
  r.line.drain("slots moved");
  r.push("b");
  CHECK(r.write().empty());
  CHECK_FALSE(r.line.take_halt());
  r.feed("+a\r\n");
  REQUIRE(r.line.take_halt());
  CHECK(r.write().empty());
  r.line.resume();
  CHECK(r.write() == wire({"b"}));
  r.feed("+b\r\n");
  r.line.drain("again");  // nothing is on its way
  CHECK(r.line.take_halt());
}

TEST_CASE("a connection that is lost while draining halts, too") {
  pipeline_rig r{{.cluster = true}};
  r.push("a", repeatable);
  r.push("b", repeatable);
  r.write();
  r.feed("-MOVED 5 h:2\r\n");
  r.lost();
  REQUIRE(r.line.take_halt());
  CHECK(r.line.waiting() == 2);
}

TEST_CASE("nonsense and answers to nothing end a connection") {
  pipeline_rig r;
  CHECK_FALSE(r.feed("+hello\r\n"));
  pipeline_rig s;
  s.push("a");
  s.write();
  CHECK_FALSE(s.feed("HTTP/1.1 400 Bad Request\r\n"));
}

TEST_CASE("with replicas to wait for, writes are answered after WAIT") {
  pipeline_rig r{{.wait_replicas = 2, .wait_timeout = 300ms}};
  r.push("w1");
  r.push("read", {.reads = true});
  r.push("w2");
  const auto wait = wire({"WAIT", "2", "300"});
  CHECK(r.write() == wire({"w1"}) + wire({"read"}) + wire({"w2"}) + wait);
  r.feed("+1\r\n+r\r\n+2\r\n");
  CHECK(r.order == names{"read"});
  r.feed(":2\r\n");
  CHECK(r.order == names{"read", "w1", "w2"});
  CHECK(r.ends.at("w2")->text == "2");

  r.push("only reads", {.reads = true});
  CHECK(r.write() == wire({"only reads"}));
  r.feed("+r\r\n");

  r.push("w3");
  r.push("w4");
  r.write();
  r.feed("+3\r\n-ERR no\r\n:1\r\n");
  CHECK(r.code("w3") == errc::unknown_outcome);
  CHECK(r.why("w3").find("1 of 2 replicas") != std::string::npos);
  CHECK(r.code("w4") == errc::internal);
}

TEST_CASE("what no replica confirmed before a loss is unknown or repeated") {
  pipeline_rig r{{.wait_replicas = 1}};
  r.push("a");
  r.push("b", repeatable);
  r.push("c", {.timeout = 2s});
  r.write();
  r.feed("+1\r\n+2\r\n");
  CHECK(r.ends.empty());
  r.lost();
  CHECK(r.code("a") == errc::unknown_outcome);
  CHECK(r.code("c") == errc::unknown_outcome);
  CHECK(r.ends.size() == 2);
  r.line.connected("h:2", r.now);
  CHECK(r.write() == wire({"b"}) + wire({"WAIT", "1", "1000"}));
  r.feed("+2\r\n:1\r\n");
  CHECK(r.done("b"));
}

TEST_CASE("everything can be taken back for closing, in order") {
  pipeline_rig r;
  r.push("a");
  r.push("b");
  r.write();
  r.feed("-BUSY x\r\n");
  r.push("c");
  names all;
  for (const auto& what : r.line.take_all())
    all.push_back(what->words[0]);
  CHECK(all.size() == 3);
  CHECK(r.cells.read().in_flight == 0);
  CHECK(r.cells.read().waiting == 0);
}
