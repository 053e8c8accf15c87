#include "http/server.hpp"

#include <boost/asio/ip/address.hpp>
#include <exception>
#include <utility>

#include "core/log.hpp"
#include "http/server_connection.hpp"
#include "http/server_parts.hpp"
#include "net/tls.hpp"

namespace troupe::http {

namespace {

using namespace std::chrono_literals;

/// After this the kernel's queue is tried again when there were no files left.
constexpr auto accept_pause = 100ms;

}  // namespace

server_part::server_part(std::shared_ptr<net::lane> on,
                         std::shared_ptr<server_core> core)
    : on_{std::move(on)}, core_{std::move(core)} {}

void server_part::start() {
  if (closed_)
    return;
  timer_.emplace(on_->io());
  sweep();
}

void server_part::sweep() {
  timer_->expires_after(net::sweep_every);
  timer_->async_wait([self = shared_from_this()](const error_code& ec) {
    if (ec || self->closed_)
      return;
    const auto now = mono_now();
    // Downwards: who leaves is replaced by the last, which was visited.
    for (auto i = self->connections_.size(); i-- > 0;) {
      if (i >= self->connections_.size())
        continue;
      const auto each = self->connections_[i];
      each->sweep(now);
    }
    if (!self->closed_)
      self->sweep();
  });
}

void server_part::adopt(net::tcp_socket socket, bool full) {
  if (closed_ || draining_) {
    core_->open.fetch_sub(1, std::memory_order_relaxed);
    return;
  }
  if (full && !make_room()) {
    core_->open.fetch_sub(1, std::memory_order_relaxed);
    core_->rejected(503);
    return;
  }
  auto conn = std::make_shared<server_connection>(shared_from_this(),
                                                  std::move(socket));
  conn->slot = connections_.size();
  connections_.push_back(conn);
  conn->start();
}

bool server_part::make_room() {
  std::shared_ptr<server_connection> longest;
  for (const auto& each : connections_)
    if (each->idle_since() <
        (longest ? longest->idle_since() : mono_time::max()))
      longest = each;
  if (!longest)
    return false;
  longest->shut();
  return true;
}

void server_part::forget(server_connection& gone) noexcept {
  const auto slot = gone.slot;
  core_->open.fetch_sub(1, std::memory_order_relaxed);
  std::swap(connections_[slot], connections_.back());
  connections_[slot]->slot = slot;
  connections_.pop_back();
}

void server_part::drain() {
  draining_ = true;
  for (auto i = connections_.size(); i-- > 0;) {
    const auto each = connections_[i];
    each->drain();
  }
}

void server_part::close() {
  closed_ = draining_ = true;
  while (!connections_.empty()) {
    const auto last = connections_.back();
    last->shut();
  }
  timer_.reset();
}

std::string_view server_part::date() {
  return date_.at(std::time(nullptr));
}

struct server::impl : std::enable_shared_from_this<impl> {
  std::shared_ptr<server_core> core = std::make_shared<server_core>();
  std::shared_ptr<net::lane> home;  ///< where connections are accepted
  std::optional<net::tcp_acceptor> acceptor;
  std::optional<net::steady_timer> pause;
  std::vector<std::shared_ptr<server_part>> parts;
  std::size_t turn = 0;
  std::uint16_t port = 0;

