#include "app/stats_feed.hpp"

#include <future>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "app/bot_api.hpp"
#include "app/dashboard.hpp"
#include "app/stats_server.hpp"
#include "core/log.hpp"
#include "tests/app/letters.hpp"
#include "tests/app/support.hpp"
#include "tests/support/catch.hpp"

using namespace troupe;
using namespace troupe::app;
using namespace troupe::app::test;

namespace {

/// A node that answers at once, or when the test says so.
class quick_node final : public node_view {
 public:
  bool ready() const noexcept override { return true; }
  void stats(callback<std::string> done) override {
    ++asked;
    if (silent)
      kept = std::move(done);
    else if (failing)
      done(error{errc::timed_out, "the actors are stuck"});
    else
      done(text);
  }
  void chat_stats(chat_key, callback<std::string> done) override {
    done(error{errc::not_found, "no such chat"});
  }
  void retry(std::vector<dead_letter_id>, callback<std::size_t> done) override {
    done(std::size_t{0});
  }
  void start_campaign(const std::string&, callback<std::string>) override {}
  void steer_campaign(std::int64_t, const std::string&,
                      callback<std::string>) override {}
  void campaigns(std::int64_t, callback<std::string>) override {}
  void forget(chat_key, callback<std::string>) override {}
  result<std::string> ask_to_drain(const std::string&) override {
    return error{errc::conflict, "no cluster"};
  }

  int asked = 0;
  bool silent = false;
  bool failing = false;
  std::string text = R"({"ready":true,"history":{"turns":[1,2]}})";
  callback<std::string> kept;
};

/// What one listener heard.
struct ear {
  std::vector<std::string> heard;
  bool deaf = false;
  bool ended = false;

  stats_pages::listener listener() {
    return {[this](std::string text) {
              if (!deaf)
                heard.push_back(std::move(text));
              return !deaf;
            },
            [this] { ended = true; }};
  }
};

/// A feed whose seconds pass by hand.
struct booth {
  explicit booth(std::size_t most = 16) {
    stats_feed::options how;
    how.most = most;
    feed = std::make_shared<stats_feed>(
        [this] { return node; },
        [this](milliseconds, std::function<void()> fn) {
          waiting.push_back(std::move(fn));
        },
        how);
  }
  void second() {
    auto all = std::exchange(waiting, {});
    for (auto& fn : all)
      fn();
  }

  std::shared_ptr<quick_node> node = std::make_shared<quick_node>();
  std::vector<std::function<void()>> waiting;
  std::shared_ptr<stats_feed> feed;
};

const std::string history = "event: history\ndata: {\"turns\":[1,2]}\n\n";
const std::string figures = "event: stats\ndata: {\"ready\":true}\n\n";

}  // namespace

TEST_CASE("the node is asked once for all who listen, and not for nobody") {
  booth b;
  ear one, two;
  CHECK(b.waiting.empty());
  b.feed->add(one.listener());
  b.feed->add(two.listener());
  CHECK(b.node->asked == 1);
  CHECK(one.heard == std::vector{history + figures});
  b.second();
  CHECK(b.node->asked == 2);
  CHECK(one.heard.back() == figures);
  CHECK(two.heard == std::vector{history + figures});
  one.deaf = two.deaf = true;
  b.second();
  CHECK(b.feed->listeners() == 0);
  b.second();
  CHECK(b.waiting.empty());
  CHECK(b.node->asked == 3);
  ear later;
  b.feed->add(later.listener());
  CHECK(b.node->asked == 4);
  REQUIRE(later.heard.size() == 1);
  CHECK(has(later.heard.front(), "event: history"));
}

TEST_CASE("curves come again with every fifth of the figures") {
  booth b;
  ear one;
  b.feed->add(one.listener());
  for (int i = 0; i < 10; ++i)
    b.second();
  REQUIRE(one.heard.size() == 11);
  for (std::size_t i = 0; i < one.heard.size(); ++i)
    CHECK(has(one.heard[i], "event: history") == (i % 5 == 0));
}

TEST_CASE("who does not read is dropped, and the others hear on") {
  booth b;
  ear slow, quick;
  b.feed->add(slow.listener());
  b.feed->add(quick.listener());
  slow.deaf = true;
  b.second();
  b.second();
  CHECK(b.feed->listeners() == 1);
  CHECK(slow.heard.size() == 1);
  CHECK(quick.heard.size() == 2);
}

