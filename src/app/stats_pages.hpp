#pragma once

#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "core/callback.hpp"
#include "core/clock.hpp"
#include "core/ids.hpp"
#include "core/json.hpp"
#include "core/metrics.hpp"
#include "http/http.hpp"
#include "store/store.hpp"

namespace troupe::app {

/// What the pages want of a node.
/// **Threads**: any. Every callback is called once.
class node_view {
 public:
  virtual ~node_view() = default;
  virtual bool ready() const noexcept = 0;
  virtual void stats(callback<std::string> done) = 0;
  virtual void chat_stats(chat_key key, callback<std::string> done) = 0;
  virtual void retry(std::vector<dead_letter_id> which,
                     callback<std::size_t> done) = 0;
  /// As `actors::node` has them.
  virtual void start_campaign(const std::string& command,
                              callback<std::string> done) = 0;
  virtual void steer_campaign(std::int64_t number, const std::string& what,
                              callback<std::string> done) = 0;
  virtual void campaigns(std::int64_t number, callback<std::string> done) = 0;
  virtual void forget(chat_key key, callback<std::string> done) = 0;
  /// Has a node of the cluster drain and end; answers which.
  virtual result<std::string> ask_to_drain(const std::string& name) = 0;
};

/// A node that is not running: its store alone. Chats are not loaded.
std::shared_ptr<node_view> make_idle_node(store::backend& store);

struct pages_options {
  std::string token;             ///< bearer token of /admin/; empty: none fits
  bool open_stats = true;        ///< false: /stats needs the token, too
  milliseconds timeout{10'000};  ///< then 504
  const clock* time = &system_clock();
  /// Reads the configuration again and answers with a page (`reload_plan`);
  /// none: there is nobody to do it.
  std::function<void(callback<json::object>)> reload;
};

class stats_feed;

/// The pages behind stats.listen, without the socket:
///
/// | page | |
/// |---|---|
/// | `GET /`, `/dashboard/...` | the dashboard, for a browser |
/// | `GET /healthz` | 200 while the process serves |
/// | `GET /readyz` | 200 while updates are accepted, else 503 and why |
/// | `GET /metrics` | Prometheus text |
/// | `GET /stats`, `/stats/chats/<key>` | JSON |
/// | `GET /stats/events` | server-sent events, see `stats_feed` |
/// | `GET /admin/dead-letters?after=&limit=` | a page of them |
/// | `GET /admin/dead-letters/<id>` | one, with its body |
/// | `POST /admin/dead-letters/retry`, `/drop` | `{"ids":[..]}` (at most 1000)
/// or `{"all":true}`: those that died before `before_ms` (default: now), 1000
/// at a time; `more` says whether to ask again |
/// | `POST /admin/reload` | the configuration is read again: what changed |
/// | `POST /admin/cluster/drain` | `{"node":NAME}`: that node ends as after
/// SIGTERM |
/// | `/admin/campaigns...` | see campaign_pages.hpp |
/// | `/admin/audience...`, `/admin/chats/...` | see audience_pages.hpp |
///
/// Errors are `{"error": text}`. Secrets are masked in every answer.
/// **Threads**: any.
/// **Lifetime**: the store and the registry outlive the last answer.
class stats_pages {
 public:
  using reply = std::function<void(http::response)>;
  using timer = std::function<void(milliseconds, std::function<void()>)>;
  /// Whom a stream is for.
  struct listener {
    std::function<bool(std::string)> send;  ///< false: gone, or too slow
    std::function<void()> end;
  };
  /// Begins an answer without an end.
  using opener = std::function<listener(http::response head)>;

  stats_pages(pages_options how, store::backend& store, metrics::registry& from,
              timer after);
  ~stats_pages();
  stats_pages(const stats_pages&) = delete;
  stats_pages& operator=(const stats_pages&) = delete;

  /// Before this, and after `detach`, /readyz is 503.
  void attach(std::shared_ptr<node_view> to);
  void detach();
  /// From now on /readyz is 503; all else goes on.
  void start_draining();

  /// Answers one request, once, within the timeout.
  /// @param open instead of `done`, for a stream; nothing: there are none here
  void take(const http::request& what, reply done, opener open = {});

 private:
  struct exchange;
  std::shared_ptr<node_view> view() const;
  bool admitted(const http::request& what) const;
  void ready(exchange& x) const;
  void route(const http::request& what, std::shared_ptr<exchange> x);
  void stats(const http::request& what, std::shared_ptr<exchange> x);
  void events(const http::request& what, std::shared_ptr<exchange> x);
  void admin(const http::request& what, std::shared_ptr<exchange> x);
  void campaigns(const http::request& what, std::shared_ptr<exchange> x) const;
  void people(const http::request& what, std::shared_ptr<exchange> x);
  void drain(const http::request& what, exchange& x) const;
  void reload(const http::request& what, std::shared_ptr<exchange> x) const;
  void list_letters(const http::request& what, std::shared_ptr<exchange> x);
  void show_letter(std::string_view id, std::shared_ptr<exchange> x);
  void act(const http::request& what, bool retry, std::shared_ptr<exchange> x);

  pages_options how_;
  store::backend& store_;
  metrics::registry& metrics_;
  timer after_;
  mutable std::mutex mutex_;
  std::shared_ptr<node_view> view_;
  bool draining_ = false;
  std::shared_ptr<stats_feed> feed_;  ///< nothing without a timer
};

}  // namespace troupe::app
