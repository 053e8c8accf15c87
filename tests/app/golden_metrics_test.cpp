#include <algorithm>
#include <map>
#include <set>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include "tests/app/running.hpp"

using namespace troupe::app::test;

namespace {

/// By metric: its type, then each label with the values that it has had.
using families = std::map<std::string, std::string>;

bool ends(const std::string& text, const std::string& end) {
  return text.size() >= end.size() &&
         text.compare(text.size() - end.size(), end.size(), end) == 0;
}

/// A histogram's series, by the name of the histogram.
std::string family_of(std::string series,
                      const std::map<std::string, std::string>& types) {
  for (const char* part : {"_bucket", "_sum", "_count"}) {
    if (!ends(series, part))
      continue;
    const auto base =
        series.substr(0, series.size() - std::string{part}.size());
    if (types.count(base) != 0)
      return base;
  }
  return series;
}

/// Of `{name="value",...`; our values have no quotes in them.
std::vector<std::pair<std::string, std::string>> labels_in(std::string text) {
  std::vector<std::pair<std::string, std::string>> out;
  for (auto at = text.find("=\""); at != std::string::npos;
       at = text.find("=\"")) {
    const auto end = text.find('"', at + 2);
    out.emplace_back(text.substr(1, at - 1), text.substr(at + 2, end - at - 2));
    text.erase(0, end + 1);
  }
  return out;
}

families read_page(const std::string& page) {
  std::map<std::string, std::string> types;
  std::map<std::string, std::map<std::string, std::set<std::string>>> labels;
  std::istringstream lines{page};
  for (std::string line; std::getline(lines, line);) {
    std::istringstream words{line};
    std::string hash, what, name, type;
    words >> hash >> what >> name >> type;
    if (hash == "#") {
      if (what == "TYPE")
        types[name] = type;
      continue;
    }
    const auto brace = line.find_first_of("{ ");
    const auto family = family_of(line.substr(0, brace), types);
    const auto close = line[brace] == '{' ? line.find('}') : brace;
    const std::string inside = line.substr(brace, close - brace);
    for (auto& [key, value] : labels_in(inside)) {
      if (key != "le")
        labels[family][key].insert(value);
    }
  }
  families out;
  for (const auto& [name, type] : types) {
    out[name] = type;
    for (const auto& [key, values] : labels[name]) {
      out[name] += ' ' + key + '=';
      for (const auto& value : values)
        out[name] += (value == *values.begin() ? "" : "|") + value;
    }
  }
  return out;
}

std::string to_text(const families& all) {
  std::string out;
  for (const auto& [name, what] : all)
    out += name + ' ' + what + '\n';
  return out;
}

}  // namespace

// What dashboards and alert rules of many people name: a change of it is one
// of theirs. To change it: TROUPE_TEST_GOLDEN=write, and tell them.
TEST_CASE("the metrics of a node are those of the golden list") {
  const std::string golden = TROUPE_SOURCE_DIR "/tests/app/metrics.txt";
  stage s;
  running_bot bot{s.environment()};
  REQUIRE(eventually([&] { return s.get("/readyz") == 200; }));
  REQUIRE(s.get("/metrics") == 200);
  const auto found = read_page(s.body);
  if (std::getenv("TROUPE_TEST_GOLDEN") != nullptr)
    std::ofstream{golden} << to_text(found);
  CHECK(to_text(found) == read_file(golden));
  for (const auto& [name, what] : found) {
    INFO(name << ' ' << what);
    const bool counts = what.rfind("counter", 0) == 0;
    CHECK((name.rfind("troupe_", 0) == 0 ||
           name == "process_start_time_seconds"));
    CHECK(counts == ends(name, "_total"));
    if (what.rfind("histogram", 0) == 0)
      CHECK(ends(name, "_seconds"));
  }
  CHECK(bot.stop() == 0);
}
