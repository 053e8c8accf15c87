#pragma once

#include <poll.h>
#include <unistd.h>

#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <functional>
#include <future>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "core/json.hpp"
#include "http/client.hpp"
#include "http/server.hpp"
#include "sim/simulator.hpp"
#include "telegram/facts.hpp"
#include "tests/support/catch.hpp"

/// Who talks to a simulator in a test: a caller of the Bot API, and a counter
/// bot that is just good enough.
namespace troupe::sim::test {

using namespace std::chrono_literals;

inline constexpr auto patience = 60s;
inline const std::string token = "123456:SIMULATED-token-of-troupe-sim-00";

class caller {
 public:
  explicit caller(std::uint16_t port) {
    http::origin to;
    to.host = "127.0.0.1";
    to.port = port;
    client_ = std::move(*http::client::make(loop_, to));
  }
  ~caller() { client_->close(); }

  using answer = boost::system::result<http::response, http::failure>;

  std::future<answer> begin(std::string target, std::string body = {},
                            std::string method = "POST") {
    http::request r;
    r.method = std::move(method);
    r.target = std::move(target);
    if (!body.empty())
      r.headers.add("Content-Type", "application/json");
    r.body = std::move(body);
    auto done = std::make_shared<std::promise<answer>>();
    auto out = done->get_future();
    client_->send(std::move(r), patience,
                  [done](const auto& a) { done->set_value(a); });
    return out;
  }
  answer wait(std::future<answer> from) {
    REQUIRE(from.wait_for(2 * patience) == std::future_status::ready);
    return from.get();
  }
  http::response call(std::string target, std::string body = {}) {
    auto a = wait(begin(std::move(target), std::move(body)));
    REQUIRE(a.has_value());
    return *a;
  }
  http::response bot(std::string method, std::string body = "{}") {
    return call("/bot" + token + '/' + std::move(method), std::move(body));
  }
  json::value get(std::string target) {
    auto a = wait(begin(std::move(target), {}, "GET"));
    REQUIRE(a.has_value());
    return *parse_json(a->body);
  }

 private:
  net::loop loop_;
  std::unique_ptr<http::client> client_;
};

template <class Condition>
bool eventually(Condition holds) {
  auto end = std::chrono::steady_clock::now() + patience;
  while (!holds()) {
    if (std::chrono::steady_clock::now() > end)
      return false;
    std::this_thread::sleep_for(10ms);
  }
  return true;
}

inline std::unique_ptr<simulator> start(sim_options how = {}) {
  auto s = simulator::start(std::move(how));
  REQUIRE(s.has_value());
  return std::move(*s);
}

inline bool ends(simulator& sim) {
  pollfd what{sim.done_fd(), POLLIN, 0};
  return ::poll(&what, 1, 120'000) == 1;
}

// A counter as simple as it gets: one thread, state in memory, replies one at
// a time per chat, repeated until they are taken.
class toy_bot {
 public:
  explicit toy_bot(std::string secret = {}) : secret_{std::move(secret)} {
    auto s = http::server::listen(
        loop_, {}, [this](http::request&& what, http::responder answer) {
          take(std::move(what), std::move(answer));
        });
    REQUIRE(s.has_value());
    server_ = std::move(*s);
  }
  ~toy_bot() { close(); }

  std::string url() const {
    return "http://127.0.0.1:" + std::to_string(server_->port()) + "/webhook";
  }
  void talk_to(std::uint16_t port) {
    http::origin to;
    to.host = "127.0.0.1";
    to.port = port;
    std::promise<void> set;
    auto client = *http::client::make(loop_, to);
    loop_.post([&] {
      client_ = std::move(client);
      set.set_value();
    });
    set.get_future().wait();
  }
  void close() {
    if (server_)
      server_->close();
    if (client_)
      client_->close();
    loop_.stop();
    server_.reset();
    client_.reset();
  }

  // Set before the simulator starts; run on the loop's thread.
  std::function<http::response(const http::request&)> on_delivery;
  bool dedup = true;
  int miscount_every = 0;

 private:
  struct chat {
    int count = 0;
    std::vector<std::string> waiting;
    bool busy = false;
  };

  void take(http::request&& what, http::responder answer) {
    if (what.method != "POST")
      return answer({404, {}, {}, {}});
    if (on_delivery)
      return answer(on_delivery(what));
    if (what.headers.find("X-Telegram-Bot-Api-Secret-Token") != secret_)
      return answer({401, {}, {}, {}});
    auto facts = telegram::read_facts(what.body);
    if (!facts)
      return answer({400, {}, {}, {}});
    if (!dedup || seen_.insert(facts->id.value).second) {
      auto& c = chats_[facts->chat_id];
      ++c.count;
      if (miscount_every > 0 && ++total_ % miscount_every == 0)
        ++c.count;
      c.waiting.push_back("n=" + std::to_string(c.count) +
                          " text=" + facts->text);
      send_next(facts->chat_id);
    }
    answer({200, {}, {}, {}});
  }

  void send_next(std::int64_t id) {
    auto& c = chats_[id];
    if (c.busy || c.waiting.empty() || !client_)
      return;
    c.busy = true;
    http::request r;
    r.method = "POST";
    r.target = "/bot" + token + "/sendMessage";
    r.headers.add("Content-Type", "application/json");
    json::object body{{"chat_id", id}, {"text", c.waiting.front()}};
    r.body = json::serialize(body);
    client_->send(std::move(r), patience, [this, id](const auto& a) {
      auto& in = chats_[id];
      if (a && a->status != 429 && a->status < 500)
        in.waiting.erase(in.waiting.begin());
      auto pause = a ? 0ms : 5ms;
      if (a && a->status == 429)
        pause = std::chrono::seconds{std::stoi(
                    std::string{a->headers.find("Retry-After")})} +
                20ms;
      loop_.after(pause, [this, id] {
        chats_[id].busy = false;
        send_next(id);
      });
    });
  }

  std::string secret_;
  std::set<std::int64_t> seen_;
  std::map<std::int64_t, chat> chats_;
  int total_ = 0;
  net::loop loop_;
  std::unique_ptr<http::server> server_;
  std::unique_ptr<http::client> client_;
};

struct temp_dir {
  temp_dir() {
    auto pattern =
        (std::filesystem::temp_directory_path() / "troupe-sim-XXXXXX").string();
    REQUIRE(::mkdtemp(pattern.data()) != nullptr);
    path = pattern;
  }
  ~temp_dir() { std::filesystem::remove_all(path); }
  std::string file(const std::string& name) const { return path + '/' + name; }
  std::string path;
};

}  // namespace troupe::sim::test
