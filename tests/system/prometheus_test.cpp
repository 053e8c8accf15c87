#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include "tests/support/catch.hpp"
#include "tests/system/stage.hpp"

using namespace troupe;
using namespace troupe::system_test;

namespace {

const std::string deploy = TROUPE_SOURCE_DIR "/docker/";

/// The path of a program; empty, after a SKIPPED line, if it is not installed.
std::string installed(const std::string& name) {
  for (const char* folder : {"/usr/bin/", "/usr/local/bin/"}) {
    if (::access((folder + name).c_str(), X_OK) == 0)
      return folder + name;
  }
  std::cout << "SKIPPED: " << name << " is not installed" << std::endl;
  return {};
}

std::string url_encoded(const std::string& text) {
  std::string out;
  for (const unsigned char c : text) {
    char hex[4];
    std::snprintf(hex, sizeof hex, "%%%02X", c);
    out += std::isalnum(c) ? std::string(1, char(c)) : std::string{hex};
  }
  return out;
}

/// The first word of each line of the golden list.
std::vector<std::string> golden_names() {
  std::istringstream in{read_file(TROUPE_SOURCE_DIR "/tests/app/metrics.txt")};
  std::vector<std::string> out;
  for (std::string line; std::getline(in, line);)
    out.push_back(line.substr(0, line.find(' ')));
  return out;
}

/// What the panels of the dashboard ask for, of all bots.
std::vector<std::string> dashboard_queries() {
  std::vector<std::string> out;
  const auto board =
      object(read_file(deploy + "grafana/dashboards/troupe.json"));
  for (const auto& panel : board.at("panels").as_array()) {
    const json::value* targets = panel.as_object().if_contains("targets");
    if (targets == nullptr)
      continue;
    for (const auto& target : targets->as_array()) {
      std::string query{target.at("expr").as_string()};
      for (auto at = query.find("$job"); at != std::string::npos;
           at = query.find("$job"))
        query.replace(at, 4, "troupe.*");
      out.push_back(std::move(query));
    }
  }
  return out;
}

/// A Prometheus of our own: its port, its folder, our rules; the service that
/// the package starts is never used.
class prometheus_server {
 public:
  prometheus_server(const std::string& program, std::uint16_t target)
      : port_{free_port()} {
    std::filesystem::copy_file(deploy + "prometheus-rules.yml",
                               folder_ / "prometheus-rules.yml");
    folder_.write("prometheus.yml",
                  "global: {scrape_interval: 200ms, scrape_timeout: 200ms,\n"
                  "  evaluation_interval: 200ms}\n"
                  "rule_files: [prometheus-rules.yml]\n"
                  "scrape_configs:\n"
                  "  - job_name: troupe\n"
                  "    static_configs:\n"
                  "      - targets: ['127.0.0.1:" +
                      std::to_string(target) + "']\n");
    launch what;
    what.program = program;
    what.args = {"--config.file=prometheus.yml", "--storage.tsdb.path=data",
                 "--web.listen-address=127.0.0.1:" + std::to_string(port_)};
    what.folder = folder_.path();
    what.output = "prometheus";
    runs_ = std::make_unique<process>(what);
  }

  process& runs() { return *runs_; }

  json::object get(const std::string& path) {
    const auto got = ask(port_, "GET", path, {}, {}, seconds{10});
    const auto parsed = parse_json(got.body);
    return got.status == 200 && parsed && parsed->is_object()
               ? parsed->get_object()
               : json::object{};
  }
  /// The samples of a query; nothing if it was refused.
  json::array query(const std::string& text) {
    const auto got = get("/api/v1/query?query=" + url_encoded(text));
    const json::value* data = got.if_contains("data");
    return data ? data->at("result").as_array() : json::array{};
  }
  double value(const std::string& text) {
    const auto found = query(text);
    if (found.size() != 1)
      return -1;
    return std::stod(
        std::string{found[0].at("value").as_array().at(1).as_string()});
  }

 private:
  scratch folder_;
  std::uint16_t port_;
  std::unique_ptr<process> runs_;
};

bool target_is_up(prometheus_server& at) {
  const auto got = at.get("/api/v1/targets");
  const json::value* data = got.if_contains("data");
  if (data == nullptr)
    return false;
  const auto& targets = data->at("activeTargets").as_array();
  return targets.size() == 1 && targets[0].at("health").as_string() == "up";
}

/// How many rules were evaluated without trouble; -1 if one was not.
std::int64_t sound_rules(prometheus_server& at) {
  const auto got = at.get("/api/v1/rules");
  const json::value* data = got.if_contains("data");
  if (data == nullptr)
    return 0;
  std::int64_t ok = 0;
  for (const auto& group : data->at("groups").as_array()) {
    for (const auto& rule : group.at("rules").as_array()) {
      const auto& health = rule.at("health").as_string();
      INFO(json::serialize(rule));
      CHECK(health != "err");
      ok += health == "ok" ? 1 : 0;
    }
  }
  return ok;
}

}  // namespace

TEST_CASE("promtool finds nothing wrong with what a node shows") {
  const auto promtool = installed("promtool");
  if (promtool.empty())
    return;
  stage on{{}};
  on.start_bot();
  on.write(5, "t1");
  REQUIRE(eventually([&] { return on.idle(); }));
  const auto page = ask(on.stats_port(), "GET", "/metrics");
  REQUIRE(page.status == 200);
  on.folder().write("metrics", page.body);
  launch what;
  what.program = "/bin/sh";  // promtool reads its standard input
  what.args = {"-c", "exec " + promtool + " check metrics <metrics"};
  what.folder = on.folder().path();
  what.output = "promtool";
  const auto got = finish(what);
  INFO(got.out + got.err);
  CHECK(got.code == 0);
  CHECK(got.out + got.err == "");
  on.stop();
}

TEST_CASE("a Prometheus scrapes a node, and its rules and panels work") {
  const auto program = installed("prometheus");
  if (program.empty())
    return;
  stage on{{"--chat-per-second", "0"},
           {{"TROUPE_LIMITS_CHAT_PER_SECOND", "0"}}};
  on.start_bot();
  for (int n = 1; n <= 7; ++n)
    on.write(n, "t1");
  REQUIRE(eventually([&] { return on.idle(); }));

  prometheus_server prometheus{program, on.stats_port()};
  INFO(prometheus.runs().err());
  REQUIRE(eventually([&] { return target_is_up(prometheus); }));
  CHECK(eventually(
      [&] { return prometheus.value("troupe_updates_accepted_total") == 7; }));
  CHECK(eventually([&] {
    return prometheus.value("troupe_calls_total{outcome=\"sent\"}") == 7;
  }));
  CHECK(prometheus.value("troupe_ready") == 1);
  CHECK(prometheus.value("troupe_shards_held") ==
        prometheus.value("troupe_shards"));
  for (const auto& name : golden_names()) {
    INFO(name);
    CHECK(!prometheus.query("{__name__=~\"" + name + "(_count)?\"}").empty());
  }

  // Each group is evaluated every 15 s.
  CHECK(eventually([&] { return sound_rules(prometheus) >= 26; }));
  CHECK(eventually(
      [&] { return prometheus.value("troupe:journal_depth:sum") == 0; }));
  CHECK(eventually(
      [&] { return prometheus.value("troupe:scale:ratio") == 0.5; }));
  for (const auto& query : dashboard_queries()) {
    INFO(query);
    CHECK(eventually([&] { return !prometheus.query(query).empty(); }));
  }
  prometheus.runs().signal(SIGTERM);
  CHECK(prometheus.runs().wait() == 0);
  on.stop();
}
