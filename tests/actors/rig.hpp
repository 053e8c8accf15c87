#pragma once

#include <atomic>
#include <filesystem>
#include <functional>
#include <future>
#include <map>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "actors/node.hpp"
#include "core/json.hpp"
#include "http/server.hpp"
#include "tests/support/catch.hpp"

/// A node between a Telegram of the test's own and the test, in one process,
/// on real sockets.
namespace troupe::testing {

using namespace std::chrono_literals;

/// Waits for a condition, generously: a slow machine is no failure.
template <class Condition>
bool eventually(Condition condition, std::chrono::seconds limit = 60s) {
  auto end = std::chrono::steady_clock::now() + limit;
  while (!condition()) {
    if (std::chrono::steady_clock::now() > end)
      return false;
    std::this_thread::sleep_for(2ms);
  }
  return true;
}

/// A folder that goes when the test ends.
class folder {
 public:
  folder() {
    std::string name =
        (std::filesystem::temp_directory_path() / "troupe-test-XXXXXX")
            .string();
    path_ = ::mkdtemp(name.data());
  }
  ~folder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  folder(const folder&) = delete;
  folder& operator=(const folder&) = delete;
  std::string operator/(const std::string& name) const {
    return (path_ / name).string();
  }

 private:
  std::filesystem::path path_;
};

/// Counts the texts of its chat and replies `n=<count> text=<text>`. Texts
/// that begin with "soon" and "timer" set a timer of that name, due in 20 ms
/// and an hour; "who" is answered with the bot's name, too; "tell <chat>" tells
/// that chat "from <chat>". `hook` sees each text first, and may throw or
/// block.
class counter_chat final : public detail::live_chat {
 public:
  counter_chat(std::int64_t id, std::function<void(const std::string&)> hook)
      : id_{id}, hook_{std::move(hook)} {}

  void load(std::string_view state, std::string_view, std::string_view,
            std::int64_t) override {
    if (state == "broken")
      throw std::runtime_error{"state: not a number"};
    n_ = state.empty() ? 0 : std::stoll(std::string{state});
  }

  detail::turn_result run(const detail::turn_event& what,
                          const detail::turn_scene& scene) override {
    detail::turn_result r;
    if (what.from != detail::turn_event::source::update) {
      r.kind =
          what.from == detail::turn_event::source::timer ? "timer" : "other";
      if (what.from == detail::turn_event::source::timer)
        say(r, "timer " + what.name);
      return r;
    }
    auto update = parse_json(*what.body);
    auto text = std::string{update->at("message").at("text").as_string()};
    r.kind = "text_message";
    try {
      hook_(text);
    } catch (const std::exception& e) {
      r.how = detail::turn_result::end::threw;
      r.error = e.what();
      return r;
    }
    ++n_;
    r.wanted.state = std::to_string(n_);
    say(r, "n=" + std::to_string(n_) + " text=" + text);
    if (text.starts_with("tell ")) {
      say(r, "from " + std::to_string(id_));
      auto& call = r.wanted.calls.back();
      call.reply = false;
      call.body = json::serialize(
          json::object{{"chat_id", std::stoll(text.substr(5))},
                       {"text", "from " + std::to_string(id_)}});
    }
    if (text == "who")
      say(r, "we are " + std::string{scene.bot_username});
    if (text.starts_with("timer") || text.starts_with("soon"))
      r.wanted.timers.push_back(
          {text, scene.now_ms + (text[0] == 's' ? 20 : 3'600'000), ""});
    r.audience = detail::turn_result::standing::active;
    return r;
  }

 private:
  void say(detail::turn_result& r, const std::string& text) const {
    detail::wanted_call call;
    call.method = "sendMessage";
    call.body = json::serialize(json::object{{"chat_id", id_}, {"text", text}});
    call.reply = true;
    r.wanted.calls.push_back(std::move(call));
  }

  std::int64_t id_;
  std::int64_t n_ = 0;
  std::function<void(const std::string&)> hook_;
};

class counter_bot final : public detail::bot_base {
 public:
  explicit counter_bot(std::function<void(const std::string&)> hook =
                           [](const std::string&) {})
      : hook_{std::move(hook)} {}
  std::unique_ptr<detail::live_chat> spawn(std::string,
                                           std::int64_t id) const override {
    return std::make_unique<counter_chat>(id, hook_);
  }

 private:
  std::function<void(const std::string&)> hook_;
};

/// A Bot API server that keeps what was sent, and answers as told.
class telegram_double {
 public:
  struct call {
    std::string method;
    std::int64_t chat;
    std::string text;
    mono_time at;
  };
  /// Sees each call first; a response instead of the normal one, if any.
  using script =
      std::function<std::optional<http::response>(const call&, int nth)>;

