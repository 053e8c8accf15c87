#include "store/redis_hub.hpp"

#include <algorithm>
#include <charconv>
#include <utility>

#include "core/log.hpp"
#include "store/redis_cluster.hpp"

namespace troupe::store::redis {

namespace {

/// Time for one Sentinel, of which there are others.
constexpr milliseconds one_sentinel{1000};

}  // namespace

std::shared_ptr<hub> hub::make(parts with) {
  if (with.where.kind == layout::cluster)
    return std::make_shared<cluster_hub>(std::move(with));
  return std::make_shared<lone_hub>(std::move(with));
}

void hub::start(opened done) {
  opened_ = std::move(done);
  begin();
}

void hub::take(std::vector<command_ptr> commands) {
  for (auto& what : commands)
    dispatch(std::move(what));
  flush();
}

void hub::flush() {
  for (const auto& each : primaries())
    each->flush();
}

void hub::sweep() {
  for (const auto& each : primaries())
    each->sweep();
}

void hub::deliver(node& from, pipeline::ends what) {
  for (auto& one : what.detours) {
    if (one.why.at.host.empty())
      one.why.at.host = from.at().host;
    detour(std::move(one));
  }
  for (auto& one : what.answered)
    if (one.what->done)
      one.what->done(std::move(one.answer));
}

void hub::node_failed(node&, const greeting::failure& why) {
  failed(why);
}

void hub::failed(const greeting::failure& why) {
  trouble_ = why.why;
  if (why.lasting)
    tell_opened(error{errc::unavailable, why.why});
}

std::string hub::trouble() {
  if (!trouble_.empty())
    return trouble_;
  auto at = scouting();
  for (const auto& each : primaries())
    if (at.empty())
      at = each->standing();
  return at + ": no answer in time";
}

void hub::tell_opened(result<> how) {
  if (auto done = std::exchange(opened_, nullptr))
    done(std::move(how));
}

std::shared_ptr<node> hub::make_node() {
  return std::make_shared<node>(with_.on, with_.tls, *this, with_.peer,
                                with_.count);
}

std::shared_ptr<scout> hub::make_scout(milliseconds each) {
  auto limits = with_.peer.wire;
  limits.open = std::min(limits.open, each);
  return std::make_shared<scout>(with_.on, with_.tls, limits);
}

lone_hub::lone_hub(parts with)
    : hub{std::move(with)}, sentinels_{with_.where.hosts} {}

void lone_hub::begin() {
  node_ = make_node();
  with_.count.nodes.store(1, std::memory_order_relaxed);
  node_->start();
}

void lone_hub::locate(node& which) {
  if (with_.where.kind == layout::single)
    return which.connect(with_.where.hosts.front());
  greeting::terms how;
  how.user = with_.where.sentinel_user;
  how.password = with_.where.sentinel_password;
  how.name = with_.peer.hello.name;
  how.question = {"SENTINEL", "get-master-addr-by-name", with_.where.master};
  auto found = std::make_shared<address>();
  scout_ = make_scout(one_sentinel);
  scout_->ask(
      sentinels_, std::move(how),
      [this, found](const reply& answer, const address& from) {
        auto why = take_place(answer, *found);
        if (why.empty()) {
          const auto it = std::find(sentinels_.begin(), sentinels_.end(), from);
          std::rotate(sentinels_.begin(), it, it + 1);
        }
        return why;
      },
      [this, found](const greeting::failure& why) {
        scout_.reset();
        if (!why.why.empty())
          return node_->not_found(why);
        if (*found != node_->at() && node_->at().port != 0)
          log::info("redis_primary_moved", {{"from", to_string(node_->at())},
                                            {"to", to_string(*found)}});
        node_->connect(*found);
      });
}

std::string lone_hub::take_place(const reply& answer, address& found) const {
  if (answer.is_nil())
    return "it knows no primary of that name";
  if (answer.items.size() != 2)
    return "its answer makes no sense";
  const auto& port = answer.items[1].text;
  const auto [end, ec] =
      std::from_chars(port.data(), port.data() + port.size(), found.port);
  if (ec != std::errc{} || end != port.data() + port.size() || found.port == 0)
    return "its answer makes no sense";
  found.host = answer.items[0].text;
  return {};
}

void lone_hub::node_opened(node&) {
  tell_opened({});
}

void lone_hub::node_halted(node& which, pipeline::halt what) {
  which.relocate(what.why);
}

void lone_hub::detour(pipeline::detour what) {
  // A pipeline outside of a cluster follows no redirection.
  if (what.what->done)
    what.what->done(
        error{errc::internal, "a redirection outside of a cluster"});
}

std::vector<command_ptr> lone_hub::close() {
  closed_ = true;
  if (scout_)
    scout_->close();
  scout_.reset();
  return node_ ? node_->close() : std::vector<command_ptr>{};
}

}  // namespace troupe::store::redis
