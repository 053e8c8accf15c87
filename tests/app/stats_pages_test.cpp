#include <chrono>
#include <future>
#include <optional>
#include <set>
#include <string>
#include <utility>

#include "app/stats_pages.hpp"
#include "core/json.hpp"
#include "core/log.hpp"
#include "tests/app/letters.hpp"
#include "tests/app/support.hpp"
#include "tests/support/catch.hpp"

using namespace troupe;
using namespace troupe::app;
using namespace troupe::app::test;

namespace {

/// A node that says what the test wants.
class fake_node final : public node_view {
 public:
  bool ready() const noexcept override { return is_ready; }
  void stats(callback<std::string> done) override {
    if (silent) {
      kept = std::move(done);
    } else {
      done(text);
    }
  }
  void chat_stats(chat_key key, callback<std::string> done) override {
    if (key == chat_key::chat(-1001))
      return done("{\"chat\":\"-1001\"}");
    done(error{errc::not_found, "no such chat"});
  }
  void retry(std::vector<dead_letter_id> which,
             callback<std::size_t> done) override {
    retried = which;
    done(which.size());
  }
  void start_campaign(const std::string& command,
                      callback<std::string> done) override {
    started = command;
    done("{\"id\":1}");
  }
  void steer_campaign(std::int64_t number, const std::string& what,
                      callback<std::string> done) override {
    if (number != 1)
      return done(error{errc::not_found, "no such campaign"});
    steered = what;
    done("{\"id\":1}");
  }
  void campaigns(std::int64_t number, callback<std::string> done) override {
    done(number == 0 ? "{\"campaigns\":[]}"
                     : "{\"id\":" + std::to_string(number) + '}');
  }
  void forget(chat_key key, callback<std::string> done) override {
    forgotten = to_string(key);
    done("{\"chat\":\"" + forgotten + "\"}");
  }
  result<std::string> ask_to_drain(const std::string& name) override {
    if (name != "n1")
      return error{errc::not_found, "no node is called " + name};
    drained = name;
    return name + "-1a2b3c4d";
  }

  std::string drained, started, steered, forgotten;
  bool is_ready = true;
  bool silent = false;
  std::string text = "{\"nodes\":1}";
  callback<std::string> kept;
  std::vector<dead_letter_id> retried;
};

/// The pages over a store in memory and a fake node.
struct desk {
  explicit desk(bool open_stats = true) {
    pages_options how;
    how.token = token;
    how.open_stats = open_stats;
    pages.emplace(how, *store, metrics,
                  [this](milliseconds, std::function<void()> fn) {
                    timers.push_back(std::move(fn));
                  });
  }

  http::response ask(std::string method, std::string target,
                     std::string body = {}, std::string bearer = {}) {
    http::request what;
    what.method = std::move(method);
    what.target = std::move(target);
    what.body = std::move(body);
    if (!bearer.empty()) {
      what.headers.add("Authorization", "Bearer " + bearer);
    }
    auto slot = std::make_shared<std::promise<http::response>>();
    auto coming = slot->get_future();
    pages->take(what, [slot](http::response page) { slot->set_value(page); });
    if (node->silent) {
      for (auto& fn : timers)
        fn();
    }
    REQUIRE(coming.wait_for(std::chrono::seconds{60}) ==
            std::future_status::ready);
    return coming.get();
  }
  http::response get(std::string target) { return ask("GET", target); }
  http::response admin(std::string method, std::string target,
                       std::string body = {}) {
    return ask(std::move(method), "/admin/dead-letters" + target,
               std::move(body), token);
  }

  const std::string token = "the-bearer-token-of-tests";
  std::unique_ptr<store::backend> store = open_store("memory:");
  metrics::registry metrics;
  std::shared_ptr<fake_node> node = std::make_shared<fake_node>();
  std::vector<std::function<void()>> timers;
  std::optional<stats_pages> pages;
};

json::object object(const http::response& page) {
  const auto parsed = parse_json(page.body);
  REQUIRE(parsed.has_value());
  REQUIRE(parsed->is_object());
  return parsed->get_object();
}

}  // namespace

TEST_CASE(
    "a node is ready from its start to its drain, while its store works") {
  desk d;
  CHECK(d.get("/healthz").status == 200);
  CHECK(d.get("/readyz").status == 503);
  CHECK(object(d.get("/readyz"))["why"] == "starting");
  CHECK(d.get("/stats").status == 503);
  d.pages->attach(d.node);
  CHECK(d.get("/readyz").status == 200);
  d.node->is_ready = false;
  CHECK(d.get("/readyz").status == 503);
  d.node->is_ready = true;
  d.pages->start_draining();
  CHECK(d.get("/readyz").status == 503);
  CHECK(object(d.get("/readyz"))["why"] == "draining");
  CHECK(d.get("/healthz").status == 200);
}

