#include "store/redis_node.hpp"

#include <algorithm>
#include <utility>

#include "core/log.hpp"

namespace troupe::store::redis {

namespace {

constexpr milliseconds first_backoff{50};
constexpr milliseconds longest_backoff{2000};

/// A connection that held so long was a good one: the next may be tried at
/// once. One that is accepted and dropped again and again must not be.
constexpr milliseconds proven{1000};

/// Batches written in one go before the replies are looked at.
constexpr int batches_at_once = 4;

}  // namespace

milliseconds backoff::next() {
  const auto now = step_;
  step_ = std::clamp(step_ * 2, first_backoff, longest_backoff);
  if (now == milliseconds{0})
    return now;
  std::uniform_int_distribution<milliseconds::rep> spread{now.count() / 2,
                                                          now.count()};
  return milliseconds{spread(random_)};
}

node::node(std::shared_ptr<net::lane> on, net::asio::ssl::context* tls,
           home& whose, const settings& how, figure_cells& count)
    : on_{std::move(on)},
      tls_{tls},
      home_{&whose},
      how_{how},
      count_{count},
      line_{how_.line, count_} {}

void node::start() {
  find();
}

void node::find() {
  if (home_ == nullptr || finding_ || link_)
    return;
  finding_ = true;
  home_->locate(*this);
}

void node::connect(const address& to) {
  if (home_ == nullptr)
    return;
  finding_ = false;
  at_ = to;
  link_ = std::make_shared<link>(on_, tls_, *this, how_.wire);
  link_->open(to, how_.hello);
}

void node::not_found(const greeting::failure& why) {
  if (home_ == nullptr)
    return;
  finding_ = false;
  retry(why);
}

void node::retry(const greeting::failure& why) {
  line_.hindered("not connected: " + why.why);
  if (!std::exchange(told_, true))
    log::warn("redis_unreachable", {{"why", why.why}});
  on_->after(backoff_.next(), [weak = weak_from_this()] {
    if (const auto self = weak.lock())
      self->find();
  });
  home_->node_failed(*this, why);
}

void node::link_opened(reply) {
  up_ = true;
  up_since_ = mono_now();
  noted_ = 0;
  line_.connected(to_string(at_), up_since_);
  figure_cells::add(count_.connected, 1);
  if (std::exchange(was_up_, true)) {
    figure_cells::add(count_.reconnects, 1);
    log::info("redis_connected", {{"server", to_string(at_)}});
  }
  told_ = false;
  home_->node_opened(*this);
  flush();
}

void node::link_read(std::string_view bytes) {
  figure_cells::add(count_.bytes_in, bytes.size());
  pipeline::ends out;
  const auto fine = line_.feed(bytes, mono_now(), out);
  if (!fine)
    return lose(fine.error().context, std::move(out));
  const auto self = shared_from_this();
  deliver(std::move(out));
  settle();
  flush();
}

void node::link_lost(const greeting::failure& why) {
  if (up_)
    return lose(why.why, {});
  link_.reset();
  retry({to_string(at_) + ": " + why.why, why.lasting});
}

void node::lose(const std::string& why, pipeline::ends out) {
  const auto self = shared_from_this();
  const auto now = mono_now();
  note_sent();
  link_->close();
  link_.reset();
  up_ = false;
  figure_cells::take(count_.connected, 1);
  if (now - up_since_ >= proven)
    backoff_.reset();
  log::warn("redis_lost", {{"server", to_string(at_)}, {"why", why}});
  line_.lost(why, now, out);
  deliver(std::move(out));
  settle();
  if (home_ != nullptr)
    retry({to_string(at_) + ": " + why, false});
}

void node::flush() {
  if (!up_)
    return;
  const auto self = shared_from_this();
  const auto now = mono_now();
  pipeline::ends late;
  if (!line_.expire(now, late))
    return lose("no answer in time", std::move(late));
  for (int batch = 0; link_->idle() && line_.wants_to_send(now); ++batch) {
    if (batch == batches_at_once) {
      on_->post([weak = weak_from_this()] {
        if (const auto again = weak.lock())
          again->flush();
      });
      break;
    }
    auto& buffer = link_->buffer();
    line_.fill(buffer, now);
    figure_cells::add(count_.bytes_out, buffer.size());
    link_->flush();
    note_sent();
  }
  wait_for_pause(now);
  deliver(std::move(late));
}

void node::note_sent() {
  const auto handed = link_->handed();
  line_.sent(handed - noted_);
  noted_ = handed;
}

void node::wait_for_pause(mono_time now) {
  const auto until = line_.paused_until(now);
  if (!until || *until == timer_at_)
    return;
  timer_at_ = *until;
  on_->after(std::chrono::ceil<milliseconds>(*until - now),
             [weak = weak_from_this()] {
               if (const auto self = weak.lock())
                 self->flush();
             });
}

void node::sweep() {
  if (up_)
    return flush();
  pipeline::ends late;
  line_.expire(mono_now(), late);  // nothing is on its way
  deliver(std::move(late));
}

void node::settle() {
  if (home_ == nullptr)
    return;
  if (auto halt = line_.take_halt())
    home_->node_halted(*this, std::move(*halt));
}

void node::resume() {
  line_.resume();
  flush();
}

void node::resume_after_pause() {
  line_.resume_after_pause(mono_now());
  flush();
}

void node::relocate(const std::string& why) {
  line_.resume();
  drop(why);
}

void node::drop(const std::string& why) {
  if (up_)
    lose(why, {});
}

void node::deliver(pipeline::ends what) {
  if (home_ != nullptr && !(what.answered.empty() && what.detours.empty()))
    home_->deliver(*this, std::move(what));
}

std::vector<command_ptr> node::close() {
  home_ = nullptr;
  if (link_)
    link_->close();
  link_.reset();
  if (std::exchange(up_, false))
    figure_cells::take(count_.connected, 1);
  return line_.take_all();
}

}  // namespace troupe::store::redis
