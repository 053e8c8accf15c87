#include "troupe/state.hpp"

#include <array>
#include <chrono>
#include <cstdint>
#include <deque>
#include <limits>
#include <map>
#include <optional>
#include <random>
#include <set>
#include <string>
#include <troupe/bot.hpp>
#include <troupe/test_chat.hpp>
#include <unordered_map>
#include <utility>
#include <variant>
#include <vector>

#include "tests/support/catch.hpp"

namespace {

using namespace std::chrono_literals;
using troupe::from_json;
using troupe::to_json;

enum class colour { red, green };
BOOST_DESCRIBE_ENUM(colour, red, green)

struct item {
  std::string name = "unnamed";
  int price = 7;
  friend bool operator==(const item&, const item&) = default;
};
BOOST_DESCRIBE_STRUCT(item, (), (name, price))

struct base {
  bool old = true;
  friend bool operator==(const base&, const base&) = default;
};
BOOST_DESCRIBE_STRUCT(base, (), (old))

struct everything : base {
  std::string text;
  std::int8_t tiny = 0;
  std::uint64_t huge = 0;
  double real = 0;
  float less = 0;
  colour paint = colour::red;
  std::optional<int> maybe = 5;
  std::vector<item> items;
  std::deque<bool> flags;
  std::vector<bool> bits;
  std::set<std::string> names;
  std::array<int, 2> pair{};
  std::map<std::string, item> by_name;
  std::unordered_map<std::string, int> counts;
  std::chrono::seconds wait{0};
  std::chrono::sys_time<std::chrono::milliseconds> since{};
  boost::json::value free;
  friend bool operator==(const everything&, const everything&) = default;
};
BOOST_DESCRIBE_STRUCT(everything, (base),
                      (text, tiny, huge, real, less, paint, maybe, items, flags,
                       bits, names, pair, by_name, counts, wait, since, free))

struct holder {
  std::vector<item> items;
  std::optional<item> best;
  std::map<std::string, item> by_name;
};
BOOST_DESCRIBE_STRUCT(holder, (), (items, best, by_name))

template <class T>
std::string error_of(const std::string& text) {
  try {
    from_json<T>(text);
  } catch (const std::runtime_error& e) {
    return e.what();
  }
  return "no error";
}

std::string kept(
    const std::string& text, void (*change)(holder&) = [](holder&) {}) {
  auto old = troupe::detail::parse_exact(text);
  auto h = from_json<holder>(text);
  change(h);
  auto fresh = troupe::detail::parse_exact(to_json(h));
  troupe::detail::keep_unknown<holder>(fresh, old);
  std::string out;
  troupe::detail::write_value(out, fresh.as_object()["items"]);
  return out;
}

}  // namespace

TEST_CASE("every kind of member survives JSON") {
  everything x;
  x.old = false;
  x.text = "a\"\\\n\x01\xc3\xa4";
  x.tiny = -128;
  x.huge = std::numeric_limits<std::uint64_t>::max();
  x.real = -0.1;
  x.less = 0.1f;
  x.paint = colour::green;
  x.maybe.reset();
  x.items = {{"milk", 1}, {"bread", -2}};
  x.flags = {true, false};
  x.bits = {false, true};
  x.names = {"b", "a"};
  x.pair = {1, 2};
  x.by_name["k\"ey"] = {"v", 3};
  x.counts = {{"z", 1}, {"a", 2}};
  x.wait = 90s;
  x.since = std::chrono::sys_days{std::chrono::year{2026} / 11 / 24};
  x.free = {{"a", nullptr}, {"b", {1, -2, 0.5, "x", true}}};
  auto text = to_json(x);
  CHECK(from_json<everything>(text) == x);
  CHECK(to_json(from_json<everything>(text)) == text);
  CHECK(text.find(R"("paint":"green","maybe":null)") != text.npos);
  CHECK(text.find(R"("wait":"90s")") != text.npos);
  CHECK(text.find(R"("counts":{"a":2,"z":1})") != text.npos);
}

TEST_CASE("numbers are exact") {
  std::mt19937_64 draw{7};
  for (int i = 0; i < 20'000; ++i) {
    auto x = std::uniform_real_distribution<double>{-1e9, 1e9}(draw);
    REQUIRE(from_json<everything>(R"({"real":)" + to_json(x) + '}').real == x);
  }
  for (double x : {5e-324, 1.7976931348623157e308, 0.0, 1e22, 123456789.125})
    CHECK(from_json<everything>(R"({"real":)" + to_json(x) + '}').real == x);
  CHECK(from_json<everything>(R"({"huge":18446744073709551615})").huge ==
        18446744073709551615u);
}