  explicit telegram_double(script s = {}) : script_{std::move(s)} {
    server_ =
        http::server::listen(loop_, {},
                             [this](http::request&& r, http::responder answer) {
                               take(std::move(r), std::move(answer));
                             })
            .value();
  }
  ~telegram_double() {
    server_->close();
    loop_.stop();
  }

  std::uint16_t port() const { return server_->port(); }
  std::string url() const {
    return "http://127.0.0.1:" + std::to_string(port());
  }
  std::vector<call> calls() const {
    std::lock_guard guard{lock_};
    return calls_;
  }
  /// Texts that were accepted for one chat, in order.
  std::vector<std::string> texts(std::int64_t chat) const {
    std::lock_guard guard{lock_};
    auto it = accepted_.find(chat);
    return it == accepted_.end() ? std::vector<std::string>{} : it->second;
  }
  std::size_t accepted() const {
    std::lock_guard guard{lock_};
    std::size_t n = 0;
    for (auto& [chat, texts] : accepted_)
      n += texts.size();
    return n;
  }
  /// Updates for getUpdates.
  void queue(std::int64_t id, std::string json) {
    std::lock_guard guard{lock_};
    updates_.emplace_back(id, std::move(json));
  }
  std::vector<std::int64_t> offsets() const {
    std::lock_guard guard{lock_};
    return offsets_;
  }

 private:
  void take(http::request&& r, http::responder answer) {
    call c;
    c.method = std::string{r.path().substr(r.path().rfind('/') + 1)};
    auto body = parse_json(r.body);
    c.at = system_clock().mono();
    if (c.method == "getUpdates") {
      poll(*body, std::move(answer));
      return;
    }
    if (body && body->as_object().contains("chat_id")) {
      c.chat = body->at("chat_id").as_int64();
      if (auto text = body->as_object().if_contains("text"))
        c.text = std::string{text->as_string()};
    }
    int nth = 0;
    {
      std::lock_guard guard{lock_};
      calls_.push_back(c);
      nth = int(calls_.size());
    }
    if (script_) {
      if (auto special = script_(c, nth)) {
        answer(std::move(*special));
        return;
      }
    }
    {
      std::lock_guard guard{lock_};
      accepted_[c.chat].push_back(c.text);
    }
    http::response ok;
    ok.body = R"({"ok":true,"result":{"message_id":)" + std::to_string(nth) +
              R"(,"date":1,"chat":{"id":)" + std::to_string(c.chat) + "}}}";
    answer(std::move(ok));
  }

  void poll(const json::value& body, http::responder answer) {
    http::response r;
    {
      std::lock_guard guard{lock_};
      std::int64_t offset = 0;
      if (auto o = body.as_object().if_contains("offset"))
        offset = o->as_int64();
      offsets_.push_back(offset);
      // An offset far ahead of the tail forgets nothing (TELEGRAM.md 30).
      bool ahead = updates_.empty() || offset > updates_.back().first + 10;
      if (offset > 0 && !ahead)
        std::erase_if(updates_, [&](auto& u) { return u.first < offset; });
      r.body = R"({"ok":true,"result":[)";
      for (std::size_t i = 0; i < updates_.size(); ++i)
        r.body += (i == 0 ? "" : ",") + updates_[i].second;
      r.body += "]}";
    }
    // A short hold stands for the long poll.
    loop_.after(20ms, [answer, r] { answer(r); });
  }

  mutable std::mutex lock_;
  script script_;
  std::vector<call> calls_;
  std::map<std::int64_t, std::vector<std::string>> accepted_;
  std::vector<std::pair<std::int64_t, std::string>> updates_;
  std::vector<std::int64_t> offsets_;
  net::loop loop_;
  std::unique_ptr<http::server> server_;
};

inline std::string text_update(std::int64_t id, std::int64_t chat,
                               const std::string& text) {
  return R"({"update_id":)" + std::to_string(id) +
         R"(,"message":{"message_id":1,"date":1,"chat":{"id":)" +
         std::to_string(chat) + R"(,"type":")" +
         (chat > 0 ? "private" : "supergroup") +
         R"("},"from":{"id":1,"is_bot":false,"first_name":"A"},"text":")" +
         text + "\"}}";
}

/// What a counter_chat replies to these texts.
inline std::vector<std::string> counted(const std::vector<std::string>& texts) {
  std::vector<std::string> out;
  for (std::size_t i = 0; i < texts.size(); ++i)
    out.push_back("n=" + std::to_string(i + 1) + " text=" + texts[i]);
  return out;
}

/// The machine's clocks; the wall clock is an hour ahead.
class hour_later final : public clock {
 public:
  wall_time wall() const noexcept override {
    return system_clock().wall() + std::chrono::hours{1};
  }
  mono_time mono() const noexcept override { return system_clock().mono(); }
};

