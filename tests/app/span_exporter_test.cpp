#include "app/span_exporter.hpp"

#include <atomic>
#include <functional>
#include <future>
#include <map>
#include <thread>

#include "core/json.hpp"
#include "http/server.hpp"
#include "tests/app/running.hpp"

using namespace troupe;
using namespace troupe::app;
using namespace troupe::app::test;

namespace {

/// A collector that answers as told, in a thread of its own.
class collector {
 public:
  using script = std::function<std::optional<http::response>(int nth)>;

  explicit collector(script s = [](int) { return http::response{}; })
      : script_{std::move(s)},
        server_{http::server::listen(
                    loop_, {},
                    [this](http::request&& r, http::responder answer) {
                      take(std::move(r), std::move(answer));
                    })
                    .value()} {}
  ~collector() {
    {
      const std::lock_guard guard{lock_};
      held_.clear();
    }
    server_->close();
    loop_.stop();
  }

  exporter_options options() const {
    exporter_options how;
    how.to.host = "127.0.0.1";
    how.to.port = server_->port();
    how.resource = {"shopbot", "node-1", "1.2.3"};
    how.linger = 10ms;
    how.retry_first = 10ms;
    how.retry_most = 50ms;
    return how;
  }
  std::vector<http::request> requests() const {
    const std::lock_guard guard{lock_};
    return requests_;
  }
  /// How often each name of a span was in a request that was answered 200.
  std::map<std::string, int> taken() const {
    const std::lock_guard guard{lock_};
    return taken_;
  }

 private:
  void take(http::request&& r, http::responder answer) {
    int nth = 0;
    {
      const std::lock_guard guard{lock_};
      requests_.push_back(r);
      nth = int(requests_.size());
    }
    auto how = script_(nth);
    if (!how) {
      const std::lock_guard guard{lock_};
      held_.push_back(std::move(answer));  // for ever
      return;
    }
    if (how->status == 200) {
      const auto all = parse_json(r.body).value();
      const std::lock_guard guard{lock_};
      for (auto& s : all.at("resourceSpans")
                         .as_array()
                         .at(0)
                         .at("scopeSpans")
                         .as_array()
                         .at(0)
                         .at("spans")
                         .as_array())
        ++taken_[std::string{s.at("name").as_string()}];
    }
    answer(std::move(*how));
  }

  mutable std::mutex lock_;
  script script_;
  std::vector<http::request> requests_;
  std::vector<http::responder> held_;
  std::map<std::string, int> taken_;
  net::loop loop_;
  std::unique_ptr<http::server> server_;
};

tracing::span named(const std::string& name) {
  tracing::span s;
  s.trace = {1, 2};
  s.id = tracing::new_span();
  s.name = name;
  return s;
}

http::response status(unsigned code) {
  http::response r;
  r.status = code;
  return r;
}

struct counts {
  explicit counts(metrics::registry& in) : of{in} {}
  std::uint64_t dropped() const {
    return of.full.value() + of.refused.value() + of.unreachable.value();
  }
  span_meters of;
};

}  // namespace

