#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <sstream>

#include "tests/store/fixture.hpp"

extern char** environ;

using namespace troupe;
using namespace troupe::store;
using namespace troupe::store::test;

namespace {

const chat_key key = chat_key::chat(42);

result<std::unique_ptr<backend>> open_at(const std::string& path,
                                         std::uint16_t shards = shard_count) {
  options how;
  how.url = "sqlite:" + path;
  how.shards = shards;
  return store::open(how);
}

// One line per answer, so that the parent knows what was promised. A write of
// this size into a pipe is whole or not at all.
void say(char what, std::uint64_t number) {
  std::array<char, 40> line{};
  const int n = std::snprintf(line.data(), line.size(), "%c %llu\n", what,
                              static_cast<unsigned long long>(number));
  if (::write(STDOUT_FILENO, line.data(), static_cast<std::size_t>(n)) != n)
    std::_Exit(3);
}

// This program again, running the hidden case below; the end of its output.
struct child {
  pid_t pid = 0;
  int out = -1;
};

child start_child(const std::string& db) {
  std::array<int, 2> ends{};
  REQUIRE(::pipe2(ends.data(), O_CLOEXEC) == 0);
  posix_spawn_file_actions_t actions;
  ::posix_spawn_file_actions_init(&actions);
  ::posix_spawn_file_actions_adddup2(&actions, ends[1], STDOUT_FILENO);
  REQUIRE(::setenv("TROUPE_TEST_CRASH_DB", db.c_str(), 1) == 0);
  std::string self = "/proc/self/exe";
  std::string which = "[crash-child]";
  std::array<char*, 3> argv{self.data(), which.data(), nullptr};
  child c;
  REQUIRE(::posix_spawn(&c.pid, self.c_str(), &actions, nullptr, argv.data(),
                        environ) == 0);
  ::posix_spawn_file_actions_destroy(&actions);
  ::unsetenv("TROUPE_TEST_CRASH_DB");
  ::close(ends[1]);
  c.out = ends[0];
  return c;
}

struct promised {
  std::uint64_t ready = 0;
  std::uint64_t accepted = 0;   // the last update id
  std::uint64_t committed = 0;  // the last version
  std::size_t lines = 0;
};

void note(promised& p, const std::string& text) {
  std::istringstream in{text};
  for (std::string line; std::getline(in, line);) {
    if (line.size() < 3 || line[1] != ' ')
      continue;  // Catch2's own words
    const auto n = std::strtoull(line.c_str() + 2, nullptr, 10);
    auto& what = line[0] == 'a'   ? p.accepted
                 : line[0] == 'c' ? p.committed
                                  : p.ready;
    what = std::max<std::uint64_t>(what, n);
    ++p.lines;
  }
}

// Reads what the child says until `enough` says stop, kills it, reads the rest.
template <class Enough>
promised kill_when(child c, Enough enough) {
  std::string text;
  std::array<char, 4096> buffer{};
  promised p;
  bool killed = false;
  for (;;) {
    pollfd waits{c.out, POLLIN, 0};
    if (::poll(&waits, 1, 60'000) == 0) {
      ::kill(c.pid, SIGKILL);
      FAIL("the child says nothing");
    }
    const auto n = ::read(c.out, buffer.data(), buffer.size());
    if (n <= 0)
      break;
    text.append(buffer.data(), static_cast<std::size_t>(n));
    const auto end = text.rfind('\n') + 1;
    note(p, text.substr(0, end));
    text.erase(0, end);
    if (!killed && enough(p)) {
      ::kill(c.pid, SIGKILL);
      killed = true;
    }
  }
  ::close(c.out);
  int status = 0;
  REQUIRE(::waitpid(c.pid, &status, 0) == c.pid);
  REQUIRE(killed);
  REQUIRE(WIFSIGNALED(status));
  return p;
}

std::string read_all(const std::string& path) {
  std::ifstream in{path, std::ios::binary};
  return {std::istreambuf_iterator<char>{in}, {}};
}

}  // namespace

// Not a test: what the killed process does. Accepts update after update, 32 in
// flight, and commits them in order, each answer said aloud.
TEST_CASE("the life of the killed process", "[.crash-child][crash-child]") {
  const char* path = std::getenv("TROUPE_TEST_CRASH_DB");
  REQUIRE(path != nullptr);
  auto opened = open_at(path);
  REQUIRE(opened.has_value());
  sync_store s{std::move(*opened)};
  const auto held = s.claim_one(shard_of_key(key));
  auto version = s.load_one(key).version;
  std::uint64_t next = held.tail.value;  // ids are sequences here
  say('r', held.term.value);
  for (;;) {
    std::vector<std::future<bool>> answers;
    for (int i = 0; i < 32; ++i) {
      const auto id = ++next;
      auto done = std::make_shared<std::promise<bool>>();
      answers.push_back(done->get_future());
      s->accept({arriving(static_cast<std::int64_t>(id), key)},
                [done, id](result<std::vector<receipt>> r) {
                  if (r)
                    say('a', id);
                  done->set_value(r.has_value());
                });
    }
    for (auto& a : answers)
      REQUIRE(a.get());
    answers.clear();
    for (int i = 0; i < 16; ++i) {
      auto done = std::make_shared<std::promise<bool>>();
      answers.push_back(done->get_future());
      auto t = turn_of(key, version, {version + 1});
      t.state = std::to_string(++version);
      t.calls = {call_of(key, {version})};
      s->commit(held, {t},
                [done, version](result<std::vector<turn_receipt>> r) {
                  if (r)
                    say('c', version);
                  done->set_value(r.has_value());
                });
    }
    for (auto& a : answers)
      REQUIRE(a.get());
  }
}

TEST_CASE("after kill -9 everything answered is there, gapless (G1, G2, G4)") {
  temporary_directory dir;
  const auto path = dir.file("store.db");
  std::uint64_t last_term = 0;
  for (std::size_t round = 0; round < 10; ++round) {
    const auto p = kill_when(start_child(path), [&](const promised& now) {
      return now.lines > 3 + round * 41;
    });
    INFO("round " << round << ": accepted " << p.accepted << ", committed "
                  << p.committed);
    auto opened = open_at(path);
    if (!opened)
      FAIL(to_string(opened.error()));
    sync_store s{std::move(*opened)};
    const auto held = s.claim_one(shard_of_key(key));
    const auto record = s.load_one(key);
    CHECK(held.term.value > p.ready);
    CHECK(p.ready > last_term);
    last_term = held.term.value;
    CHECK(held.tail.value >= p.accepted);
    CHECK(record.version >= p.committed);
    if (record.version > 0)
      CHECK(record.state == std::to_string(record.version));
    // The journal is exactly what was accepted and not committed.
    const auto log = s.backlog(held.shard).value();
    REQUIRE(log.size() == held.tail.value - record.version);
    bool gapless = true;
    for (std::size_t i = 0; i < log.size(); ++i)
      gapless = gapless && log[i].seq.value == record.version + i + 1;
    CHECK(gapless);
    CHECK(s.outbox(held.shard).value().size() == record.version);
    CHECK(s.stats().journal == log.size());
    CHECK(s.stats().outbox == record.version);
    for (std::uint64_t id = 1; id <= held.tail.value; id += 7)
      CHECK_FALSE(s.accept({arriving(static_cast<std::int64_t>(id), key)})
                      .value()
                      .at(0)
                      .fresh);
  }
}

TEST_CASE("another process can't open a held store, nor harm its log (G6)") {
  temporary_directory dir;
  const auto path = dir.file("store.db");
  bool told = false;
  kill_when(start_child(path), [&](const promised& now) {
    if (now.lines < 50)
      return false;
    auto second = open_at(path);
    told = !second && second.error().code == errc::conflict;
    return true;
  });
  CHECK(told);
  // The killed process left its log. Refusing to open changes neither file.
  const auto file = read_all(path);
  const auto log = read_all(path + "-wal");
  CHECK_FALSE(log.empty());
  CHECK(open_at(path, shard_count * 2).error().code == errc::incompatible);
  CHECK(read_all(path) == file);
  CHECK(read_all(path + "-wal") == log);
  CHECK(open_at(path).has_value());
}
