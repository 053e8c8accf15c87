#include <algorithm>
#include <map>
#include <set>
#include <string>

#include "app/settings.hpp"
#include "tests/app/settings_support.hpp"
#include "tests/support/catch.hpp"

using namespace troupe;
using namespace troupe::app;
using namespace troupe::app::test;

namespace {

/// A value for the key that is not its default and fits all other defaults.
std::string sample(const key_spec& key) {
  if (key.name == "webhook.path")
    return "/updates";
  if (key.name == "turn.threads")
    return "8";
  if (key.name == "limits.bulk_per_second")
    return "7";
  switch (key.form) {
    case shape::text: return "all";
    case shape::path: return "some.pem";
    case shape::address: return "127.0.0.1:1234";
    case shape::url: return "https://127.0.0.1:8081";
    case shape::integer:
      return std::to_string(
          std::to_string(key.most) == key.fallback ? key.least : key.most);
    case shape::ratio: return "0.25";
    case shape::choice: break;
  }
  return std::string{key.choices[0] == key.fallback ? key.choices[1]
                                                    : key.choices[0]};
}

std::string value_of(const settings& from, const key_spec& key) {
  if (const auto* n = std::get_if<std::int64_t settings::*>(&key.slot)) {
    return std::to_string(from.**n);
  }
  return from.*std::get<std::string settings::*>(key.slot);
}

std::string toml_of(const key_spec& key, const std::string& value) {
  const std::size_t dot = key.name.find('.');
  std::string out = "[" + std::string{key.name.substr(0, dot)} + "]\n";
  out += std::string{key.name.substr(dot + 1)} + " = ";
  const bool bare = key.form == shape::integer || key.form == shape::ratio;
  return out + (bare ? value : '"' + value + '"') + '\n';
}

/// Keys that a test may set alone: no secret, no file of one.
std::vector<const key_spec*> plain_keys() {
  std::vector<const key_spec*> out;
  for (const key_spec& key : keys()) {
    const bool twin = key.name.ends_with("_file");
    if (!key.secret && !twin)
      out.push_back(&key);
  }
  return out;
}

/// What a key needs beside it.
sources beside(const key_spec& key) {
  sources out;
  if (key.name == "webhook.certificate")
    out.flags["webhook.key"] = "k.pem";
  if (key.name == "webhook.key")
    out.flags["webhook.certificate"] = "c.pem";
  const std::string_view files[] = {"cluster.ca", "cluster.certificate",
                                    "cluster.key"};
  if (std::ranges::find(files, key.name) != std::end(files))
    for (auto name : files)
      if (name != key.name)
        out.flags[std::string{name}] = "c.pem";
  return out;
}

}  // namespace

TEST_CASE("every key has a name of its own, a help and a default that fits") {
  std::set<std::string> names;
  std::set<std::string> flags;
  std::set<std::string> variables;
  for (const key_spec& key : keys()) {
    INFO(key.name);
    CHECK(names.emplace(key.name).second);
    CHECK(flags.insert(flag_of(key)).second);
    CHECK(variables.insert(environment_of(key)).second);
    CHECK_FALSE(key.help.empty());
    if (key.secret) {
      CHECK(key.fallback.empty());
      CHECK(find_key(std::string{key.name} + "_file") != nullptr);
    }
  }
  const settings defaults = default_settings();
  for (const key_spec& key : keys()) {
    INFO(key.name);
    CHECK(value_of(defaults, key) == key.fallback);
  }
}

TEST_CASE("the names that scripts rely on stay") {
  for (const char* name :
       {"TROUPE_BOT_TOKEN", "TROUPE_BOT_API_ROOT", "TROUPE_BOT_MODE",
        "TROUPE_WEBHOOK_LISTEN", "TROUPE_WEBHOOK_SECRET", "TROUPE_STORE_URL",
        "TROUPE_STATS_LISTEN", "TROUPE_LIMITS_GLOBAL_PER_SECOND",
        "TROUPE_LIMITS_CHAT_PER_SECOND", "TROUPE_LIMITS_GROUP_PER_MINUTE",
        "TROUPE_LOG_LEVEL", "TROUPE_WEBHOOK_PUBLIC_URL",
        "TROUPE_CLUSTER_LISTEN", "TROUPE_CLUSTER_ADVERTISE",
        "TROUPE_NODE_NAME"}) {
    INFO(name);
    CHECK(std::ranges::any_of(
        keys(), [&](const key_spec& k) { return environment_of(k) == name; }));
  }
  const settings d = default_settings();
  CHECK(d.bot_api_root == "https://api.telegram.org");
  CHECK(d.webhook_listen == "127.0.0.1:8443");
  CHECK(d.webhook_path == "/webhook");
  CHECK(d.store_url == "sqlite:./troupe.db");
  CHECK(d.webhook_public_url.empty());
}