TEST_CASE("spans arrive once, in batches, with the bot's name and headers") {
  collector at;
  metrics::registry metrics;
  const counts count{metrics};
  auto how = at.options();
  how.batch = 10;
  how.headers = {{"api-key", "hush"}};
  auto spans = span_exporter::make(how, metrics).value();
  spans->rename("@shop");
  for (int i = 0; i < 95; ++i)
    spans->take(named("s" + std::to_string(i)));
  REQUIRE(eventually([&] { return count.of.exported.value() == 95; }));
  CHECK(at.taken().size() == 95);
  for (auto& [name, times] : at.taken())
    CHECK(times == 1);
  CHECK(at.requests().size() >= 10);
  for (auto& r : at.requests()) {
    CHECK(r.method == "POST");
    CHECK(r.target == "/v1/traces");
    CHECK(r.headers.find("Content-Type") == "application/json");
    CHECK(r.headers.find("api-key") == "hush");
    CHECK(
        has(r.body, R"({"key":"service.name","value":{"stringValue":"@shop)"));
  }
  CHECK(count.dropped() == 0);
}

TEST_CASE("a collector that says later gets the same batch again, in time") {
  for (const unsigned code : {429U, 502U, 503U, 504U}) {
    INFO(code);
    std::atomic<std::int64_t> first{0};
    std::atomic<std::int64_t> second{0};
    collector at{[&](int nth) {
      (nth == 1 ? first : second) = mono_now().time_since_epoch().count();
      auto r = status(nth == 1 ? code : 200);
      if (nth == 1)
        r.headers.add("Retry-After", "1");
      return std::optional{r};
    }};
    metrics::registry metrics;
    const counts count{metrics};
    auto spans = span_exporter::make(at.options(), metrics).value();
    spans->take(named("a"));
    REQUIRE(eventually([&] { return count.of.exported.value() == 1; }));
    CHECK(at.requests().size() == 2);
    CHECK(at.requests()[0].body == at.requests()[1].body);
    CHECK(mono_time::duration{second - first} >= 900ms);
    CHECK(count.dropped() == 0);
  }
}

TEST_CASE(
    "what a collector refuses is dropped and counted, and the next is "
    "sent") {
  collector at{[](int nth) {
    auto r = status(nth == 1 ? 400 : 200);
    if (nth == 2)
      r.body = R"({"partialSuccess":{"rejectedSpans":"1"}})";
    return std::optional{r};
  }};
  metrics::registry metrics;
  const counts count{metrics};
  auto spans = span_exporter::make(at.options(), metrics).value();
  spans->take(named("a"));
  REQUIRE(eventually([&] { return count.of.refused.value() == 1; }));
  spans->take(named("b"));
  REQUIRE(eventually([&] { return count.of.refused.value() == 2; }));
  CHECK(count.of.exported.value() == 0);
  spans->take(named("c"));
  REQUIRE(eventually([&] { return count.of.exported.value() == 1; }));
  CHECK(count.dropped() == 2);
}

TEST_CASE(
    "a collector that hangs costs no memory beyond the bound, and nobody "
    "waits") {
  collector at{[](int) { return std::nullopt; }};
  metrics::registry metrics;
  const counts count{metrics};
  auto how = at.options();
  how.batch = 10;
  how.most_waiting = 50;
  how.timeout = 1h;
  auto spans = span_exporter::make(how, metrics).value();
  spans->take(named("first"));
  REQUIRE(eventually([&] { return at.requests().size() == 1; }));
  for (int i = 0; i < 1'000; ++i)
    spans->take(named("x"));
  CHECK(count.of.full.value() == 950);
  const auto before = mono_now();
  spans->close(50ms);
  CHECK(mono_now() - before < 10min);
  CHECK(count.of.exported.value() == 0);
  CHECK(count.dropped() == 1'001);
  CHECK(at.requests().size() == 1);
}

TEST_CASE("a collector that is not there is tried until a batch is too old") {
  metrics::registry metrics;
  const counts count{metrics};
  exporter_options how;
  {
    collector gone;
    how = gone.options();
  }
  how.give_up = 200ms;
  auto spans = span_exporter::make(how, metrics).value();
  spans->take(named("a"));
  REQUIRE(eventually([&] { return count.of.unreachable.value() == 1; }));
  CHECK(count.of.exported.value() == 0);
}

TEST_CASE("what waits is sent before the end, also what waits for its retry") {
  std::atomic<bool> well{false};
  collector at{[&](int) { return std::optional{status(well ? 200 : 503)}; }};
  metrics::registry metrics;
  const counts count{metrics};
  auto how = at.options();
  how.linger = 1h;
  how.batch = 2;
  how.retry_first = 1h;
  how.retry_most = 1h;
  how.give_up = 10h;
  auto spans = span_exporter::make(how, metrics).value();
  for (const char* name : {"a", "b", "c", "d", "e"})
    spans->take(named(name));
  REQUIRE(eventually([&] { return at.requests().size() == 1; }));
  // Its answer may still be on its way: then the retry is the next batch's.
  well = true;
  spans->close(60s);
  CHECK(count.of.exported.value() + count.of.unreachable.value() == 5);
  CHECK(count.of.exported.value() >= 3);
  spans->take(named("late"));
  CHECK(count.of.full.value() == 1);
}

TEST_CASE("many threads hand spans over, and none is lost or doubled") {
  collector at;
  metrics::registry metrics;
  const counts count{metrics};
  auto how = at.options();
  how.batch = 64;
  how.most_waiting = 100'000;
  auto spans = span_exporter::make(how, metrics).value();
  std::vector<std::thread> all;
  for (int t = 0; t < 4; ++t)
    all.emplace_back([&, t] {
      for (int i = 0; i < 500; ++i)
        spans->take(named(std::to_string(t) + "." + std::to_string(i)));
    });
  for (auto& t : all)
    t.join();
  spans->close(60s);
  CHECK(count.of.exported.value() == 2'000);
  CHECK(at.taken().size() == 2'000);
  CHECK(count.dropped() == 0);
}

TEST_CASE("a bot answers, and stops at once, whatever its collector does") {
  for (const bool hangs : {true, false}) {
    INFO(hangs);
    auto at =
        std::make_unique<collector>([&](int) -> std::optional<http::response> {
          if (hangs)
            return std::nullopt;
          return status(503);
        });
    const auto port = at->options().to.port;
    if (!hangs)
      at.reset();  // nobody listens
    stage s;
    auto with = s.environment();
    with["TROUPE_TRACING_ENDPOINT"] = "http://" + stage::address(port);
    running_bot bot{with};
    REQUIRE(eventually([&] { return s.get("/readyz") == 200; }));
    for (int id = 1; id <= 20; ++id)
      CHECK(s.post(id, 7, "hi") == 200);
    CHECK(eventually([&] { return s.telegram.count("sendMessage") == 20; }));
    CHECK(bot.stop() == 0);
  }
}