TEST_CASE("campaigns are started, shown and steered, with the token") {
  desk d;
  const auto ask = [&](const char* method, const std::string& target,
                       std::string body = {}) {
    return d.ask(method, target, std::move(body), d.token);
  };
  CHECK(ask("GET", "/admin/campaigns").status == 503);
  d.pages->attach(d.node);
  CHECK(d.get("/admin/campaigns").status == 401);
  CHECK(d.ask("POST", "/admin/campaigns", "{}").status == 401);
  CHECK(d.node->started.empty());
  CHECK(ask("GET", "/admin/campaigns").body == "{\"campaigns\":[]}");
  CHECK(ask("GET", "/admin/campaigns/7").body == "{\"id\":7}");
  CHECK(ask("POST", "/admin/campaigns", "{\"a\":1}").status == 200);
  CHECK(d.node->started == "{\"a\":1}");
  CHECK(ask("POST", "/admin/campaigns/1/pause").status == 200);
  CHECK(d.node->steered == "pause");
  CHECK(ask("POST", "/admin/campaigns/2/pause").status == 404);
  CHECK(ask("POST", "/admin/campaigns/1").status == 400);
  CHECK(ask("GET", "/admin/campaigns/1/pause").status == 400);
  CHECK(ask("DELETE", "/admin/campaigns/1").status == 400);
  for (const char* odd :
       {"/admin/campaigns/0", "/admin/campaigns/x", "/admin/campaigns/-1",
        "/admin/campaigns/1x", "/admin/campaignsx", "/admin/campaigns/"}) {
    INFO(odd);
    CHECK(ask("GET", odd).status == 404);
  }
}

