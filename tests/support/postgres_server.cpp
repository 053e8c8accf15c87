#include "tests/support/postgres_server.hpp"

#include <arpa/inet.h>
#include <fcntl.h>
#include <libpq-fe.h>
#include <netinet/in.h>
#include <pwd.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <fstream>
#include <iostream>
#include <memory>
#include <random>
#include <sstream>
#include <thread>
#include <utility>

#include "tests/support/catch.hpp"

namespace troupe::postgres_test {

namespace fs = std::filesystem;

namespace {

/// Where initdb and postgres are; empty: nowhere.
fs::path programs() {
  std::error_code ec;
  fs::path newest;
  for (const auto& each : fs::directory_iterator{"/usr/lib/postgresql", ec})
    if (fs::exists(each.path() / "bin/initdb", ec) && each.path() > newest)
      newest = each.path();
  return newest.empty() ? newest : newest / "bin";
}

/// Whom it runs as; null: as we do.
const passwd* servant() {
  return ::geteuid() == 0 ? ::getpwnam("postgres") : nullptr;
}

bool eventually(const std::function<bool()>& holds) {
  const auto end = std::chrono::steady_clock::now() + std::chrono::minutes{2};
  while (!holds()) {
    if (std::chrono::steady_clock::now() > end)
      return false;
    std::this_thread::sleep_for(std::chrono::milliseconds{10});
  }
  return true;
}

/// Below the ports of outgoing connections, so that no client of a server that
/// is away connects to itself.
std::uint16_t free_port() {
  static std::mt19937 random{std::random_device{}()};
  std::uniform_int_distribution<int> any{22'001, 31'000};
  for (int tries = 0; tries < 1'000; ++tries) {
    const int port = any(random);
    const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    REQUIRE(fd >= 0);
    sockaddr_in at{};
    at.sin_family = AF_INET;
    at.sin_port = htons(static_cast<std::uint16_t>(port));
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    const bool ours =
        ::bind(fd, reinterpret_cast<sockaddr*>(&at), sizeof at) == 0;
    ::close(fd);
    if (ours)
      return static_cast<std::uint16_t>(port);
  }
  FAIL("no free port");
  return 0;
}

// In the child, between fork and exec: system calls only.
[[noreturn]] void become(const char* program, char* const* args, int log,
                         const passwd* as, const char* dir, pid_t parent) {
  const bool right =
      (as == nullptr ||
       (::setgid(as->pw_gid) == 0 && ::setuid(as->pw_uid) == 0)) &&
      ::chdir(dir) == 0 && ::prctl(PR_SET_PDEATHSIG, SIGKILL) == 0 &&
      ::getppid() == parent;
  if (!right)
    ::_exit(126);
  ::dup2(log, 1);
  ::dup2(log, 2);
  ::execv(program, args);
  ::_exit(127);
}

// PostgreSQL's programs find each other by the path that they were called with.
pid_t launch(std::string program, std::vector<std::string> words,
             const fs::path& dir) {
  std::vector<char*> args{program.data()};
  for (auto& one : words)
    args.push_back(one.data());
  args.push_back(nullptr);
  const int log = ::open((dir / "log").c_str(),
                         O_CREAT | O_WRONLY | O_APPEND | O_CLOEXEC, 0644);
  REQUIRE(log >= 0);
  const auto* as = servant();
  const pid_t parent = ::getpid();
  const pid_t pid = ::fork();
  if (pid == 0)
    become(program.c_str(), args.data(), log, as, dir.c_str(), parent);
  ::close(log);
  REQUIRE(pid > 0);
  return pid;
}

void wait_for(pid_t pid, int* status = nullptr) {
  while (::waitpid(pid, status, 0) < 0 && errno == EINTR) {
  }
}

fs::path own_directory() {
  auto name = (fs::temp_directory_path() / "troupe-pg-XXXXXX").string();
  REQUIRE(::mkdtemp(name.data()) != nullptr);
  if (const auto* as = servant())
    REQUIRE(::chown(name.c_str(), as->pw_uid, as->pw_gid) == 0);
  return name;
}

std::string log_of(const fs::path& dir) {
  std::ifstream in{dir / "log"};
  std::ostringstream all;
  all << in.rdbuf();
  return all.str();
}

void run(const std::string& program, std::vector<std::string> words,
         const fs::path& dir) {
  int status = -1;
  wait_for(launch(program, std::move(words), dir), &status);
  INFO(log_of(dir));
  REQUIRE(status == 0);
}

/// What initdb made, once for the whole program; copied for each server.
const fs::path& pristine() {
  static const struct once {
    once() : dir{own_directory()} {
      run(programs() / "initdb",
          {"-D", (dir / "data").string(), "-A", "trust", "-U", "troupe", "-E",
           "UTF8", "--locale=C", "--no-sync"},
          dir);
    }
    ~once() {
      std::error_code ignored;
      fs::remove_all(dir, ignored);
    }
    fs::path dir;
  } made;
  return made.dir;
}

std::string words_of(const fs::path& file) {
  std::ifstream in{file};
  return {std::istreambuf_iterator<char>{in}, {}};
}

}  // namespace

bool have_postgres() {
  if (!programs().empty() && (::geteuid() != 0 || servant() != nullptr))
    return true;
  std::cout << "SKIPPED: postgresql is not installed\n";
  return false;
}

postgres_server::postgres_server(settings how) : how_{std::move(how)} {
  const auto from = (pristine() / "data").string();
  dir_ = own_directory();
  run("/bin/cp", {"-a", from, (dir_ / "data").string()}, dir_);
  {
    std::ofstream out{dir_ / "data/postgresql.conf", std::ios::app};
    out << "listen_addresses = '127.0.0.1'\nunix_socket_directories = '"
        << dir_.string() << "'\nfsync = " << (how_.sync ? "on" : "off")
        << "\nshared_buffers = 32MB\nmax_connections = 50\n"
        << "deadlock_timeout = 200ms\n";
    for (const auto& line : how_.lines)
      out << line << "\n";
  }
  const auto hba = dir_ / "data/pg_hba.conf";
  const auto before = words_of(hba);
  std::ofstream out{hba, std::ios::trunc};
  for (const auto& line : how_.hba)
    out << line << "\n";
  out << before;
  out.close();
  // Somebody may take the port before the server does.
  for (int tries = 0; tries < 10 && pid_ < 0; ++tries) {
    port_ = free_port();
    start();
  }
  REQUIRE(pid_ > 0);
}

postgres_server::~postgres_server() {
  if (pid_ > 0)
    end();
  std::error_code ignored;
  fs::remove_all(dir_, ignored);
}

void postgres_server::start() {
  pid_ = launch(programs() / "postgres",
                {"-D", (dir_ / "data").string(), "-p", std::to_string(port_)},
                dir_);
  bool ended = false;
  const bool up = eventually([&] {
    ended = ::waitpid(pid_, nullptr, WNOHANG) == pid_;
    return ended || ask("SELECT 1") == "1";
  });
  if (ended)
    pid_ = -1;
  INFO(log_of(dir_));
  REQUIRE(up);
}

std::string postgres_server::url(const std::string& login,
                                 std::uint16_t port) const {
  return "postgresql://" + login +
         "@127.0.0.1:" + std::to_string(port == 0 ? port_ : port) + "/postgres";
}

std::vector<pid_t> postgres_server::processes() const {
  std::vector<pid_t> out{pid_};
  const auto at = std::to_string(pid_);
  std::ifstream in{"/proc/" + at + "/task/" + at + "/children"};
  for (pid_t child = 0; in >> child;)
    out.push_back(child);
  return out;
}

void postgres_server::kill() {
  REQUIRE(pid_ > 0);
  end();
}

// Also after main, where Catch is gone.
void postgres_server::end() {
  ::kill(pid_, SIGSTOP);  // or it would start others for those that end
  const auto all = processes();
  for (const auto each : all)
    ::kill(each, SIGKILL);
  wait_for(pid_);
  for (const auto each : all)
    eventually([&] { return ::kill(each, 0) != 0; });
  pid_ = -1;
}

void postgres_server::restart() {
  if (pid_ > 0)
    kill();
  start();
  REQUIRE(pid_ > 0);
}

void postgres_server::freeze() {
  ::kill(pid_, SIGSTOP);
  for (const auto each : processes())
    ::kill(each, SIGSTOP);
}

void postgres_server::thaw() {
  for (const auto each : processes())
    ::kill(each, SIGCONT);
}

std::string postgres_server::ask(const std::string& sql) const {
  const std::unique_ptr<PGconn, decltype(&PQfinish)> c{
      PQconnectdb((url() + "?connect_timeout=5").c_str()), PQfinish};
  if (PQstatus(c.get()) != CONNECTION_OK)
    return PQerrorMessage(c.get());
  PQsetNoticeProcessor(
      c.get(), [](void*, const char*) {}, nullptr);
  const std::unique_ptr<PGresult, decltype(&PQclear)> r{
      PQexec(c.get(), sql.c_str()), PQclear};
  const auto how = PQresultStatus(r.get());
  if (how != PGRES_TUPLES_OK && how != PGRES_COMMAND_OK)
    return PQerrorMessage(c.get());
  return PQntuples(r.get()) > 0 ? PQgetvalue(r.get(), 0, 0) : "";
}

}  // namespace troupe::postgres_test
