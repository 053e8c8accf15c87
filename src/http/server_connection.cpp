#include "http/server_connection.hpp"

#include <exception>
#include <utility>

#include "core/log.hpp"
#include "http/exchange.hpp"

namespace troupe::http {

namespace {

using namespace std::chrono_literals;

/// How long a closed conversation is read on.
constexpr milliseconds linger_time{2'000};
/// What a request that got no answer in time is told to wait.
constexpr const char* late_pause_s = "2";

}  // namespace

server_connection::server_connection(std::shared_ptr<server_part> home,
                                     net::tcp_socket socket)
    : home_{std::move(home)},
      io_{std::move(socket)},
      reader_{{home_->core().how.max_header, home_->core().how.max_body},
              home_->core().how.on_header
                  ? [this](const request& head) { return admit(head); }
                  : request_reader::admission{}},
      idle_since_{mono_now()} {}

void server_connection::start() {
  error_code ec;
  const auto remote = io_.socket().remote_endpoint(ec);
  if (!ec)
    peer_ = remote.address().to_string();
  io_.socket().non_blocking(true, ec);
  if (ec)
    return shut();  // the peer has gone already
  io_.socket().set_option(net::tcp::no_delay{true}, ec);
  // A peer that connects and says nothing is a slow one, not an idle one.
  close_in(home_->core().how.header_timeout);
  idle_until_ = deadline_;
  auto& tls = home_->core().tls;
  if (!tls)
    return read();
  phase_ = phase::handshake;
  io_.secure_with(*tls);
  io_.handshake(asio::ssl::stream_base::server,
                [self = shared_from_this()](error_code failed) {
                  if (self->phase_ == phase::closed)
                    return;
                  if (failed) {
                    // A port scan or a health check says nothing at all.
                    if (failed != asio::error::eof)
                      self->home_->core().rejected(0);
                    return self->shut();
                  }
                  self->phase_ = phase::idle;
                  self->read();
                });
}

void server_connection::close_in(milliseconds from_now) {
  deadline_ = mono_now() + from_now;
}

bool server_connection::is_receiving() const noexcept {
  return phase_ == phase::idle || phase_ == phase::header ||
         phase_ == phase::body;
}

bool server_connection::is_current(std::uint64_t serial,
                                   phase wanted) const noexcept {
  return serial == serial_ && phase_ == wanted;
}

void server_connection::read() {
  if (reading_ || phase_ == phase::closed)
    return;
  const auto want =
      phase_ == phase::body ? read_buffer::large : read_buffer::small;
  if (!buffer_.make_room(want, home_->core().how.max_header))
    return reject(431);
  reading_ = true;
  io_.read({buffer_.room(), buffer_.room_size()},
           [self = shared_from_this()](error_code ec, std::size_t n) {
             self->reading_ = false;
             self->on_read(ec, n);
           });
}

void server_connection::on_read(error_code ec, std::size_t n) {
  switch (phase_) {
    case phase::closed: return;
    case phase::lingering:
      if (ec)
        return shut();
      return linger_raw();
    case phase::streaming:
      // The end of the peer's side alone doesn't say that it stopped reading.
      if (ec && ec != asio::error::eof)
        return shut();
      buffer_.commit(n);
      return;
    default:
      if (ec && is_receiving())
        return shut();
      buffer_.commit(n);
      process();
  }
}

void server_connection::process() {
  if (processing_)
    return;
  processing_ = true;
  while (is_receiving() && !buffer_.empty() && take_bytes()) {
  }
  processing_ = false;
  if (is_receiving())
    read();
}

/// @returns false if more bytes are needed.
bool server_connection::take_bytes() {
  if (phase_ == phase::idle) {
    phase_ = phase::header;
    close_in(home_->core().how.header_timeout);
  }
  const auto used = reader_.feed(buffer_.held());
  buffer_.consume(used);
  switch (reader_.now()) {
    case request_reader::status::refused:
      if (denied_) {
        head_only_ = reader_.is_head();
        refuse(*std::exchange(denied_, std::nullopt));
      } else {
        reject(reader_.refusal());
      }
      return true;
    case request_reader::status::done: dispatch(); return true;
    case request_reader::status::need_more: break;
  }
  if (reader_.in_body()) {
    if (phase_ == phase::header)
      enter_body();
  } else if (used != 0 && buffer_.empty()) {
    // Line breaks between requests; the next one has not begun.
    phase_ = phase::idle;
    deadline_ = idle_until_;
  }
  return false;
}

void server_connection::enter_body() {
  phase_ = phase::body;
  close_in(home_->core().how.body_timeout);
  if (!reader_.expects_continue() || !buffer_.empty())
    return;
  next_[0].append("HTTP/1.1 100 Continue\r\n\r\n");
  flush();
}

void server_connection::dispatch() {
  phase_ = phase::handling;
  deadline_ = mono_time::max();
  if (const auto most = home_->core().how.answer_timeout; most.count() > 0)
    close_in(most);
  keep_alive_ = reader_.keep_alive();
  head_only_ = reader_.is_head();
  http10_ = reader_.is_http10();
  ++serial_;
  auto what = reader_.take();
  what.peer = peer_;
  try {
    home_->core().take(std::move(what),
                       responder{std::make_shared<responder::exchange>(
                           home_->on(), weak_from_this(), serial_)});
  } catch (const std::exception& e) {
    // The responder went with the exception, so 500 is on its way.
    log::error("http_handler_threw", {{"error", log::redact(e.what())}});
  }
}

bool server_connection::admit(const request& head) {
  denied_ = home_->core().how.on_header(head);
  return !denied_;
}

void server_connection::reject(unsigned status) {
  response why;
  why.status = status;
  why.type = "text/plain";
  why.body = reason_phrase(status);
  head_only_ = false;
  refuse(why);
}

/// Answers what is not handed on, and closes.
void server_connection::refuse(const response& why) {
  ++serial_;
  keep_alive_ = http10_ = false;
  phase_ = phase::writing;
  close_in(home_->core().how.write_timeout);
  queue_answer(why);
  if (!head_only_)
    next_[0].append(why.body);
  home_->core().rejected(why.status);
  if (phase_ == phase::writing)
    flush();
}

void server_connection::answer_late() {
  response why;
  why.status = 503;
  why.type.clear();
  why.headers.add("Retry-After", late_pause_s);
  home_->core().rejected(504);
  answer(serial_, std::move(why));
}

void server_connection::answer(std::uint64_t serial, response&& what) {
  if (!is_current(serial, phase::handling))
    return;
  phase_ = phase::writing;
  close_in(home_->core().how.write_timeout);
  if (!is_sendable(what)) {
    log::error("http_answer_not_sendable", {{"status", what.status}});
    what = {};
    what.status = 500;
    what.type.clear();
  }
  queue_answer(what);
  if (!head_only_ && !is_bodiless(what.status)) {
    if (what.body.size() <= flat_body)
      next_[0].append(what.body);
    else
      next_[1] = std::move(what.body);
  }
  flush();
}

/// Queues the head, and closes the connection after it while draining.
void server_connection::queue_answer(const response& what) {
  const bool turned_away =
      what.status == 401 || what.status == 403 || what.status == 404;
  if (home_->draining() || (turned_away && home_->core().how.close_refused))
    keep_alive_ = false;
  append_head(next_[0], what, {keep_alive_, http10_, false}, home_->date());
}

void server_connection::start_stream(std::uint64_t serial, response&& head,
                                     std::shared_ptr<stream_flow> flow) {
  if (!is_current(serial, phase::handling)) {
    flow->gone.store(true, std::memory_order_release);
    return;
  }
  phase_ = phase::streaming;
  stream_ended_ = false;
  flow_ = std::move(flow);
  if (!is_sendable(head)) {
    log::error("http_answer_not_sendable", {{"status", head.status}});
    return shut();
  }
  chunked_ = !http10_;
  // Only the end of the connection ends a body without a length.
  if (home_->draining() || http10_)
    keep_alive_ = false;
  append_head(next_[0], head, {keep_alive_, http10_, true}, home_->date());
  flush();
  if (phase_ == phase::streaming)
    read();  // to see the peer go
}

void server_connection::send_chunk(std::uint64_t serial, std::string&& data) {
  if (!is_current(serial, phase::streaming) || stream_ended_)
    return;
  queued_cost_ += stream_flow::cost(data.size());
  if (!head_only_) {
    if (chunked_)
      append_chunk(next_[0], data);
    else
      next_[0].append(data);
  }
  flush();
}

void server_connection::end_stream(std::uint64_t serial) {
  if (!is_current(serial, phase::streaming) || stream_ended_)
    return;
  stream_ended_ = true;
  if (chunked_ && !head_only_)
    next_[0].append("0\r\n\r\n");
  flush();
}

void server_connection::drop(std::uint64_t serial) {
  if (is_current(serial, phase::handling))
    shut();
}

void server_connection::abandon_stream(std::uint64_t serial) {
  // Not ended, so the peer must not take it for whole.
  if (is_current(serial, phase::streaming) && !stream_ended_)
    shut();
}

void server_connection::flush() {
  while (!writing_ && phase_ != phase::closed) {
    if (next_[0].empty())
      return on_flushed();
    out_.swap(next_);
    for (auto& part : next_)
      part.clear();
    sent_ = 0;
    flying_cost_ = std::exchange(queued_cost_, 0);
    if (phase_ == phase::streaming)
      close_in(home_->core().how.write_timeout);
    if (!io_.secure()) {
      error_code ec;
      sent_ = io_.write_now({asio::buffer(out_[0]), asio::buffer(out_[1])}, ec);
      if (ec)
        return shut();
    }
    if (sent_ < out_[0].size() + out_[1].size())
      return write_rest();
    on_written();
  }
}

void server_connection::write_rest() {
  writing_ = true;
  const auto rest = sent_ < out_[0].size()
                        ? asio::buffer(out_[0]) + sent_
                        : asio::buffer(out_[1]) + (sent_ - out_[0].size());
  io_.write(rest, [self = shared_from_this()](error_code ec, std::size_t n) {
    self->writing_ = false;
    if (self->phase_ == phase::closed)
      return;
    if (ec)
      return self->shut();
    self->sent_ += n;
    if (self->sent_ < self->out_[0].size() + self->out_[1].size())
      return self->write_rest();
    self->on_written();
    self->flush();
  });
}

/// All of `out_` is with the kernel.
void server_connection::on_written() {
  if (flow_)
    flow_->unsent.fetch_sub(std::exchange(flying_cost_, 0),
                            std::memory_order_relaxed);
  // Small ones keep their memory for the next answer.
  for (auto& part : out_) {
    if (part.capacity() > 2 * flat_body)
      part = {};
    part.clear();
  }
}

/// Nothing waits to be written.
void server_connection::on_flushed() {
  if (phase_ == phase::writing)
    return finish();
  if (phase_ != phase::streaming)
    return;  // that was "100 Continue"
  deadline_ = mono_time::max();
  if (stream_ended_)
    finish();
}

/// The answer is out.
void server_connection::finish() {
  if (flow_) {
    flow_->gone.store(true, std::memory_order_release);
    flow_ = nullptr;
  }
  if (!keep_alive_ || home_->draining())
    return linger();
  phase_ = phase::idle;
  close_in(home_->core().how.idle_timeout);
  idle_until_ = deadline_;
  idle_since_ = mono_now();
  if (processing_)
    return;
  if (buffer_.empty())
    return read();
  // The next request is here already. Not handed on from within: this may be
  // some handler's call of a responder, perhaps with a lock held.
  home_->on()->post([weak = weak_from_this()] {
    if (const auto self = weak.lock())
      self->process();
  });
}

/// Says that no more comes, and reads on for a while: closing with unread bytes
/// would reset the connection and take the answer with it.
void server_connection::linger() {
  phase_ = phase::lingering;
  close_in(linger_time);
  buffer_.clear();
  if (!io_.secure())
    return linger_raw();
  if (reading_)
    return shut();
  io_.say_goodbye([self = shared_from_this()](error_code) {
    if (self->phase_ == phase::lingering)
      self->linger_raw();
  });
}

void server_connection::linger_raw() {
  error_code ec;
  io_.socket().shutdown(net::tcp::socket::shutdown_send, ec);
  if (reading_)
    return;
  if (ec && ec != asio::error::not_connected)
    return shut();
  reading_ = true;
  io_.socket().async_read_some(
      asio::buffer(buffer_.room(), buffer_.room_size()),
      [self = shared_from_this()](error_code failed, std::size_t) {
        self->reading_ = false;
        self->on_read(failed, 0);
      });
}

void server_connection::sweep(mono_time at) {
  if (at < deadline_)
    return;
  switch (phase_) {
    case phase::handshake: home_->core().rejected(0); return shut();
    case phase::header:
    case phase::body: return reject(408);
    case phase::handling: return answer_late();
    default: return shut();
  }
}

mono_time server_connection::idle_since() const noexcept {
  if (phase_ == phase::lingering)
    return mono_time::min();
  return phase_ == phase::idle && buffer_.empty() ? idle_since_
                                                  : mono_time::max();
}

void server_connection::drain() {
  if (phase_ != phase::idle)
    return;
  // A request that is here already is answered.
  error_code ec;
  if (!buffer_.empty() || io_.socket().available(ec) != 0)
    return;
  shut();
}

void server_connection::shut() {
  if (phase_ == phase::closed)
    return;
  phase_ = phase::closed;
  if (flow_)
    flow_->gone.store(true, std::memory_order_release);
  io_.close();
  home_->forget(*this);
}

}  // namespace troupe::http
