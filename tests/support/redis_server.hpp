#pragma once

#include <sys/types.h>

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <vector>

/// Real Redis servers for tests: on ports and in directories of their own.
/// Nothing here ever touches the service that the package starts on 6379.
namespace troupe::redis_test {

/// False, after printing a SKIPPED line, if there is no redis-server.
bool have_redis();

/// Generous: a wait ends early when its condition holds.
bool eventually(const std::function<bool()>& holds,
                std::chrono::seconds limit = std::chrono::seconds{120});

/// The text of an answer: of a list, its elements by spaces.
using answer = std::string;

struct redis_settings {
  bool append_only = false;   ///< fsync every second
  std::string password = {};  ///< of the default user
  bool cluster = false;
  std::string tls_ca = {}, tls_certificate = {};
  std::string tls_key = {};                ///< not empty: `tls_port` listens
  bool tls_clients = false;                ///< which must show a certificate
  std::vector<std::string> lines = {};     ///< more of redis.conf
  std::vector<std::string> sentinel = {};  ///< not empty: a Sentinel's lines
};

/// One redis-server, or one Sentinel. It dies with us, however we end.
/// **Threads**: start it from one thread that lives as long as it does.
class redis_server {
 public:
  using settings = redis_settings;

  /// Starts it and waits until it answers.
  explicit redis_server(settings how = {});
  /// Kills it and removes its directory.
  ~redis_server();
  redis_server(const redis_server&) = delete;
  redis_server& operator=(const redis_server&) = delete;

  std::uint16_t port() const noexcept { return port_; }
  std::uint16_t tls_port() const noexcept { return tls_port_; }
  /// `127.0.0.1:PORT`
  std::string place() const;
  std::string url(const std::string& rest = "") const;

  /// kill -9, and waits until it is gone.
  void kill();
  /// Starts it again: same port, same directory.
  void restart();
  /// SIGSTOP and SIGCONT.
  void freeze();
  void thaw();

  /// Asks over a connection of its own, logged in. An error is an answer, too.
  answer ask(const std::vector<std::string>& words) const;
  /// The value of `field:value` in INFO or CLUSTER INFO; empty: there is none.
  std::string info(const std::string& field,
                   const std::vector<std::string>& words = {"INFO"}) const;

 private:
  void start();
  bool answers() const;
  void write_configuration() const;

  settings how_;
  std::filesystem::path dir_;
  std::uint16_t port_ = 0, tls_port_ = 0;
  pid_t pid_ = -1;
};

/// Primaries that share the slots evenly, each with some replicas: replica `i`
/// of primary `p` is node `p + i * primaries`.
class redis_cluster {
 public:
  explicit redis_cluster(std::size_t primaries, std::size_t replicas_each = 0,
                         bool append_only = false);

  /// From here on a node may be slow for ten minutes before another takes it
  /// for dead: for tests that are not about that.
  void be_patient();

  redis_server& node(std::size_t i) { return *nodes_.at(i); }
  std::size_t size() const noexcept { return nodes_.size(); }
  std::string url() const;
  /// The primary of the key's slot, by its own account.
  redis_server& owner(const std::string& key);
  std::string id(std::size_t i) const {
    return nodes_[i]->ask({"CLUSTER", "MYID"});
  }
  bool healthy() const;

 private:
  std::vector<std::unique_ptr<redis_server>> nodes_;
};

/// A primary named `main`, its replicas, and three Sentinels.
class redis_sentinels {
 public:
  explicit redis_sentinels(const std::string& password = "",
                           std::size_t replicas = 1, bool append_only = false);

  /// As they were at the beginning.
  redis_server& primary() { return *servers_[0]; }
  redis_server& replica() { return *servers_[1]; }
  /// Whom the Sentinels name right now; nothing while they name nobody of us.
  redis_server* named() const;
  /// As of a cluster.
  void be_patient();
  redis_server& sentinel(std::size_t i) { return *sentinels_.at(i); }
  std::string url(const std::string& login = "") const;

 private:
  std::vector<std::unique_ptr<redis_server>> servers_;
  std::vector<std::unique_ptr<redis_server>> sentinels_;
};

}  // namespace troupe::redis_test
