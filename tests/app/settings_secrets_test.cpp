#include "app/settings.hpp"
#include "core/log.hpp"
#include "tests/app/settings_support.hpp"

using namespace troupe;
using namespace troupe::app;
using namespace troupe::app::test;

TEST_CASE("a secret comes from the environment or from its file") {
  const temporary_folder folder;
  const std::string file = folder.write("token", good_token + "\n");
  const auto variable =
      load_settings(with_environment({{"TROUPE_BOT_TOKEN", good_token}}));
  REQUIRE(variable.has_value());
  CHECK(variable->values.bot_token == good_token);
  const auto from_file =
      load_settings(with_environment({{"TROUPE_BOT_TOKEN_FILE", file}}));
  REQUIRE(from_file.has_value());
  CHECK(from_file->values.bot_token == good_token);

  sources toml;
  toml.file = folder.write("t.toml", "[bot]\ntoken_file = \"" + file + "\"\n");
  const auto named = load_settings(toml);
  REQUIRE(named.has_value());
  CHECK(named->values.bot_token == good_token);
  // The variable stands above the file.
  toml.environment["TROUPE_BOT_TOKEN"] = "5:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
  const auto both = load_settings(toml);
  REQUIRE(both.has_value());
  CHECK(both->values.bot_token == toml.environment["TROUPE_BOT_TOKEN"]);
}

TEST_CASE("a secret that is given twice, empty or unreadable stops the start") {
  const temporary_folder folder;
  CHECK(has(complaint(with_environment(
                {{"TROUPE_BOT_TOKEN", good_token},
                 {"TROUPE_BOT_TOKEN_FILE", folder.write("a", "x")}})),
            "keep one"));
  CHECK(has(complaint(with_environment(
                {{"TROUPE_BOT_TOKEN_FILE", folder.write("b", " \n")}})),
            "is empty"));
  CHECK(has(complaint(with_environment(
                {{"TROUPE_STATS_TOKEN_FILE", folder / "none"}})),
            "can't be read"));
}

TEST_CASE("G12: a secret in the configuration file is refused, unrepeated") {
  for (const char* key : {"token = \""}) {
    const std::string text =
        complaint_about_file("[bot]\n" + (key + good_token) + "\"\n");
    CHECK(has(text, "t.toml:2: bot.token: a secret does not belong"));
    CHECK(has(text, "TROUPE_BOT_TOKEN"));
    CHECK_FALSE(has(text, "AAHdq"));
  }
}

TEST_CASE("G12: a token in the wrong place is not repeated") {
  for (const char* variable :
       {"TROUPE_BOT_TOKEN", "TROUPE_BOT_API_ROOT", "TROUPE_BOT_MODE",
        "TROUPE_WEBHOOK_LISTEN", "TROUPE_TURN_ATTEMPTS",
        "TROUPE_WEBHOOK_SECRET"}) {
    INFO(variable);
    const std::string bad = "x/" + std::string{"77001:BBHdqTcvCH1vGWJxfSeofSA"};
    CHECK_FALSE(has(complaint(with_environment({{variable, bad}})), "BBHdq"));
  }
}

TEST_CASE("G12: a secret in place of its file's name is not repeated") {
  for (const char* variable :
       {"TROUPE_BOT_TOKEN_FILE", "TROUPE_WEBHOOK_SECRET_FILE",
        "TROUPE_STATS_TOKEN_FILE"}) {
    INFO(variable);
    const auto text =
        complaint(with_environment({{variable, "misplaced-secret-7"}}));
    CHECK(has(text, "_file: can't be read: "));
    CHECK_FALSE(has(text, "misplaced-secret-7"));
  }
}

TEST_CASE("G12: the password of a store or of a public URL is never shown") {
  const auto got = load_settings(
      with_environment({{"TROUPE_STORE_URL", "redis://joe:hunter2/x@db/0"},
                        {"TROUPE_BOT_API_ROOT", "http://127.0.0.1:8081"}}));
  REQUIRE(got.has_value());
  CHECK(log::redact("x hunter2/x y") == "x *** y");
  CHECK(log::redact("joe:hunter2/x") == "***");
  CHECK_FALSE(has(print_config(*got), "hunter2"));
  for (const char* command : {"run", "check", "dead-letters"}) {
    INFO(command);
    std::vector<std::string> args{command};
    if (args.front() == "dead-letters")
      args.emplace_back("list");
    const auto how =
        run_bot(args, {{"TROUPE_BOT_TOKEN", "1:test"},
                       {"TROUPE_BOT_API_ROOT", "http://127.0.0.1:9"},
                       {"TROUPE_STATS_LISTEN", "127.0.0.1:9"},
                       {"TROUPE_STORE_URL", "redis://:hq9@db/0"}});
    CHECK(how.code != 0);
    CHECK_FALSE(has(how.out + how.err, "hq9"));
  }
  CHECK(shown_store("sqlite:/a@b:c/d.db") == "sqlite:/a@b:c/d.db");
  CHECK(shown_store("memory:") == "memory:");
  CHECK(shown_store("redis://:x@db") == "redis:***");
  CHECK(shown_store(good_token) == "***");
  CHECK(shown_store("hunter2") == "***");
}

TEST_CASE("every secret is masked in whatever is logged later") {
  const auto got = load_settings(
      with_environment({{"TROUPE_BOT_TOKEN", good_token},
                        {"TROUPE_WEBHOOK_SECRET", "hook-secret-1"},
                        {"TROUPE_STATS_TOKEN", "stats-secret-1-2-3-4"}}));
  REQUIRE(got.has_value());
  CHECK(log::redact("a " + good_token + " b") == "a *** b");
  CHECK(log::redact("hook-secret-1") == "***");
  CHECK(log::redact("stats-secret-1-2-3-4") == "***");
}

TEST_CASE("a token or a secret of the wrong form stops the start") {
  CHECK(has(complaint(with_environment({{"TROUPE_BOT_TOKEN", "hello"}})),
            "bot.token: is no bot token"));
  CHECK(has(complaint(with_environment({{"TROUPE_WEBHOOK_SECRET", "a b"}})),
            "webhook.secret: must be"));
  CHECK(has(complaint(with_environment({{"TROUPE_STATS_TOKEN", "short"}})),
            "stats.token: must have"));
  // Another server may take what Telegram does not, but never a path.
  CHECK(load_settings(with_environment(
                          {{"TROUPE_BOT_TOKEN", "1:test"},
                           {"TROUPE_BOT_API_ROOT", "http://127.0.0.1:8081"}}))
            .has_value());
  CHECK(has(complaint(with_environment(
                {{"TROUPE_BOT_TOKEN", "1:te/st"},
                 {"TROUPE_BOT_API_ROOT", "http://127.0.0.1:8081"}})),
            "bot.token: must be made of"));
}

TEST_CASE("scrub hides what looks like a token and leaves the rest") {
  CHECK(scrub("at 127.0.0.1:8443: in use") == "at 127.0.0.1:8443: in use");
  CHECK(scrub(good_token) == "***");
  CHECK(scrub("a " + good_token + " b " + good_token) == "a *** b ***");
  CHECK(scrub("/bot" + good_token + "/getMe") == "/bot***/getMe");
  CHECK(scrub("12:34:56") == "12:34:56");
}
