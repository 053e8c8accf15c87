#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <string>
#include <vector>

#include "app/bot_api.hpp"
#include "app/derived.hpp"
#include "core/json.hpp"
#include "http/server.hpp"
#include "tests/app/letters.hpp"
#include "tests/app/support.hpp"
#include "tests/app/telegram.hpp"
#include "tests/support/catch.hpp"

using namespace troupe;
using namespace troupe::app;
using namespace troupe::app::test;

namespace {

const std::string token = "990011:FFHdqTcvCH1vGWJxfSeofSAs0K5PALDsaw";

/// What goes to file descriptor 2 meanwhile: the log.
class captured_log {
 public:
  explicit captured_log(const std::string& file)
      : file_{file}, before_{::dup(2)} {
    const int to = ::open(file.c_str(), O_CREAT | O_WRONLY | O_APPEND, 0600);
    REQUIRE(to >= 0);
    REQUIRE(::dup2(to, 2) == 2);
    ::close(to);
  }
  ~captured_log() { give_back(); }
  std::string text() {
    give_back();
    return read_file(file_);
  }

 private:
  void give_back() {
    if (before_ < 0)
      return;
    std::fflush(stderr);
    ::dup2(before_, 2);
    ::close(before_);
    before_ = -1;
  }
  std::string file_;
  int before_;
};

/// The environment of a bot of this folder, with nobody to talk to.
std::map<std::string, std::string> bot_in(const temporary_folder& folder) {
  return {{"TROUPE_BOT_TOKEN", token},
          {"TROUPE_BOT_API_ROOT", "http://127.0.0.1:9"},
          {"TROUPE_STORE_URL", "sqlite:" + (folder / "bot.db")},
          {"TROUPE_WEBHOOK_LISTEN", "127.0.0.1:0"},
          {"TROUPE_WEBHOOK_SECRET", "FF-hook-secret"},
          {"TROUPE_STATS_LISTEN", ""}};
}

void fill(const temporary_folder& folder, int letters) {
  const auto store = open_store("sqlite:" + (folder / "bot.db"));
  make_dead_letters(*store, letters);
  store->close();
}

std::size_t letters_in(const temporary_folder& folder) {
  const auto store = open_store("sqlite:" + (folder / "bot.db"));
  return letter_ids(*store).size();
}

json::object object(const std::string& text) {
  const auto parsed = parse_json(text);
  INFO(text);
  REQUIRE(parsed.has_value());
  REQUIRE(parsed->is_object());
  return parsed->get_object();
}

}  // namespace

TEST_CASE("without a running node, dead letters are read from the store") {
  const temporary_folder folder;
  const auto env = bot_in(folder);
  fill(folder, 3);
  const auto table = run_bot({"dead-letters", "list"}, env);
  CHECK(table.code == 0);
  CHECK(table.out.starts_with("ID\tCHAT\tTYPE\tUPDATE\tDIED\tERROR\n"));
  CHECK(has(table.out, "\tupdate\t1001\t"));
  CHECK(has(table.out, "handler threw: no price\n"));

  const auto listed = run_bot({"--json", "dead-letters", "list"}, env);
  const json::object page = object(listed.out);
  const json::array& all = page.at("dead_letters").get_array();
  REQUIRE(all.size() == 3);
  const std::string id = json::serialize(all[1].at("id"));

  const auto shown = run_bot({"dead-letters", "show", id, "--json"}, env);
  CHECK(shown.code == 0);
  CHECK(object(shown.out).at("body").at("update_id") == 1002);
  const auto text = run_bot({"dead-letters", "show", id}, env);
  CHECK(has(text.out, "body: {\"update_id\":1002}\n"));
  CHECK(run_bot({"dead-letters", "show", "987654"}, env).code == 1);
}

TEST_CASE("dead letters are dropped and retried without a running node") {
  const temporary_folder folder;
  const auto env = bot_in(folder);
  fill(folder, 4);
  const auto listed = run_bot({"--json", "dead-letters", "list"}, env);
  const json::object page = object(listed.out);
  const json::array& all = page.at("dead_letters").get_array();
  const std::string id = json::serialize(all.at(0).at("id"));

  const auto dropped = run_bot({"dead-letters", "drop", id}, env);
  CHECK(dropped.code == 0);
  CHECK(dropped.out == "1 dropped\n");
  const auto again = run_bot({"dead-letters", "drop", id}, env);
  CHECK(again.code == 1);
  CHECK(again.out == "0 dropped\n");
  CHECK(has(again.err, "1 of the ids"));
  CHECK(letters_in(folder) == 3);

  const auto retried = run_bot({"dead-letters", "retry", "--all"}, env);
  CHECK(retried.code == 0);
  CHECK(retried.out == "3 retried\n");
  CHECK(letters_in(folder) == 0);
  const auto store = open_store("sqlite:" + (folder / "bot.db"));
  CHECK(wait_for<store::figures>([&](auto done) {
          store->stats(done);
        }).journal == 3);
}

