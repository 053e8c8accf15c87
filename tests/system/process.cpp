#include "tests/system/process.hpp"

#include <arpa/inet.h>
#include <fcntl.h>
#include <grp.h>
#include <netinet/in.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <exception>
#include <fstream>
#include <iostream>
#include <random>
#include <sstream>
#include <stdexcept>
#include <thread>
#include <utility>

#include "tests/support/catch.hpp"

namespace troupe::system_test {

namespace {

std::vector<char*> pointers(std::vector<std::string>& texts) {
  std::vector<char*> out;
  for (std::string& one : texts)
    out.push_back(one.data());
  out.push_back(nullptr);
  return out;
}

// In the child, between fork and exec: system calls only.
[[noreturn]] void become(const launch& what, int out, int err, pid_t parent,
                         char* const* args, char* const* environment) {
  if (::prctl(PR_SET_PDEATHSIG, SIGKILL) != 0 || ::getppid() != parent)
    ::_exit(126);
  const int in = ::open("/dev/null", O_RDONLY);
  if (in < 0 || ::dup2(in, 0) < 0 || ::dup2(out, 1) < 0 || ::dup2(err, 2) < 0)
    ::_exit(126);
  if (::chdir(what.folder.c_str()) != 0)
    ::_exit(126);
  if (what.as_nobody) {
    if (::setgroups(0, nullptr) != 0 || ::setgid(65534) != 0 ||
        ::setuid(65534) != 0)
      ::_exit(126);
    // A change of user takes the leash off.
    if (::prctl(PR_SET_PDEATHSIG, SIGKILL) != 0)
      ::_exit(126);
  }
  ::execve(what.program.c_str(), args, environment);
  ::_exit(127);
}

int open_output(const std::string& name) {
  const int fd =
      ::open(name.c_str(), O_CREAT | O_WRONLY | O_APPEND | O_CLOEXEC, 0644);
  INFO(name);
  REQUIRE(fd >= 0);
  return fd;
}

}  // namespace

scratch::scratch() : exceptions_{std::uncaught_exceptions()} {
  std::string name =
      (std::filesystem::temp_directory_path() / "troupe-system-XXXXXX")
          .string();
  if (::mkdtemp(name.data()) == nullptr)
    throw std::runtime_error{"mkdtemp failed"};
  path_ = name;
}

scratch::~scratch() {
  if (std::uncaught_exceptions() > exceptions_ ||
      std::getenv("TROUPE_TEST_KEEP") != nullptr) {
    std::cerr << "kept: " << path_.string() << '\n';
    return;
  }
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
}

std::string scratch::write(const std::string& name,
                           const std::string& text) const {
  std::ofstream{path_ / name, std::ios::binary} << text;
  return *this / name;
}

std::string read_file(const std::string& path) {
  std::ifstream in{path, std::ios::binary};
  std::ostringstream out;
  out << in.rdbuf();
  return out.str();
}

bool has(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

std::string built(const std::string& program) {
  if (const char* folder = std::getenv("TROUPE_TEST_BIN")) {
    const std::filesystem::path path =
        std::filesystem::absolute(folder) / program;
    // The bots that live beside the tests are not in every build.
    if (std::filesystem::exists(path))
      return path.string();
  }
  const auto path = std::filesystem::path{TROUPE_BIN_DIR} / program;
  INFO(path.string());
  REQUIRE(std::filesystem::exists(path));
  return path.string();
}

std::uint16_t free_port() {
  static std::mt19937 random{std::random_device{}()};
  std::uniform_int_distribution<int> any{15'000, 32'000};
  for (int tries = 0; tries < 1'000; ++tries) {
    const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    REQUIRE(fd >= 0);
    sockaddr_in at{};
    at.sin_family = AF_INET;
    at.sin_port = htons(static_cast<std::uint16_t>(any(random)));
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    const bool ours =
        ::bind(fd, reinterpret_cast<sockaddr*>(&at), sizeof at) == 0;
    ::close(fd);
    if (ours)
      return ntohs(at.sin_port);
  }
  FAIL("no free port");
  return 0;
}

process::process(const launch& what)
    : output_{(std::filesystem::path{what.folder} / what.output).string()} {
  std::vector<std::string> args{what.program};
  args.insert(args.end(), what.args.begin(), what.args.end());
  std::vector<std::string> environment;
  for (const char* name : {"PATH", "TMPDIR", "ASAN_OPTIONS", "UBSAN_OPTIONS",
                           "LSAN_OPTIONS", "TSAN_OPTIONS"}) {
    if (const char* value = std::getenv(name))
      environment.push_back(std::string{name} + '=' + value);
  }
  for (const auto& [name, value] : what.environment)
    environment.push_back(name + '=' + value);
  const auto arg_pointers = pointers(args);
  const auto environment_pointers = pointers(environment);
  const int out = open_output(output_ + ".out");
  const int err = open_output(output_ + ".err");
  const pid_t parent = ::getpid();
  pid_ = ::fork();
  if (pid_ == 0)
    become(what, out, err, parent, arg_pointers.data(),
           environment_pointers.data());
  ::close(out);
  ::close(err);
  REQUIRE(pid_ > 0);
}

process::process(process&& other) noexcept
    : pid_{std::exchange(other.pid_, -1)},
      output_{std::move(other.output_)},
      code_{other.code_} {}

process::~process() {
  if (pid_ < 0 || code_)
    return;
  ::kill(pid_, SIGKILL);
  reap(true);
}

bool process::reap(bool block) {
  if (code_ || pid_ < 0)
    return true;
  int status = 0;
  pid_t got = 0;
  do {
    got = ::waitpid(pid_, &status, block ? 0 : WNOHANG);
  } while (got < 0 && errno == EINTR);
  if (got != pid_)
    return false;
  code_ = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  return true;
}

bool process::running() {
  return !reap(false);
}

void process::signal(int number) {
  INFO(err());
  REQUIRE(running());
  REQUIRE(::kill(pid_, number) == 0);
}

int process::wait(seconds limit) {
  const bool ended = eventually([this] { return !running(); }, limit);
  INFO(err());
  REQUIRE(ended);
  return *code_;
}

ending finish(const launch& what) {
  // Each run's own output, although files are appended to.
  for (const char* end : {".out", ".err"}) {
    std::error_code ignored;
    std::filesystem::remove(
        std::filesystem::path{what.folder} / (what.output + end), ignored);
  }
  process child{what};
  ending how;
  how.code = child.wait();
  how.out = child.out();
  how.err = child.err();
  return how;
}

void pause(std::chrono::milliseconds time) {
  std::this_thread::sleep_for(time);
}

}  // namespace troupe::system_test