inline actors::node_options fast() {
  actors::node_options o;
  o.bot_token = "1:test-token-of-the-rig";
  o.limits = {0, 0, 0, 0, 1000ms, true};
  o.turns.backoff = 20ms;
  o.sending.retry_first = 50ms;
  o.workers = 2;
  o.turns.threads = 2;
  return o;
}

/// One process' worth of Troupe. Destroying it is a restart of the process
/// (an orderly one, without a drain).
class rig {
 public:
  rig(actors::node_options how, std::shared_ptr<const detail::bot_base> bot,
      std::unique_ptr<store::backend> store, const std::string& telegram,
      http::client_options calls = {})
      : store_{std::move(store)},
        client_{http::client::make(loop_, http::parse_origin(telegram).value(),
                                   std::move(calls))
                    .value()},
        node_{actors::node::start(std::move(how), std::move(bot), *store_,
                                  loop_, *client_, metrics_)
                  .value()},
        server_{http::server::listen(
                    serving_, {},
                    [this](http::request&& r, http::responder answer) {
                      node_->webhook(std::move(r), std::move(answer));
                    })
                    .value()},
        poster_{http::client::make(posting_, poster_origin(server_->port()))
                    .value()} {}
  ~rig() {
    poster_->close();
    server_->close();
    node_.reset();
  }

  /// Posts one update; the status is counted when it comes.
  void post(std::string body, http::fields headers = {},
            std::string path = "/webhook", std::string method = "POST") {
    http::request r;
    r.method = std::move(method);
    r.target = std::move(path);
    r.headers = std::move(headers);
    r.body = std::move(body);
    ++posted_;
    poster_->send(std::move(r), 60s, [this](auto answer) {
      std::lock_guard guard{lock_};
      ++statuses_[answer ? answer->status : 0];
      last_ = {};
      last_.status = 0;
      if (answer)
        last_ = *answer;
      ++answered_;
    });
  }
  unsigned post_and_wait(std::string body, http::fields headers = {},
                         std::string path = "/webhook",
                         std::string method = "POST") {
    CHECK(settle());
    post(std::move(body), std::move(headers), std::move(path),
         std::move(method));
    CHECK(settle());
    std::lock_guard guard{lock_};
    return last_.status;
  }
  /// Until every post was answered.
  bool settle() {
    return eventually([this] { return answered_ == posted_; });
  }
  std::map<unsigned, int> statuses() {
    std::lock_guard guard{lock_};
    return statuses_;
  }
  http::response last() {
    std::lock_guard guard{lock_};
    return last_;
  }
  /// Whole: the page comes without those who are slow to answer.
  json::value stats() {
    for (;;) {
      std::promise<std::string> text;
      node_->stats([&](auto r) { text.set_value(r ? *r : "{}"); });
      auto page = parse_json(text.get_future().get()).value();
      if (page.at("unanswered") == 0)
        return page;
    }
  }
  std::int64_t total(const char* name) {
    return stats().at("totals").at(name).to_number<std::int64_t>();
  }
  std::string metrics() const { return metrics_.render(); }
  /// The value on its line of the metrics, -1 if there is none.
  double metric(const std::string& name) const {
    const auto page = "\n" + metrics();
    const auto at = page.find("\n" + name + " ");
    return at == std::string::npos
               ? -1
               : std::stod(page.substr(at + name.size() + 2));
  }
  actors::node& node() { return *node_; }
  store::backend& store() { return *store_; }

 private:
  static http::origin poster_origin(std::uint16_t port) {
    return http::parse_origin("http://127.0.0.1:" + std::to_string(port))
        .value();
  }

  std::mutex lock_;
  std::map<unsigned, int> statuses_;
  http::response last_;
  std::atomic<int> posted_{0};
  std::atomic<int> answered_{0};
  net::loop loop_;
  net::loop serving_;
  net::loop posting_;
  metrics::registry metrics_;
  std::unique_ptr<store::backend> store_;
  std::unique_ptr<http::client> client_;
  std::unique_ptr<actors::node> node_;
  std::unique_ptr<http::server> server_;
  std::unique_ptr<http::client> poster_;
};

inline std::unique_ptr<store::backend> memory_store(std::uint16_t shards = 8) {
  store::options o;
  o.url = "memory:";
  o.shards = shards;
  return store::open(o).value();
}

inline std::unique_ptr<store::backend> sqlite_store(const std::string& path) {
  store::options o;
  o.url = "sqlite:" + path;
  o.shards = 8;
  o.synchronous_full = false;
  return store::open(o).value();
}

}  // namespace troupe::testing
