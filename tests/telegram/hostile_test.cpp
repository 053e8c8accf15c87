#include <chrono>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "telegram/facts.hpp"
#include "telegram/update.hpp"
#include "tests/support/catch.hpp"

using namespace troupe;
using namespace troupe::telegram;

namespace {

std::string with(std::string_view value) {
  return R"({"update_id":1,"message":{"chat":{"id":5},"x":)" +
         std::string{value} + "}}";
}

// Both readers must agree on what is an update.
bool accepted(std::string_view text) {
  auto routed = route(text);
  auto read = read_facts(text);
  CHECK(routed.has_value() == read.has_value());
  if (!routed) {
    CHECK(routed.error().code == errc::bad_input);
    CHECK_FALSE(routed.error().context.empty());
  }
  return routed.has_value();
}

std::string nested(std::size_t depth) {
  return std::string(depth, '[') + std::string(depth, ']');
}

}  // namespace

TEST_CASE("what is not a JSON object is refused") {
  for (auto text : {"",
                    " ",
                    "\n",
                    "[]",
                    "1",
                    "\"x\"",
                    "null",
                    "nul",
                    "{",
                    "}",
                    "{}",
                    "{\"update_id\"}",
                    "{\"update_id\":}",
                    "{\"update_id\":1",
                    "{\"update_id\":1}}",
                    "{\"update_id\":1}{\"update_id\":2}",
                    "{\"update_id\":1} x",
                    "{\"update_id\":1,}",
                    "{,\"update_id\":1}",
                    "{update_id:1}",
                    "{'update_id':1}",
                    "[{\"update_id\":1}]",
                    "{\"update_id\":1]",
                    "\xef\xbb\xbf{\"update_id\":1}",
                    "<html></html>"}) {
    INFO(text);
    CHECK_FALSE(accepted(text));
  }
  CHECK_FALSE(accepted(std::string_view{"{\"update_id\":1}\0", 16}));
}

TEST_CASE("a fault anywhere in the text is found, also where nobody looks") {
  for (auto value : {"01",
                     "+1",
                     "1.",
                     ".5",
                     "1e",
                     "1e+",
                     "-",
                     "1x",
                     "0x1",
                     "NaN",
                     "tru",
                     "trueX",
                     "nulll",
                     "True",
                     "[1,]",
                     "[,1]",
                     "[1 2]",
                     "[1",
                     "1]",
                     "{\"a\"}",
                     "{\"a\":1,}",
                     "{\"a\" 1}",
                     "{1:2}",
                     "{\"a\":1 \"b\":2}",
                     "[1}",
                     "{]",
                     R"("\x")",
                     R"("\u12g4")",
                     R"("\u12")",
                     R"("\")",
                     "\"\t\"",
                     "\"a\nb\"",
                     R"("a" "b")",
                     R"("a"b)",
                     R"({"\q":1})",
                     R"([[[{"a":[tru]}]]])",
                     "",
                     "'a'",
                     "[1]]",
                     R"("a":1)",
                     R"("a":[]},"y":{"b":1})",
                     R"(1:[]},"y":{"b":1})",
                     R"([]:[]},"y":{"b":1})",
                     R"(["a":[]],"y":[{"b":1}])"}) {
    INFO(value);
    CHECK_FALSE(accepted(with(value)));
  }
  for (auto value :
       {"0", "-0", "1.5e-7", "1E+2", "true", "false", "null", "[]", "{}",
        "[ 1 , [ ] , { } ]", R"("\"\\\/\b\f\n\r\t\u00e9")", "\"\x7f\"",
        "\"привет 😀\"", "[[],[[]]]", "123456789012345678901234567890",
        R"({"a":{"b":[1,{"c":null}]}})", R"("")", R"({"":""})"}) {
    INFO(value);
    CHECK(accepted(with(value)));
  }
}

TEST_CASE("every cut of an update is refused") {
  const std::string whole =
      R"({"update_id":7,"message":{"chat":{"id":5,"type":"private"},"text":"h\u00e9y \"you\"","entities":[{"offset":0,"length":2}],"ok":true}})";
  REQUIRE(accepted(whole));
  for (std::size_t n = 0; n < whole.size(); ++n) {
    INFO(n);
    CHECK_FALSE(accepted(std::string_view{whole}.substr(0, n)));
  }
}

