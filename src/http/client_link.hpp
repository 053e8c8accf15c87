#pragma once

#include <array>
#include <cstddef>
#include <memory>
#include <string>
#include <vector>

#include "core/clock.hpp"
#include "http/client.hpp"
#include "http/read_buffer.hpp"
#include "http/reader.hpp"
#include "net/dialer.hpp"
#include "net/transport.hpp"

namespace troupe::http {

namespace asio = boost::asio;
using boost::system::error_code;

/// A request and who waits for its answer.
struct client_call {
  request what;
  milliseconds timeout{0};
  client::answer done;
  mono_time begin_by = mono_time::max();
  mono_time deadline = mono_time::max();  ///< set when it starts
  bool retried = false;
};

/// One connection of a client, which carries one call after the other.
/// **Threads**: its client's lane.
class client_link : public std::enable_shared_from_this<client_link> {
 public:
  explicit client_link(std::shared_ptr<client::impl> home);

  /// Connects to the first of `to` that answers.
  void connect(std::vector<net::tcp::endpoint> to);
  /// Gives up connecting: the host has no address.
  void fail_open(error why);
  /// Carries out a call. The link must be idle.
  void run(std::unique_ptr<client_call> call);
  void sweep(mono_time now);
  /// Closes at once and tells nobody.
  /// @returns the call that was running, with its failure in `why`.
  std::unique_ptr<client_call> shut(failure& why);

  std::size_t slot = 0;  ///< its place in the client's list

 private:
  enum class phase { resolving, connecting, handshake, idle, busy, closed };

  void on_connected(const error_code& ec);
  void secure();
  void on_secure(error_code ec);
  void ready();
  void read();
  void on_read(error_code ec, std::size_t n);
  void take_bytes();
  void write_first();
  void write_rest();
  void complete();
  void give_up(error why, bool may_repeat);
  error lost(const error_code& ec) const;

  std::shared_ptr<client::impl> home_;
  net::transport io_;
  net::dialer dialer_;
  response_reader reader_;
  read_buffer buffer_;

  phase phase_ = phase::resolving;
  mono_time deadline_;

  std::unique_ptr<client_call> call_;
  std::array<std::string, 2> out_;  ///< head, large body
  std::size_t written_ = 0;
  bool maybe_sent_ = false;
  bool writing_ = false;
  bool write_failed_ = false;
  bool reading_ = false;
  bool reused_ = false;
};

}  // namespace troupe::http
