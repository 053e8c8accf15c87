#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <filesystem>
#include <iostream>
#include <map>
#include <optional>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include "tests/support/catch.hpp"
#include "tests/system/stage.hpp"

using namespace troupe;
using namespace troupe::system_test;

namespace {

/// A collector that refuses what is not OTLP (tests/support/otlp_collector).
class collector {
 public:
  collector() {
    launch what;
    what.program = TROUPE_SOURCE_DIR "/tests/support/otlp_collector";
    what.args = {"--header", "api-key=hush-hush"};
    what.folder = folder_.path();
    what.output = "collector";
    runs_ = std::make_unique<process>(what);
    const bool listens = eventually([&] {
      return runs_->out().find('\n') != std::string::npos || !runs_->running();
    });
    INFO(runs_->err());
    REQUIRE(listens);
    const std::string at{object(runs_->out()).at("listening").as_string()};
    port_ = static_cast<std::uint16_t>(std::stoi(at.substr(at.rfind(':') + 1)));
  }
  ~collector() { runs_->signal(SIGKILL); }

  stage::environment settings() const {
    return {{"TROUPE_TRACING_ENDPOINT",
             "http://127.0.0.1:" + std::to_string(port_)},
            {"TROUPE_TRACING_HEADERS", "api-key=hush%2Dhush"},
            {"TROUPE_LIMITS_CHAT_PER_SECOND", "0"}};
  }
  json::array get(const std::string& path) const {
    const auto got = ask(port_, "GET", path);
    REQUIRE(got.status == 200);
    return parse_json(got.body).value().as_array();
  }
  reply post(const std::string& path, const std::string& body) const {
    return ask(
        port_, "POST", path, body,
        {{"Content-Type", "application/json"}, {"api-key", "hush-hush"}});
  }
  std::size_t spans_named(const std::string& name) const {
    const auto all = get("/spans");
    return std::size_t(std::count_if(all.begin(), all.end(), [&](auto& s) {
      return std::string{s.at("name").as_string()} == name;
    }));
  }

 private:
  scratch folder_;
  std::unique_ptr<process> runs_;
  std::uint16_t port_ = 0;
};

/// Nothing, after a SKIPPED line, if this machine has none.
std::optional<collector> a_collector() {
  launch what;
  scratch folder;
  what.program = "/usr/bin/python3";
  what.args = {"-c", "import jsonschema"};
  what.folder = folder.path();
  what.output = "python";
  if (::access(what.program.c_str(), X_OK) != 0 || finish(what).code != 0) {
    std::cout << "SKIPPED: python3-jsonschema is not installed" << std::endl;
    return std::nullopt;
  }
  return std::optional<collector>{std::in_place};
}

/// Lines of the log that tell of that event.
std::vector<json::object> lines_of(const std::string& log,
                                   const std::string& event) {
  std::vector<json::object> out;
  std::istringstream in{log};
  for (std::string line; std::getline(in, line);) {
    const auto parsed = parse_json(line);
    if (!parsed || !parsed->is_object())
      continue;
    const auto* at = parsed->as_object().if_contains("event");
    if (at != nullptr && at->is_string() && at->as_string() == event)
      out.push_back(parsed->as_object());
  }
  return out;
}

std::string text_in(const json::object& line, const std::string& name) {
  const auto* at = line.if_contains(name);
  return at != nullptr && at->is_string() ? std::string{at->as_string()}
                                          : std::string{};
}

/// By trace, then by span: its name.
using traces = std::map<std::string, std::map<std::string, std::string>>;

traces by_trace(const json::array& spans) {
  traces out;
  for (auto& s : spans)
    out[std::string{s.at("traceId").as_string()}]
       [std::string{s.at("spanId").as_string()}] =
           std::string{s.at("name").as_string()};
  return out;
}

std::multiset<std::string> names_in(const traces& all,
                                    const std::string& trace) {
  std::multiset<std::string> out;
  if (const auto at = all.find(trace); at != all.end())
    for (auto& [id, name] : at->second)
      out.insert(name);
  return out;
}

}  // namespace

