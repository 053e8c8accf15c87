#include "store/redis_link.hpp"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <algorithm>
#include <boost/asio/ip/address.hpp>
#include <utility>

#include "net/resolver.hpp"
#include "net/tls.hpp"

namespace troupe::store::redis {

namespace asio = net::asio;
using net::error_code;

namespace {

/// A buffer that grew beyond this for one large batch is not kept.
constexpr std::size_t kept_buffer = 1024 * 1024;

}  // namespace

link::link(std::shared_ptr<net::lane> on, asio::ssl::context* tls, owner& whom,
           const limits& how)
    : on_{std::move(on)},
      tls_{tls},
      owner_{&whom},
      how_{how},
      io_{net::tcp_socket{on_->io()}},
      dialer_{io_.socket()} {}

void link::open(const address& to, greeting::terms how) {
  to_ = to;
  greeting_.emplace(std::move(how));
  open_by_ = mono_now() + how_.open;
  on_->after(how_.open, [weak = weak_from_this()] {
    const auto self = weak.lock();
    if (self && !self->ready_)
      self->fail(std::string{self->stage_} + ": no answer in time");
  });
  error_code not_address;
  const auto literal = asio::ip::make_address(to_.host, not_address);
  if (!not_address) {
    // Not at once: the owner hears nothing from within its own call.
    on_->post([self = shared_from_this(), literal] {
      self->resolved({net::tcp::endpoint{literal, self->to_.port}}, {});
    });
    return;
  }
  net::resolve(on_, to_.host, to_.port,
               [weak = weak_from_this()](std::vector<net::tcp::endpoint> found,
                                         const std::string& why) {
                 if (const auto self = weak.lock())
                   self->resolved(std::move(found), why);
               });
}

void link::resolved(std::vector<net::tcp::endpoint> found,
                    const std::string& why) {
  if (owner_ == nullptr)
    return;
  if (found.empty())
    return fail("resolving: " + why);
  stage_ = "connecting";
  dialer_.start(std::move(found), open_by_,
                [self = shared_from_this()](const error_code& ec) {
                  self->on_connected(ec);
                });
  sweep();
}

void link::sweep() {
  if (owner_ == nullptr || connected_)
    return;
  dialer_.sweep(mono_now());
  on_->after(net::sweep_every, [weak = weak_from_this()] {
    if (const auto self = weak.lock())
      self->sweep();
  });
}

void link::on_connected(const error_code& ec) {
  if (owner_ == nullptr)
    return;
  if (ec)
    return fail("connecting: " + ec.message());
  connected_ = true;
  stage_ = "greeting";
  set_socket_options();
  if (tls_ != nullptr)
    return secure();
  greet();
}

void link::set_socket_options() {
  error_code ignored;  // slower or later without them, not wrong
  io_.socket().set_option(asio::socket_base::keep_alive{true}, ignored);
  const auto set = [fd = io_.socket().native_handle()](int option, int value) {
    ::setsockopt(fd, IPPROTO_TCP, option, &value, sizeof value);
  };
  const auto ms = static_cast<int>(how_.dead_after.count());
  const auto third = std::max(1, (ms + 2999) / 3000);
  set(TCP_USER_TIMEOUT, ms);
  set(TCP_KEEPIDLE, third);
  set(TCP_KEEPINTVL, third);
  set(TCP_KEEPCNT, 2);
}

void link::secure() {
  stage_ = "TLS";
  io_.secure_with(*tls_);
  if (auto fine = net::expect_peer(io_.native(), to_.host); !fine)
    return fail("TLS: " + fine.error().context, true);
  io_.handshake(asio::ssl::stream_base::client, [self = shared_from_this()](
                                                    const error_code& ec) {
    if (self->owner_ == nullptr)
      return;
    if (!ec) {
      self->stage_ = "greeting";
      return self->greet();
    }
    // What TLS itself says will be said again next time.
    self->fail("TLS: " + net::handshake_failure(self->io_.native(), ec),
               ec.category() == asio::error::get_ssl_category());
  });
}

void link::greet() {
  out_ = greeting_->bytes();
  read();
  write_some();
}

void link::read() {
  io_.read(asio::buffer(in_),
           [self = shared_from_this()](const error_code& ec, std::size_t n) {
             self->on_read(ec, n);
           });
}

void link::on_read(const error_code& ec, std::size_t n) {
  if (owner_ == nullptr)
    return;
  if (n > 0) {
    const std::string_view bytes{in_.data(), n};
    if (ready_)
      owner_->link_read(bytes);
    else
      take_greeting(bytes);
    if (owner_ == nullptr)
      return;
  }
  if (!ec)
    return read();
  const bool of_tls = ec.category() == asio::error::get_ssl_category();
  const auto why =
      ec == asio::error::eof || ec == asio::ssl::error::stream_truncated
          ? std::string{"the server closed the connection"}
          : ec.message();
  fail(ready_ ? why : std::string{stage_} + ": " + why, of_tls && !ready_);
}

void link::take_greeting(std::string_view bytes) {
  switch (greeting_->feed(bytes)) {
    case greeting::status::more: return;
    case greeting::status::failed: {
      const auto reason = greeting_->reason();
      return fail(reason.why, reason.lasting);
    }
    case greeting::status::done: break;
  }
  ready_ = true;
  handed_ = 0;
  auto answer = std::move(greeting_->answer());
  greeting_.reset();  // the password goes with it
  owner_->link_opened(std::move(answer));
}

void link::flush() {
  if (owner_ != nullptr && !writing_)
    write_some();
}

void link::write_some() {
  if (io_.secure())
    return write_secure();
  error_code ec;
  const auto n =
      io_.write_now({asio::buffer(out_) + written_, asio::const_buffer{}}, ec);
  written_ += n;
  handed_ += n;
  if (ec)
    return;  // the read that is pending learns of it, too
  if (written_ == out_.size())
    return written();
  writing_ = true;
  io_.socket().async_wait(
      asio::socket_base::wait_write,
      [self = shared_from_this()](const error_code& failed) {
        self->on_written(failed, 0);
      });
}

void link::write_secure() {
  // How far it comes is TLS's secret.
  handed_ += written_ == 0 ? out_.size() : 0;
  writing_ = true;
  io_.write(asio::buffer(out_) + written_,
            [self = shared_from_this()](const error_code& ec, std::size_t n) {
              self->on_written(ec, n);
            });
}

void link::on_written(const error_code& ec, std::size_t n) {
  writing_ = false;
  written_ += n;
  if (owner_ == nullptr || ec)
    return;
  if (written_ < out_.size() || n == 0)
    write_some();
  else
    written();
  if (owner_ != nullptr && idle())
    owner_->link_idle();
}

void link::written() {
  written_ = 0;
  if (out_.capacity() > kept_buffer)
    out_ = {};
  else
    out_.clear();
}

void link::close() {
  owner_ = nullptr;
  dialer_.stop();
  io_.discard();
}

void link::fail(std::string why, bool lasting) {
  if (owner_ == nullptr)
    return;
  auto* whom = std::exchange(owner_, nullptr);
  dialer_.stop();
  // What is still here must not come: it may be sent again.
  io_.discard();
  whom->link_lost({std::move(why), lasting});
}

}  // namespace troupe::store::redis