  result<void> open();
  void accept();
  void accepted(const error_code& ec, net::tcp_socket socket,
                server_part& part);
  void stop_accepting();
  void on_every_lane(const std::function<void(server_part&)>& act);
};

result<void> server::impl::open() {
  auto& how = core->how;
  if (!how.certificate_file.empty()) {
    auto tls = net::make_server_tls(how.certificate_file, how.key_file);
    if (!tls)
      return tls.error();
    core->tls.emplace(std::move(*tls));
  }
  auto text = how.address;
  if (text.size() > 2 && text.front() == '[' && text.back() == ']')
    text = text.substr(1, text.size() - 2);
  error_code ec;
  const auto address = asio::ip::make_address(text, ec);
  if (ec)
    return error{errc::bad_input, "not an IP address: " + how.address};
  const net::tcp::endpoint at{address, how.port};
  acceptor.emplace(home->io());
  acceptor->open(at.protocol(), ec);
  // A restarted process must not wait for its predecessor's closed sockets.
  if (!ec)
    acceptor->set_option(net::tcp_acceptor::reuse_address{true}, ec);
  if (!ec)
    acceptor->bind(at, ec);
  if (!ec)
    acceptor->listen(asio::socket_base::max_listen_connections, ec);
  if (ec)
    return error{
        ec == asio::error::address_in_use ? errc::conflict : errc::bad_input,
        "listening on " + how.address + ":" + std::to_string(how.port) + ": " +
            ec.message()};
  port = acceptor->local_endpoint(ec).port();
  return {};
}

void server::impl::accept() {
  const auto part = parts[turn++ % parts.size()];
  acceptor->async_accept(part->on()->io(),
                         [self = shared_from_this(), part](
                             const error_code& ec, net::tcp_socket socket) {
                           self->accepted(ec, std::move(socket), *part);
                         });
}

void server::impl::accepted(const error_code& ec, net::tcp_socket socket,
                            server_part& part) {
  if (!acceptor || !acceptor->is_open())
    return;
  if (ec && ec != asio::error::connection_aborted) {
    // No file descriptors or no memory: trying at once would spin.
    log::warn("http_accept_failed", {{"error", ec.message()}});
    pause.emplace(home->io(), accept_pause);
    pause->async_wait([self = shared_from_this()](const error_code& stopped) {
      if (!stopped && self->acceptor && self->acceptor->is_open())
        self->accept();
    });
    return;
  }
  if (!ec) {
    const bool full = core->open.fetch_add(1, std::memory_order_relaxed) >=
                      core->how.max_connections;
    if (part.on() == home) {
      part.adopt(std::move(socket), full);
    } else {
      part.on()->post([to = part.shared_from_this(), full,
                       held = std::make_shared<net::tcp_socket>(std::move(
                           socket))] { to->adopt(std::move(*held), full); });
    }
  }
  accept();
}

void server::impl::stop_accepting() {
  pause.reset();
  acceptor.reset();
}

void server::impl::on_every_lane(const std::function<void(server_part&)>& act) {
  // From a lane itself the others can't be waited for: two might wait for
  // each other.
  const bool inside = home->in_loop();
  for (const auto& part : parts) {
    if (inside && !part->on()->here())
      part->on()->post([part, act] { act(*part); });
    else
      part->on()->run_and_wait([&] { act(*part); });
  }
}

result<std::unique_ptr<server>> server::listen(net::loop& on,
                                               server_options how,
                                               handler take) {
  auto made = std::make_shared<impl>();
  made->core->how = std::move(how);
  made->core->take = std::move(take);
  made->home = on.self().lanes.front();
  for (const auto& each : on.self().lanes)
    made->parts.push_back(std::make_shared<server_part>(each, made->core));
  if (auto opened = made->open(); !opened)
    return opened.error();
  made->on_every_lane([](server_part& part) { part.start(); });
  made->home->post([made] {
    if (made->acceptor)
      made->accept();
  });
  return std::unique_ptr<server>{new server{std::move(made)}};
}

server::server(std::shared_ptr<impl> p) : impl_{std::move(p)} {}

server::~server() {
  close();
}

std::uint16_t server::port() const noexcept {
  return impl_->port;
}

std::size_t server::connections() const noexcept {
  return impl_->core->open.load(std::memory_order_relaxed);
}

void server::drain() {
  impl_->on_every_lane([home = impl_](server_part& part) {
    if (part.on() == home->home)
      home->stop_accepting();
    part.drain();
  });
}

void server::close() {
  impl_->on_every_lane([home = impl_](server_part& part) {
    if (part.on() == home->home)
      home->stop_accepting();
    part.close();
  });
}

}  // namespace troupe::http
