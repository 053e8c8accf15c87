#pragma once

#include <array>
#include <boost/asio/ssl/context.hpp>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/clock.hpp"
#include "net/dialer.hpp"
#include "net/lane.hpp"
#include "net/transport.hpp"
#include "store/redis_greeting.hpp"
#include "store/redis_url.hpp"

namespace troupe::store::redis {

/// One connection to one server, from the name to the last byte. It ends once
/// and is not used again. **Threads**: its lane's.
class link : public std::enable_shared_from_this<link> {
 public:
  /// Whom it tells. Called from the lane's queue, never from within a call.
  class owner {
   public:
    /// @param answer to the greeting's question
    virtual void link_opened(reply answer) = 0;
    virtual void link_read(std::string_view bytes) = 0;
    /// What `flush` left over is written.
    virtual void link_idle() = 0;
    /// It ended by itself; the last call.
    virtual void link_lost(const greeting::failure& why) = 0;

   protected:
    ~owner() = default;
  };

  struct limits {
    milliseconds open{5000};  ///< for all of name, TCP, TLS and greeting
    /// Unacknowledged bytes, or keepalives, of this age end a connection.
    milliseconds dead_after{3000};
  };

  link(std::shared_ptr<net::lane> on, net::asio::ssl::context* tls, owner& whom,
       const limits& how);

  /// Connects and greets.
  void open(const address& to, greeting::terms how);

  /// Nothing is being written: `buffer` may be filled.
  bool idle() const noexcept { return ready_ && !writing_ && out_.empty(); }
  /// What is to be written; `flush` then.
  std::string& buffer() noexcept { return out_; }
  /// Writes as much of the buffer as fits; the rest goes by itself.
  void flush();
  /// Bytes that may have left this machine, the greeting's not counted.
  std::uint64_t handed() const noexcept { return handed_; }

  /// Ends it and tells nobody.
  void close();
  /// To whom it is not open yet, and how far it came: for people.
  std::string standing() const { return to_string(to_) + ": " + stage_; }

 private:
  void resolved(std::vector<net::tcp::endpoint> found, const std::string& why);
  void sweep();
  void on_connected(const net::error_code& ec);
  void set_socket_options();
  void secure();
  void greet();
  void read();
  void on_read(const net::error_code& ec, std::size_t n);
  void take_greeting(std::string_view bytes);
  void write_some();
  void write_secure();
  void on_written(const net::error_code& ec, std::size_t n);
  void written();
  void fail(std::string why, bool lasting = false);

  const std::shared_ptr<net::lane> on_;
  net::asio::ssl::context* const tls_;
  owner* owner_;
  const limits how_;

  net::transport io_;
  net::dialer dialer_;
  address to_;
  std::optional<greeting> greeting_;
  const char* stage_ = "resolving";
  bool connected_ = false;  ///< as far as TCP
  bool ready_ = false;
  mono_time open_by_{};

  std::string out_;
  std::size_t written_ = 0;
  std::uint64_t handed_ = 0;
  bool writing_ = false;  ///< an operation is pending
  std::array<char, 64 * 1024> in_;
};

}  // namespace troupe::store::redis
