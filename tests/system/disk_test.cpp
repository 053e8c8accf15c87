#include <fcntl.h>
#include <sys/mount.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <iostream>
#include <string>
#include <utility>

#include "tests/support/catch.hpp"
#include "tests/system/stage.hpp"

using namespace troupe;
using namespace troupe::system_test;

namespace {

/// A small disk of its own.
class small_disk {
 public:
  explicit small_disk(std::string at) : at_{std::move(at)} {
    std::filesystem::create_directory(at_);
    mounted_ = ::mount("troupe-test", at_.c_str(), "tmpfs", 0, "size=6m") == 0;
    if (!mounted_)
      why_ = std::strerror(errno);
  }
  ~small_disk() {
    if (mounted_)
      ::umount2(at_.c_str(), MNT_DETACH);
  }
  small_disk(const small_disk&) = delete;
  small_disk& operator=(const small_disk&) = delete;

  bool mounted() const noexcept { return mounted_; }
  const std::string& why() const noexcept { return why_; }
  std::string operator/(const std::string& name) const {
    return at_ + '/' + name;
  }

  void fill() const {
    const int fd = ::open((*this / "ballast").c_str(),
                          O_CREAT | O_WRONLY | O_APPEND, 0600);
    REQUIRE(fd >= 0);
    // Whole pages first, then what is left of the last one.
    for (const std::size_t size : {std::size_t{65'536}, std::size_t{1}}) {
      const std::string some(size, '.');
      while (::write(fd, some.data(), some.size()) > 0) {
      }
      CHECK(errno == ENOSPC);
    }
    ::close(fd);
  }
  void clear() const { std::filesystem::remove(*this / "ballast"); }

 private:
  std::string at_;
  std::string why_;
  bool mounted_ = false;
};

}  // namespace

TEST_CASE(
    "G11: on a full disk Telegram is told to come back, nothing accepted "
    "is lost, and space heals it") {
  const scratch files;
  const small_disk disk{files / "disk"};
  if (!disk.mounted()) {
    std::cout << "SKIPPED: full disk: no tmpfs can be mounted: " << disk.why()
              << std::endl;
    return;
  }
  stage on{{"--global-per-second", "0", "--chat-per-second", "0",
            "--time-scale", "0.2"},
           {{"TROUPE_LIMITS_GLOBAL_PER_SECOND", "0"},
            {"TROUPE_LIMITS_CHAT_PER_SECOND", "0"},
            {"TROUPE_LOG_LEVEL", "error"},
            {"TROUPE_STORE_URL", "sqlite:" + (disk / "troupe.db")}}};
  on.start_bot();
  int texts = 0;
  const auto write = [&](std::size_t size) {
    ++texts;
    on.write(100 + texts % 20,
             "t" + std::to_string(texts) + std::string(size, '.'));
  };
  for (int n = 0; n < 100; ++n)
    write(10);
  REQUIRE(eventually([&] { return on.idle(); }));

  disk.fill();
  const auto refusals = [&] {
    return number(on.sim_state(), "failed_deliveries");
  };
  // What the log's last pages still hold is taken; then no more.
  REQUIRE(eventually([&] {
    for (int n = 0; n < 10; ++n)
      write(3'000);
    return refusals() > 20;
  }));
  const reply told =
      ask(on.bot_port(), "POST", "/webhook",
          "{\"update_id\":2000000000,\"message\":{\"message_id\":1,\"date\":1,"
          "\"chat\":{\"id\":5,\"type\":\"private\"}}}",
          {{"X-Telegram-Bot-Api-Secret-Token", secret}});
  CHECK(told.status == 503);
  CHECK_FALSE(told.header("Retry-After").empty());
  CHECK(on.bot().running());

  disk.clear();
  for (int n = 0; n < 100; ++n)
    write(10);
  REQUIRE(eventually([&] { return on.idle() && on.ready(); }));
  on.stop();
  const json::object v = on.verdict();
  INFO(json::serialize(v));
  CHECK(number(v, "updates") == texts);
  CHECK(number(v, "accepted") == texts);
  CHECK(number(v, "lost") == 0);
  CHECK(number(v, "order_violations") == 0);
  CHECK(number(v, "state_errors") == 0);
  CHECK(number(v, "torn_turns") == 0);
}

TEST_CASE("G11: on a disk that is smaller than its log may be, a bot goes on") {
  const scratch files;
  const small_disk disk{files / "disk"};
  if (!disk.mounted()) {
    std::cout << "SKIPPED: full log: no tmpfs can be mounted: " << disk.why()
              << std::endl;
    return;
  }
  stage on{{"--global-per-second", "0", "--chat-per-second", "0",
            "--time-scale", "0.2"},
           {{"TROUPE_LIMITS_GLOBAL_PER_SECOND", "0"},
            {"TROUPE_LIMITS_CHAT_PER_SECOND", "0"},
            {"TROUPE_LOG_LEVEL", "error"},
            {"TROUPE_STORE_URL", "sqlite:" + (disk / "troupe.db")}}};
  on.start_bot();
  // One by one: each has commits, and so some 33 KB of the log, of its own. It
  // is emptied at 8 MiB, which is more than there is.
  int texts = 0;
  for (; texts < 400; ++texts) {
    on.write(100 + texts % 20, "t" + std::to_string(texts));
    REQUIRE(eventually([&] { return on.idle(); }));
  }
  CHECK(number(on.sim_state(), "failed_deliveries") == 0);
  REQUIRE(on.ready());
  on.stop();
  const json::object v = on.verdict();
  INFO(json::serialize(v));
  CHECK(number(v, "updates") == texts);
  CHECK(number(v, "accepted") == texts);
  CHECK(number(v, "lost") == 0);
  CHECK(number(v, "order_violations") == 0);
  CHECK(number(v, "state_errors") == 0);
}

TEST_CASE("a start on a full disk ends with 1 and leaves no half store") {
  const scratch files;
  const small_disk disk{files / "disk"};
  if (!disk.mounted()) {
    std::cout << "SKIPPED: start on a full disk: no tmpfs can be mounted: "
              << disk.why() << std::endl;
    return;
  }
  disk.fill();
  launch what;
  what.program = built("counter");
  what.args = {"run"};
  what.folder = files.path();
  what.output = "bot";
  what.environment = {{"TROUPE_BOT_TOKEN", token},
                      {"TROUPE_BOT_API_ROOT", "http://127.0.0.1:9"},
                      {"TROUPE_WEBHOOK_LISTEN", "127.0.0.1:0"},
                      {"TROUPE_STATS_LISTEN", ""},
                      {"TROUPE_STORE_URL", "sqlite:" + (disk / "troupe.db")}};
  const ending how = finish(what);
  INFO(how.err);
  CHECK(how.code == 1);
  CHECK(has(how.err, "store.url"));
  // With space it starts: what the failed start left is no obstacle.
  disk.clear();
  process again{what};
  CHECK(eventually([&] { return has(again.err(), "\"started\""); }));
  again.signal(15);
  CHECK(again.wait() == 0);
}
