#include "net/dialer.hpp"

#include <algorithm>
#include <chrono>
#include <utility>

namespace troupe::net {

namespace {

/// Time for one address while there are others: a lost SYN is sent again after
/// one second.
constexpr std::chrono::seconds one_address{2};

}  // namespace

void dialer::start(std::vector<tcp::endpoint> to, mono_time until,
                   callback done) {
  addresses_ = std::move(to);
  until_ = until;
  try_next(asio::error::host_not_found, std::move(done));
}

void dialer::try_next(const error_code& last, callback done) {
  if (tried_ == addresses_.size())
    return done(last);
  const auto now = mono_now();
  const auto left = static_cast<int>(addresses_.size() - tried_);
  address_until_ = left > 1 ? now + std::min<mono_time::duration>(
                                        (until_ - now) / left, one_address)
                            : until_;
  close();  // what a failed attempt leaves can't be connected again
  // The handler holds `done`, not this: nobody owns himself when a loop ends.
  socket_.async_connect(
      addresses_[tried_++],
      [this, done = std::move(done)](const error_code& ec) mutable {
        on_connected(ec, std::move(done));
      });
}

void dialer::on_connected(error_code ec, callback done) {
  if (stopped_)
    return;
  address_until_ = mono_time::max();
  if (std::exchange(given_up_, false))
    ec = asio::error::timed_out;
  if (!ec)
    socket_.non_blocking(true, ec);
  if (ec)
    return try_next(ec, std::move(done));
  error_code ignored;  // without it, it is only slower
  socket_.set_option(tcp::no_delay{true}, ignored);
  done(ec);
}

void dialer::sweep(mono_time now) {
  if (now < address_until_)
    return;
  address_until_ = mono_time::max();
  given_up_ = true;
  close();  // ends the attempt, whose handler goes on with the next
}

void dialer::stop() noexcept {
  stopped_ = true;
  address_until_ = mono_time::max();
}

void dialer::close() noexcept {
  error_code ignored;  // a socket is gone after close, whatever it says
  socket_.close(ignored);
}

}  // namespace troupe::net
