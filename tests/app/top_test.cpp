#include <pty.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <string>
#include <vector>

#include "app/top/figures.hpp"
#include "app/top/frame.hpp"
#include "tests/support/catch.hpp"

using namespace troupe;
using namespace troupe::app::top;

namespace {

json::object figures(const std::string& text) {
  auto parsed = parse_json(text);
  REQUIRE(parsed.has_value());
  return parsed->get_object();
}

std::string all(const std::vector<std::string>& lines) {
  std::string out;
  for (const auto& one : lines)
    out += one + '\n';
  return out;
}

bool has(const std::string& text, const std::string& part) {
  return text.find(part) != text.npos;
}

const char* const busy_node = R"({
  "node":"n1","ready":true,"draining":false,"uptime_s":3725,
  "depth":{"to_turn":12,"parked":3,"unread":2000,"outbox":7,"in_flight":2},
  "global_limit":{"used":12,"limit":30,"factor":0.5,"frozen_ms":4200,
    "waiting":9},
  "store":{"bytes":1258291,"free_bytes":1,"dead_letters":3},
  "recent":{"turns_per_s":51.25,"accepted_per_s":50,"calls_per_s":49,
    "errors":{"telegram_429":4,"handler":0},
    "latency":{"reply":{"count":10,"p50_ms":12.4,"p95_ms":6100,"p99_ms":61000},
      "accept":{"count":0,"p95_ms":0},"commit":{"count":5,"p95_ms":2.2}}},
  "totals":{"global_freezes":2},
  "history":{"turns_per_s":[0,10,20],"journal":[0,0,0]},
  "cluster":{"nodes":[
    {"name":"n1-1a2b","state":"serving","shards":3,"word_age_ms":0,
      "counters":{"turns":100}},
    {"name":"n2-3c4d","state":"draining","shards":1,"word_age_ms":900,
      "counters":{"turns":7}}],
    "shards":{"total":5,"unowned":[4],"claimed_twice":[],"owned":[
      {"shard":0,"node":"n1-1a2b"},{"shard":1,"node":"n1-1a2b"},
      {"shard":2,"node":"n2-3c4d"},{"shard":3,"node":"n1-1a2b"}]}},
  "busiest":[{"chat":"4711","waiting":5,"turns":90}],
  "campaigns":[{"id":1,"name":"spring","state":"running","total":100,
    "sent":40,"failed":5,"unknown":5,"rate":20,"eta_s":2}]
})";

const link_state well{"http://127.0.0.1:1", "12:00:00", ""};

}  // namespace

TEST_CASE("top shows each figure of a busy node within 80 by 24") {
  look of;
  of.rows = 24;
  const auto lines = frame(figures(busy_node), well, of);
  CHECK(lines.size() <= 24);
  for (const auto& line : lines) {
    INFO(line);
    CHECK(columns_of(line) <= 80);
    CHECK(line.find('\x1b') == line.npos);
  }
  const auto text = all(lines);
  INFO(text);
  for (const char* part : {"n1  ready  up 1h2m",
                           "12:00:00",
                           "turns/s 51",
                           "accepted/s 50",
                           "p50 12 ms",
                           "p95 6.1 s",
                           "p99 61 s",
                           "journal 2015",
                           "outbox 7",
                           "in flight 2",
                           "used 12 of 30",
                           "speed 50%",
                           "frozen 4.2 s",
                           "freezes 2",
                           "accept p95 -",
                           "commit p95 2.2 ms",
                           "size 1.2 MiB",
                           "dead letters 3",
                           "429 4",
                           "handler 0",
                           "! 2015 updates wait for their turn",
                           "! replies take 6.1 s (p95)",
                           "! 1 shards are nobody's",
                           "spring running [########........] 50/100",
                           "0-1 3",
                           "n2-3c4d",
                           "draining",
                           "4711"})
    CHECK(has(text, part));
}

TEST_CASE("top's lines are cut where the screen ends, whatever its size") {
  for (std::size_t columns : {1u, 20u, 40u, 79u, 200u})
    for (std::size_t rows : {1u, 3u, 10u, 60u}) {
      look of;
      of.columns = columns;
      of.rows = rows;
      of.unicode = true;
      const auto lines = frame(figures(busy_node), well, of);
      CHECK(lines.size() <= rows);
      for (const auto& line : lines)
        CHECK(columns_of(line) <= columns);
    }
}

TEST_CASE("top's colours add nothing to a line but colours") {
  look of;
  of.rows = 24;
  const auto plain = frame(figures(busy_node), well, of);
  of.colour = true;
  const auto coloured = frame(figures(busy_node), well, of);
  REQUIRE(plain.size() == coloured.size());
  for (std::size_t i = 0; i < plain.size(); ++i) {
    std::string bare = coloured[i];
    for (auto at = bare.find('\x1b'); at != bare.npos; at = bare.find('\x1b'))
      bare.erase(at, bare.find('m', at) + 1 - at);
    CHECK(bare == plain[i]);
  }
  CHECK(has(all(coloured), "\x1b[1;31m"));
}

