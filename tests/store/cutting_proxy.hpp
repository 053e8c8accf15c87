#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

namespace troupe::store::test {

/// Stands between a client and a server on loopback, and cuts a connection when
/// a certain request comes by. Meant for one request at a time: what else was
/// under way on that connection shares its fate.
class cutting_proxy {
 public:
  enum class moment : std::uint8_t {
    unheard,   ///< the server never got it whole
    answered,  ///< the server answered, and the answer went no further
  };

  explicit cutting_proxy(std::uint16_t server);
  ~cutting_proxy();
  cutting_proxy(const cutting_proxy&) = delete;
  cutting_proxy& operator=(const cutting_proxy&) = delete;

  std::uint16_t port() const noexcept { return port_; }

  /// Cuts once, at the next request that contains `sign`.
  void cut(std::string sign, moment when);
  std::size_t cuts() const noexcept { return cuts_; }

 private:
  struct pair {
    int client = -1, server = -1;
    std::string recent;     ///< of what the client said: a sign may be split
    bool swallows = false;  ///< the answer to come is the one to lose
  };

  void run();
  void take_client();
  /// False: this pair is over.
  bool from_client(pair& of);
  bool from_server(pair& of);

  const std::uint16_t server_;
  int listener_ = -1, wake_ = -1;
  std::uint16_t port_ = 0;
  std::vector<pair> pairs_;
  std::mutex mutex_;
  std::string sign_;
  moment when_ = moment::unheard;
  std::atomic<std::size_t> cuts_{0};
  std::atomic<bool> over_{false};
  std::thread thread_;
};

}  // namespace troupe::store::test
