#include "core/metrics.hpp"

#include <cmath>
#include <limits>
#include <string>
#include <thread>
#include <vector>

#include "tests/support/catch.hpp"

using namespace troupe::metrics;

namespace {

bool holds(const std::string& text, const std::string& line) {
  return ("\n" + text).find("\n" + line + "\n") != std::string::npos;
}

}  // namespace

TEST_CASE("counters, gauges and probes are rendered under their names") {
  registry all;
  auto& refused = all.add_counter("troupe_errors_total", "Errors by class.",
                                  {{"class", "429"}});
  all.add_counter("troupe_errors_total", "Errors by class.",
                  {{"class", "quo\"te"}});
  all.add_gauge("troupe_depth", "Journal depth.").set(-3);
  double now = 1.5;
  all.add_probe("troupe_age_seconds", "Age.", {}, [&] { return now; });
  refused.add();
  refused.add(4);
  auto text = all.render();
  INFO(text);
  CHECK(holds(text, "# HELP troupe_errors_total Errors by class."));
  CHECK(holds(text, "# TYPE troupe_errors_total counter"));
  CHECK(holds(text, "troupe_errors_total{class=\"429\"} 5"));
  CHECK(holds(text, "troupe_errors_total{class=\"quo\\\"te\"} 0"));
  CHECK(holds(text, "# TYPE troupe_depth gauge"));
  CHECK(holds(text, "troupe_depth -3"));
  CHECK(holds(text, "troupe_age_seconds 1.5"));
  now = 2.5;
  CHECK(holds(all.render(), "troupe_age_seconds 2.5"));
}

TEST_CASE("the same name and labels give the same series again") {
  registry all;
  auto& a = all.add_counter("troupe_a_total", "A.", {{"k", "1"}});
  auto& b = all.add_counter("troupe_a_total", "A.", {{"k", "2"}});
  auto& again = all.add_counter("troupe_a_total", "A.", {{"k", "1"}});
  CHECK(&a == &again);
  CHECK(&a != &b);
}

TEST_CASE("references outlive any number of later additions") {
  registry all;
  auto& first = all.add_counter("troupe_n_total", "N.", {{"i", "first"}});
  for (int i = 0; i < 1000; ++i)
    all.add_counter("troupe_n_total", "N.", {{"i", std::to_string(i)}});
  first.add(7);
  CHECK(holds(all.render(), "troupe_n_total{i=\"first\"} 7"));
}

TEST_CASE("a histogram's buckets are cumulative and end in its count") {
  registry all;
  auto& spread = all.add_histogram("troupe_turn_seconds", "Turn.");
  spread.observe(0.001);  // on a bound: it belongs to that bucket
  spread.observe(0.0011);
  spread.observe(3600);
  auto text = all.render();
  INFO(text);
  CHECK(holds(text, "# TYPE troupe_turn_seconds histogram"));
  CHECK(text.find("le=\"0.001\"} 1\n") != std::string::npos);
  CHECK(text.find("le=\"0.002\"} 2\n") != std::string::npos);
  CHECK(text.find("le=\"60\"} 2\n") != std::string::npos);
  CHECK(text.find("le=\"+Inf\"} 3\n") != std::string::npos);
  CHECK(text.find("le=\"+Inf\"", text.find("le=\"+Inf\"") + 1) ==
        std::string::npos);
  CHECK(holds(text, "troupe_turn_seconds_count 3"));
  CHECK(spread.count() == 3);
  CHECK(std::abs(spread.sum() - 3600.0021) < 1e-6);
}

TEST_CASE("quantiles lie inside the bucket of the true value") {
  histogram spread;
  CHECK(spread.quantile(0.5) == 0);
  // 1..1000 ms: the true p-quantile is p seconds.
  for (int ms = 1; ms <= 1000; ++ms)
    spread.observe(ms / 1000.0);
  for (double q : {0.01, 0.1, 0.25, 0.5, 0.9, 0.95, 0.99}) {
    INFO(q);
    auto estimate = spread.quantile(q);
    double below = 0;
    double above = 0;
    for (double bound : histogram::bounds) {
      above = bound;
      if (bound >= q)
        break;
      below = bound;
    }
    CHECK(estimate >= below);
    CHECK(estimate <= above);
  }
  CHECK(std::abs(spread.quantile(0.75) - 0.75) < 0.01);
  CHECK(spread.quantile(-1) <= 0.001);
  CHECK(spread.quantile(2) <= 1.0);
  CHECK(spread.quantile(0.5) <= spread.quantile(0.95));
}

TEST_CASE("absurd durations are counted and break no sum") {
  histogram spread;
  spread.observe(-1);
  spread.observe(std::numeric_limits<double>::quiet_NaN());
  spread.observe(std::numeric_limits<double>::infinity());
  CHECK(spread.count() == 3);
  CHECK(std::isfinite(spread.sum()));
  CHECK(spread.in_bucket(0) == 2);
  CHECK(spread.quantile(1) == 60);
}

TEST_CASE("no addition of any thread is lost") {
  registry all;
  auto& count = all.add_counter("troupe_hits_total", "Hits.");
  auto& spread = all.add_histogram("troupe_hit_seconds", "Hits.");
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t)
    threads.emplace_back([&] {
      for (int i = 0; i < 10'000; ++i) {
        count.add();
        spread.observe(0.01);
      }
    });
  for (int i = 0; i < 20; ++i)
    CHECK_FALSE(all.render().empty());
  for (auto& thread : threads)
    thread.join();
  CHECK(count.value() == 40'000);
  CHECK(spread.count() == 40'000);
}
