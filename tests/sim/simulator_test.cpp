#include "sim/simulator.hpp"

#include <mutex>

#include "sim/verify.hpp"
#include "tests/sim/toy_bot.hpp"

using namespace troupe;
using namespace troupe::sim;
using namespace troupe::sim::test;

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
  CHECK(eventually(
      [&] { return c.get("/sim/state").at("delivered").as_int64() == 1; }));
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
  REQUIRE(eventually(
      [&] { return c.get("/sim/state").at("delivered").as_int64() == 3; }));
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
  REQUIRE(eventually(
      [&] { return c.get("/sim/calls").at("calls").as_array().size() == 1; }));
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
    REQUIRE(
        c.call("/sim/fault", R"({"method":"sendMessage","chat":5,"kind":")" +
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
  auto press =
      *parse_json(c.call("/sim/press", R"({"user":5,"data":"pay"})").body);
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
  CHECK(c.bot("answerCallbackQuery",
              R"({"callback_query_id":")" +
                  std::string{query.at("id").as_string()} + "\"}")
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

TEST_CASE("simulator: a text that nobody wants is logged as dropped") {
  temp_dir dir;
  sim_options how;
  how.log_file = dir.file("log");
  auto sim = start(how);
  caller c{sim->port()};
  c.bot("getUpdates", R"({"allowed_updates":["callback_query"]})");
  CHECK(c.call("/sim/text", R"({"user":5,"text":"hi"})").status == 400);
  sim->stop();
  auto v = verify_file(dir.file("log"), {});
  REQUIRE(v.has_value());
  CHECK(v->dropped_texts == 1);
  CHECK(v->updates == 0);
  CHECK_FALSE(v->ok());
}

TEST_CASE("simulator: scripted faults strike the update methods as well") {
  auto sim = start();
  caller c{sim->port()};
  auto fault = [&](std::string method, std::string kind) {
    REQUIRE(c.call("/sim/fault",
                   R"({"method":")" + method + R"(","kind":")" + kind + R"("})")
                .status == 200);
  };
  for (auto method : {"getUpdates", "deleteWebhook", "getWebhookInfo"}) {
    INFO(method);
    fault(method, "502");
    CHECK(c.bot(method).status == 502);
    fault(method, "drop");
    CHECK_FALSE(
        c.wait(c.begin("/bot" + token + '/' + method, "{}")).has_value());
    CHECK(c.bot(method).status == 200);
  }
  auto hook = R"({"url":"http://127.0.0.1:1/x"})";
  fault("setWebhook", "reset");
  CHECK_FALSE(
      c.wait(c.begin("/bot" + token + "/setWebhook", hook)).has_value());
  CHECK(c.get("/sim/state").at("webhook") == json::value(false));
  CHECK(c.get("/sim/state").at("faults").as_int64() == 7);
  CHECK(c.bot("setWebhook", hook).status == 200);
}