TEST_CASE(
    "a trace in the log leads to all spans of its update, and the "
    "collector finds nothing wrong with them") {
  const auto at = a_collector();
  if (!at)
    return;
  stage on{{"--chat-per-second", "0", "--drop-answers", "0.4"}, at->settings()};
  on.start_bot();
  constexpr std::size_t updates = 12;
  for (std::int64_t n = 1; n <= std::int64_t{updates}; ++n)
    on.write(n, "my very words");
  REQUIRE(eventually([&] {
    return on.idle() && at->spans_named("turn") == updates &&
           at->spans_named("call sendMessage") == updates;
  }));
  on.stop();

  const auto faults = at->get("/faults");
  INFO(json::serialize(faults));
  CHECK(faults.empty());
  const auto spans = at->get("/spans");
  const auto text = json::serialize(spans);
  for (const std::string& hidden :
       {std::string{"my very words"}, token, token.substr(7), secret,
        std::string{"hush-hush"}})
    CHECK_FALSE(has(text, hidden));
  const auto all = by_trace(spans);
  const auto log = on.bot().err();
  const auto turns = lines_of(log, "turn");
  CHECK(turns.size() == updates);
  std::set<std::string> seen;
  for (auto& line : turns) {
    const auto trace = text_in(line, "trace");
    INFO(json::serialize(line));
    CHECK(seen.insert(trace).second);
    REQUIRE(all.count(trace) == 1);
    CHECK(all.at(trace).at(text_in(line, "span")) == "turn");
    const auto names = names_in(all, trace);
    for (const char* name : {"POST /webhook", "wait", "turn", "handler",
                             "commit", "call sendMessage", "limits"})
      CHECK(names.count(name) == 1);
    CHECK(names.count("POST /bot{token}/sendMessage") >= 1);
  }
  CHECK(all.size() == updates);
  // Calls without an answer: of these, too.
  const auto calls = lines_of(log, "call_unanswered");
  CHECK_FALSE(calls.empty());
  for (auto& line : calls)
    CHECK(all.at(text_in(line, "trace")).at(text_in(line, "span")) ==
          "POST /bot{token}/sendMessage");
}

TEST_CASE(
    "an update that a killed bot did not get done is turned in the same "
    "trace") {
  const auto at = a_collector();
  if (!at)
    return;
  auto with = at->settings();
  with["TROUPE_TURN_ATTEMPTS"] = "100";
  with["TROUPE_TURN_BACKOFF_MS"] = "1";
  with["TROUPE_NODE_NAME"] = "first";
  stage on{{"--chat-per-second", "0"}, with, "poison_bot"};
  on.settings()["POISON_HOLD"] = on.folder().write("hold", "");
  on.start_bot();
  on.write(1, "poison");
  // Killed when the collector has got what it tried.
  REQUIRE(eventually([&] { return at->spans_named("handler") >= 1; }));
  on.bot().signal(SIGKILL);
  on.bot().wait();
  const auto before = lines_of(on.bot().err(), "turn_threw");
  REQUIRE_FALSE(before.empty());
  const auto trace = text_in(before[0], "trace");
  CHECK(trace.size() == 32);

  std::filesystem::remove(on.folder() / "hold");
  on.settings()["TROUPE_NODE_NAME"] = "second";
  on.start_bot();
  REQUIRE(eventually([&] {
    return on.idle() && at->spans_named("turn") == 1 &&
           at->spans_named("call sendMessage") == 1;
  }));
  on.stop();
  const auto faults = at->get("/faults");
  INFO(json::serialize(faults));
  CHECK(faults.empty());
  std::map<std::string, std::set<std::string>> nodes;
  for (auto& s : at->get("/spans")) {
    CHECK(std::string{s.at("traceId").as_string()} == trace);
    nodes[std::string{s.at("name").as_string()}].insert(
        std::string{s.at("resource").at("service.instance.id").as_string()});
  }
  CHECK(nodes["POST /webhook"] == std::set<std::string>{"first"});
  CHECK(nodes["handler"] == std::set<std::string>{"first", "second"});
  CHECK(nodes["turn"] == std::set<std::string>{"second"});
  CHECK(nodes["call sendMessage"] == std::set<std::string>{"second"});
}

