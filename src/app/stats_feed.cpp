#include "app/stats_feed.hpp"

#include <algorithm>
#include <utility>

#include "core/json.hpp"
#include "core/log.hpp"

namespace troupe::app {
namespace {

/// A point of a curve is five seconds long (see `actors::history`).
constexpr std::uint64_t curves_every = 5;

/// JSON has no line breaks of its own: one line of data is enough.
std::string event(std::string_view name, std::string data) {
  std::string out{"event: "};
  out.append(name).append("\ndata: ");
  out += log::redact(std::move(data));
  return out += "\n\n";
}

std::string trouble(std::string_view text) {
  return event("trouble", json::serialize(json::object{{"error", text}}));
}

}  // namespace

stats_feed::stats_feed(source node, stats_pages::timer after, options how)
    : node_{std::move(node)}, after_{std::move(after)}, how_{how} {}

bool stats_feed::has_room() const {
  const std::lock_guard lock{mutex_};
  return ears_.size() < how_.most;
}

std::size_t stats_feed::listeners() const {
  const std::lock_guard lock{mutex_};
  return ears_.size();
}

void stats_feed::add(stats_pages::listener who) {
  {
    const std::lock_guard lock{mutex_};
    ears_.push_back({next_id_++, true, std::move(who)});
    if (std::exchange(ticking_, true))
      return;
  }
  tick();
}

void stats_feed::end() {
  std::vector<ear> all;
  {
    const std::lock_guard lock{mutex_};
    all.swap(ears_);
  }
  for (const ear& one : all)
    one.to.end();
}

void stats_feed::tick() {
  bool ask = false;
  {
    const std::lock_guard lock{mutex_};
    if (ears_.empty()) {
      ticking_ = false;
      return;
    }
    ask = !std::exchange(asking_, true);
  }
  if (ask) {
    const auto node = node_();
    if (node) {
      node->stats([weak = weak_from_this()](result<std::string> page) {
        if (const auto self = weak.lock())
          self->heard(page);
      });
    } else {
      heard(error{errc::unavailable, "starting, or about to end"});
    }
  } else {
    // Also the way to notice that a listener is gone.
    tell(trouble("the node does not answer"));
  }
  after_(how_.every, [weak = weak_from_this()] {
    if (const auto self = weak.lock())
      self->tick();
  });
}

void stats_feed::heard(const result<std::string>& page) {
  bool curves_due = false;
  {
    const std::lock_guard lock{mutex_};
    asking_ = false;
    curves_due = answers_++ % curves_every == 0;
  }
  if (!page)
    return tell(trouble(to_string(page.error())));
  auto parsed = parse_json(*page);
  json::object* const all = parsed ? parsed->if_object() : nullptr;
  if (all == nullptr)
    return tell(trouble("the node's figures are unreadable"));
  std::string history;
  if (const json::value* past = all->if_contains("history")) {
    history = event("history", json::serialize(*past));
    all->erase("history");
  }
  tell(event("stats", json::serialize(*all)), history, curves_due);
}

/// Not under the lock: what a listener's connection does is not ours to know.
void stats_feed::tell(const std::string& text, const std::string& history,
                      bool to_all) {
  std::vector<ear> all;
  {
    const std::lock_guard lock{mutex_};
    all = ears_;
    if (!history.empty())
      for (ear& one : ears_)
        one.fresh = false;
  }
  std::vector<std::uint64_t> gone;
  for (const ear& one : all) {
    const bool curves = one.fresh || to_all;
    if (!one.to.send(curves ? history + text : text))
      gone.push_back(one.id);
  }
  if (gone.empty())
    return;
  const std::lock_guard lock{mutex_};
  std::erase_if(ears_, [&](const ear& one) {
    return std::find(gone.begin(), gone.end(), one.id) != gone.end();
  });
}

}  // namespace troupe::app