TEST_CASE("dead letters need no token, and never create a store") {
  const temporary_folder folder;
  auto env = bot_in(folder);
  env.erase("TROUPE_BOT_TOKEN");
  const auto none = run_bot({"dead-letters", "list"}, env);
  CHECK(none.code == 1);
  CHECK(has(none.err, "there is no store at"));
  CHECK_FALSE(std::filesystem::exists(folder / "bot.db"));
  fill(folder, 1);
  CHECK(run_bot({"dead-letters", "list"}, env).code == 0);
}

TEST_CASE("the audience is counted, exported and tagged without a node") {
  const temporary_folder folder;
  const auto env = bot_in(folder);
  {
    const auto store = open_store("sqlite:" + (folder / "bot.db"));
    make_members(*store, 1'200);
    store->close();
  }
  CHECK(run_bot({"audience", "count"}, env).out ==
        "matched: 1200\nwalked: 1200\n");
  CHECK(run_bot({"audience", "count", "lang=de", "--json"}, env).out ==
        "{\"matched\":600,\"walked\":1200}\n");
  const auto wrong = run_bot({"audience", "count", "old 3d"}, env);
  CHECK(wrong.code == 1);
  CHECK(has(wrong.err, "audience: 'old 3d': not known"));

  CHECK(run_bot({"audience", "tag", "add", "beta", "lang=de"}, env).out ==
        "changed: 600\nmatched: 600\n");
  CHECK(run_bot({"audience", "tag", "add", "vip", "--chat", "2"}, env).out ==
        "changed: 1\nmatched: 1\n");
  CHECK(run_bot({"audience", "tag", "remove", "beta", "tag!=vip"}, env).out ==
        "changed: 599\nmatched: 1199\n");
  const auto table = run_bot({"audience", "export", "tag=beta"}, env);
  CHECK(table.code == 0);
  CHECK(table.out.starts_with(
      "chat,kind,language,status,first_seen,last_seen,tags\n"
      "2,private,de,active,20"));
  CHECK(has(table.out, "Z,beta vip\n"));
  CHECK(has(table.err, "1 of 1200"));
  const auto lines = run_bot({"audience", "export", "--json"}, env);
  CHECK(std::count(lines.out.begin(), lines.out.end(), '\n') == 1'200);
  const auto first = object(lines.out.substr(0, lines.out.find('\n')));
  CHECK(first.at("chat") == "1");
  CHECK(first.at("tags").as_array().empty());
}

TEST_CASE("a chat is forgotten without a running node, and its bytes go") {
  const temporary_folder folder;
  const auto env = bot_in(folder);
  fill(folder, 3);
  {
    const auto store = open_store("sqlite:" + (folder / "bot.db"));
    wait_for<std::vector<store::receipt>>([&](auto done) {
      store->accept({{{7},
                      chat_key::chat(2),
                      store::make_payload("deeply private"),
                      system_clock().wall()}},
                    done);
    });
    store->close();
  }
  REQUIRE(has(read_file(folder / "bot.db"), "deeply private"));
  CHECK(run_bot({"forget", "2", "--dry-run"}, env).out ==
        "kept: records 1 entries 1 calls 0 timers 0 dead_letters 1 members 0 "
        "tags 0\n");
  const auto done = run_bot({"forget", "2"}, env);
  CHECK(done.code == 0);
  CHECK(done.out ==
        "removed: records 1 entries 1 calls 0 timers 0 dead_letters 1 members "
        "0 tags 0\n"
        "left: records 0 entries 0 calls 0 timers 0 dead_letters 0 members 0 "
        "tags 0\n");
  CHECK_FALSE(has(read_file(folder / "bot.db"), "deeply private"));
  CHECK(letters_in(folder) == 2);
  const auto again = object(run_bot({"forget", "2", "--json"}, env).out);
  CHECK(again.at("removed").at("records") == 0);
  CHECK(run_bot({"forget", "campaign:1"}, env).code == 1);
  CHECK(run_bot({"forget", "nobody"}, env).code == 2);
}

TEST_CASE("stats without a running node are the store's") {
  const temporary_folder folder;
  fill(folder, 2);
  const auto how = run_bot({"stats", "--json"}, bot_in(folder));
  CHECK(how.code == 0);
  const json::object page = object(how.out);
  CHECK(page.at("running") == false);
  CHECK(page.at("store").at("dead_letters") == 2);
  const auto text = run_bot({"stats"}, bot_in(folder));
  CHECK(has(text.out, "store:\n  journal: 0\n"));
  CHECK(run_bot({"stats", "chat", "1"}, bot_in(folder)).code == 1);
  CHECK(run_bot({"stats", "chat", "x"}, bot_in(folder)).code == 2);
}

TEST_CASE("a refused token stops the start with 78") {
  const temporary_folder folder;
  fake_telegram telegram;
  telegram.answer("getMe", 401,
                  "{\"ok\":false,\"error_code\":401,"
                  "\"description\":\"Unauthorized\"}");
  auto env = bot_in(folder);
  env["TROUPE_BOT_API_ROOT"] = telegram.root();
  const auto how = run_bot({"run"}, env);
  CHECK(how.code == 78);
  CHECK(has(how.err, "bot.token: the Bot API server refuses it"));
}

TEST_CASE("a port in use stops the start with 1 and names the key") {
  const temporary_folder folder;
  fake_telegram telegram;
  auto env = bot_in(folder);
  env["TROUPE_WEBHOOK_LISTEN"] = "127.0.0.1:" + std::to_string(telegram.port());
  const auto webhook = run_bot({}, env);
  CHECK(webhook.code == 1);
  CHECK(has(webhook.err, "webhook.listen 127.0.0.1:"));
  env["TROUPE_WEBHOOK_LISTEN"] = "127.0.0.1:0";
  env["TROUPE_STATS_LISTEN"] = "127.0.0.1:" + std::to_string(telegram.port());
  const auto stats = run_bot({}, env);
  CHECK(stats.code == 1);
  CHECK(has(stats.err, "stats.listen 127.0.0.1:"));
}

TEST_CASE("a store that another instance holds stops the start with 1") {
  const temporary_folder folder;
  const auto holder = open_store("sqlite:" + (folder / "bot.db"));
  const auto how = run_bot({}, bot_in(folder));
  CHECK(how.code == 1);
  CHECK(has(how.err, "store.url sqlite:"));
  CHECK(has(how.err, "conflict"));
}

TEST_CASE("check says ok or FAIL for each thing, and what to do") {
  const temporary_folder folder;
  fake_telegram telegram;
  auto env = bot_in(folder);
  env["TROUPE_BOT_API_ROOT"] = telegram.root();
  const auto good = run_bot({"check"}, env);
  INFO(good.out << good.err);
  CHECK(good.code == 0);
  CHECK(has(good.out, "ok    bot.token: @shopbot"));
  CHECK(has(good.out, "ok    webhook: none is set"));
  CHECK(has(good.out, "ok    store: none yet"));
  CHECK(has(good.out, "ok    webhook.listen"));
  CHECK_FALSE(has(good.out, "FAIL"));

  env["TROUPE_BOT_MODE"] = "polling";
  telegram.answer("getWebhookInfo", 200,
                  "{\"ok\":true,\"result\":{\"url\":"
                  "\"https://bots.example/hook-path\","
                  "\"pending_update_count\":3}}");
  const auto bad = run_bot({"check"}, env);
  CHECK(bad.code == 1);
  CHECK(has(bad.out, "FAIL  webhook: https://bots.example is set"));
  CHECK(has(bad.out, "shopbot webhook delete"));
  CHECK_FALSE(has(bad.out, "hook-path"));

  const auto machine = run_bot({"check", "--json"}, env);
  CHECK(object(machine.out).at("ok") == false);

  env["TROUPE_BOT_MODE"] = "webhook";
  env["TROUPE_WEBHOOK_PUBLIC_URL"] = "https://ours.example";
  const auto other = run_bot({"check"}, env);
  CHECK(has(other.out,
            "ok    webhook: https://bots.example is registered; "
            "`run` will replace it"));
  CHECK_FALSE(has(other.out, "hook-path"));
  telegram.answer("getWebhookInfo", 200,
                  "{\"ok\":true,\"result\":{\"url\":"
                  "\"https://ours.example/webhook\","
                  "\"pending_update_count\":3,\"last_error_message\":"
                  "\"Connection refused\"}}");
  const auto unreached = run_bot({"check"}, env);
  CHECK(unreached.code == 1);
  CHECK(has(unreached.out,
            "FAIL  webhook: https://ours.example, 3 updates "
            "pending, last error: Connection refused"));
  env.erase("TROUPE_WEBHOOK_PUBLIC_URL");

  env["TROUPE_BOT_API_ROOT"] = "http://127.0.0.1:9";
  const auto down = run_bot({"check"}, env);
  CHECK(down.code == 1);
  CHECK(has(down.out, "FAIL  bot.api_root"));
}

TEST_CASE("check tells a clock that is off") {
  CHECK(to_ms(*parse_http_date("Tue, 24 Nov 2026 04:30:24 GMT")) ==
        1'795'494'624'000);
  CHECK_FALSE(parse_http_date("2026-11-24").has_value());
  CHECK_FALSE(parse_http_date("").has_value());
}

TEST_CASE("webhook set registers, info shows no path, delete unregisters") {
  const temporary_folder folder;
  fake_telegram telegram;
  auto env = bot_in(folder);
  env["TROUPE_BOT_API_ROOT"] = telegram.root();
  telegram.answer("setWebhook", 200,
                  "{\"ok\":true,\"result\":true,"
                  "\"description\":\"Webhook was set\"}");
  const auto set = run_bot({"webhook", "set", "https://bots.example"}, env);
  CHECK(set.code == 0);
  CHECK(set.out == "Webhook was set\n");
  const json::object sent = object(telegram.last("setWebhook"));
  CHECK(sent.at("url") == "https://bots.example/webhook");
  CHECK(sent.at("secret_token") == "FF-hook-secret");
  CHECK(sent.at("max_connections") == 40);
  CHECK(sent.at("allowed_updates").get_array().empty());

  telegram.answer("getWebhookInfo", 200,
                  "{\"ok\":true,\"result\":{\"url\":"
                  "\"https://bots.example/hook-path\","
                  "\"pending_update_count\":3}}");
  const auto info = run_bot({"webhook", "info"}, env);
  CHECK(info.code == 0);
  CHECK(has(info.out, "url: https://bots.example\n"));
  CHECK(has(info.out, "pending_update_count: 3\n"));

  const auto gone = run_bot({"webhook", "delete", "--drop-pending"}, env);
  CHECK(gone.code == 0);
  CHECK(object(telegram.last("deleteWebhook")).at("drop_pending_updates") ==
        true);

  telegram.answer("setWebhook", 400,
                  "{\"ok\":false,\"error_code\":400,\"description\":"
                  "\"Bad Request: bad webhook\"}");
  const auto refused = run_bot({"webhook", "set", "http://a"}, env);
  CHECK(refused.code == 1);
  CHECK(has(refused.err, "bad webhook"));
  CHECK(run_bot({"webhook", "set"}, env).code == 2);
}

TEST_CASE("all kinds of updates can be asked for, and only known ones") {
  settings s = default_settings();
  s.bot_allowed_updates = "all";
  const auto all = set_webhook_call(s, "https://a", false);
  REQUIRE(all.has_value());
  CHECK(object(all->body).at("allowed_updates").get_array().size() == 27);
  CHECK(has(all->body, "message_reaction_count"));
  s.bot_allowed_updates = "message, chat_member";
  const auto some = set_webhook_call(s, "https://a", false);
  REQUIRE(some.has_value());
  CHECK(object(some->body).at("allowed_updates").get_array().size() == 2);
  s.bot_allowed_updates = "mesage";
  const auto wrong = set_webhook_call(s, "https://a", false);
  REQUIRE_FALSE(wrong.has_value());
  CHECK(has(wrong.error().context, "\"mesage\" is no kind"));
}

TEST_CASE("the webhook's secret is derived where we register it ourselves") {
  settings s = default_settings();
  s.bot_token = token;
  CHECK(node_options_of(s, "x").webhook_secret.empty());
  s.webhook_public_url = "https://bots.example/";
  const std::string derived = node_options_of(s, "x").webhook_secret;
  CHECK(telegram::valid_secret(derived));
  CHECK(derived.size() == 64);
  CHECK(derived != admin_token(s));
  const auto call = set_webhook_call(s, s.webhook_public_url, false);
  REQUIRE(call.has_value());
  CHECK(object(call->body).at("secret_token") == json::value(derived));
  CHECK(object(call->body).at("url") == "https://bots.example/webhook");
  s.webhook_secret = "mine-and-mine";
  CHECK(node_options_of(s, "x").webhook_secret == "mine-and-mine");
}

TEST_CASE("every setting reaches the part it is for") {
  sources from;
  from.flags = {
      {"limits.replies", "uncounted"},  {"turn.backoff_ms", "7"},
      {"chat.idle_seconds", "9"},       {"bot.mode", "polling"},
      {"polling.timeout_seconds", "8"}, {"node.name", "n1"},
      {"store.synchronous", "normal"},  {"store.shards", "16"},
      {"send.timeout_ms", "15000"},     {"webhook.max_body", "600000"}};
  const auto got = load_settings(from);
  REQUIRE(got.has_value());
  const auto node = node_options_of(got->values, "shopbot");
  CHECK_FALSE(node.limits.count_replies);
  CHECK(node.turns.backoff == milliseconds{7});
  CHECK(node.chat_idle == milliseconds{9'000});
  CHECK(node.poll);
  CHECK(node.poll_timeout == milliseconds{8'000});
  CHECK(node.name == "n1");
  CHECK(node.bot_username == "shopbot");
  CHECK(node.sending.timeout == milliseconds{15'000});
  CHECK_FALSE(store_options_of(got->values).synchronous_full);
  CHECK(store_options_of(got->values).shards == 16);
  CHECK(webhook_server_of(got->values).max_body == 600'000);
  CHECK(node_options_of(default_settings(), "").name != "");
}

TEST_CASE("the defaults are those of the parts") {
  const auto ours = node_options_of(default_settings(), "");
  const actors::node_options theirs;
  CHECK(ours.limits.global_per_second == theirs.limits.global_per_second);
  CHECK(ours.limits.chat_per_second == theirs.limits.chat_per_second);
  CHECK(ours.limits.group_per_minute == theirs.limits.group_per_minute);
  CHECK(ours.limits.bulk_per_second == theirs.limits.bulk_per_second);
  CHECK(ours.limits.margin == theirs.limits.margin);
  CHECK(ours.limits.count_replies == theirs.limits.count_replies);
  CHECK(ours.turns.max_threads == theirs.turns.max_threads);
  CHECK(ours.turns.attempts == theirs.turns.attempts);
  CHECK(ours.turns.backoff == theirs.turns.backoff);
  CHECK(ours.turns.deadline == theirs.turns.deadline);
  CHECK(ours.sending.senders == theirs.sending.senders);
  CHECK(ours.sending.timeout == theirs.sending.timeout);
  CHECK(ours.chat_idle == theirs.chat_idle);
  CHECK(ours.max_pending == theirs.max_pending);
  CHECK(ours.max_unsent == theirs.max_unsent);
  CHECK(ours.poll_timeout == theirs.poll_timeout);
  CHECK(ours.webhook_path == theirs.webhook_path);
}

TEST_CASE("G12: no secret in any output of a failing start or command") {
  const temporary_folder folder;
  fake_telegram telegram;
  // A server that repeats what it should not.
  telegram.answer("getMe", 401,
                  "{\"ok\":false,\"error_code\":401,\"description\":"
                  "\"Unauthorized: bot" +
                      token + "\"}");
  telegram.answer("getWebhookInfo", 200,
                  "{\"ok\":true,\"result\":{\"url\":\"https://a.b/" + token +
                      "\",\"last_error_message\":\"no " + token + "\"}}");
  captured_log log{folder / "log"};
  std::string all;
  for (const std::string& root :
       {telegram.root(), std::string{"http://127.0.0.1:9"}}) {
    auto env = bot_in(folder);
    env["TROUPE_BOT_API_ROOT"] = root;
    env["TROUPE_LOG_LEVEL"] = "debug";
    for (const auto& args :
         std::vector<std::vector<std::string>>{{"check"},
                                               {"check", "--json"},
                                               {"webhook", "info"},
                                               {"webhook", "info", "--json"},
                                               {"webhook", "set", "https://a"},
                                               {"webhook", "delete"},
                                               {"dead-letters", "list"},
                                               {"stats"}}) {
      const auto how = run_bot(args, env);
      all += how.out + how.err;
    }
    // A failing start: refused token, then a port that can't be had.
    if (root == telegram.root()) {
      const auto refused = run_bot({"run"}, env);
      CHECK(refused.code == 78);
      all += refused.out + refused.err;
    }
    env["TROUPE_WEBHOOK_LISTEN"] =
        "127.0.0.1:" + std::to_string(telegram.port());
    const auto busy = run_bot({"run"}, env);
    CHECK(busy.code == 1);
    all += busy.out + busy.err;
  }
  all += log.text();
  CHECK(all.size() > 1000);
  CHECK_FALSE(has(all, token));
  CHECK_FALSE(has(all, "FFHdq"));
  CHECK_FALSE(has(all, "FF-hook-secret"));
}