TEST_CASE("every key can come from the file, the environment and a flag") {
  for (const key_spec* key : plain_keys()) {
    INFO(key->name);
    const std::string value = sample(*key);
    REQUIRE(value != key->fallback);
    const std::string name{key->name};

    const temporary_folder folder;
    sources file = beside(*key);
    file.file = folder.write("t.toml", toml_of(*key, value));
    sources variable = beside(*key);
    variable.environment[environment_of(*key)] = value;
    sources flag = beside(*key);
    flag.flags[name] = value;

    const std::pair<const sources*, origin> all[] = {
        {&file, origin::file},
        {&variable, origin::environment},
        {&flag, origin::flag}};
    for (const auto& [from, where] : all) {
      const auto got = load_settings(*from);
      INFO((got ? std::string{} : got.error().context));
      REQUIRE(got.has_value());
      CHECK(value_of(got->values, *key) == value);
      CHECK(got->from.at(name) == where);
    }
  }
}

TEST_CASE("flags beat the environment, which beats the file") {
  const temporary_folder folder;
  sources from;
  from.file = folder.write(
      "t.toml", "[turn]\nattempts = 4\nbackoff_ms = 4\ndeadline_ms = 40\n");
  from.environment = {{"TROUPE_TURN_ATTEMPTS", "5"},
                      {"TROUPE_TURN_BACKOFF_MS", "5"}};
  from.flags = {{"turn.attempts", "6"}};
  const auto got = load_settings(from);
  REQUIRE(got.has_value());
  CHECK(got->values.turn_attempts == 6);
  CHECK(got->values.turn_backoff_ms == 5);
  CHECK(got->values.turn_deadline_ms == 40);
  CHECK(got->values.chat_idle_seconds == 60);
}

TEST_CASE("an unknown key names file, line and the nearest known key") {
  CHECK(complaint_about_file("[bot]\nmode = \"polling\"\n\n[limits]\n"
                             "global_per_secnd = 3\n") ==
        "t.toml:5: limits.global_per_secnd: unknown key; did you mean "
        "limits.global_per_second?");
  CHECK(complaint_about_file("[limit]\nmargin_ms = 3\n") ==
        "t.toml:2: limit.margin_ms: unknown key; did you mean "
        "limits.margin_ms?");
  CHECK(complaint_about_file("[zzz]\nqqqqqqqq = 3\n") ==
        "t.toml:2: zzz.qqqqqqqq: unknown key");
  CHECK(complaint_about_file("[nothing]\n") ==
        "t.toml:1: nothing: unknown section");
}

TEST_CASE("a wrong type or a value out of range names what would be right") {
  CHECK(complaint_about_file("[limits]\nmargin_ms = \"soon\"\n") ==
        "t.toml:2: limits.margin_ms: must be an integer, 0 to 60000, not "
        "text");
  CHECK(complaint_about_file("[limits]\nmargin_ms = 1.5\n") ==
        "t.toml:2: limits.margin_ms: must be an integer, 0 to 60000, not "
        "floating-point");
  CHECK(complaint_about_file("[bot]\nmode = 1\n") ==
        "t.toml:2: bot.mode: must be webhook | polling, not an integer");
  CHECK(complaint_about_file("[send]\ntimeout_ms = 5000\n") ==
        "t.toml:2: send.timeout_ms: 5000 is out of range: integer, 15000 to "
        "600000");
  CHECK(complaint(with_environment({{"TROUPE_BOT_MODE", "poling"}})) ==
        "TROUPE_BOT_MODE: \"poling\" must be one of webhook | polling");
  sources flag;
  flag.flags["polling.timeout_seconds"] = "51";
  CHECK(complaint(flag) ==
        "--polling-timeout-seconds: 51 is out of range: integer, 1 to 50");
  for (const char* text :
       {"", " 1", "1 ", "0x10", "1e3", "-1", "99999999999999999999"}) {
    INFO(text);
    sources bad;
    bad.flags["limits.margin_ms"] = text;
    CHECK(has(complaint(bad), "--limits-margin-ms: "));
  }
}

