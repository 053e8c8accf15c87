#include "tests/support/redis_server.hpp"

#include <arpa/inet.h>
#include <fcntl.h>
#include <hiredis/hiredis.h>
#include <netinet/in.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <fstream>
#include <iostream>
#include <random>
#include <sstream>
#include <thread>
#include <utility>

#include "tests/support/catch.hpp"

namespace troupe::redis_test {

namespace {

constexpr auto program = "/usr/bin/redis-server";

bool can_bind(std::uint16_t port) {
  const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  REQUIRE(fd >= 0);
  sockaddr_in at{};
  at.sin_family = AF_INET;
  at.sin_port = htons(port);
  at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  const bool ours =
      ::bind(fd, reinterpret_cast<sockaddr*>(&at), sizeof at) == 0;
  ::close(fd);
  return ours;
}

/// A port that nobody has, nor the one 10,000 above it, a cluster node's
/// second. Both are below those of outgoing connections: a client that calls
/// one of those again and again while its server is away connects to itself in
/// the end, and the server can't come back.
std::uint16_t free_port() {
  static std::mt19937 random{std::random_device{}()};
  std::uniform_int_distribution<int> any{12'000, 22'000};
  for (int tries = 0; tries < 1'000; ++tries) {
    const auto port = static_cast<std::uint16_t>(any(random));
    if (can_bind(port) && can_bind(static_cast<std::uint16_t>(port + 10'000)))
      return port;
  }
  FAIL("no free port");
  return 0;
}

using reply_ptr = std::unique_ptr<redisReply, decltype(&freeReplyObject)>;

std::string text_of(const redisReply& reply) {
  if (reply.type == REDIS_REPLY_INTEGER)
    return std::to_string(reply.integer);
  if (reply.type != REDIS_REPLY_ARRAY)
    return reply.str == nullptr ? "" : std::string{reply.str, reply.len};
  std::string out;
  for (std::size_t i = 0; i < reply.elements; ++i)
    out += (i == 0 ? "" : " ") + text_of(*reply.element[i]);
  return out;
}

// In the child, between fork and exec: system calls only.
[[noreturn]] void become_server(char* const* args, int log, pid_t parent) {
  if (::prctl(PR_SET_PDEATHSIG, SIGKILL) != 0 || ::getppid() != parent)
    ::_exit(126);
  ::dup2(log, 1);
  ::dup2(log, 2);
  ::execv(program, args);
  ::_exit(127);
}

void wait_for(pid_t pid) {
  while (::waitpid(pid, nullptr, 0) < 0 && errno == EINTR) {
  }
}

}  // namespace

bool have_redis() {
  if (::access(program, X_OK) == 0)
    return true;
  std::cout << "SKIPPED: redis-server is not installed\n";
  return false;
}

bool eventually(const std::function<bool()>& holds,
                std::chrono::seconds limit) {
  const auto end = std::chrono::steady_clock::now() + limit;
  while (!holds()) {
    if (std::chrono::steady_clock::now() > end)
      return false;
    std::this_thread::sleep_for(std::chrono::milliseconds{10});
  }
  return true;
}

redis_server::redis_server(settings how) : how_{std::move(how)} {
  auto name =
      (std::filesystem::temp_directory_path() / "troupe-redis-XXXXXX").string();
  REQUIRE(::mkdtemp(name.data()) != nullptr);
  dir_ = name;
  // Somebody may take the port before the server does.
  for (int tries = 0; tries < 10 && pid_ < 0; ++tries) {
    port_ = free_port();
    while (!how_.tls_key.empty() && (tls_port_ == 0 || tls_port_ == port_))
      tls_port_ = free_port();
    write_configuration();
    start();
  }
  REQUIRE(pid_ > 0);
}

redis_server::~redis_server() {
  if (pid_ > 0) {
    ::kill(pid_, SIGKILL);
    wait_for(pid_);
  }
  std::error_code ignored;
  std::filesystem::remove_all(dir_, ignored);
}

void redis_server::write_configuration() const {
  std::ofstream out{dir_ / "redis.conf"};
  out << "bind 127.0.0.1\nport " << port_ << "\ndir " << dir_.string()
      << "\ndaemonize no\nlogfile \"\"\n";
  if (!how_.tls_key.empty())
    out << "tls-port " << tls_port_ << "\ntls-ca-cert-file " << how_.tls_ca
        << "\ntls-cert-file " << how_.tls_certificate << "\ntls-key-file "
        << how_.tls_key << "\ntls-auth-clients "
        << (how_.tls_clients ? "yes" : "no") << "\n";
  for (const auto& line : how_.sentinel)
    out << line << "\n";
  if (!how_.sentinel.empty())
    return;
  out << "save \"\"\nappendonly " << (how_.append_only ? "yes" : "no")
      << "\nappendfsync everysec\nenable-debug-command local\n"
      << "repl-diskless-sync-delay 0\n";
  if (!how_.password.empty())
    out << "requirepass \"" << how_.password << "\"\nmasterauth \""
        << how_.password << "\"\n";
  if (how_.cluster)
    out << "cluster-enabled yes\ncluster-node-timeout 1000\n"
        << "cluster-replica-validity-factor 0\n";
  for (const auto& line : how_.lines)
    out << line << "\n";
}

void redis_server::start() {
  const auto file = (dir_ / "redis.conf").string();
  std::vector<std::string> texts{"redis-server", file};
  if (!how_.sentinel.empty())
    texts.emplace_back("--sentinel");
  std::vector<char*> args;
  for (auto& one : texts)
    args.push_back(one.data());
  args.push_back(nullptr);
  const int log = ::open((dir_ / "log").c_str(),
                         O_CREAT | O_WRONLY | O_APPEND | O_CLOEXEC, 0644);
  REQUIRE(log >= 0);
  const pid_t parent = ::getpid();
  pid_ = ::fork();
  if (pid_ == 0)
    become_server(args.data(), log, parent);
  ::close(log);
  REQUIRE(pid_ > 0);
  bool ended = false;
  const bool up = eventually([&] {
    ended = ::waitpid(pid_, nullptr, WNOHANG) == pid_;
    return ended || answers();
  });
  if (ended)
    pid_ = -1;
  std::ifstream in{dir_ / "log"};
  std::ostringstream said;
  said << in.rdbuf();
  INFO(said.str());
  REQUIRE(up);
}

bool redis_server::answers() const {
  const auto said = ask({"PING"});
  return said == "PONG" || said.rfind("MISCONF", 0) == 0;
}

std::string redis_server::place() const {
  return "127.0.0.1:" + std::to_string(port_);
}

std::string redis_server::url(const std::string& rest) const {
  return "redis://" + place() + rest;
}

void redis_server::kill() {
  REQUIRE(pid_ > 0);
  REQUIRE(::kill(pid_, SIGKILL) == 0);
  wait_for(pid_);
  pid_ = -1;
}

void redis_server::restart() {
  if (pid_ > 0)
    kill();
  start();
  REQUIRE(pid_ > 0);
}

void redis_server::freeze() {
  REQUIRE(::kill(pid_, SIGSTOP) == 0);
}

void redis_server::thaw() {
  REQUIRE(::kill(pid_, SIGCONT) == 0);
}

answer redis_server::ask(const std::vector<std::string>& words) const {
  const timeval patience{5, 0};
  const std::unique_ptr<redisContext, decltype(&redisFree)> to{
      redisConnectWithTimeout("127.0.0.1", port_, patience), redisFree};
  if (!to || to->err != 0)
    return "no connection";
  redisSetTimeout(to.get(), patience);
  const auto call = [&](const std::vector<std::string>& what) {
    std::vector<const char*> texts;
    std::vector<std::size_t> sizes;
    for (const auto& one : what) {
      texts.push_back(one.data());
      sizes.push_back(one.size());
    }
    const reply_ptr got{static_cast<redisReply*>(redisCommandArgv(
                            to.get(), static_cast<int>(what.size()),
                            texts.data(), sizes.data())),
                        freeReplyObject};
    return got ? text_of(*got) : std::string{"no answer"};
  };
  if (!how_.password.empty())
    call({"AUTH", how_.password});
  return call(words);
}

std::string redis_server::info(const std::string& field,
                               const std::vector<std::string>& words) const {
  std::istringstream lines{ask(words)};
  std::string line;
  while (std::getline(lines, line)) {
    if (line.rfind(field + ":", 0) != 0)
      continue;
    const auto end = line.find_last_not_of("\r\n");
    return line.substr(field.size() + 1, end - field.size());
  }
  return {};
}

redis_cluster::redis_cluster(std::size_t primaries, std::size_t replicas_each,
                             bool append_only) {
  for (std::size_t i = 0; i < primaries * (1 + replicas_each); ++i)
    nodes_.push_back(std::make_unique<redis_server>(
        redis_server::settings{.append_only = append_only, .cluster = true}));
  for (std::size_t i = 0; i < primaries; ++i)
    nodes_[i]->ask({"CLUSTER", "ADDSLOTSRANGE",
                    std::to_string(16384 * i / primaries),
                    std::to_string(16384 * (i + 1) / primaries - 1)});
  for (std::size_t i = 0; i < size(); ++i)
    nodes_[i]->ask({"CLUSTER", "SET-CONFIG-EPOCH", std::to_string(i + 1)});
  for (std::size_t i = 1; i < size(); ++i)
    nodes_[0]->ask(
        {"CLUSTER", "MEET", "127.0.0.1", std::to_string(nodes_[i]->port())});
  for (std::size_t i = primaries; i < size(); ++i) {
    const auto of = id(i % primaries);
    REQUIRE(eventually([&] {
      return nodes_[i]->ask({"CLUSTER", "REPLICATE", of}) == "OK";
    }));
    REQUIRE(eventually(
        [&] { return nodes_[i]->info("master_link_status") == "up"; }));
  }
  REQUIRE(eventually([&] { return healthy(); }));
}

void redis_cluster::be_patient() {
  for (const auto& each : nodes_)
    REQUIRE(each->ask({"CONFIG", "SET", "cluster-node-timeout", "600000"}) ==
            "OK");
}

bool redis_cluster::healthy() const {
  for (const auto& each : nodes_) {
    const std::vector<std::string> question{"CLUSTER", "INFO"};
    if (each->info("cluster_state", question) != "ok" ||
        each->info("cluster_known_nodes", question) != std::to_string(size()))
      return false;
  }
  return true;
}

redis_server& redis_cluster::owner(const std::string& key) {
  for (const auto& each : nodes_)
    if (each->ask({"EXISTS", key}).find_first_not_of("0123456789") ==
        std::string::npos)
      return *each;
  FAIL("nobody serves " << key);
  return *nodes_[0];
}

std::string redis_cluster::url() const {
  std::string out = "redis+cluster://";
  for (std::size_t i = 0; i < size(); ++i)
    out += (i == 0 ? "" : ",") + nodes_[i]->place();
  return out;
}

redis_sentinels::redis_sentinels(const std::string& password,
                                 std::size_t replicas, bool append_only) {
  redis_server::settings how{.append_only = append_only, .password = password};
  servers_.push_back(std::make_unique<redis_server>(how));
  how.lines = {"replicaof 127.0.0.1 " + std::to_string(primary().port())};
  for (std::size_t i = 0; i < replicas; ++i)
    servers_.push_back(std::make_unique<redis_server>(how));
  for (std::size_t i = 1; i <= replicas; ++i)
    REQUIRE(eventually(
        [&] { return servers_[i]->info("master_link_status") == "up"; }));
  for (int i = 0; i < 3; ++i) {
    redis_server::settings one;
    one.sentinel = {"sentinel monitor main 127.0.0.1 " +
                        std::to_string(primary().port()) + " 2",
                    "sentinel down-after-milliseconds main 1000",
                    "sentinel failover-timeout main 3000"};
    if (!password.empty())
      one.sentinel.push_back("sentinel auth-pass main " + password);
    sentinels_.push_back(std::make_unique<redis_server>(one));
  }
  for (const auto& each : sentinels_)
    REQUIRE(eventually([&] {
      return each->ask({"SENTINEL", "CKQUORUM", "main"}).rfind("OK 3", 0) ==
                 0 &&
             each->info("master0").find("slaves=" + std::to_string(replicas) +
                                        ",sentinels=3") != std::string::npos;
    }));
}

redis_server* redis_sentinels::named() const {
  const auto said = sentinels_[0]->ask(
      {"SENTINEL", "get-master-addr-by-name", "main"});  // host and port
  for (const auto& each : servers_)
    if (said == "127.0.0.1 " + std::to_string(each->port()))
      return each.get();
  return nullptr;
}

void redis_sentinels::be_patient() {
  for (const auto& each : sentinels_)
    REQUIRE(each->ask({"SENTINEL", "SET", "main", "down-after-milliseconds",
                       "600000"}) == "OK");
}

std::string redis_sentinels::url(const std::string& login) const {
  std::string out = "redis+sentinel://" + login;
  for (std::size_t i = 0; i < sentinels_.size(); ++i)
    out += (i == 0 ? "" : ",") + sentinels_[i]->place();
  return out + "/main";
}

}  // namespace troupe::redis_test