TEST_CASE("a missing member keeps its default") {
  auto x = from_json<everything>(R"({"items":[{"price":3},{}]})");
  CHECK(x.items == std::vector<item>{{"unnamed", 3}, {"unnamed", 7}});
  CHECK(x.maybe == 5);
  CHECK(x.old);
}

TEST_CASE("a member of the wrong type is an error that names it") {
  CHECK(error_of<everything>(R"({"items":[{},{"price":"3"}]})") ==
        "state.items[1].price must be a whole number, not a string");
  CHECK(error_of<everything>(R"({"by_name":{"x":{"name":1}}})") ==
        "state.by_name.x.name must be a string, not a number");
  CHECK(error_of<everything>(R"({"maybe":{}})") ==
        "state.maybe must be a whole number, not an object");
  CHECK(error_of<everything>(R"({"text":null})") ==
        "state.text must be a string, not null");
  CHECK(error_of<everything>(R"({"old":0})") ==
        "state.old must be a boolean, not a number");
  CHECK(error_of<everything>(R"({"items":{}})") ==
        "state.items must be an array, not an object");
  CHECK(error_of<everything>("[]") == "state must be an object, not an array");
  CHECK(error_of<everything>("{").substr(0, 8) == "not JSON");
  CHECK(error_of<everything>("{} x").substr(0, 8) == "not JSON");
  CHECK(error_of<everything>(R"({"real":1e999})").substr(0, 8) == "not JSON");
}

TEST_CASE("a number out of its range is an error that names it") {
  CHECK(error_of<everything>(R"({"tiny":128})") ==
        "state.tiny is out of range");
  CHECK(error_of<everything>(R"({"tiny":-129})") ==
        "state.tiny is out of range");
  CHECK(error_of<everything>(R"({"huge":-1})") == "state.huge is out of range");
  CHECK(error_of<everything>(R"({"items":[{"price":2147483648}]})") ==
        "state.items[0].price is out of range");
  CHECK(error_of<everything>(R"({"less":1e300})") ==
        "state.less is out of range");
  CHECK(error_of<everything>(R"({"tiny":1.0})") ==
        "state.tiny must be a whole number, not a number");
  CHECK(error_of<everything>(R"({"pair":[1]})") ==
        "state.pair has the wrong number of elements");
}

TEST_CASE("durations carry their unit, so a type may change its own") {
  CHECK(from_json<everything>(R"({"wait":"2min"})").wait == 120s);
  CHECK(from_json<everything>(R"({"wait":"2000000000ns"})").wait == 2s);
  CHECK(from_json<everything>(R"({"wait":"-1d"})").wait == -24h);
  CHECK(error_of<everything>(R"({"wait":"1500ms"})") ==
        "state.wait is finer than its type");
  CHECK(error_of<everything>(R"({"wait":90})") ==
        "state.wait must be a string, not a number");
  CHECK(error_of<everything>(R"({"wait":"90 s"})") ==
        R"(state.wait must be a duration like "90s")");
  CHECK(error_of<everything>(R"({"wait":"9999999999999d"})") ==
        "state.wait is out of range");
}

TEST_CASE("an enumerator nobody knows is an error") {
  CHECK(error_of<everything>(R"({"paint":"blue"})") ==
        R"(state.paint names no enumerator: "blue")");
  everything x;
  x.paint = static_cast<colour>(9);
  CHECK_THROWS_AS(to_json(x), std::runtime_error);
}

TEST_CASE("what JSON can't hold is an error, not a silent change") {
  everything x;
  x.real = std::numeric_limits<double>::quiet_NaN();
  CHECK_THROWS_AS(to_json(x), std::runtime_error);
  x.real = 0;
  x.text = "\xff";
  CHECK_THROWS_AS(to_json(x), std::runtime_error);
  x.text = "\xef\xbf\xbd";
  CHECK(from_json<everything>(to_json(x)).text == x.text);
}