TEST_CASE("listeners are told of a node that does not answer") {
  booth b;
  ear one;
  b.node->silent = true;
  b.feed->add(one.listener());
  CHECK(one.heard.empty());
  b.second();
  b.second();
  // Not asked again: that would pile questions up.
  CHECK(b.node->asked == 1);
  REQUIRE(one.heard.size() == 2);
  CHECK(has(one.heard.back(), "event: trouble"));
  b.node->silent = false;
  b.node->kept(b.node->text);
  CHECK(one.heard.back() == history + figures);
  b.second();
  CHECK(b.node->asked == 2);
  b.node->failing = true;
  b.second();
  CHECK(has(one.heard.back(), "the actors are stuck"));
  b.node = nullptr;
  b.second();
  CHECK(has(one.heard.back(), "event: trouble"));
}

TEST_CASE("what is no JSON never reaches a page as figures") {
  booth b;
  ear one;
  b.node->text = "{\"a\":1}\n\nevent: stats\ndata: {}";
  b.feed->add(one.listener());
  REQUIRE(one.heard.size() == 1);
  CHECK(has(one.heard.back(), "event: trouble"));
  // A line break inside a text would end an event, and begin another.
  b.node->text = R"({"chat":"x\n\nevent: stats\ndata: {}"})";
  b.second();
  CHECK(one.heard.back().find("\n\n") == one.heard.back().size() - 2);
}

TEST_CASE("G12: secrets are masked in events") {
  booth b;
  ear one;
  log::add_secret("7711:EEHdqTcvCH1vGWJxfSeofSAs0K5PALDsaw");
  b.node->text = R"({"x":"7711:EEHdqTcvCH1vGWJxfSeofSAs0K5PALDsaw","history":)"
                 R"({"y":"7711:EEHdqTcvCH1vGWJxfSeofSAs0K5PALDsaw"}})";
  b.feed->add(one.listener());
  REQUIRE(one.heard.size() == 1);
  CHECK_FALSE(has(one.heard.back(), "EEHdqTcvCH1"));
  CHECK(has(one.heard.back(), "***"));
}

TEST_CASE("there is room for so many listeners, and the next is told when") {
  booth b{2};
  ear one, two;
  b.feed->add(one.listener());
  CHECK(b.feed->has_room());
  b.feed->add(two.listener());
  CHECK_FALSE(b.feed->has_room());
  b.feed->end();
  CHECK(one.ended);
  CHECK(two.ended);
  CHECK(b.feed->has_room());
}

namespace {

/// The pages behind a real socket.
struct served {
  explicit served(bool open_stats = true) {
    pages_options how;
    how.token = token;
    how.open_stats = open_stats;
    auto made = stats_server::listen(loop, {}, how, *store, metrics);
    REQUIRE(made.has_value());
    server = std::move(*made);
    http::origin to;
    to.host = "127.0.0.1";
    to.port = server->port();
    auto got = http::client::make(calling, to, {});
    REQUIRE(got.has_value());
    client = std::move(*got);
  }
  ~served() { server->close(); }

  using slot =
      std::future<boost::system::result<http::response, http::failure>>;
  slot start(std::string target, std::string bearer = {},
             std::string method = "GET") {
    http::request what;
    what.method = std::move(method);
    what.target = std::move(target);
    if (!bearer.empty())
      what.headers.add("Authorization", "Bearer " + bearer);
    auto promise = std::make_shared<
        std::promise<boost::system::result<http::response, http::failure>>>();
    auto coming = promise->get_future();
    client->send(std::move(what), milliseconds{120'000},
                 [promise](auto got) { promise->set_value(std::move(got)); });
    return coming;
  }
  http::response get(std::string target, std::string bearer = {},
                     std::string method = "GET") {
    auto got =
        start(std::move(target), std::move(bearer), std::move(method)).get();
    REQUIRE(got.has_value());
    return std::move(*got);
  }

  const std::string token = "the-bearer-token-of-tests";
  net::loop loop;
  net::loop calling;
  std::unique_ptr<store::backend> store = open_store("memory:");
  metrics::registry metrics;
  std::unique_ptr<stats_server> server;
  std::unique_ptr<http::client> client;
};

/// Says by a promise when it was asked for the third time.
class counting_node final : public node_view {
 public:
  bool ready() const noexcept override { return true; }
  void stats(callback<std::string> done) override {
    done(std::string{R"({"node":"n1","history":{}})"});
    if (++asked == 3)
      third.set_value();
  }
  void chat_stats(chat_key, callback<std::string>) override {}
  void retry(std::vector<dead_letter_id>, callback<std::size_t>) override {}
  void start_campaign(const std::string&, callback<std::string>) override {}
  void steer_campaign(std::int64_t, const std::string&,
                      callback<std::string>) override {}
  void campaigns(std::int64_t, callback<std::string>) override {}
  void forget(chat_key, callback<std::string>) override {}
  result<std::string> ask_to_drain(const std::string&) override {
    return error{errc::conflict, "no cluster"};
  }

