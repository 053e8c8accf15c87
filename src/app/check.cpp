#include <unistd.h>

#include <cstdlib>
#include <filesystem>

#include "app/bot_api.hpp"
#include "app/commands.hpp"
#include "app/derived.hpp"
#include "app/node_link.hpp"
#include "core/json.hpp"
#include "http/server.hpp"
#include "net/crypto.hpp"
#include "net/loop.hpp"

namespace troupe::app {
namespace {

constexpr milliseconds timeout{15'000};
// Retry-After, timers and "too old" all compare clocks in seconds.
constexpr std::int64_t tolerable_skew_ms = 10'000;

/// The checks and what they found.
class checks {
 public:
  checks(const settings& with, const invocation& call, console& talk)
      : with_{with}, call_{call}, talk_{talk} {}

  int run(const std::string& file) {
    ok("configuration", file.empty() ? "no file; environment and flags" : file);
    auto running = find_running(with_);
    node_is_running_ = running.has_value();
    if (running)
      node_ = std::move(*running);
    telegram();
    if (!node_is_running_) {
      store();
      if (with_.bot_mode == "webhook") {
        listener("webhook.listen", webhook_server_of(with_));
      }
      if (!with_.stats_listen.empty()) {
        listener("stats.listen", stats_server_of(with_));
      }
    } else {
      store_of_node();
      ok("listeners", "held by the running node");
    }
    if (!with_.cluster_ca.empty())
      certificates();
    if (call_.json) {
      talk_.data(json::serialize(
          json::object{{"ok", failed_ == 0}, {"checks", list_}}));
    }
    return failed_ == 0 ? exit_ok : exit_failed;
  }

 private:
  void line(bool good, const std::string& what, const std::string& text,
            const std::string& advice) {
    if (!good)
      ++failed_;
    if (call_.json) {
      json::object one{{"check", what}, {"ok", good}, {"text", text}};
      if (!advice.empty())
        one["do"] = advice;
      list_.push_back(std::move(one));
      return;
    }
    talk_.data(std::string{good ? "ok    " : "FAIL  "} + what + ": " + text +
               (advice.empty() ? "" : "; " + advice));
  }
  void ok(const std::string& what, const std::string& text) {
    line(true, what, text, "");
  }
  void fail(const std::string& what, const std::string& text,
            const std::string& advice) {
    line(false, what, text, advice);
  }

  void telegram() {
    net::loop loop;
    auto client = http::client::make(
        loop, http::parse_origin(with_.bot_api_root).value());
    if (!client) {
      return fail("bot.api_root", client.error().context, "fix bot.api_root");
    }
    const bot_api api{**client, with_.bot_token};
    const auto me = api.call("getMe", "{}", timeout);
    if (!me) {
      return fail("bot.api_root", me.error().context,
                  "look at bot.api_root, DNS, the firewall and the proxy");
    }
    ok("bot.api_root", without_path(with_.bot_api_root) + " answers");
    clock_skew(*me);
    if (me->answer.what == telegram::verdict::bad_token) {
      return fail("bot.token", "refused (" + me->text() + ')',
                  "take the token from @BotFather again");
    }
    if (!me->sent()) {
      return fail("bot.token", "getMe answered " + me->text(), "try again");
    }
    const auto parsed = parse_json(me->result);
    const json::object* bot = parsed ? parsed->if_object() : nullptr;
    const json::value* name = bot ? bot->if_contains("username") : nullptr;
    ok("bot.token", name && name->is_string()
                        ? '@' + std::string{name->get_string()}
                        : "accepted");
    webhook_info(api);
  }

  void clock_skew(const api_reply& got) {
    if (!got.server_time) {
      return ok("clock", "the server did not send its time");
    }
    const std::int64_t skew =
        to_ms(system_clock().wall()) - to_ms(*got.server_time);
    const std::string text = std::to_string(skew / 1000) +
                             " s from the "
                             "server's";
    if (std::abs(skew) <= tolerable_skew_ms)
      return ok("clock", text);
    fail("clock", text, "set the clock (timedatectl set-ntp true)");
  }

  void webhook_info(const bot_api& api) {
    const auto got = api.call("getWebhookInfo", "{}", timeout);
    if (!got)
      return fail("webhook", got.error().context, "try again");
    const auto parsed = got->sent() ? parse_json(got->result)
                                    : result<json::value>{json::value{}};
    const json::object* info = parsed ? parsed->if_object() : nullptr;
    if (info == nullptr) {
      return fail("webhook", "getWebhookInfo answered " + got->text(),
                  "try again");
    }
    const auto text = [&](std::string_view name) -> std::string {
      const json::value* at = info->if_contains(name);
      if (at == nullptr)
        return {};
      return at->is_string() ? std::string{at->get_string()}
                             : json::serialize(*at);
    };
    const std::string host = without_path(text("url"));
    if (with_.bot_mode == "polling") {
      if (host.empty())
        return ok("webhook", "none is set, as polling needs");
      return fail("webhook", host + " is set, so getUpdates answers 409",
                  "run `" + talk_.program() + " webhook delete`");
    }
    if (host.empty()) {
      return ok("webhook", with_.webhook_public_url.empty()
                               ? "none is set; `" + talk_.program() +
                                     " webhook set URL` registers one"
                               : "none is set; `run` will register it");
    }
    if (!with_.webhook_public_url.empty() &&
        text("url") != public_url(with_, with_.webhook_public_url)) {
      if (node_is_running_)
        return fail("webhook",
                    host + " is registered, but not our webhook.public_url",
                    "find out who else registers (another deployment with "
                    "this token?), then `" +
                        talk_.program() + " webhook set " +
                        without_path(with_.webhook_public_url) + "`");
      return ok("webhook", host + " is registered; `run` will replace it");
    }
    std::string found =
        host + ", " + text("pending_update_count") + " updates pending";
    if (const auto last = text("last_error_message"); !last.empty()) {
      return fail("webhook", found + ", last error: " + last,
                  "see that Telegram reaches webhook.listen");
    }
    ok("webhook", found);
  }

  void certificates() {
    const auto usable = net::check_identity(
        with_.cluster_ca, with_.cluster_certificate, with_.cluster_key);
    if (usable)
      return ok("cluster.certificate", "usable, and so are its key and the CA");
    fail("cluster.certificate", usable.error().context,
         "look at cluster.ca, cluster.certificate and cluster.key");
  }

  void store() {
    const std::string file = store_file(with_);
    std::error_code code;
    if (!file.empty() && !std::filesystem::exists(file, code)) {
      std::string folder = std::filesystem::path{file}.parent_path().string();
      if (folder.empty())
        folder = ".";
      if (::access(folder.c_str(), W_OK | X_OK) == 0) {
        return ok("store",
                  "none yet; `run` creates " + shown_store(with_.store_url));
      }
      return fail("store", folder + " can't be written to",
                  "create it or change its owner");
    }
    auto opened = store::open(store_options_of(with_));
    if (opened)
      return ok("store", shown_store(with_.store_url) + " opens");
    fail("store", opened.error().context,
         opened.error().code == errc::conflict
             ? "stop the instance that holds it"
             : "look at store.url, or restore a backup");
  }

  /// The node has it, so the node says how it is.
  void store_of_node() {
    http::request what;
    what.target = "/readyz";
    const auto got = node_->ask(std::move(what));
    if (got && got->status == 200)
      return ok("store", "held by the running node, which is ready");
    const auto page = got ? parse_json(got->body) : got.error();
    const json::object* in = page ? page->if_object() : nullptr;
    fail("store",
         "held by the running node, which is not ready: " +
             (in ? text_of(*in, "why") : std::string{"no answer"}),
         "look at the node's log and at the store itself (docs/RUNBOOK.md)");
  }

  void listener(const std::string& key, http::server_options where) {
    net::loop loop;
    const std::string address =
        where.address + ':' + std::to_string(where.port);
    auto server = http::server::listen(
        loop, std::move(where), [](http::request&&, http::responder answer) {
          http::response page;
          page.status = 503;
          answer(std::move(page));
        });
    if (server)
      return ok(key, address + " can be listened on");
    fail(key, server.error().context, "free it, or change " + key);
  }

  const settings& with_;
  const invocation& call_;
  console& talk_;
  std::unique_ptr<node_link> node_;  ///< the running one, if there is
  bool node_is_running_ = false;
  int failed_ = 0;
  json::array list_;
};

}  // namespace

int check(const loaded& with, const invocation& call, console& talk) {
  return checks{with.values, call, talk}.run(with.file);
}

}  // namespace troupe::app