TEST_CASE("unknown members of elements stay with their element") {
  const std::string old =
      R"({"items":[{"name":"a","price":1,"x":1},)"
      R"({"name":"b","price":2,"x":2},{"name":"c","price":3,"x":3}]})";
  CHECK(kept(old) == R"([{"name":"a","price":1,"x":1},)"
                     R"({"name":"b","price":2,"x":2},)"
                     R"({"name":"c","price":3,"x":3}])");
  CHECK(kept(old, [](holder& h) { h.items.erase(h.items.begin()); }) ==
        R"([{"name":"b","price":2,"x":2},{"name":"c","price":3,"x":3}])");
  CHECK(kept(old, [](holder& h) { h.items[1].price = 9; }) ==
        R"([{"name":"a","price":1,"x":1},)"
        R"({"name":"b","price":9,"x":2},)"
        R"({"name":"c","price":3,"x":3}])");
  CHECK(kept(old, [](holder& h) { std::swap(h.items[0], h.items[2]); }) ==
        R"([{"name":"c","price":3,"x":3},)"
        R"({"name":"b","price":2,"x":2},)"
        R"({"name":"a","price":1,"x":1}])");
  CHECK(kept(old,
             [](holder& h) {
               h.items.erase(h.items.begin());
               h.items.push_back({"d", 4});
             }) == R"([{"name":"b","price":2,"x":2},)"
                   R"({"name":"c","price":3,"x":3},)"
                   R"({"name":"d","price":4}])");
}

TEST_CASE("unknown members survive turns and restarts") {
  using namespace troupe;
  auto b = bot<holder>{[](chat<holder>* ctx) -> behavior {
    return {[=](const text_message& m) {
      if (m.text == "clear")
        ctx->clear();
      else
        ctx->state.by_name["k"].name = m.text;
    }};
  }};
  auto live = b.share()->spawn("42", 42);
  const std::string record =
      R"({"v2":{"a":[1]},"best":{"name":"n","price":1,"y":[2]},)"
      R"("by_name":{"k":{"name":"old","price":1,"z":null}}})";
  live->load(record, "", "", 0);
  auto turn = [&](const std::string& text) {
    detail::turn_event e;
    e.body = std::make_shared<const std::string>(
        R"({"update_id":1,"message":{"message_id":1,"date":1,"chat":{"id":42,)"
        R"("type":"private"},"text":")" +
        text + R"("}})");
    auto r = live->run(e, {});
    REQUIRE(r.how == detail::turn_result::end::done);
    return r.wanted.state.value_or("unchanged");
  };
  auto first = turn("new");
  CHECK(first ==
        R"({"items":[],"best":{"name":"n","price":1,"y":[2]},)"
        R"("by_name":{"k":{"name":"new","price":1,"z":null}},"v2":{"a":[1]}})");
  CHECK(turn("new") == "unchanged");
  live->load(first, "", "", 0);
  CHECK(turn("new") == "unchanged");
  CHECK(turn("x").find(R"("z":null)") != std::string::npos);
  CHECK(turn("clear").empty());
  CHECK(turn("x").find("v2") == std::string::npos);
}

TEST_CASE("a bot without state stores none and minds none") {
  using namespace troupe;
  test_chat<std::monostate> c{[](chat<std::monostate>* ctx) -> behavior {
    return {[=](const text_message& m) { ctx->reply(m.text); }};
  }};
  c.text("a");
  CHECK(c.sent().size() == 1);
  CHECK(c.stored_state().empty());
}

TEST_CASE("unknown members keep their order, however often they are written") {
  std::string text = R"({"items":[],"by_name":{},"z":1,"y":2,"x":3})";
  holder h;
  for (int i = 0; i < 3; ++i) {
    auto old = troupe::detail::parse_exact(text);
    auto fresh = troupe::detail::parse_exact(to_json(h));
    troupe::detail::keep_unknown<holder>(fresh, old);
    std::string next;
    troupe::detail::write_value(next, fresh);
    if (i > 0)
      CHECK(next == text);
    text = next;
    CHECK(text.ends_with(R"("z":1,"y":2,"x":3})"));
  }
}

TEST_CASE("a value keeps the kind of its numbers") {
  for (const std::string text :
       {"2.0", "-0.0", "1e+300", "0.5", "2", "18446744073709551615"}) {
    std::string again;
    troupe::detail::write_value(again, troupe::detail::parse_exact(text));
    CHECK(again == text);
  }
}
