#pragma once

#include <sys/types.h>

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

/// The built programs as a user runs them: no shell, no leftovers.
namespace troupe::system_test {

using std::chrono::seconds;

/// How long a step may take on a machine that is busy with other things. Not
/// what is tested: a test that waits so long has failed.
inline constexpr seconds patience{120};

/// A fresh folder, removed at the end; kept if a test failed by a REQUIRE or
/// if TROUPE_TEST_KEEP is set.
class scratch {
 public:
  scratch();
  ~scratch();
  scratch(const scratch&) = delete;
  scratch& operator=(const scratch&) = delete;

  std::string operator/(const std::string& name) const {
    return (path_ / name).string();
  }
  std::string path() const { return path_.string(); }
  /// @returns the file's path
  std::string write(const std::string& name, const std::string& text) const;

 private:
  std::filesystem::path path_;
  int exceptions_;
};

std::string read_file(const std::string& path);
bool has(const std::string& text, const std::string& part);

/// The path of a built program: from TROUPE_TEST_BIN, else from the build.
std::string built(const std::string& program);

/// A port nobody listens on, below those that the kernel gives to outgoing
/// connections: a client that calls a port of those again and again while
/// nobody listens there connects to itself in the end.
std::uint16_t free_port();

/// What to start. The environment is all that the program sees, but for PATH,
/// TMPDIR and the sanitizers' options.
struct launch {
  std::string program;  ///< a path
  std::vector<std::string> args;
  std::map<std::string, std::string> environment;
  std::string folder;      ///< to run in
  std::string output;      ///< its stdout and stderr: OUTPUT.out, .err
  bool as_nobody = false;  ///< with the rights of user 65534
};

/// A child process. It dies with us, however we end.
/// **Threads**: start all from one thread that lives as long as they do.
class process {
 public:
  explicit process(const launch& what);
  ~process();
  process(process&& other) noexcept;
  process& operator=(process&&) = delete;

  /// False once it has ended.
  bool running();
  void signal(int number);
  /// Waits for the end. @returns the exit code; 128 + n if signal n ended it
  int wait(seconds limit = patience);
  std::string out() const { return read_file(output_ + ".out"); }
  std::string err() const { return read_file(output_ + ".err"); }
  pid_t id() const noexcept { return pid_; }

 private:
  bool reap(bool block);

  pid_t pid_ = -1;
  std::string output_;
  std::optional<int> code_;
};

/// How a program ended and what it said.
struct ending {
  int code = -1;
  std::string out;
  std::string err;
};

/// Runs a program to its end.
ending finish(const launch& what);

/// True once `what` is; false after `limit`.
template <class What>
bool eventually(What&& what, seconds limit = patience);

void pause(std::chrono::milliseconds time);

template <class What>
bool eventually(What&& what, seconds limit) {
  const auto until = std::chrono::steady_clock::now() + limit;
  while (!what()) {
    if (std::chrono::steady_clock::now() > until)
      return false;
    pause(std::chrono::milliseconds{50});
  }
  return true;
}

}  // namespace troupe::system_test