TEST_CASE("a sample of nothing exports nothing; the log has traces anyway") {
  const auto at = a_collector();
  if (!at)
    return;
  auto with = at->settings();
  with["TROUPE_TRACING_SAMPLE"] = "0";
  stage on{{"--chat-per-second", "0"}, with};
  on.start_bot();
  for (std::int64_t n = 1; n <= 3; ++n)
    on.write(n, "t");
  REQUIRE(eventually([&] { return on.idle(); }));
  const auto page = ask(on.stats_port(), "GET", "/metrics").body;
  CHECK(has(page, "troupe_spans_exported_total 0\n"));
  CHECK(has(page, "troupe_spans_dropped_total{reason=\"full\"} 0\n"));
  on.stop();
  CHECK(at->get("/spans").empty());
  const auto turns = lines_of(on.bot().err(), "turn");
  CHECK(turns.size() == 3);
  for (auto& line : turns) {
    CHECK(text_in(line, "trace").size() == 32);
    CHECK(text_in(line, "span").empty());
  }
}

// The judge of the tests above can say no.
TEST_CASE("the collector refuses what is not OTLP") {
  const auto at = a_collector();
  if (!at)
    return;
  const auto body = [](std::string from = {}, const std::string& to = {}) {
    std::string text =
        R"({"resourceSpans":[{"resource":{"attributes":[)"
        R"({"key":"service.name","value":{"stringValue":"a"}},)"
        R"({"key":"telemetry.sdk.name","value":{"stringValue":"a"}},)"
        R"({"key":"telemetry.sdk.language","value":{"stringValue":"cpp"}},)"
        R"({"key":"telemetry.sdk.version","value":{"stringValue":"1"}}]},)"
        R"("scopeSpans":[{"scope":{"name":"troupe"},"spans":[{)"
        R"("traceId":"0123456789abcdeffedcba9876543210",)"
        R"("spanId":"1122334455667788","name":"n","kind":1,)"
        R"("startTimeUnixNano":"1700000000123456789",)"
        R"("endTimeUnixNano":"1700000000123456790",)"
        R"("attributes":[{"key":"n","value":{"intValue":"5"}}],)"
        R"("status":{}}]}]}]})";
    if (!from.empty()) {
      const auto where = text.find(from);
      REQUIRE(where != std::string::npos);
      text.replace(where, from.size(), to);
    }
    return text;
  };
  CHECK(at->post("/v1/traces", body()).status == 200);
  const std::vector<std::pair<std::string, std::string>> wrong{
      {"0123456789abcdeffedcba9876543210", std::string(32, '0')},
      {"0123456789abcdef", "0123456789ABCDEF"},
      {"1122334455667788", std::string(16, '0')},
      {"1122334455667788", "1122"},
      {R"("kind":1)", R"("kind":"SPAN_KIND_INTERNAL")"},
      {R"("kind":1)", R"("kind":0)"},
      {R"("1700000000123456789")", "1700000000123456789"},
      {"1700000000123456790", "1700000000123456788"},  // ends before
      {R"("intValue":"5")", R"("intValue":5)"},
      {R"({"intValue":"5"})", R"("5")"},
      {R"("status":{})", R"("status":{"code":2})"},  // without error.type
      {R"("status":{})", R"("status":{},"colour":"red")"},
      {"telemetry.sdk.name", "telemetry.sdk.nome"},
      {"}", ""},
  };
  for (auto& [from, to] : wrong) {
    INFO(from << " -> " << to);
    CHECK(at->post("/v1/traces", body(from, to)).status == 400);
  }
  CHECK(at->get("/spans").size() == 1);
  CHECK(at->get("/faults").size() >= wrong.size() - 1);
  // A second one of the same id, whose parent nobody knows.
  const auto orphan =
      body(R"("name":"n")", R"("parentSpanId":"9922334455667788","name":"o")");
  const auto before = at->get("/faults").size();
  CHECK(at->post("/v1/traces", orphan).status == 200);
  CHECK(at->get("/faults").size() == before + 2);
}