TEST_CASE("the audience is walked page by page, with the token") {
  desk d;
  d.pages->attach(d.node);
  make_members(*d.store, 2'500);
  const auto ask = [&](const std::string& target, json::object body) {
    return d.ask("POST", target, json::serialize(body), d.token);
  };
  CHECK(d.ask("POST", "/admin/audience", "{}").status == 401);
  CHECK(d.ask("GET", "/admin/audience", {}, d.token).status == 400);
  std::int64_t walked = 0, matched = 0;
  std::set<std::string> met;
  json::object body{{"audience", "lang=de"}, {"list", true}};
  int pages = 0;
  for (bool more = true; more; ++pages) {
    const auto page = object(ask("/admin/audience", body));
    walked += page.at("walked").to_number<std::int64_t>();
    matched += page.at("matched").to_number<std::int64_t>();
    for (const auto& one : page.at("members").as_array()) {
      CHECK(one.at("language") == "de");
      met.emplace(one.at("chat").as_string());
    }
    more = page.at("next").is_string();
    body["after"] = page.at("next");
  }
  CHECK(pages == 3);
  CHECK(walked == 2'500);
  CHECK(matched == 1'250);
  CHECK(met.size() == 1'250);
  CHECK_FALSE(object(ask("/admin/audience", {})).contains("members"));

  const auto tagged =
      object(ask("/admin/audience/tag",
                 {{"tag", "beta"}, {"add", true}, {"audience", "lang=de"}}));
  CHECK(tagged.at("changed") == tagged.at("matched"));
  CHECK(object(ask("/admin/audience", {{"audience", "tag=beta"}}))
            .at("matched") == tagged.at("changed"));
  CHECK(object(ask("/admin/audience/tag",
                   {{"tag", "vip"}, {"add", true}, {"chat", "2"}}))
            .at("changed") == 1);
  CHECK(object(ask("/admin/audience/tag",
                   {{"tag", "vip"}, {"add", true}, {"chat", "-2"}}))
            .at("changed") == 0);
  for (const json::object& wrong :
       std::vector<json::object>{{{"audience", "old 3d"}},
                                 {{"audience", 1}},
                                 {{"after", "x"}},
                                 {{"chat", "1"}, {"audience", "lang=de"}},
                                 {{"list", 1}}}) {
    INFO(json::serialize(wrong));
    CHECK(ask("/admin/audience", wrong).status == 400);
  }
  CHECK(ask("/admin/audience/tag", {{"tag", "a b"}}).status == 400);
  CHECK(ask("/admin/audience/other", {}).status == 404);
}

TEST_CASE("what is kept about a chat is told, and it is forgotten by POST") {
  desk d;
  d.pages->attach(d.node);
  make_members(*d.store, 2);
  const auto ask = [&](const char* method, const std::string& target) {
    return d.ask(method, target, {}, d.token);
  };
  CHECK(d.get("/admin/chats/2").status == 401);
  CHECK(d.ask("POST", "/admin/chats/2/forget").status == 401);
  const auto kept = object(ask("GET", "/admin/chats/2"));
  CHECK(kept.at("chat") == "2");
  CHECK(kept.at("kept").at("members") == 1);
  CHECK(object(ask("GET", "/admin/chats/-7")).at("kept").at("members") == 0);
  CHECK(ask("GET", "/admin/chats/2/forget").status == 400);
  CHECK(ask("GET", "/admin/chats/x").status == 400);
  CHECK(ask("POST", "/admin/chats/2").status == 400);
  CHECK(d.node->forgotten.empty());
  CHECK(ask("POST", "/admin/chats/-1001/forget").status == 200);
  CHECK(d.node->forgotten == "-1001");
}

TEST_CASE("stats, chats and metrics are served") {
  desk d;
  d.pages->attach(d.node);
  d.metrics.add_counter("troupe_test_total", "A test.").add(3);
  CHECK(d.get("/stats").body == "{\"nodes\":1}");
  CHECK(d.get("/stats").type == "application/json");
  CHECK(d.get("/stats/chats/-1001").body == "{\"chat\":\"-1001\"}");
  CHECK(d.get("/stats/chats/%2D1001").status == 200);
  CHECK(d.get("/stats/chats/5").status == 404);
  CHECK(d.get("/stats/chats/x").status == 400);
  const auto metrics = d.get("/metrics");
  CHECK(has(metrics.body, "troupe_test_total 3"));
  CHECK(has(metrics.type, "version=0.0.4"));
}

TEST_CASE("what is no page is 404, what is no method of it 405") {
  desk d;
  d.pages->attach(d.node);
  for (const char* path :
       {"/x", "/stat", "/stats/x", "/healthz/x", "/statsx"}) {
    INFO(path);
    CHECK(d.get(path).status == 404);
  }
  CHECK(d.admin("GET", "x").status == 404);
  CHECK(d.ask("GET", "/admin/x", "", d.token).status == 404);
  const auto post = d.ask("POST", "/stats");
  CHECK(post.status == 405);
  CHECK(post.headers.find("Allow") == "GET, HEAD");
  CHECK(d.admin("GET", "/retry").status == 405);
  CHECK(d.admin("DELETE", "/1").status == 405);
  CHECK(d.ask("HEAD", "/healthz").status == 200);
  // Whoever has the store only, has no events.
  CHECK(d.get("/stats/events").status == 404);
  CHECK(d.ask("HEAD", "/stats/events").status == 405);
}

TEST_CASE("actions need the bearer token, whole and right") {
  desk d;
  d.pages->attach(d.node);
  const std::string path = "/admin/dead-letters";
  CHECK(d.ask("GET", path).status == 401);
  CHECK(d.ask("GET", path).headers.find("WWW-Authenticate") == "Bearer");
  CHECK(d.ask("GET", path, "", d.token.substr(1)).status == 401);
  CHECK(d.ask("GET", path, "", d.token + "x").status == 401);
  CHECK(d.ask("POST", path + "/drop", "{\"all\":true}", "wrong").status == 401);
  CHECK(d.ask("GET", path, "", d.token).status == 200);
}

TEST_CASE("without any token configured, no token fits") {
  const auto store = open_store("memory:");
  metrics::registry metrics;
  stats_pages pages{pages_options{}, *store, metrics, nullptr};
  for (const char* given : {"Bearer ", "Bearer x", ""}) {
    http::request what;
    what.target = "/admin/dead-letters";
    what.headers.add("Authorization", given);
    unsigned status = 0;
    pages.take(what, [&](http::response page) { status = page.status; });
    CHECK(status == 401);
  }
}

TEST_CASE("beyond loopback, stats need the token; health and metrics don't") {
  desk d{false};
  d.pages->attach(d.node);
  CHECK(d.get("/stats").status == 401);
  CHECK(d.get("/stats/chats/-1001").status == 401);
  CHECK(d.ask("GET", "/stats", "", d.token).status == 200);
  CHECK(d.get("/metrics").status == 200);
  CHECK(d.get("/readyz").status == 200);
}

TEST_CASE("a node that does not answer is 504, and its late answer is lost") {
  desk d;
  d.pages->attach(d.node);
  d.node->silent = true;
  CHECK(d.get("/stats").status == 504);
  REQUIRE(d.node->kept);
  d.node->kept(std::string{"{}"});  // must not answer a second time
}

TEST_CASE("dead letters are listed in pages and shown whole") {
  desk d;
  d.pages->attach(d.node);
  make_dead_letters(*d.store, 3);
  const json::object all = object(d.admin("GET", ""));
  REQUIRE(all.at("dead_letters").get_array().size() == 3);
  CHECK(all.at("next").is_null());
  const json::object first = object(d.admin("GET", "?limit=2"));
  REQUIRE(first.at("dead_letters").get_array().size() == 2);
  const json::object second =
      object(d.admin("GET", "?after=" + json::serialize(first.at("next"))));
  REQUIRE(second.at("dead_letters").get_array().size() == 1);

  const json::object one = all.at("dead_letters").get_array()[0].get_object();
  CHECK(one.at("error") == "handler threw: no price");
  CHECK(one.at("type") == "update");
  CHECK(one.at("update_id") == 1001);
  CHECK_FALSE(one.contains("body"));
  const json::object shown =
      object(d.admin("GET", '/' + json::serialize(one.at("id"))));
  CHECK(shown.at("body").at("update_id") == 1001);
  CHECK(d.admin("GET", "/999").status == 404);
  CHECK(d.admin("GET", "/x").status == 400);
  CHECK(d.admin("GET", "/0").status == 400);
  CHECK(d.admin("GET", "?limit=0").status == 400);
  CHECK(d.admin("GET", "?limit=1001").status == 400);
  CHECK(d.admin("GET", "?after=-1").status == 400);
}

TEST_CASE("dead letters are retried through the node and dropped for good") {
  desk d;
  d.pages->attach(d.node);
  make_dead_letters(*d.store, 3);
  const auto ids = letter_ids(*d.store);
  REQUIRE(ids.size() == 3);
  const std::string first = std::to_string(ids[0].value);
  CHECK(object(d.admin("POST", "/retry", "{\"ids\":[" + first + "]}"))
            .at("retried") == 1);
  CHECK(d.node->retried == std::vector{ids[0]});
  const json::object all = object(d.admin("POST", "/retry", "{\"all\":true}"));
  CHECK(all.at("retried") == 3);
  CHECK(all.at("more") == false);
  CHECK(d.node->retried == ids);

  CHECK(object(d.admin("POST", "/drop", "{\"ids\":[" + first + ",9999]}"))
            .at("dropped") == 1);
  CHECK(letter_ids(*d.store).size() == 2);
  // What died after `before_ms` is not meant.
  CHECK(object(d.admin("POST", "/drop", "{\"all\":true,\"before_ms\":1}"))
            .at("dropped") == 0);
  CHECK(object(d.admin("POST", "/drop", "{\"all\":true}")).at("dropped") == 2);
  CHECK(letter_ids(*d.store).empty());
}

TEST_CASE("an action that says not clearly what it wants does nothing") {
  desk d;
  d.pages->attach(d.node);
  make_dead_letters(*d.store, 1);
  for (const char* body :
       {"", "[]", "{}", "{\"ids\":1}", "{\"ids\":[-1]}", "{\"ids\":[1.5]}",
        "{\"ids\":[\"1\"]}", "{\"all\":false}", "{\"all\":1}",
        "{\"all\":true,\"ids\":[1]}", "{\"all\":true,\"before_ms\":\"x\"}"}) {
    INFO(body);
    CHECK(d.admin("POST", "/drop", body).status == 400);
  }
  std::string many = "{\"ids\":[1";
  for (int i = 0; i < 1000; ++i)
    many += ",1";
  CHECK(d.admin("POST", "/drop", many + "]}").status == 413);
  CHECK(letter_ids(*d.store).size() == 1);
}

TEST_CASE("G12: secrets are masked on every page") {
  desk d;
  d.pages->attach(d.node);
  log::add_secret("7700:EEHdqTcvCH1vGWJxfSeofSAs0K5PALDsaw");
  d.node->text = "{\"x\":\"7700:EEHdqTcvCH1vGWJxfSeofSAs0K5PALDsaw\"}";
  CHECK(d.get("/stats").body == "{\"x\":\"***\"}");
}

TEST_CASE("a node is asked to drain with the token, by POST, by its name") {
  desk d;
  const std::string path = "/admin/cluster/drain";
  const std::string body = "{\"node\":\"n1\"}";
  CHECK(d.ask("POST", path, body, d.token).status == 503);
  d.pages->attach(d.node);
  CHECK(d.ask("POST", path, body).status == 401);
  CHECK(d.ask("GET", path, "", d.token).status == 405);
  for (const char* odd :
       {"", "x", "[]", "{}", "{\"node\":1}", "{\"node\":\"\"}"})
    CHECK(d.ask("POST", path, odd, d.token).status == 400);
  CHECK(d.ask("POST", path, "{\"node\":\"n9\"}", d.token).status == 404);
  CHECK(d.node->drained.empty());
  const auto page = d.ask("POST", path, body, d.token);
  CHECK(page.status == 200);
  CHECK(object(page)["draining"] == "n1-1a2b3c4d");
  CHECK(d.node->drained == "n1");
}
