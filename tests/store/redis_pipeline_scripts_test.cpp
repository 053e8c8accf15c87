#include "tests/store/redis_pipeline_fixture.hpp"

using namespace troupe;
using namespace troupe::store::redis;
using namespace troupe::store::redis::pipeline_test;

TEST_CASE("a lone script goes as text once, then by its SHA-1") {
  pipeline_rig r;
  r.push("a", {}, first);
  r.push("b", {}, first);
  CHECK(r.write() == by_text(first, "a") + by_sha(first, "b"));
  CHECK(first.sha() == "e0e1f9fabfc9d4800c877a703b823ac0578ff8db");
  r.feed(":1\r\n:1\r\n");
  r.lost();
  r.line.connected("h:1", r.now);
  r.push("c", {}, first);
  CHECK(r.write() == by_text(first, "c"));
}

TEST_CASE("a lone script that the server forgot keeps its order") {
  pipeline_rig r;
  r.push("a", {}, first);
  r.write();
  r.feed(":1\r\n");
  r.push("b", {}, first);
  r.push("c", {}, first);
  r.write();
  r.push("d", {}, first);
  r.feed("-NOSCRIPT x\r\n");
  CHECK(r.write().empty());
  r.feed("-NOSCRIPT x\r\n");
  CHECK(r.write() ==
        by_text(first, "b") + by_sha(first, "c") + by_sha(first, "d"));
  // And again, right behind the text.
  r.feed(":1\r\n-NOSCRIPT x\r\n-NOSCRIPT x\r\n");
  r.push("e", {}, first);
  CHECK(r.write() ==
        by_text(first, "c") + by_sha(first, "d") + by_sha(first, "e"));
  r.feed(":1\r\n:1\r\n:1\r\n");
  CHECK(r.order == names{"a", "b", "c", "d", "e"});
}

TEST_CASE("several scripts are taught together, when none is on its way") {
  pipeline_rig r;
  r.push("a", {}, first);
  r.push("b", {}, first);
  r.write();
  r.push("c", {}, second);
  r.push("d");
  // Whatever the server forgets now, c must not overtake a and b.
  CHECK(r.write().empty());
  CHECK(r.feed(":1\r\n"));
  CHECK(r.write().empty());
  CHECK(r.feed(":1\r\n"));
  CHECK(r.write() ==
        lesson({first, second}) + by_sha(second, "c") + wire({"d"}));
  CHECK(r.feed(learnt(2) + ":1\r\n+d\r\n"));
  r.push("e", {}, first);
  r.push("f", {}, second);
  CHECK(r.write() == by_sha(first, "e") + by_sha(second, "f"));
  r.lost();
  r.line.connected("h:1", r.now);
  r.push("g", {}, second);
  CHECK(r.write() == lesson({first, second}) + by_sha(second, "g"));
}

TEST_CASE("scripts that are named beforehand are taught with the first") {
  pipeline_rig r{{.scripts = {first, second}}};
  r.push("plain");
  CHECK(r.write() == wire({"plain"}));
  r.push("a", {}, second);
  r.push("b", {}, first);
  CHECK(r.write() ==
        lesson({first, second}) + by_sha(second, "a") + by_sha(first, "b"));
}

TEST_CASE("NOSCRIPT keeps the order of all scripts that follow") {
  pipeline_rig r{{.scripts = {first, second}}};
  r.push("a", {}, first);
  r.push("b", {}, second);
  r.write();
  CHECK(r.feed(learnt(2) + ":1\r\n:1\r\n"));
  r.push("c", {}, first);
  r.push("d", {}, second);
  r.push("e");
  r.push("f", {}, first);
  r.write();
  r.push("g");
  // SCRIPT FLUSH came between.
  r.feed("-NOSCRIPT No matching script.\r\n");
  CHECK(r.write().empty());  // until the others are answered
  r.feed("-NOSCRIPT No matching script.\r\n");
  r.feed("+e\r\n");
  r.push("h");
  CHECK(r.write().empty());
  r.feed("-NOSCRIPT No matching script.\r\n");
  CHECK(r.write() == lesson({first, second}) + by_sha(first, "c") +
                         by_sha(second, "d") + by_sha(first, "f") +
                         wire({"g"}) + wire({"h"}));
  CHECK(r.feed(learnt(2) + ":1\r\n:1\r\n:1\r\n+g\r\n+h\r\n"));
  CHECK(r.order == names{"a", "b", "e", "c", "d", "f", "g", "h"});
  for (const auto& name : r.order)
    CHECK(r.done(name));
}

TEST_CASE("scripts that went as text one by one are not taken for taught") {
  pipeline_rig r{{.scripts = {first, second}}};
  r.push("a", {}, first);
  r.push("b", {}, second);
  for (int flush = 0; flush < 2; ++flush) {
    r.write();
    CHECK(r.feed(learnt(2) + "-NOSCRIPT x\r\n-NOSCRIPT x\r\n"));
  }
  CHECK(r.write() == by_text(first, "a"));
  CHECK(r.feed(":1\r\n"));
  CHECK(r.write() == by_text(second, "b"));
  // The server may have forgotten the first one in between.
  r.push("c", {}, first);
  r.push("d", {}, second);
  CHECK(r.write().empty());
  CHECK(r.feed(":1\r\n"));
  CHECK(r.write() ==
        lesson({first, second}) + by_sha(first, "c") + by_sha(second, "d"));
}

TEST_CASE("a script that can't be taught goes as text, and then fails") {
  pipeline_rig r{{.scripts = {first, second}}};
  const std::string refused =
      "-NOPERM x\r\n-NOPERM x\r\n-NOPERM x\r\n-ERR EXEC without MULTI\r\n";
  r.push("a", {}, first);
  r.push("b", {}, second);
  for (int i = 0; i < 2; ++i) {
    CHECK(r.write() ==
          lesson({first, second}) + by_sha(first, "a") + by_sha(second, "b"));
    CHECK(r.feed(refused + "-NOSCRIPT x\r\n-NOSCRIPT x\r\n"));
  }
  CHECK(r.write() == by_text(first, "a"));  // nothing behind it
  CHECK(r.feed("+a\r\n"));
  CHECK(r.write() == by_text(second, "b"));
  CHECK(r.feed("-NOSCRIPT x\r\n"));
  CHECK(r.done("a"));
  CHECK(r.code("b") == errc::unavailable);
  CHECK(r.write().empty());
}
