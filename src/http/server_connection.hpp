#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "core/clock.hpp"
#include "http/read_buffer.hpp"
#include "http/reader.hpp"
#include "http/server_parts.hpp"
#include "net/transport.hpp"

namespace troupe::http {

/// What a stream's sender may ask from any thread.
struct stream_flow {
  static constexpr std::size_t limit = 1
                                       << 20;  ///< bytes unsent, see server.hpp
  /// A chunk with its frame: small ones must not be free.
  static constexpr std::size_t cost(std::size_t bytes) { return bytes + 12; }
  std::atomic<std::size_t> unsent{0};  ///< sum of costs
  std::atomic<bool> gone{false};
};

/// One connection of a server: reads a request, hands it on, writes its answer,
/// and only then looks at the next one, so that what it holds is bounded by one
/// request and one answer. **Threads**: its lane's.
class server_connection
    : public std::enable_shared_from_this<server_connection> {
 public:
  server_connection(std::shared_ptr<server_part> home, net::tcp_socket socket);

  void start();
  /// Looks at the deadline.
  void sweep(mono_time now);
  void drain();
  /// Closes at once. The last call that does something.
  void shut();

  /// The answer to request `serial`; nothing if that is not the current one.
  void answer(std::uint64_t serial, response&& what);
  /// Closes instead of answering it.
  void drop(std::uint64_t serial);
  void start_stream(std::uint64_t serial, response&& head,
                    std::shared_ptr<stream_flow> flow);
  void send_chunk(std::uint64_t serial, std::string&& data);
  void end_stream(std::uint64_t serial);
  /// The stream's sender is gone without having ended it.
  void abandon_stream(std::uint64_t serial);

  /// Since when it holds a place for nothing; `max` if it is of use.
  mono_time idle_since() const noexcept;

  std::size_t slot = 0;  ///< its place in the part's list

 private:
  enum class phase {
    handshake,
    idle,  ///< no byte of a request yet
    header,
    body,
    handling,  ///< waits for the answer
    writing,
    streaming,
    lingering,  ///< reads on, so that the answer survives (RFC 9112, 9.6)
    closed,
  };

  bool is_receiving() const noexcept;
  bool is_current(std::uint64_t serial, phase wanted) const noexcept;
  void read();
  void on_read(error_code ec, std::size_t n);
  void process();
  bool take_bytes();
  void enter_body();
  void dispatch();
  bool admit(const request& head);
  void reject(unsigned status);
  void refuse(const response& why);
  void answer_late();
  void queue_answer(const response& what);
  void flush();
  void write_rest();
  void on_written();
  void on_flushed();
  void finish();
  void linger();
  void linger_raw();
  void close_in(milliseconds from_now);

  std::shared_ptr<server_part> home_;
  net::transport io_;
  request_reader reader_;
  std::string peer_;
  std::optional<response> denied_;  ///< what `on_header` said

  phase phase_ = phase::idle;
  mono_time deadline_ = mono_time::max();
  mono_time idle_until_ = mono_time::max();
  mono_time idle_since_;
  std::uint64_t serial_ = 0;

  read_buffer buffer_;

  std::array<std::string, 2> out_;   ///< being written: head, large body
  std::array<std::string, 2> next_;  ///< written after that
  std::size_t sent_ = 0;             ///< bytes of `out_`
  std::shared_ptr<stream_flow> flow_;
  std::size_t flying_cost_ = 0, queued_cost_ = 0;  ///< of chunks

  bool reading_ = false;
  bool writing_ = false;
  bool processing_ = false;
  bool keep_alive_ = true;
  bool head_only_ = false;
  bool http10_ = false;
  bool chunked_ = false;
  bool stream_ended_ = false;
};

}  // namespace troupe::http
