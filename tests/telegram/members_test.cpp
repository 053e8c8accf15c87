#include "telegram/members.hpp"

#include "tests/support/catch.hpp"

using troupe::telegram::members;

TEST_CASE("members: strings come unescaped, the rest as raw JSON") {
  members m;
  REQUIRE(m.read(R"({"text":"a\n\u00e4\"", "chat_id": -1001 ,
                     "markup":{"a":[1, {"b":"}"}]},"list":[1,2],
                     "yes":true ,"none":null,"real":1.5})"));
  CHECK(m.size() == 7);
  CHECK(m.text("text") == "a\n\xc3\xa4\"");
  CHECK(m.find("text")->is_string);
  CHECK(m.number("chat_id") == -1001);
  CHECK_FALSE(m.find("chat_id")->is_string);
  CHECK(m.text("markup") == R"({"a":[1, {"b":"}"}]})");
  CHECK(m.text("list") == "[1,2]");
  CHECK(m.text("yes") == "true");
  CHECK(m.text("none") == "null");
  CHECK(m.text("real") == "1.5");
}

TEST_CASE("members: numbers keep all 64 bits, and what is none is absent") {
  members m;
  REQUIRE(m.read(R"({"big":9223372036854775807,"low":-9223372036854775808,
                     "digits":"42","word":"x","real":1.5})"));
  CHECK(m.number("big") == INT64_MAX);
  CHECK(m.number("low") == INT64_MIN);
  CHECK(m.number("digits") == 42);
  CHECK(m.number("word", -7) == -7);
  CHECK(m.number("real", -7) == -7);
  CHECK(m.number("absent", -7) == -7);
}

TEST_CASE("members: what stands in front of a fault is kept") {
  members m;
  CHECK_FALSE(m.read(R"({"a":1,"b":2,"c":})"));
  CHECK(m.number("a") == 1);
  CHECK(m.number("b") == 2);
  CHECK(m.find("c") == nullptr);
}

TEST_CASE("members: what is not one object is refused") {
  members m;
  for (auto text :
       {"", " ", "[]", "1", "\"x\"", "{", "}", "{]", "null", "{\"a\":1} x",
        "{\"a\":1}{", "{\"a\" 1}", "{\"a\":tru}", "{\"a\":1x}"}) {
    INFO(text);
    CHECK_FALSE(m.read(text));
  }
}

TEST_CASE("members: a reader can be used again and again") {
  members m;
  REQUIRE(m.read(R"({"a":"one"})"));
  REQUIRE(m.read("{}"));
  CHECK(m.size() == 0);
  CHECK(m.find("a") == nullptr);
  std::string large = "{\"a\":\"" + std::string(100'000, 'x') + "\"}";
  REQUIRE(m.read(large));
  CHECK(m.text("a").size() == 100'000);
}