TEST_CASE("top passes on nothing that a terminal obeys") {
  auto odd = figures(busy_node);
  odd["node"] = "n\x1b[2J1\n\t\x7f";
  odd["busiest"] = json::array{json::object{{"chat",
                                             "\xC2\x9B"
                                             "31mx"},
                                            {"waiting", 1},
                                            {"turns", 1}}};
  const auto text = all(frame(odd, well, {}));
  CHECK(has(text, "n?[2J1???"));
  CHECK(text.find('\x1b') == text.npos);
  CHECK_FALSE(has(text, "\xC2\x9B"));
  link_state broken = well;
  broken.trouble = "no\x1b[31m";
  CHECK(all(frame({}, broken, {})).find('\x1b') == std::string::npos);
}

TEST_CASE("top draws what is there of another version's figures") {
  for (const char* text :
       {"{}", R"({"node":5})", R"({"node":"n1"})", R"({"busiest":[1,{}]})",
        R"({"cluster":{"nodes":[1,{}],"shards":[]}})", R"({"recent":7})",
        R"({"history":{"turns_per_s":["x",{}]}})", R"({"campaigns":[3,{}]})",
        R"({"running":false,"store":{"journal":4}})"}) {
    INFO(text);
    CHECK_FALSE(frame(figures(text), well, {}).empty());
  }
}

TEST_CASE("numbers are short, and of an order that a person reads") {
  CHECK(as_count(std::nullopt) == "-");
  CHECK(as_count(0) == "0");
  CHECK(as_count(3.25) == "3.2");
  CHECK(as_count(99'999) == "99999");
  CHECK(as_count(123'456) == "123k");
  CHECK(as_count(12'345'678) == "12.35M");
  CHECK(as_ms(0.25) == "0.2 ms");
  CHECK(as_ms(999) == "999 ms");
  CHECK(as_ms(1'500) == "1.5 s");
  CHECK(as_span(59) == "59s");
  CHECK(as_span(3'600) == "1h0m");
  CHECK(as_span(90'000) == "1d1h");
  CHECK(as_bytes(1536) == "1.5 KiB");
}

namespace {

/// A program in a terminal of its own.
struct in_terminal {
  in_terminal(std::vector<std::string> args, winsize is) {
    std::vector<char*> argv;
    std::string program = TROUPE_BIN_DIR "/troupe";
    argv.push_back(program.data());
    for (auto& one : args)
      argv.push_back(one.data());
    argv.push_back(nullptr);
    child = ::forkpty(&fd, nullptr, nullptr, &is);
    if (child == 0) {
      ::setenv("TERM", "xterm", 1);
      ::setenv("LC_ALL", "C.UTF-8", 1);
      ::unsetenv("NO_COLOR");
      ::execv(argv[0], argv.data());
      ::_exit(127);
    }
    REQUIRE(child > 0);
  }
  ~in_terminal() {
    if (child > 0) {
      ::kill(child, SIGKILL);
      ::waitpid(child, nullptr, 0);
    }
    ::close(fd);
  }
  /// Reads until this was said; false if the program ended before.
  bool until(const std::string& part) {
    char some[4096];
    while (!has(said, part)) {
      const auto n = ::read(fd, some, sizeof some);
      if (n <= 0)
        return false;
      said.append(some, std::size_t(n));
    }
    return true;
  }
  void key(char c) { REQUIRE(::write(fd, &c, 1) == 1); }
  int end() {
    char some[4096];
    for (ssize_t n; (n = ::read(fd, some, sizeof some)) > 0;)
      said.append(some, std::size_t(n));
    int status = -1;
    REQUIRE(::waitpid(child, &status, 0) == child);
    child = -1;
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  }

  pid_t child = -1;
  int fd = -1;
  std::string said;
};

const winsize screen_80x24{24, 80, 0, 0};
const char* const screen_off = "\x1b[?7h\x1b[?25h\x1b[?1049l";

}  // namespace

TEST_CASE("top says that no node answers, and gives the terminal back") {
  for (const char key : {'q', '\x03', '\x04'}) {
    in_terminal t{{"top", "--url", "http://127.0.0.1:1"}, screen_80x24};
    REQUIRE(t.until("no answer"));
    CHECK(has(t.said, "\x1b[?1049h"));
    t.key(key);
    CHECK(t.end() == 0);
    CHECK(t.said.rfind(screen_off) != t.said.npos);
  }
}

TEST_CASE("top follows the terminal's size") {
  in_terminal t{{"top", "--url", "http://127.0.0.1:1"}, screen_80x24};
  REQUIRE(t.until("no answer"));
  t.said.clear();
  const winsize narrow{10, 24, 0, 0};
  REQUIRE(::ioctl(t.fd, TIOCSWINSZ, &narrow) == 0);
  // Within its 24 columns: "troupe top http://127.0."
  REQUIRE(t.until("http://127.0.\x1b[0m\x1b[K"));
  ::kill(t.child, SIGTERM);
  CHECK(t.end() == 0);
}
