#include "http/client.hpp"

#include <algorithm>
#include <boost/asio/ip/address.hpp>
#include <utility>

#include "http/client_impl.hpp"
#include "http/writer.hpp"
#include "net/resolver.hpp"
#include "net/tls.hpp"

namespace troupe::http {

namespace {

using namespace std::chrono_literals;

/// Attempts to connect at once: a TLS handshake costs about a millisecond of
/// CPU, and a burst of a thousand would hold up everything else on the loop.
constexpr std::size_t max_opening = 64;
/// How long the addresses of a host are believed. The resolver tells no TTL;
/// failing to connect drops them at once.
constexpr auto addresses_live = 30s;

std::string bracketed(const std::string& host) {
  return host.find(':') == host.npos ? host : "[" + host + "]";
}

std::string make_host_field(const origin& to) {
  const auto standard = to.tls ? 443 : 80;
  const auto host = bracketed(to.host);
  return to.port == standard ? host : host + ":" + std::to_string(to.port);
}

}  // namespace

client::impl::impl(std::shared_ptr<net::lane> at, origin whom,
                   client_options options)
    : on{std::move(at)},
      to{std::move(whom)},
      how{std::move(options)},
      where{bracketed(to.host) + ":" + std::to_string(to.port)},
      host_field{make_host_field(to)},
      pool_{{.connections = std::max<std::size_t>(how.max_connections, 1),
             .opening = max_opening}} {}

void client::impl::start() {
  timer_.emplace(on->io());
  sweep();
}

void client::impl::sweep() {
  timer_->expires_after(net::sweep_every);
  timer_->async_wait([self = shared_from_this()](const error_code& ec) {
    if (ec || self->closed_)
      return;
    const auto at = mono_now();
    for (auto& call : self->pool_.expired(at)) {
      self->waiting.fetch_sub(1, std::memory_order_relaxed);
      fail(std::move(call),
           {errc::timed_out, self->where + ": no connection in time"}, false);
    }
    // Downwards: who leaves is replaced by the last, which was visited.
    for (auto i = self->links_.size(); i-- > 0;) {
      if (i >= self->links_.size())
        continue;
      const auto each = self->links_[i];
      each->sweep(at);
    }
    self->pump();
    if (!self->closed_)
      self->sweep();
  });
}

void client::impl::enqueue(call_ptr call) {
  const auto already = waiting.fetch_add(1, std::memory_order_relaxed);
  error refused;
  if (already >= how.max_waiting)
    refused = {errc::unavailable, where + ": too many calls wait"};
  else if (auto fine = check_sendable(call->what); !fine)
    refused = fine.error();
  if (!refused.context.empty()) {
    waiting.fetch_sub(1, std::memory_order_relaxed);
    call->what = {};
    on->post([refused, done = std::move(call->done)] {
      done(failure{refused, false});
    });
    return;
  }
  const std::lock_guard lock{mutex_};
  inbox_.push_back(std::move(call));
  if (std::exchange(inbox_posted_, true))
    return;
  on->post([self = shared_from_this()] { self->take_inbox(); });
}

void client::impl::take_inbox() {
  std::vector<call_ptr> calls;
  {
    const std::lock_guard lock{mutex_};
    calls.swap(inbox_);
    inbox_posted_ = false;
  }
  const auto patience = mono_now() + how.connect_timeout;
  for (auto& call : calls) {
    if (!closed_) {
      const auto until = std::min(patience, call->begin_by);
      pool_.submit(std::move(call), until);
      continue;
    }
    waiting.fetch_sub(1, std::memory_order_relaxed);
    fail(std::move(call), {errc::cancelled, where + ": closed"}, false);
  }
  pump();
}

void client::impl::pump() {
  while (!closed_) {
    auto act = pool_.next();
    if (!act)
      break;
    if (auto* begin = std::get_if<pool_type::start>(&*act)) {
      waiting.fetch_sub(1, std::memory_order_relaxed);
      if (begin->what->begin_by < mono_now()) {
        pool_.freed(begin->on);
        fail(std::move(begin->what),
             {errc::timed_out, where + ": too late for this call"}, false);
        continue;
      }
      in_flight.fetch_add(1, std::memory_order_relaxed);
      begin->on->run(std::move(begin->what));
    } else {
      open_link();
    }
  }
  count();
}

void client::impl::count() noexcept {
  connections.store(links_.size(), std::memory_order_relaxed);
}

void client::impl::open_link() {
  auto link = std::make_shared<client_link>(shared_from_this());
  link->slot = links_.size();
  links_.push_back(link);
  resolve(std::move(link));
}

void client::impl::resolve(std::shared_ptr<client_link> link) {
  error_code not_address;
  const auto literal = asio::ip::make_address(to.host, not_address);
  if (!not_address)
    return link->connect({net::tcp::endpoint{literal, to.port}});
  if (!addresses_.empty() && mono_now() < addresses_until_)
    return link->connect(addresses_);
  unresolved_.push_back(std::move(link));
  if (unresolved_.size() > 1)
    return;  // one question for all
  net::resolve(on, to.host, to.port,
               [weak = weak_from_this()](std::vector<net::tcp::endpoint> found,
                                         const std::string& why) {
                 if (const auto self = weak.lock())
                   self->resolved(std::move(found), why);
               });
}

void client::impl::resolved(std::vector<net::tcp::endpoint> found,
                            const std::string& why) {
  addresses_ = std::move(found);
  addresses_until_ = mono_now() + addresses_live;
  if (good_address_)
    put_first(*good_address_);
  const auto list = addresses_;  // a link that fails at once clears ours
  for (const auto& link : std::exchange(unresolved_, {})) {
    if (list.empty())
      link->fail_open({errc::unavailable, "resolving " + to.host + ": " + why});
    else
      link->connect(list);
  }
  pump();
}

void client::impl::put_first(const net::tcp::endpoint& at) {
  const auto it = std::find(addresses_.begin(), addresses_.end(), at);
  if (it != addresses_.end())
    std::rotate(addresses_.begin(), it, it + 1);
}

void client::impl::link_opened(client_link& link,
                               const net::tcp::endpoint& at) {
  // Tried first from now on: one that swallows packets costs seconds.
  good_address_ = at;
  put_first(at);
  pool_.opened(&link);
  pump();
}

void client::impl::link_failed(client_link& link, const error& why) {
  forget(link);
  addresses_.clear();
  if (auto call = pool_.open_failed()) {
    waiting.fetch_sub(1, std::memory_order_relaxed);
    fail(std::move(*call), why, false);
  }
  pump();
}

void client::impl::link_freed(client_link& link) {
  pool_.freed(&link);
}

void client::impl::link_lost_idle(client_link& link) {
  forget(link);
  pool_.lost_idle(&link);
  pump();
}

void client::impl::link_lost_busy(client_link& link) {
  forget(link);
  pool_.lost_busy();
}

void client::impl::again(call_ptr call) {
  call->retried = true;
  waiting.fetch_add(1, std::memory_order_relaxed);
  const auto until = std::min(call->deadline, call->begin_by);
  pool_.submit(std::move(call), until, true);
}

void client::impl::fail(call_ptr call, error why, bool maybe_sent) {
  call->done(failure{std::move(why), maybe_sent});
}

void client::impl::forget(client_link& link) {
  const auto slot = link.slot;
  std::swap(links_[slot], links_.back());
  links_[slot]->slot = slot;
  links_.pop_back();
}

void client::impl::close() {
  if (std::exchange(closed_, true))
    return;
  const error why{errc::cancelled, where + ": closed"};
  timer_.reset();
  unresolved_.clear();
  std::vector<std::pair<call_ptr, bool>> ended;
  for (const auto& link : std::exchange(links_, {})) {
    failure running;
    if (auto call = link->shut(running))
      ended.emplace_back(std::move(call), running.maybe_sent);
  }
  while (auto call = pool_.dropped()) {
    waiting.fetch_sub(1, std::memory_order_relaxed);
    ended.emplace_back(std::move(*call), false);
  }
  count();
  for (auto& [call, maybe_sent] : ended)
    fail(std::move(call), why, maybe_sent);
  take_inbox();
}

result<std::unique_ptr<client>> client::make(net::loop& on, origin to,
                                             client_options how) {
  auto made =
      std::make_shared<impl>(on.self().next(), std::move(to), std::move(how));
  if (made->to.tls) {
    auto tls = net::make_client_tls(made->how.ca_file, made->how.verify);
    if (!tls)
      return tls.error();
    made->tls.emplace(std::move(*tls));
  }
  made->on->run_and_wait([&] { made->start(); });
  return std::unique_ptr<client>{new client{std::move(made)}};
}

client::client(std::shared_ptr<impl> p) : impl_{std::move(p)} {}

client::~client() {
  close();
}

void client::send(request what, milliseconds timeout, answer done,
                  mono_time begin_by) {
  auto call = std::make_unique<client_call>();
  call->what = std::move(what);
  call->timeout = timeout;
  call->done = std::move(done);
  call->begin_by = begin_by;
  impl_->enqueue(std::move(call));
}

client::load client::now() const noexcept {
  return {impl_->connections.load(std::memory_order_relaxed),
          impl_->in_flight.load(std::memory_order_relaxed),
          impl_->waiting.load(std::memory_order_relaxed)};
}

void client::close() {
  const auto act = [home = impl_] { home->close(); };
  // Another thread of the same loop must not wait: this one might wait for it.
  if (impl_->on->in_loop() && !impl_->on->here())
    impl_->on->post(act);
  else
    impl_->on->run_and_wait(act);
}

}  // namespace troupe::http
