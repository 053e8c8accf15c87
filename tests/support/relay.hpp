#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <list>
#include <mutex>
#include <optional>
#include <string>
#include <thread>

namespace troupe::relay_test {

/// Stands between clients and one server on loopback: a road that a test can
/// cut. Moves bytes both ways and knows nothing of what they mean.
///
/// All functions have taken effect when they return. At most 64 KiB are held
/// per direction and connection; the rest waits in the sender's socket.
/// **Threads**: any; it has one of its own.
class relay {
 public:
  /// The server need not listen yet: until it does, connections end at once.
  explicit relay(std::uint16_t server);
  ~relay();
  relay(const relay&) = delete;
  relay& operator=(const relay&) = delete;

  std::uint16_t port() const noexcept { return port_; }
  /// `127.0.0.1:PORT`
  std::string place() const;

  /// Ends all connections by RST; what becomes of new ones does not change.
  void reset();
  /// Ends all connections likewise, and new ones at once until `pass`.
  void refuse();
  /// Nothing moves until `pass`, as where packets are lost: connections stay,
  /// and what was sent meanwhile arrives then, even of who gave up waiting.
  void hold();
  void pass();

  /// Connections that pass, or are held, now.
  std::size_t connections() const;
  /// Connections that were ended by us so far.
  std::size_t cuts() const noexcept { return cuts_; }

 private:
  enum class mode : std::uint8_t { passes, refuses, holds };

  /// One direction of a connection.
  struct way {
    std::string held;
    bool ended = false;  ///< nothing comes after what is held
  };
  struct pair {
    int client = -1, server = -1;
    way up = {}, down = {};
  };

  void become(std::optional<mode> next, bool end_all);
  void wake() const;
  void run();
  void take_clients();
  void move_all();
  static bool move(int from, int to, way& what);

  const std::uint16_t server_;
  int listener_ = -1, wake_ = -1;
  std::uint16_t port_ = 0;
  mutable std::mutex lock_;  ///< of the two below
  std::list<pair> pairs_;
  mode mode_ = mode::passes;
  std::atomic<std::size_t> cuts_{0};
  std::atomic<bool> over_{false};
  std::thread thread_;
};

}  // namespace troupe::relay_test