TEST_CASE("everything that is wrong is told at once") {
  const std::string all = complaint_about_file(
      "[bot]\nmode = 1\ncolour = 2\n[turn]\nattempts = 0\n");
  CHECK(std::ranges::count(all, '\n') == 2);
  CHECK(has(all, "t.toml:2: bot.mode"));
  CHECK(has(all, "t.toml:3: bot.colour"));
  CHECK(has(all, "t.toml:5: turn.attempts"));
}

TEST_CASE("a file that is no TOML or can't be read stops the start") {
  CHECK(has(complaint_about_file("[bot]\nmode = \n"), "t.toml:2: "));
  sources missing;
  missing.file = "/nonexistent/t.toml";
  CHECK(has(complaint(missing), "/nonexistent/t.toml: can't be read: "));
}

TEST_CASE("an unknown TROUPE_ variable is a warning with the nearest name") {
  const auto got =
      load_settings(with_environment({{"TROUPE_BOT_MODUS", "polling"},
                                      {"TROUPE_CONFIG", "x"},
                                      {"HOME", "/"}}));
  REQUIRE(got.has_value());
  REQUIRE(got->warnings.size() == 1);
  CHECK(got->warnings.front() ==
        "TROUPE_BOT_MODUS: unknown variable, ignored; did you mean "
        "TROUPE_BOT_MODE?");
}

TEST_CASE("an empty variable is an unset one, or empties what may be empty") {
  const auto got = load_settings(with_environment(
      {{"TROUPE_STATS_LISTEN", ""}, {"TROUPE_TURN_ATTEMPTS", ""}}));
  REQUIRE(got.has_value());
  CHECK(got->values.stats_listen.empty());
  CHECK(got->values.turn_attempts == 3);
}

TEST_CASE("an empty variable that takes the file's public URL is warned of") {
  const temporary_folder folder;
  sources from;
  from.file = folder.write(
      "t.toml", "[webhook]\npublic_url = \"https://bots.example\"\n");
  CHECK(load_settings(from)->warnings.empty());
  from.environment["TROUPE_WEBHOOK_PUBLIC_URL"] = "";
  const auto got = load_settings(from);
  REQUIRE(got.has_value());
  CHECK(got->values.webhook_public_url.empty());
  REQUIRE(got->warnings.size() == 1);
  CHECK(has(got->warnings.front(), "TROUPE_WEBHOOK_PUBLIC_URL: is set and"));
}

TEST_CASE("a kind of update that nobody knows stops the start") {
  CHECK(complaint(with_environment(
            {{"TROUPE_BOT_ALLOWED_UPDATES", "message,calback_query"}})) ==
        "bot.allowed_updates: \"calback_query\" is no kind of update; did "
        "you mean callback_query?");
  for (const char* bad :
       {"message,", ",message", "none", "unknown", "Message", "all,message"}) {
    INFO(bad);
    CHECK(
        has(complaint(with_environment({{"TROUPE_BOT_ALLOWED_UPDATES", bad}})),
            "is no kind of update"));
  }
  for (const char* good :
       {"default", "all", "message", " message , chat_member "}) {
    INFO(good);
    CHECK(
        load_settings(with_environment({{"TROUPE_BOT_ALLOWED_UPDATES", good}}))
            .has_value());
  }
}

