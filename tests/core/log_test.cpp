#include "core/log.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <limits>
#include <string>
#include <thread>
#include <vector>

#include "core/json.hpp"
#include "tests/support/catch.hpp"

using namespace troupe;

namespace {

// What is written to file descriptor 2 while `work` runs.
template <class Work>
std::string written(Work work) {
  std::FILE* file = std::tmpfile();
  REQUIRE(file != nullptr);
  std::fflush(stderr);
  int kept = ::dup(2);
  REQUIRE(::dup2(::fileno(file), 2) == 2);
  work();
  std::fflush(stderr);
  ::dup2(kept, 2);
  ::close(kept);
  std::string out;
  std::rewind(file);
  char chunk[4096];
  while (auto n = std::fread(chunk, 1, sizeof chunk, file))
    out.append(chunk, n);
  std::fclose(file);
  return out;
}

std::vector<json::object> lines_of(const std::string& text) {
  std::vector<json::object> out;
  for (std::size_t from = 0; from < text.size();) {
    auto end = text.find('\n', from);
    REQUIRE(end != std::string::npos);
    auto line = parse_json(std::string_view{text}.substr(from, end - from));
    INFO(text.substr(from, end - from));
    REQUIRE(line.has_value());
    out.push_back(line->as_object());
    from = end + 1;
  }
  return out;
}

}  // namespace

TEST_CASE("a log line is one JSON object with time, level, event and fields") {
  auto text = written([] {
    log::warn("turn", {{"update", 42},
                       {"big", std::uint64_t{18446744073709551615ULL}},
                       {"ms", 1.5},
                       {"nan", std::numeric_limits<double>::quiet_NaN()},
                       {"ok", true},
                       {"error", "a \"quote\"\nand \xff"}});
  });
  auto lines = lines_of(text);
  REQUIRE(lines.size() == 1);
  auto& line = lines[0];
  CHECK(line["level"] == "warn");
  CHECK(line["event"] == "turn");
  CHECK(line["update"] == 42);
  CHECK(line["big"].as_uint64() == 18446744073709551615ULL);
  CHECK(line["ms"] == 1.5);
  CHECK(line["nan"].is_null());
  CHECK(line["ok"] == true);
  CHECK(line["error"] == "a \"quote\"\nand \xef\xbf\xbd");
  std::string time{line["t"].as_string()};
  REQUIRE(time.size() == 24);
  CHECK(time.substr(0, 2) == "20");
  CHECK(time[10] == 'T');
  CHECK(time[19] == '.');
  CHECK(time.back() == 'Z');
}

TEST_CASE("lines under the threshold are not written") {
  auto text = written([] {
    log::threshold(log::level::warn);
    log::debug("a");
    log::info("b");
    log::warn("c");
    log::threshold(log::level::off);
    log::error("d");
    log::write(log::level::off, "e");
    log::threshold(log::level::debug);
    log::debug("f");
    log::threshold(log::level::info);
  });
  auto lines = lines_of(text);
  REQUIRE(lines.size() == 2);
  CHECK(lines[0]["event"] == "c");
  CHECK(lines[1]["event"] == "f");
}

TEST_CASE("levels are read by their names only") {
  auto level = log::level::info;
  CHECK(log::parse_level("debug", level));
  CHECK(level == log::level::debug);
  CHECK(log::parse_level("off", level));
  CHECK(level == log::level::off);
  for (auto text : {"", "Debug", "warning", "2", "of", "offf"}) {
    CHECK_FALSE(log::parse_level(text, level));
    CHECK(level == log::level::off);
  }
}

TEST_CASE("G12: a registered secret never leaves in a log line") {
  const std::string token = "123456789:AAtest-secret_token0123456789abc";
  log::add_secret(token);
  log::add_secret("pass/\"word\\x");
  auto text = written([&] {
    log::info("plain", {{"text", token}});
    log::info("in a path", {{"text", "GET /bot" + token + "/getMe failed"}});
    log::info("encoded",
              {{"text", "/bot123456789%3AAAtest-secret_token0123456789abc/"},
               {"other", "123456789%3aAAtest%2Dsecret_token0123456789abc"}});
    log::info("twice", {{"text", token + token}});
    log::info("quoted", {{"text", R"({"p":"pass\/\"word\\x"})"},
                         {"raw", "pass/\"word\\x"}});
    log::info(token);
  });
  auto lines = lines_of(text);
  REQUIRE(lines.size() == 6);
  CHECK(text.find("AAtest") == std::string::npos);
  CHECK(text.find("secret_token") == std::string::npos);
  CHECK(text.find("word") == std::string::npos);
  CHECK(lines[1]["text"] == "GET /bot***/getMe failed");
  CHECK(lines[2]["other"] == "***");
  CHECK(lines[3]["text"] == "******");
  CHECK(lines[4]["text"] == R"({"p":"***"})");
  CHECK(lines[5]["event"] == "***");
}

TEST_CASE("G12: of two secrets the longer one is masked whole") {
  log::add_secret("prefix-of-it");
  log::add_secret("prefix-of-it-and-more");
  CHECK(log::redact("x prefix-of-it-and-more y") == "x *** y");
  CHECK(log::redact("x prefix-of-it y") == "x *** y");
}

TEST_CASE("what is no secret passes through redaction unchanged") {
  log::add_secret("abc");  // too short to be one
  log::add_secret("");
  for (std::string text :
       {"", "abc", "100% of %zz and \\", "%", "%4", "123456789:AA"})
    CHECK(log::redact(text) == text);
}

TEST_CASE("lines of many threads do not mix") {
  auto text = written([] {
    std::vector<std::thread> threads;
    for (int t = 0; t < 4; ++t)
      threads.emplace_back([t] {
        for (int i = 0; i < 200; ++i)
          log::info("line", {{"thread", t}, {"text", std::string(300, 'x')}});
      });
    for (auto& thread : threads)
      thread.join();
  });
  CHECK(lines_of(text).size() == 800);
}
