#include "http/client_link.hpp"

#include <utility>

#include "http/client_impl.hpp"
#include "http/writer.hpp"
#include "net/tls.hpp"

namespace troupe::http {

client_link::client_link(std::shared_ptr<client::impl> home)
    : home_{std::move(home)},
      io_{net::tcp_socket{home_->on->io()}},
      dialer_{io_.socket()},
      reader_{{.body = home_->how.max_body}},
      deadline_{mono_now() + home_->how.connect_timeout} {}

void client_link::connect(std::vector<net::tcp::endpoint> to) {
  if (phase_ != phase::resolving)
    return;
  phase_ = phase::connecting;
  dialer_.start(std::move(to), deadline_,
                [self = shared_from_this()](const error_code& ec) {
                  self->on_connected(ec);
                });
}

void client_link::fail_open(error why) {
  if (phase_ == phase::closed)
    return;
  failure unused;
  shut(unused);
  home_->link_failed(*this, why);
}

void client_link::on_connected(const error_code& ec) {
  if (ec)
    return fail_open({errc::unavailable,
                      "connecting to " + home_->where + ": " + ec.message()});
  if (home_->tls)
    return secure();
  ready();
}

void client_link::secure() {
  phase_ = phase::handshake;
  io_.secure_with(*home_->tls);
  if (const auto set = net::expect_peer(io_.native(), home_->to.host); !set)
    return fail_open({set.error().code,
                      "TLS with " + home_->where + ": " + set.error().context});
  io_.handshake(
      asio::ssl::stream_base::client,
      [self = shared_from_this()](error_code ec) { self->on_secure(ec); });
}

void client_link::on_secure(error_code ec) {
  if (phase_ != phase::handshake)
    return;
  if (!ec)
    return ready();
  fail_open({errc::unavailable, "TLS with " + home_->where + ": " +
                                    net::handshake_failure(io_.native(), ec)});
}

void client_link::ready() {
  phase_ = phase::idle;
  deadline_ = mono_now() + home_->how.idle_timeout;
  read();  // from now on, to see the peer close
  home_->link_opened(*this, dialer_.at());
}

void client_link::run(std::unique_ptr<client_call> call) {
  phase_ = phase::busy;
  call_ = std::move(call);
  if (!call_->retried)
    call_->deadline = mono_now() + call_->timeout;
  deadline_ = call_->deadline;
  reader_.expect(call_->what.method == "HEAD");
  written_ = 0;
  maybe_sent_ = false;
  for (auto& part : out_)
    part.clear();
  append_head(out_[0], call_->what, home_->to.prefix, home_->host_field);
  auto& body = call_->what.body;
  if (body.size() <= flat_body)
    out_[0].append(body);
  else
    out_[1] = std::move(body);  // `give_up` puts it back for a second attempt
  write_first();
}

void client_link::write_first() {
  if (!io_.secure()) {
    error_code ec;
    written_ =
        io_.write_now({asio::buffer(out_[0]), asio::buffer(out_[1])}, ec);
    maybe_sent_ = written_ > 0;
    // The read that is pending learns of it too, and may bring an answer.
    if (ec) {
      write_failed_ = true;
      return;
    }
    if (written_ == out_[0].size() + out_[1].size())
      return;
  }
  write_rest();
}

void client_link::write_rest() {
  writing_ = true;
  // While TLS or the kernel holds bytes, nobody knows how far they came.
  maybe_sent_ = true;
  const auto rest = written_ < out_[0].size()
                        ? asio::buffer(out_[0]) + written_
                        : asio::buffer(out_[1]) + (written_ - out_[0].size());
  io_.write(rest, [self = shared_from_this()](error_code ec, std::size_t n) {
    self->writing_ = false;
    if (self->phase_ == phase::closed)
      return;
    self->written_ += n;
    if (ec) {
      self->write_failed_ = true;
      if (!self->io_.secure() && self->written_ == 0)
        self->maybe_sent_ = false;
      return;
    }
    if (self->written_ < self->out_[0].size() + self->out_[1].size())
      self->write_rest();
  });
}

void client_link::read() {
  if (reading_ || phase_ == phase::closed)
    return;
  const auto want = phase_ == phase::busy && reader_.started()
                        ? read_buffer::large
                        : read_buffer::small;
  if (!buffer_.make_room(want, response_reader::limits{}.header))
    return give_up({errc::too_large, "the answer's header is too large"},
                   false);
  reading_ = true;
  io_.read({buffer_.room(), buffer_.room_size()},
           [self = shared_from_this()](error_code ec, std::size_t n) {
             self->reading_ = false;
             self->on_read(ec, n);
           });
}

void client_link::on_read(error_code ec, std::size_t n) {
  if (phase_ == phase::closed)
    return;
  if (phase_ == phase::idle) {
    // Closed by the peer, or it talks out of turn: of no use any more.
    failure unused;
    shut(unused);
    home_->link_lost_idle(*this);
    return;
  }
  buffer_.commit(n);
  if (n > 0)
    take_bytes();
  if (phase_ != phase::busy || !call_)
    return;
  if (!ec)
    return read();
  if (ec == asio::error::eof) {
    reader_.feed_end();
    if (reader_.now() == response_reader::status::done)
      return complete();
  }
  give_up(lost(ec), true);
}

void client_link::take_bytes() {
  buffer_.consume(reader_.feed(buffer_.held()));
  switch (reader_.now()) {
    case response_reader::status::need_more: return;
    case response_reader::status::done: return complete();
    case response_reader::status::failed:
      return give_up({reader_.reason().code,
                      home_->where + ": " + reader_.reason().context},
                     false);
  }
}

error client_link::lost(const error_code& ec) const {
  const char* when = reader_.started() ? ": in the middle of the answer: "
                                       : ": before an answer: ";
  const auto why =
      ec == asio::error::eof ? std::string{"the peer closed"} : ec.message();
  return {maybe_sent_ ? errc::unknown_outcome : errc::unavailable,
          home_->where + when + why};
}

void client_link::complete() {
  const auto home = home_;
  const auto self = shared_from_this();
  auto call = std::move(call_);
  auto what = reader_.take();
  const bool reusable = reader_.keep_alive() && !writing_ && !write_failed_ &&
                        buffer_.empty() &&
                        written_ == out_[0].size() + out_[1].size();
  home->in_flight.fetch_sub(1, std::memory_order_relaxed);
  if (reusable) {
    phase_ = phase::idle;
    reused_ = true;
    deadline_ = mono_now() + home->how.idle_timeout;
    if (out_[1].capacity() > flat_body)
      out_[1] = {};
    home->link_freed(*this);
    read();
  } else {
    failure unused;
    shut(unused);
    home->link_lost_busy(*this);
  }
  call->done(std::move(what));
  home->pump();
}

void client_link::give_up(error why, bool may_repeat) {
  const auto home = home_;
  const auto self = shared_from_this();
  const auto& method = call_->what.method;
  const broken_call end{.reused = reused_,
                        .answered = reader_.started(),
                        .sent = maybe_sent_,
                        .idempotent = method == "GET" || method == "HEAD",
                        .retried = call_->retried};
  failure ended;
  auto call = shut(ended);
  home->link_lost_busy(*this);
  if (may_repeat && may_retry(end)) {
    if (call->what.body.empty())
      call->what.body = std::move(out_[1]);
    home->again(std::move(call));
  } else {
    client::impl::fail(std::move(call), std::move(why), ended.maybe_sent);
  }
  home->pump();
}

void client_link::sweep(mono_time at) {
  if (at < deadline_)
    return dialer_.sweep(at);
  switch (phase_) {
    case phase::resolving:
      return fail_open({errc::timed_out,
                        "resolving " + home_->to.host + ": no answer in time"});
    case phase::connecting:
      return fail_open({errc::timed_out, "connecting to " + home_->where +
                                             ": no answer in time"});
    case phase::handshake:
      return fail_open({errc::timed_out,
                        "TLS with " + home_->where + ": no answer in time"});
    case phase::busy:
      return give_up({errc::timed_out, home_->where + ": no answer in time"},
                     false);
    case phase::idle: {
      failure unused;
      shut(unused);
      return home_->link_lost_idle(*this);
    }
    case phase::closed: return;
  }
}

std::unique_ptr<client_call> client_link::shut(failure& why) {
  if (phase_ == phase::closed)
    return nullptr;
  phase_ = phase::closed;
  dialer_.stop();
  why.maybe_sent = maybe_sent_;
  if (call_) {
    home_->in_flight.fetch_sub(1, std::memory_order_relaxed);
    // Its caller may send it again: what is still here must not come, too.
    io_.discard();
  } else {
    io_.close();
  }
  return std::move(call_);
}

}  // namespace troupe::http
