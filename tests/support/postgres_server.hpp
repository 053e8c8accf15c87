#pragma once

#include <sys/types.h>

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

/// Real PostgreSQL servers for tests: on ports and in directories of their own.
/// Nothing here ever touches the cluster that the package makes.
namespace troupe::postgres_test {

/// False, after printing a SKIPPED line, if there is no server.
bool have_postgres();

struct postgres_settings {
  bool sync = false;                    ///< fsync; off: fast, and refused
  std::vector<std::string> lines = {};  ///< more of postgresql.conf
  std::vector<std::string> hba = {};    ///< before "trust for all"
};

/// One server with an empty database. It dies with us, however we end. If we
/// are root it runs as `postgres`, since it refuses to run as root.
/// **Threads**: start it from one thread that lives as long as it does.
class postgres_server {
 public:
  using settings = postgres_settings;

  /// Starts it and waits until it answers.
  explicit postgres_server(settings how = {});
  /// Kills it and removes its directory.
  ~postgres_server();
  postgres_server(const postgres_server&) = delete;
  postgres_server& operator=(const postgres_server&) = delete;

  std::uint16_t port() const noexcept { return port_; }
  /// Of a superuser without a password; `login` for another.
  std::string url(const std::string& login = "troupe",
                  std::uint16_t port = 0) const;

  /// kill -9 of all its processes, and waits until they are gone.
  void kill();
  /// Starts it again: same port, same directory.
  void restart();
  /// SIGSTOP and SIGCONT, all its processes.
  void freeze();
  void thaw();

  /// Runs SQL on a connection of its own: the first value, or the error's
  /// words.
  std::string ask(const std::string& sql) const;

 private:
  void start();
  void end();
  std::vector<pid_t> processes() const;

  settings how_;
  std::filesystem::path dir_;
  std::uint16_t port_ = 0;
  pid_t pid_ = -1;
};

}  // namespace troupe::postgres_test