  int asked = 0;
  std::promise<void> third;
};

std::size_t times(const std::string& in, const std::string& part) {
  std::size_t n = 0;
  for (auto at = in.find(part); at != in.npos; at = in.find(part, at + 1))
    ++n;
  return n;
}

}  // namespace

TEST_CASE("events come over a real connection until the node ends") {
  served s;
  const auto node = std::make_shared<counting_node>();
  s.server->pages().attach(node);
  auto coming = s.start("/stats/events");
  REQUIRE(node->third.get_future().wait_for(std::chrono::seconds{120}) ==
          std::future_status::ready);
  s.server->pages().detach();
  auto got = coming.get();
  REQUIRE(got.has_value());
  CHECK(got->status == 200);
  CHECK(got->type == "text/event-stream");
  CHECK(got->headers.find("Cache-Control") == "no-store");
  CHECK(times(got->body, "event: history\n") == 1);
  CHECK(times(got->body, "event: stats\ndata: {\"node\":\"n1\"}\n\n") >= 2);
}

TEST_CASE("sixteen may listen; the seventeenth gets 503") {
  served s;
  const auto node = std::make_shared<counting_node>();
  s.server->pages().attach(node);
  std::vector<served::slot> all;
  for (int i = 0; i < 16; ++i)
    all.push_back(s.start("/stats/events"));
  // They are all there once one more is refused; other pages are still served.
  http::response last;
  while (last.status != 503) {
    auto one = s.start("/stats/events");
    if (one.wait_for(std::chrono::milliseconds{200}) ==
        std::future_status::ready) {
      auto got = one.get();
      REQUIRE(got.has_value());
      last = std::move(*got);
    } else {
      all.push_back(std::move(one));
      REQUIRE(all.size() <= 16);
    }
  }
  CHECK(last.headers.find("Retry-After") == "5");
  CHECK(s.get("/healthz").status == 200);
  s.server->pages().detach();
  for (auto& one : all)
    CHECK(one.get().has_value());
}

TEST_CASE("beyond loopback, events need the token; the page itself does not") {
  served s{false};
  CHECK(s.get("/stats/events").status == 401);
  CHECK(s.get("/stats/events", "wrong").status == 401);
  CHECK(s.get("/").status == 200);
  CHECK(s.get("/dashboard/page.js").status == 200);
  auto coming = s.start("/stats/events", s.token);
  CHECK(coming.wait_for(std::chrono::milliseconds{0}) !=
        std::future_status::ready);
  while (coming.wait_for(std::chrono::milliseconds{50}) !=
         std::future_status::ready)
    s.server->pages().detach();
  auto got = coming.get();
  REQUIRE(got.has_value());
  CHECK(got->status == 200);
}

TEST_CASE("the dashboard is served with a policy, and only by GET and HEAD") {
  served s;
  for (const char* path : {"/", "/dashboard/page.css", "/dashboard/page.js",
                           "/dashboard/charts.js", "/dashboard/letters.js",
                           "/dashboard/feed.js"}) {
    INFO(path);
    const auto page = s.get(path);
    CHECK(page.status == 200);
    CHECK(page.body.size() > 1'000);
    const std::string policy{page.headers.find("Content-Security-Policy")};
    CHECK(has(policy, "default-src 'none'"));
    CHECK(has(policy, "require-trusted-types-for 'script'"));
    CHECK_FALSE(has(policy, "unsafe"));
    CHECK(page.headers.find("X-Content-Type-Options") == "nosniff");
    CHECK(s.get(path, "", "POST").status == 405);
    // Nothing of it comes from elsewhere, and nothing becomes markup.
    for (const char* bad :
         {"https://", "//cdn", "innerHTML", "outerHTML", "insertAdjacent",
          "document.write", "eval(", "document.cookie", "localStorage"})
      CHECK_FALSE(has(page.body, bad));
  }
  for (const char* path : {"/dashboard", "/dashboard/", "/dashboard/none",
                           "/dashboard/../stats", "/index.html"})
    CHECK(s.get(path).status == 404);
  CHECK_FALSE(dashboard_file("/page.js").has_value());
}
