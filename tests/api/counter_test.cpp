#include "examples/counter/counter.hpp"

#include <string>
#include <troupe/test_chat.hpp>
#include <vector>

#include "tests/support/catch.hpp"

using namespace troupe;
using lines_t = std::vector<std::string>;

TEST_CASE("the counter numbers every text from 1, commands included") {
  test_chat<counter> c{count};
  c.text("hi");
  c.command("start");
  c.text("text=\"quoted\" \xf0\x9f\x9b\x92\nline");
  CHECK(
      c.sent() ==
      lines_t{"sendMessage: n=1 text=hi", "sendMessage: n=2 text=/start",
              "sendMessage: n=3 text=text=\"quoted\" \xf0\x9f\x9b\x92\nline"});
  CHECK(c.dead_letters().empty());
}

TEST_CASE("the counter goes on after a restart") {
  test_chat<counter> c{count};
  c.text("a");
  CHECK(c.stored_state() == R"({"n":1})");
  c.restart();
  c.text("b");
  CHECK(c.sent().back() == "sendMessage: n=2 text=b");
  CHECK(c.state().n == 2);
}

TEST_CASE("the counter leaves what is no text alone") {
  test_chat<counter> c{count};
  c.update(R"({"message":{"message_id":1,"date":1,"chat":{"id":42,
    "type":"private"},"photo":[]}})");
  CHECK(c.sent().empty());
  CHECK(c.turns() == lines_t{"message unhandled"});
}