TEST_CASE("updates may be nested 100 levels deep, and no deeper") {
  // The update and its message are two of them.
  CHECK(accepted(with(nested(98))));
  CHECK_FALSE(accepted(with(nested(99))));
  CHECK_FALSE(accepted(with(nested(100'000))));
  CHECK_FALSE(accepted(nested(100'000)));
  CHECK_FALSE(accepted(std::string(100'000, '[')));
  std::string objects = "{\"update_id\":1";
  for (int i = 0; i < 100'000; ++i)
    objects += ",\"message\":{\"chat\":{\"id\":1}";
  CHECK_FALSE(accepted(objects));
  std::string deep;
  for (int i = 0; i < 101; ++i)
    deep += "{\"a\":";
  CHECK_FALSE(accepted(with(deep + "1" + std::string(101, '}'))));
}

TEST_CASE("invalid UTF-8 is refused wherever it stands") {
  for (std::string_view bad :
       {"\xff", "\x80", "\xc0\xaf", "\xc3", "\xe0\x80\xaf", "\xed\xa0\x80",
        "\xf4\x90\x80\x80", "\xf0\x9f\x98"}) {
    CHECK_FALSE(accepted(with("\"" + std::string{bad} + "\"")));
    CHECK_FALSE(accepted(with("{\"" + std::string{bad} + "\":1}")));
    CHECK_FALSE(accepted(with("1") + std::string{bad}));
  }
}

TEST_CASE("lone surrogates are JSON and become U+FFFD") {
  for (auto text : {R"("\ud800")", R"("\udc00")", R"("\ud83d\u0041")",
                    R"("\ud83dx")", R"("\ude00\ud83d")"})
    CHECK(accepted(with(text)));
  auto read = read_facts(
      R"({"update_id":1,"message":{"text":"a\ud83d\ude00b\ud83dc\ude00"}})");
  REQUIRE(read.has_value());
  CHECK(read->text ==
        "a😀b\xef\xbf\xbd"
        "c\xef\xbf\xbd");
}

TEST_CASE("an update of 10 MB is read whole, in bounded time") {
  std::string big = R"({"update_id":1,"message":{"chat":{"id":5},"text":")" +
                    std::string(10'000'000, 'x') + R"("}})";
  CHECK(accepted(big));
  auto read = read_facts(big);
  REQUIRE(read.has_value());
  CHECK(read->text.size() == 10'000'000);
  big[big.size() - 100] = '\xff';
  CHECK_FALSE(accepted(big));

  std::string many = R"({"update_id":1,"message":{"chat":{"id":5},"x":[0)";
  for (int i = 0; i < 2'500'000; ++i)
    many += ",1,2";
  CHECK(accepted(many + "]}}"));
  CHECK_FALSE(accepted(many + ",x]}}"));
  // After a large text small ones are read as ever.
  CHECK(accepted(with("1")));
}

TEST_CASE("a text may end at the last byte of its memory") {
  for (std::size_t pad = 0; pad < 200; ++pad) {
    auto text = with("\"" + std::string(pad, 'x') + "\"");
    std::vector<char> exact(text.begin(), text.end());
    exact.shrink_to_fit();
    CHECK(accepted({exact.data(), exact.size()}));
  }
}

TEST_CASE("threads read updates at the same time") {
  std::vector<std::thread> threads;
  std::vector<int> wrong(4, 0);
  for (int t = 0; t < 4; ++t)
    threads.emplace_back([t, &wrong] {
      auto text = R"({"update_id":1,"message":{"chat":{"id":)" +
                  std::to_string(t + 1) + R"(},"text":"hello"}})";
      for (int i = 0; i < 2000; ++i) {
        auto where = route(text);
        if (!where || where->key != chat_key::chat(t + 1))
          ++wrong[static_cast<std::size_t>(t)];
      }
    });
  for (auto& thread : threads)
    thread.join();
  CHECK(wrong == std::vector<int>(4, 0));
}