TEST_CASE("with Telegram's own server, both directions are encrypted") {
  for (const char* root :
       {"http://api.telegram.org", "http://API.Telegram.org:80/"}) {
    INFO(root);
    CHECK(has(complaint(with_environment({{"TROUPE_BOT_API_ROOT", root}})),
              "bot.api_root: must start with https://"));
  }
  CHECK(has(complaint(with_environment(
                {{"TROUPE_WEBHOOK_PUBLIC_URL", "http://bots.example"}})),
            "webhook.public_url: must start with https://"));
  // Polling ignores it; a server of one's own takes both.
  CHECK(load_settings(
            with_environment({{"TROUPE_WEBHOOK_PUBLIC_URL", "http://b.example"},
                              {"TROUPE_BOT_MODE", "polling"}}))
            .has_value());
  CHECK(load_settings(
            with_environment({{"TROUPE_WEBHOOK_PUBLIC_URL", "http://b.example"},
                              {"TROUPE_BOT_API_ROOT", "http://127.0.0.1:81"}}))
            .has_value());
}

TEST_CASE("stats beyond loopback need a token of their own") {
  CHECK(has(complaint(with_environment({{"TROUPE_STATS_LISTEN", ":9464"}})),
            "stats.token must be set"));
  CHECK(load_settings(
            with_environment({{"TROUPE_STATS_LISTEN", ":9464"},
                              {"TROUPE_STATS_TOKEN", "0123456789abcdef"}}))
            .has_value());
  for (const char* at :
       {"127.0.0.1:1", "127.9.9.9:1", "[::1]:1", "localhost:1"}) {
    INFO(at);
    CHECK(load_settings(with_environment({{"TROUPE_STATS_LISTEN", at}}))
              .has_value());
  }
}

TEST_CASE("nodes that meet beyond loopback need certificates") {
  const auto why =
      complaint(with_environment({{"TROUPE_CLUSTER_LISTEN", "10.0.0.1:7000"}}));
  CHECK(has(why, "cluster.ca, cluster.certificate and cluster.key must be"));
  CHECK(has(why, "openssl req -x509"));
  std::map<std::string, std::string> all{
      {"TROUPE_CLUSTER_LISTEN", ":7000"},
      {"TROUPE_CLUSTER_CA", "ca.pem"},
      {"TROUPE_CLUSTER_CERTIFICATE", "node.pem"},
      {"TROUPE_CLUSTER_KEY", "node.key"}};
  CHECK(has(complaint(with_environment(all)), "cluster.advertise: must say"));
  all["TROUPE_CLUSTER_ADVERTISE"] = "node-1:0";
  CHECK(load_settings(with_environment(all)).has_value());
  all.erase("TROUPE_CLUSTER_KEY");
  CHECK(has(complaint(with_environment(all)), "belong together"));
}

TEST_CASE("settings that contradict each other stop the start") {
  CHECK(has(complaint(with_environment({{"TROUPE_WEBHOOK_KEY", "k.pem"}})),
            "belong together"));
  CHECK(has(complaint(with_environment({{"TROUPE_WEBHOOK_PATH", "updates"}})),
            "webhook.path: must start"));
  CHECK(has(complaint(with_environment({{"TROUPE_TURN_THREADS", "65"}})),
            "turn.max_threads"));
}

TEST_CASE("a webhook that anybody can reach without a secret is warned of") {
  const auto got =
      load_settings(with_environment({{"TROUPE_WEBHOOK_LISTEN", ":8443"}}));
  REQUIRE(got.has_value());
  REQUIRE(got->warnings.size() == 1);
  CHECK(has(got->warnings.front(), "webhook.secret: not set"));
}

TEST_CASE("an address is host and port, an IPv6 one in brackets") {
  const auto read = [](const char* text) {
    const auto got = parse_endpoint(text);
    return got ? got->host + '|' + std::to_string(got->port)
               : std::string{"error"};
  };
  CHECK(read("127.0.0.1:80") == "127.0.0.1|80");
  CHECK(read("localhost:80") == "127.0.0.1|80");
  CHECK(read("[::1]:0") == "::1|0");
  CHECK(read(":65535") == "0.0.0.0|65535");
  for (const char* bad : {"", "80", "host:", "host:x", "host:65536", "::1:80",
                          "[::1:80", "host:-1", "host:80 "}) {
    INFO(bad);
    CHECK(read(bad) == "error");
  }
}
