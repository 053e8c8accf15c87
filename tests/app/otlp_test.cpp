#include "app/otlp.hpp"

#include <limits>
#include <string>

#include "core/json.hpp"
#include "core/log.hpp"
#include "tests/support/catch.hpp"

using namespace troupe;
using namespace troupe::app;

namespace {

const otlp_resource shop{"shopbot", "node-1", "1.2.3"};

tracing::span example() {
  tracing::span s;
  s.trace = {0x0123456789abcdef, 0xfedcba9876543210};
  s.id = {0x1122334455667788};
  s.name = "turn";
  s.start_ns = 1'700'000'000'123'456'789;
  s.end_ns = 1'700'000'000'123'456'790;
  return s;
}

json::object only_span(const tracing::span& s) {
  const auto all = parse_json(encode_otlp(shop, {&s, 1})).value();
  const auto& of = all.at("resourceSpans").as_array().at(0);
  const auto& scope = of.at("scopeSpans").as_array().at(0);
  CHECK(scope.at("scope") ==
        json::value{{"name", "troupe"}, {"version", "1.2.3"}});
  return scope.at("spans").as_array().at(0).as_object();
}

}  // namespace

TEST_CASE("a span is written as OTLP's JSON has it") {
  auto s = example();
  s.parent = {1};
  s.kind = tracing::span_kind::client;
  s.failed = true;
  s.error = "no \"answer\"";
  s.with = {{"text", "x"}, {"n", std::int64_t{-5}}, {"yes", true}};
  s.moments.push_back({s.end_ns, "exception", {{"exception.type", "y"}}});
  s.links.push_back({{1, 2}, {3}});
  CHECK(json::value(only_span(s)) == parse_json(R"({
    "traceId": "0123456789abcdeffedcba9876543210",
    "spanId": "1122334455667788",
    "parentSpanId": "0000000000000001",
    "flags": 1,
    "name": "turn",
    "kind": 3,
    "startTimeUnixNano": "1700000000123456789",
    "endTimeUnixNano": "1700000000123456790",
    "attributes": [
      {"key": "text", "value": {"stringValue": "x"}},
      {"key": "n", "value": {"intValue": "-5"}},
      {"key": "yes", "value": {"boolValue": true}}],
    "events": [{"timeUnixNano": "1700000000123456790", "name": "exception",
      "attributes": [{"key": "exception.type", "value": {"stringValue": "y"}}]
    }],
    "links": [{"traceId": "00000000000000010000000000000002",
      "spanId": "0000000000000003"}],
    "status": {"code": 2, "message": "no \"answer\""}
  })")
                                         .value());
}

TEST_CASE("a root has no parent, and what did not fail no status") {
  const auto got = only_span(example());
  CHECK(got.if_contains("parentSpanId") == nullptr);
  CHECK(got.if_contains("events") == nullptr);
  CHECK(got.if_contains("links") == nullptr);
  CHECK(got.at("status") == json::object{});
}

TEST_CASE("G12: a secret in a text is masked, also where it would be cut") {
  log::add_secret("otlp-test-secret");
  auto s = example();
  s.failed = true;
  s.name = "call otlp-test-secret";
  s.error = std::string(1'015, 'x') + "otlp-test-secret";
  s.with = {{"text", "/bototlp-test-secret/sendMessage"}};
  const auto text = encode_otlp(shop, {&s, 1});
  CHECK(text.find("otlp-test") == std::string::npos);
  CHECK(text.find("call ***") != std::string::npos);
  CHECK(text.find("/bot***/sendMessage") != std::string::npos);
}

TEST_CASE("texts are cut, and are UTF-8 whatever they hold") {
  auto s = example();
  s.failed = true;
  s.error = std::string(1'023, 'x') + "\xc3\xa4\xc3\xa4";
  s.with = {{"text", std::string(1'000'000, 'y')}};
  const auto text = encode_otlp(shop, {&s, 1});
  CHECK(text.size() < 4'000);
  const auto got = only_span(s);  // parsed, so it is valid
  const auto& why = got.at("status").at("message").as_string();
  CHECK(why.starts_with(std::string(1'023, 'x')));
}

TEST_CASE("what a collector did not take is read from its answer") {
  CHECK(read_otlp_answer("{}").spans == 0);
  CHECK(read_otlp_answer("").spans == 0);
  CHECK(read_otlp_answer("[1]").spans == 0);
  CHECK(read_otlp_answer(R"({"partialSuccess":{}})").spans == 0);
  CHECK(read_otlp_answer(R"({"partialSuccess":7})").spans == 0);
  const auto got = read_otlp_answer(
      R"({"partialSuccess":{"rejectedSpans":"3","errorMessage":"too old"}})");
  CHECK(got.spans == 3);
  CHECK(got.why == "too old");
  CHECK(read_otlp_answer(R"({"partialSuccess":{"rejectedSpans":2}})").spans ==
        2);
}

TEST_CASE(
    "the collector's headers are read, and wrong ones are told without "
    "their value") {
  using pairs = std::vector<std::pair<std::string, std::string>>;
  CHECK(read_otlp_headers("").value().empty());
  CHECK(read_otlp_headers("api-key=a=b").value() == pairs{{"api-key", "a=b"}});
  CHECK(read_otlp_headers(" authorization = Bearer%20x%2Cy , b=c,").value() ==
        pairs{{"authorization", "Bearer x,y"}, {"b", "c"}});
  for (const char* wrong :
       {"hush-hush", "=hush-hush", "a b=hush-hush", "a=hush-hush%2",
        "a=hush-hush%0d%0ax", "a:b=hush-hush", "a="}) {
    INFO(wrong);
    const auto got = read_otlp_headers(wrong);
    REQUIRE(got.has_error());
    CHECK(got.error().context.find("hush") == std::string::npos);
  }
}
