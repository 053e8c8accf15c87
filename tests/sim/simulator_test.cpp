#include "sim/simulator.hpp"

#include <poll.h>
#include <unistd.h>

#include <condition_variable>
#include <filesystem>
#include <functional>
#include <future>
#include <map>
#include <mutex>
#include <set>
#include <thread>
#include <vector>

#include "core/json.hpp"
#include "http/client.hpp"
#include "http/server.hpp"
#include "sim/verify.hpp"
#include "telegram/facts.hpp"
#include "tests/support/catch.hpp"

using namespace troupe;
using namespace troupe::sim;
using namespace std::chrono_literals;

namespace {

constexpr auto patience = 60s;
const std::string token = "123456:SIMULATED-token-of-troupe-sim-00";

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
  http::loop loop_;
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

std::unique_ptr<simulator> start(sim_options how = {}) {
  auto s = simulator::start(std::move(how));
  REQUIRE(s.has_value());
  return std::move(*s);
}

bool ends(simulator& sim) {
  pollfd what{sim.done_fd(), POLLIN, 0};
  return ::poll(&what, 1, 120'000) == 1;
}

// A counter as simple as it gets: one thread, state in memory, replies one at
// a time per chat, repeated until they are taken.
class toy_bot {
 public:
  explicit toy_bot(std::string secret = {}) : secret_{std::move(secret)} {
    auto s = http::server::listen(loop_, {}, [this](http::request&& what,
                                                    http::responder answer) {
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
    auto client = std::move(*http::client::make(loop_, to));
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
        pause = std::chrono::seconds{std::stoi(std::string{
                    a->headers.find("Retry-After")})} +
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
  http::loop loop_;
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

sim_options played(toy_bot& bot, const std::string& log) {
  sim_options how;
  how.webhook_url = bot.url();
  how.log_file = log;
  how.users.users = 20;
  how.users.groups = 4;
  how.users.rate = 0;
  how.users.in_flight = 20;
  how.users.count = 400;
  how.bot.limits = {0, 0, 0};
  how.feed.time_scale = 0.02;
  return how;
}

verdict play(toy_bot& bot, sim_options how) {
  auto log = how.log_file;
  auto sim = start(std::move(how));
  bot.talk_to(sim->port());
  REQUIRE(ends(*sim));
  sim->stop();
  CHECK(sim->state().now == phase::settled);
  auto v = verify_file(log, {});
  REQUIRE(v.has_value());
  return *v;
}

}  // namespace

TEST_CASE("simulator: it answers as the Bot API does") {
  auto sim = start();
  caller c{sim->port()};
  auto me = c.bot("getMe");
  CHECK(me.status == 200);
  CHECK(parse_json(me.body)->at("result").at("is_bot").as_bool());
  CHECK(c.bot("GETME").status == 200);
  CHECK(c.call("/bot" + token + "/test/getMe").status == 200);
  CHECK(c.bot("getNothing").body ==
        R"({"ok":false,"error_code":404,)"
        R"("description":"Not Found: method not found"})");
  CHECK(c.call("/bot999:another/getMe").status == 401);
  CHECK(c.call("/bot" + token).status == 404);
  CHECK(c.call("/elsewhere").status == 404);
  auto put = c.wait(c.begin("/bot" + token + "/getMe", {}, "PUT"));
  REQUIRE(put.has_value());
  CHECK(put->status == 501);
  CHECK(c.bot("setMyCommands").body == R"({"ok":true,"result":true})");
  c.call("/sim/text", R"({"user":5,"text":"hi"})");
  auto sent = c.call("/bot" + token + "/sendMessage?chat_id=5&text=yes");
  CHECK(sent.status == 200);
  auto again = c.bot("sendMessage", R"({"chat_id":5,"text":"too early"})");
  CHECK(again.status == 429);
  CHECK(again.headers.find("Retry-After") == "1");
}

TEST_CASE("simulator: an address in use and a bad webhook are told") {
  auto sim = start();
  sim_options taken;
  taken.port = sim->port();
  auto second = simulator::start(taken);
  REQUIRE_FALSE(second.has_value());
  CHECK(second.error().code == errc::conflict);
  sim_options odd;
  odd.webhook_url = "gopher://x";
  CHECK(simulator::start(odd).error().code == errc::bad_input);
  sim_options nowhere;
  nowhere.log_file = "/nonexistent/dir/log";
  CHECK(simulator::start(nowhere).error().code == errc::unavailable);
}

TEST_CASE("simulator: a long poll ends with the update it waited for") {
  auto sim = start();
  caller c{sim->port()};
  auto held = c.begin("/bot" + token + "/getUpdates?timeout=50", "{}");
  REQUIRE(eventually([&] {
    return held.wait_for(0s) != std::future_status::ready &&
           c.get("/sim/state").at("phase").as_string() == "serving";
  }));
  auto id = parse_json(c.call("/sim/text", R"({"user":5,"text":"hi"})").body)
                ->at("update_id")
                .as_int64();
  auto page = *parse_json(c.wait(std::move(held))->body);
  auto& updates = page.at("result").as_array();
  REQUIRE(updates.size() == 1);
  CHECK(updates[0].at("update_id").as_int64() == id);
  CHECK(updates[0].at("message").at("text").as_string() == "hi");
  // Not confirmed yet, so it comes again; then it is confirmed.
  CHECK(parse_json(c.bot("getUpdates", R"({"timeout":1,"limit":1})").body)
            ->at("result")
            .as_array()
            .size() == 1);
  auto next = R"({"offset":)" + std::to_string(id + 1) + '}';
  CHECK(parse_json(c.bot("getUpdates", next).body)
            ->at("result")
            .as_array()
            .empty());
  CHECK(c.get("/sim/state").at("delivered").as_int64() == 1);
}

TEST_CASE("simulator: the older of two pollers gets 409") {
  auto sim = start();
  caller one{sim->port()}, two{sim->port()};
  auto first = one.begin("/bot" + token + "/getUpdates", R"({"timeout":50})");
  // Which of both came first shows in who is thrown out: exactly one is.
  auto second = two.begin("/bot" + token + "/getUpdates", R"({"timeout":50})");
  REQUIRE(eventually([&] {
    return first.wait_for(0s) == std::future_status::ready ||
           second.wait_for(0s) == std::future_status::ready;
  }));
  bool first_lost = first.wait_for(0s) == std::future_status::ready;
  auto& loser = first_lost ? first : second;
  auto& winner = first_lost ? second : first;
  auto refused = one.wait(std::move(loser));
  REQUIRE(refused.has_value());
  CHECK(refused->status == 409);
  CHECK(refused->body.find("terminated by other getUpdates request") !=
        std::string::npos);
  CHECK(winner.wait_for(0s) != std::future_status::ready);
  one.call("/sim/text", R"({"user":5,"text":"hi"})");
  CHECK(two.wait(std::move(winner))->status == 200);
}

TEST_CASE("simulator: setWebhook throws a poller out and delivers") {
  toy_bot bot;
  auto sim = start();
  caller c{sim->port()};
  auto held = c.begin("/bot" + token + "/getUpdates", R"({"timeout":50})");
  REQUIRE(eventually([&] {
    return c.get("/sim/calls").at("next").as_int64() == 0 &&
           sim->state().now == phase::serving;
  }));
  c.bot("setWebhook", R"({"url":")" + bot.url() + R"("})");
  CHECK(c.wait(std::move(held))->status == 409);
  CHECK(c.bot("getUpdates").status == 409);
  c.call("/sim/text", R"({"user":5,"text":"hi"})");
  CHECK(eventually([&] {
    return c.get("/sim/state").at("delivered").as_int64() == 1;
  }));
  auto info = *parse_json(c.bot("getWebhookInfo").body);
  CHECK(info.at("result").at("url").as_string() == bot.url());
  CHECK(info.at("result").at("pending_update_count").as_int64() == 0);
  c.bot("deleteWebhook");
  CHECK(c.bot("getUpdates").status == 200);
}

TEST_CASE("simulator: deliveries carry the secret, are retried in order") {
  toy_bot bot;
  std::mutex mutex;
  std::vector<std::string> bodies, secrets;
  int failures = 4;
  bot.on_delivery = [&](const http::request& r) {
    std::lock_guard hold{mutex};
    bodies.push_back(r.body);
    secrets.emplace_back(r.headers.find("X-Telegram-Bot-Api-Secret-Token"));
    http::response answer;
    answer.status = failures-- > 0 ? 503 : 200;
    return answer;
  };
  sim_options how;
  how.webhook_url = bot.url();
  how.webhook_secret = "s3cret";
  how.feed.time_scale = 0.01;
  auto sim = start(how);
  caller c{sim->port()};
  for (int i = 0; i < 3; ++i)
    c.call("/sim/text", R"({"user":5,"text":"t)" + std::to_string(i) + "\"}");
  REQUIRE(eventually([&] {
    return c.get("/sim/state").at("delivered").as_int64() == 3;
  }));
  std::lock_guard hold{mutex};
  REQUIRE(bodies.size() == 7);
  for (int i = 0; i < 5; ++i)
    CHECK(bodies[static_cast<std::size_t>(i)] == bodies[0]);
  CHECK(bodies[0].find("\"t0\"") != std::string::npos);
  CHECK(bodies[5].find("\"t1\"") != std::string::npos);
  CHECK(bodies[6].find("\"t2\"") != std::string::npos);
  for (auto& s : secrets)
    CHECK(s == "s3cret");
  auto info = *parse_json(c.bot("getWebhookInfo").body);
  CHECK(info.at("result").at("last_error_message").as_string() ==
        "Wrong response from the webhook: 503");
}

TEST_CASE("simulator: a delivery may be answered with a call") {
  toy_bot bot;
  bot.on_delivery = [](const http::request&) {
    http::response answer;
    answer.body = R"({"method":"sendMessage","chat_id":5,"text":"at once"})";
    return answer;
  };
  sim_options how;
  how.webhook_url = bot.url();
  auto sim = start(how);
  caller c{sim->port()};
  c.call("/sim/text", R"({"user":5,"text":"hi"})");
  REQUIRE(eventually([&] {
    return c.get("/sim/calls").at("calls").as_array().size() == 1;
  }));
  auto call = c.get("/sim/calls").at("calls").as_array()[0].as_object();
  CHECK(call.at("text").as_string() == "at once");
  CHECK(call.at("in_response").as_bool());
}

TEST_CASE("simulator: scripted faults do to a call what they say") {
  sim_options how;
  how.bot.limits = {0, 0, 0};
  auto sim = start(how);
  caller c{sim->port()};
  c.call("/sim/text", R"({"user":5,"text":"hi"})");
  auto fault = [&](std::string kind) {
    REQUIRE(c.call("/sim/fault", R"({"method":"sendMessage","chat":5,"kind":")" +
                                     kind + R"(","retry_after":7})")
                .status == 200);
  };
  auto send = [&] {
    return c.wait(c.begin("/bot" + token + "/sendMessage",
                          R"({"chat_id":5,"text":"x"})"));
  };
  auto recorded = [&] { return c.get("/sim/state").at("sent").as_int64(); };
  fault("drop");
  CHECK_FALSE(send().has_value());
  CHECK(recorded() == 1);
  fault("reset");
  CHECK_FALSE(send().has_value());
  CHECK(recorded() == 1);
  fault("502");
  CHECK(send()->status == 502);
  fault("403");
  CHECK(send()->status == 403);
  CHECK(send()->status == 200);
  fault("429");
  auto flood = send();
  CHECK(flood->status == 429);
  CHECK(flood->headers.find("Retry-After") == "7");
  // Too early, and it shows.
  CHECK(send()->status == 429);
  auto calls = c.get("/sim/calls?since=5").at("calls").as_array();
  REQUIRE(calls.size() == 2);
  CHECK(calls[0].at("fault").as_string() == "429");
  CHECK(calls[1].at("limit").as_string() == "frozen");
  CHECK(c.call("/sim/fault", R"({"kind":"earthquake"})").status == 400);
}

TEST_CASE("simulator: presses and blocks reach the bot as updates") {
  auto sim = start();
  caller c{sim->port()};
  c.call("/sim/text", R"({"user":5,"text":"hi"})");
  c.bot("sendMessage",
        R"({"chat_id":5,"text":"menu","reply_markup":{"inline_keyboard":)"
        R"([[{"text":"Pay","callback_data":"pay"}]]}})");
  auto press = *parse_json(
      c.call("/sim/press", R"({"user":5,"data":"pay"})").body);
  c.call("/sim/block", R"({"chat":5})");
  CHECK(c.bot("sendMessage", R"({"chat_id":5,"text":"x"})").status == 403);
  c.call("/sim/unblock", R"({"chat":5})");
  auto page = *parse_json(c.bot("getUpdates").body);
  auto& updates = page.at("result").as_array();
  REQUIRE(updates.size() == 4);
  auto& query = updates[1].at("callback_query").as_object();
  CHECK(query.at("data").as_string() == "pay");
  CHECK(query.at("message").at("text").as_string() == "menu");
  CHECK(query.at("id").as_string() == press.at("query_id").as_string());
  CHECK(updates[2]
            .at("my_chat_member")
            .at("new_chat_member")
            .at("status")
            .as_string() == "kicked");
  CHECK(c.bot("answerCallbackQuery", R"({"callback_query_id":")" +
                                         std::string{query.at("id").as_string()} +
                                         "\"}")
            .status == 200);
  CHECK(c.bot("answerCallbackQuery", R"({"callback_query_id":"1"})").status ==
        400);
}

TEST_CASE("simulator: any update can be injected, ids may go down") {
  auto sim = start();
  caller c{sim->port()};
  auto inject = [&](std::string body) {
    return c.call("/sim/update", std::move(body)).status;
  };
  CHECK(inject(R"({"update_id":77,"message":{"message_id":1,"date":1,)"
               R"("chat":{"id":5,"type":"private"},"text":"a"}})") == 200);
  CHECK(inject(R"({"brand_new_kind":{"x":1}})") == 200);
  CHECK(inject("{}") == 200);
  CHECK(inject(R"({"update_id":77})") == 400);
  CHECK(inject("nonsense") == 400);
  auto page = *parse_json(c.bot("getUpdates").body);
  CHECK(page.at("result").as_array().size() == 3);
  CHECK(page.at("result").as_array()[0].at("update_id").as_int64() == 77);
}

TEST_CASE("simulator: a whole run is played, settles, and proves itself") {
  temp_dir dir;
  toy_bot bot{"s3cret"};
  auto how = played(bot, dir.file("log"));
  how.webhook_secret = "s3cret";
  auto v = play(bot, how);
  CHECK(v.ok());
  CHECK(v.updates == 400);
  CHECK(v.replies == 400);
  CHECK(v.lost == 0);
}

TEST_CASE("simulator: faults and redeliveries leave a careful bot intact") {
  temp_dir dir;
  toy_bot bot;
  auto how = played(bot, dir.file("log"));
  how.bot.rates = {0.1, 0.1, 0};
  how.feed.resend = 0.3;
  how.users.blocked = 0.2;
  auto v = play(bot, how);
  CHECK(v.ok());
  CHECK(v.faults > 20);
  CHECK(v.redelivered > 50);
  CHECK(v.excused_duplicates > 5);
  CHECK(v.duplicates == 0);
  CHECK(v.undeliverable > 0);
}

TEST_CASE("G2: simulator: a bot that forgets what it has seen is caught") {
  temp_dir dir;
  toy_bot bot;
  bot.dedup = false;
  auto how = played(bot, dir.file("log"));
  how.feed.resend = 0.1;
  auto v = play(bot, how);
  CHECK_FALSE(v.ok());
  CHECK(v.state_errors > 0);
}

TEST_CASE("G2: simulator: a bot that miscounts is caught") {
  temp_dir dir;
  toy_bot bot;
  bot.miscount_every = 300;
  auto v = play(bot, played(bot, dir.file("log")));
  CHECK_FALSE(v.ok());
  CHECK(v.state_errors > 0);
  CHECK(v.lost == 0);
}

TEST_CASE("G7: simulator: a bot without a limiter is caught") {
  temp_dir dir;
  toy_bot bot;
  auto how = played(bot, dir.file("log"));
  how.users.count = 30;
  how.users.users = 2;
  how.users.groups = 1;
  how.bot.limits = {0, 3, 0};
  auto v = play(bot, how);
  CHECK_FALSE(v.ok());
  CHECK(v.limit_violations_chat > 0);
  CHECK(v.limit_violations() == v.answers_429);
  CHECK(v.retry_after_violations == 0);
  CHECK(v.lost == 0);
}

TEST_CASE("simulator: an outage holds deliveries back, the burst comes after") {
  temp_dir dir;
  toy_bot bot;
  auto how = played(bot, dir.file("log"));
  how.users.rate = 50;
  how.users.count.reset();
  how.users.duration = 2;
  how.users.bursts = {{300, 1.0}};
  how.outages = {{0.5, 1.0}};
  auto v = play(bot, how);
  CHECK(v.ok());
  CHECK(v.updates >= 300);
  CHECK(v.end_to_end_ms.max >= 200);
}

TEST_CASE("simulator: stopping early leaves a log that can be judged") {
  temp_dir dir;
  toy_bot bot;
  auto how = played(bot, dir.file("log"));
  how.users.count.reset();
  auto sim = start(how);
  bot.talk_to(sim->port());
  REQUIRE(eventually([&] { return sim->state().sent > 100; }));
  sim->stop();
  auto v = verify_file(dir.file("log"), {});
  REQUIRE(v.has_value());
  CHECK(v->end == "stopped");
  CHECK(v->replies > 100);
  CHECK(v->state_errors == 0);
}

TEST_CASE("simulator: users wait for the bot, and give up in time") {
  temp_dir dir;
  sim_options how;
  how.users.users = 3;
  how.log_file = dir.file("log");
  how.wait_bot = 300ms;
  auto sim = start(how);
  REQUIRE(ends(*sim));
  CHECK(sim->state().now == phase::no_bot);
  CHECK(sim->state().updates == 0);
  sim->stop();
  CHECK_FALSE(verify_file(dir.file("log"), {})->ok());
}
