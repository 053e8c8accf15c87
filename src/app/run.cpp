#include "app/run.hpp"

#include <atomic>
#include <cstdlib>
#include <mutex>
#include <optional>
#include <thread>
#include <utility>
#include <vector>

#include "actors/node.hpp"
#include "app/command_line.hpp"
#include "app/derived.hpp"
#include "app/machine.hpp"
#include "app/registrar.hpp"
#include "app/span_exporter.hpp"
#include "app/stats_server.hpp"
#include "core/log.hpp"
#include "http/client.hpp"
#include "http/server.hpp"
#include "net/loop.hpp"

namespace troupe::app {
namespace {

/// Beyond `drain.seconds`: for closing sockets, actors and the store.
constexpr milliseconds teardown_time{10'000};

/// For a collector to take what is left; a dead one holds up no restart.
constexpr milliseconds last_spans{2'000};

/// Under this, a busy bot may run out of files.
constexpr std::uint64_t few_files = 4096;

class running_node final : public node_view {
 public:
  explicit running_node(actors::node& node) : node_{node} {}
  bool ready() const noexcept override { return node_.ready(); }
  void stats(callback<std::string> done) override {
    node_.stats(std::move(done));
  }
  void chat_stats(chat_key key, callback<std::string> done) override {
    node_.chat_stats(key, std::move(done));
  }
  void retry(std::vector<dead_letter_id> which,
             callback<std::size_t> done) override {
    node_.retry(std::move(which), std::move(done));
  }
  void start_campaign(const std::string& command,
                      callback<std::string> done) override {
    node_.start_campaign(command, std::move(done));
  }
  void steer_campaign(std::int64_t number, const std::string& what,
                      callback<std::string> done) override {
    node_.steer_campaign(number, what, std::move(done));
  }
  void campaigns(std::int64_t number, callback<std::string> done) override {
    node_.campaigns(number, std::move(done));
  }
  void forget(chat_key key, callback<std::string> done) override {
    node_.forget(key, std::move(done));
  }
  result<std::string> ask_to_drain(const std::string& name) override {
    return node_.ask_to_drain(name);
  }

 private:
  actors::node& node_;
};

/// HOST of HOST:PORT, as it is written.
std::string host_part(const std::string& address) {
  return address.substr(0, address.rfind(':'));
}

/// Ends the process if stopping takes too long, or a second signal comes.
class watchdog {
 public:
  watchdog(stop_source& stop, milliseconds limit)
      : stop_{stop}, thread_{[this, limit] { watch(limit); }} {}
  ~watchdog() {
    done_ = true;
    stop_.interrupt();
    thread_.join();
  }
  watchdog(const watchdog&) = delete;
  watchdog& operator=(const watchdog&) = delete;

 private:
  void watch(milliseconds limit) {
    const auto until = system_clock().mono() + limit;
    while (!done_) {
      const auto left = std::chrono::duration_cast<milliseconds>(
          until - system_clock().mono());
      if (left <= milliseconds{0}) {
        log::error("stop_hangs", {{"effect", "ended at once"}});
        std::_Exit(exit_failed);
      }
      if (stop_.wait(left) == stop_source::news::signal) {
        log::warn("second_signal", {{"effect",
                                     "ended at once; what is left "
                                     "stays in the store"}});
        std::_Exit(exit_ok);
      }
    }
  }

  stop_source& stop_;
  std::atomic<bool> done_{false};
  std::thread thread_;
};

/// While it lives, a signal ends the process at once: a start may wait minutes
/// for Telegram or a lease, and has nothing to drain.
class start_guard {
 public:
  explicit start_guard(stop_source& stop)
      : stop_{stop}, thread_{[this] { watch(); }} {}
  ~start_guard() { end(); }
  start_guard(const start_guard&) = delete;
  start_guard& operator=(const start_guard&) = delete;

  /// @returns true if a signal came just when it ended.
  bool end() {
    done_ = true;
    if (thread_.joinable()) {
      stop_.interrupt();
      thread_.join();
    }
    return missed_;
  }

 private:
  void watch() {
    while (!done_) {
      if (stop_.wait(milliseconds{60'000}) != stop_source::news::signal)
        continue;
      if (done_) {
        missed_ = true;
        return;
      }
      log::warn("stopped_while_starting",
                {{"effect", "ended at once; nothing was under way"}});
      std::_Exit(exit_ok);
    }
  }

  stop_source& stop_;
  std::atomic<bool> done_{false};
  bool missed_ = false;
  std::thread thread_;
};

/// Reloads that were asked for by other threads, for the one that does them.
class reload_queue {
 public:
  explicit reload_queue(stop_source& wake) : wake_{wake} {}
  void ask(callback<json::object> done) {
    {
      const std::lock_guard lock{mutex_};
      if (!closed_) {
        waiting_.push_back(std::move(done));
        done = nullptr;
      }
    }
    if (done)
      return done(error{errc::unavailable, "the node is draining"});
    wake_.interrupt();
  }
  std::vector<callback<json::object>> take(bool last = false) {
    const std::lock_guard lock{mutex_};
    closed_ = last;
    return std::exchange(waiting_, {});
  }

 private:
  stop_source& wake_;
  std::mutex mutex_;
  std::vector<callback<json::object>> waiting_;
  bool closed_ = false;
};

/// The running whole. Members are in the order of their making; what is below
/// uses what is above.
class program {
 public:
  program(const loaded& with, reread again,
          std::shared_ptr<const detail::bot_base> bot, console& talk,
          stop_source& stop)
      : with_{with.values},
        again_{std::move(again)},
        bot_{std::move(bot)},
        talk_{talk},
        stop_{stop} {}

  /// True if a handler may still be running.
  bool cut_short() const noexcept { return cut_short_; }

  int run() {
    starting_.emplace(stop_);
    if (const auto failed = open())
      return *failed;
    if (const auto failed = start())
      return *failed;
    return serve();
  }

 private:
  int fail(const std::string& what, const error& e, int code = exit_failed) {
    talk_.say(what + ": " + to_string(e));
    return code;
  }

  /// What may fail because of this machine: before anybody is told anything.
  std::optional<int> open() {
    note_start(metrics_, system_clock().wall());
    files_ = raise_file_limit();
    if (files_ != 0 && files_ < few_files)
      log::warn("few_files", {{"limit", files_},
                              {"do", "raise the hard limit of open files"}});
    auto store = store::open(store_options_of(with_));
    if (!store)
      return fail("store.url " + shown_store(with_.store_url), store.error());
    store_ = std::move(*store);
    if (with_.bot_mode == "webhook") {
      if (const auto failed = open_webhook())
        return failed;
    }
    if (!with_.stats_listen.empty()) {
      pages_options how;
      how.token = admin_token(with_);
      how.open_stats = parse_endpoint(with_.stats_listen)->loopback();
      how.reload = [queue = reloads_](callback<json::object> done) {
        queue->ask(std::move(done));
      };
      auto where = stats_server_of(with_);
      where.on_reject = reject_meter::make("stats", metrics_);
      auto stats = stats_server::listen(serving_, std::move(where), how,
                                        *store_, metrics_);
      if (!stats) {
        return fail("stats.listen " + with_.stats_listen, stats.error());
      }
      stats_ = std::move(*stats);
      log::info("stats_listening", {{"port", stats_->port()}});
    }
    auto client = http::client::make(
        calling_, http::parse_origin(with_.bot_api_root).value());
    if (!client)
      return fail("bot.api_root", client.error());
    client_ = std::move(*client);
    auto spans = exporter_of(with_, metrics_);
    if (!spans)
      return fail("tracing.endpoint", spans.error());
    spans_ = std::move(*spans);
    return std::nullopt;
  }

  std::optional<int> open_webhook() {
    if (webhook_gate_of(with_).secret.empty())
      log::warn("webhook_without_secret",
                {{"effect", "whoever reaches the listener can post updates"},
                 {"do", "set TROUPE_WEBHOOK_SECRET"}});
    auto where = webhook_server_of(with_);
    where.on_reject = reject_meter::make("webhook", metrics_);
    // The store and the way to Telegram need files, too.
    if (files_ != 0 && where.max_connections > files_ / 2)
      where.max_connections = files_ / 2;
    auto server = http::server::listen(
        serving_, std::move(where),
        [gate = gate_](http::request&& what, http::responder answer) {
          if (actors::node* node = gate->load()) {
            return node->webhook(std::move(what), std::move(answer));
          }
          http::response later;  // still starting
          later.status = 503;
          later.headers.add("Retry-After", "1");
          answer(std::move(later));
        });
    if (!server) {
      const errc code = server.error().code;
      return fail("webhook.listen " + with_.webhook_listen, server.error(),
                  code == errc::bad_input ? exit_config : exit_failed);
    }
    webhook_ = std::move(*server);
    return std::nullopt;
  }

  std::optional<int> start() {
    const bot_api api{*client_, with_.bot_token};
    const identity me = who_am_i(api);
    if (me.refused)
      return bad_token(me.trouble);
    if (!me.known) {
      log::warn(
          "telegram_unreachable",
          {{"error", me.trouble}, {"effect", "started anyway; trying again"}});
    }
    auto how = node_options_of(with_, me.username);
    how.before_work = [this] {
      signalled_ = starting_->end();
      starting_.reset();
    };
    how.tracing.into = spans_.get();
    name_spans(me.username);
    how.asked_to_drain = [this] {
      told_to_drain_ = true;
      stop_.interrupt();
    };
    if (stats_)
      how.stats_address =
          host_part(with_.stats_listen) + ':' + std::to_string(stats_->port());
    auto node = actors::node::start(std::move(how), bot_, *store_, calling_,
                                    *client_, metrics_);
    if (!node)
      return fail("the node can't start", node.error());
    node_ = std::move(*node);
    gate_->store(node_.get());
    if (stats_)
      stats_->pages().attach(std::make_shared<running_node>(*node_));
    register_bot(me.known);
    log::info("started", {{"bot", me.username},
                          {"mode", with_.bot_mode},
                          {"webhook_port", webhook_ ? webhook_->port() : 0},
                          {"stats_port", stats_ ? stats_->port() : 0}});
    return std::nullopt;
  }

  void name_spans(const std::string& bot) {
    if (spans_ && !bot.empty())
      spans_->rename(bot);
  }

  void register_bot(bool identified) {
    registrar_.emplace(
        with_, bot_api{*client_, with_.bot_token}, identified,
        [this](std::string name) {
          name_spans(name);
          node_->identify(std::move(name));
        },
        [this] {
          bad_token_ = true;
          stop_.interrupt();
        },
        registrar::pauses{});
  }

  /// Reads the configuration again. If anything is wrong with it, nothing is
  /// changed.
  result<json::object> reload() {
    const auto got = again_();
    if (!got) {
      log::error("reload_refused", {{"error", got.error().context},
                                    {"effect", "nothing is changed"}});
      return got.error();
    }
    reload_plan plan = plan_reload(with_, got->values);
    for (const std::string& one : plan.changed)
      log::info("reloaded", {{"change", one}});
    for (const std::string& one : plan.restart)
      log::warn("reload_needs_restart", {{"key", one}});
    const bool other_kinds =
        plan.next.bot_allowed_updates != with_.bot_allowed_updates;
    json::object page = to_json(plan);
    with_ = std::move(plan.next);
    log::level least = log::level::info;
    TROUPE_CHECK(log::parse_level(with_.log_level, least));
    log::threshold(least);
    auto options = node_options_of(with_, {});
    node_->configure(options.limits, std::move(options.allowed_updates));
    if (other_kinds && with_.bot_mode == "webhook")
      registrar_->again(with_);
    return page;
  }

  void do_reloads(bool by_signal) {
    const auto asked = reloads_->take();
    if (asked.empty() && !by_signal)
      return;
    const auto page = reload();  // one for all that asked
    for (const auto& done : asked)
      done(page);
  }

  int bad_token(const std::string& why) {
    talk_.say("bot.token: the Bot API server refuses it (" + why +
              "); take it from @BotFather again, or look at bot.api_root");
    return exit_config;
  }

  int serve() {
    while (!bad_token_ && !signalled_ && !told_to_drain_) {
      const auto news = stop_.wait(milliseconds{60'000});
      if (news == stop_source::news::signal)
        break;
      do_reloads(news == stop_source::news::reload);
    }
    for (const auto& done : reloads_->take(true))
      done(error{errc::unavailable, "the node is draining"});
    const milliseconds limit = std::chrono::seconds{with_.drain_seconds};
    log::info("draining", {{"seconds", with_.drain_seconds}});
    const watchdog guard{stop_, limit + teardown_time};
    if (stats_)
      stats_->pages().start_draining();
    if (webhook_)
      webhook_->drain();
    registrar_->stop();
    const bool clean = node_->drain(limit);
    end();
    log::info("stopped", {{"clean", clean}});
    cut_short_ = !clean;
    return bad_token_ ? bad_token("401 or 404 while running") : exit_ok;
  }

  /// In the reverse order of use: first what brings work in.
  void end() {
    if (webhook_)
      webhook_->close();
    if (stats_) {
      stats_->pages().detach();
      stats_->close();
    }
    gate_->store(nullptr);
    client_->close();
    registrar_.reset();  // it may be telling the node who we are
    node_.reset();
    if (spans_)
      spans_->close(last_spans);
    store_->close();
  }

  settings with_;  ///< as they are now: some change while it runs
  const reread again_;
  std::shared_ptr<const detail::bot_base> bot_;
  console& talk_;
  stop_source& stop_;
  std::atomic<bool> bad_token_{false};
  std::atomic<bool> told_to_drain_{false};
  std::shared_ptr<reload_queue> reloads_ =
      std::make_shared<reload_queue>(stop_);
  bool cut_short_ = false;
  bool signalled_ = false;
  std::uint64_t files_ = 0;  ///< how many may be open; 0: unknown
  std::shared_ptr<std::atomic<actors::node*>> gate_ =
      std::make_shared<std::atomic<actors::node*>>(nullptr);
  metrics::registry metrics_;
  std::unique_ptr<store::backend> store_;
  net::loop serving_;
  net::loop calling_;
  std::unique_ptr<http::client> client_;
  std::unique_ptr<span_exporter> spans_;  ///< or null
  std::unique_ptr<actors::node> node_;
  std::unique_ptr<stats_server> stats_;
  std::unique_ptr<http::server> webhook_;
  std::optional<registrar> registrar_;
  std::optional<start_guard> starting_;
};

}  // namespace

int run(const loaded& with, const reread& again,
        std::shared_ptr<const detail::bot_base> bot, console& talk,
        stop_source& stop) {
  auto all = std::make_unique<program>(with, again, std::move(bot), talk, stop);
  const int code = all->run();
  // A handler that outlives the drain still uses the parts; the process ends
  // right after this, so they are left to it.
  if (all->cut_short())
    static_cast<void>(all.release());
  return code;
}

}  // namespace troupe::app
