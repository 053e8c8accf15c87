#include "core/json.hpp"

#include <cstdint>
#include <string>

#include "tests/support/catch.hpp"

using namespace troupe;

namespace {

std::string escaped(std::string_view text) {
  std::string out;
  append_json_string(out, text);
  return out;
}

std::string nested(std::size_t depth) {
  return std::string(depth, '[') + std::string(depth, ']');
}

}  // namespace

TEST_CASE("JSON may be nested 100 levels deep, and no deeper") {
  CHECK(parse_json(nested(100)).has_value());
  CHECK_FALSE(parse_json(nested(101)).has_value());
  auto deep = parse_json(nested(100'000));
  REQUIRE_FALSE(deep.has_value());
  CHECK(deep.error().code == errc::bad_input);
}

TEST_CASE("a JSON text is one value and nothing else") {
  CHECK(parse_json(" {\"a\":1} \n").has_value());
  for (auto text : {"", " ", "{", "{}x", "{} {}", "[1,]", "{\"a\":}", "nul",
                    "\"\xff\"", "01"}) {
    INFO(text);
    CHECK_FALSE(parse_json(text).has_value());
  }
}

TEST_CASE("integers keep all their 64 bits") {
  auto most = parse_json("9223372036854775807");
  REQUIRE(most.has_value());
  CHECK(most->as_int64() == INT64_MAX);
  auto least = parse_json("-9223372036854775808");
  REQUIRE(least.has_value());
  CHECK(least->as_int64() == INT64_MIN);
}

TEST_CASE("whatever the bytes, an escaped string is valid JSON") {
  CHECK(escaped("a\"b\\c\n\t\x01") == R"("a\"b\\c\n\u0009\u0001")");
  CHECK(escaped("привет 😀") == "\"привет 😀\"");
  // Overlong, surrogate, beyond Unicode, cut short, stray tail.
  for (std::string_view bad :
       {"\xc0\xaf", "\xe0\x80\xaf", "\xed\xa0\x80", "\xf4\x90\x80\x80",
        "\xf0\x9f\x98", "\x80", "\xff", "\xc3"}) {
    auto text = escaped(bad);
    INFO(text);
    CHECK(text.find("\xef\xbf\xbd") != std::string::npos);
    CHECK(parse_json(text).has_value());
  }
  for (int byte = 0; byte < 256; ++byte) {
    std::string text{'x', static_cast<char>(byte), 'y'};
    INFO(byte);
    auto read = parse_json(escaped(text));
    REQUIRE(read.has_value());
    if (byte < 0x80)
      CHECK(read->as_string() == std::string_view{text});
  }
}
