#include <string>
#include <vector>

#include "app/command_line.hpp"
#include "tests/app/support.hpp"
#include "tests/support/catch.hpp"

using namespace troupe;
using namespace troupe::app;
using namespace troupe::app::test;

namespace {

invocation parsed(const std::vector<std::string>& args) {
  auto got = parse_command_line(args);
  INFO((got ? std::string{} : got.error().context));
  REQUIRE(got.has_value());
  return *got;
}

std::string refused(const std::vector<std::string>& args) {
  const auto got = parse_command_line(args);
  REQUIRE_FALSE(got.has_value());
  return got.error().context;
}

}  // namespace

TEST_CASE("without a command, the bot runs") {
  CHECK(parsed({}).what == command::run);
  CHECK(parsed({"run"}).what == command::run);
  CHECK(parsed({"--bot-mode", "polling"}).what == command::run);
}

TEST_CASE("every command is understood") {
  CHECK(parsed({"check"}).what == command::check);
  CHECK(parsed({"check", "--print-config"}).print_config);
  CHECK(parsed({"webhook", "set"}).what == command::webhook_set);
  const auto set =
      parsed({"webhook", "set", "https://a.b/c", "--drop-pending"});
  CHECK(set.url == "https://a.b/c");
  CHECK(set.drop_pending);
  CHECK(parsed({"webhook", "info"}).what == command::webhook_info);
  CHECK(parsed({"webhook", "delete"}).what == command::webhook_delete);
  const auto list =
      parsed({"dead-letters", "list", "--after", "7", "--limit", "9"});
  CHECK(list.what == command::letters_list);
  CHECK(list.after == 7);
  CHECK(list.limit == 9);
  CHECK(parsed({"dead-letters", "show", "3"}).ids ==
        std::vector<std::uint64_t>{3});
  CHECK(parsed({"dead-letters", "retry", "3", "4"}).ids ==
        std::vector<std::uint64_t>{3, 4});
  CHECK(parsed({"dead-letters", "retry", "--all"}).all);
  CHECK(parsed({"dead-letters", "drop", "3"}).what == command::letters_drop);
  CHECK(parsed({"stats"}).what == command::stats);
  CHECK(parsed({"stats", "chat", "-1001"}).chat == "-1001");
  CHECK(parsed({"cluster", "status"}).what == command::cluster_status);
  const auto drain = parsed({"cluster", "drain", "n1", "--wait"});
  CHECK(drain.what == command::cluster_drain);
  CHECK(drain.node == "n1");
  CHECK(drain.wait);
  CHECK(parsed({"--help"}).what == command::help);
  CHECK(parsed({"dead-letters", "--help"}).what == command::help);
  CHECK(parsed({"--version"}).what == command::version);
}

TEST_CASE("every form of broadcast is understood") {
  const auto start =
      parsed({"broadcast", "start", "--text", "hi", "--audience", "active 3d",
              "--name", "news", "--rate", "5", "--at", "+2h", "--dry-run",
              "--repeat", "--follow", "--request", "monday"});
  CHECK(start.what == command::broadcast_start);
  CHECK(start.text == "hi");
  CHECK(start.audience == "active 3d");
  CHECK(start.request == "monday");
  CHECK(start.name == "news");
  CHECK(start.rate == 5);
  CHECK(start.at == "+2h");
  CHECK((start.dry_run && start.repeat && start.follow));
  CHECK(parsed({"broadcast", "start", "--file", "c.json"}).file == "c.json");
  CHECK(parsed({"broadcast", "list"}).what == command::broadcast_list);
  const auto show = parsed({"broadcast", "show", "7", "--follow"});
  CHECK(show.what == command::broadcast_show);
  CHECK((show.follow && show.ids == std::vector<std::uint64_t>{7}));
  CHECK(parsed({"broadcast", "pause", "7"}).what == command::broadcast_pause);
  CHECK(parsed({"broadcast", "resume", "7"}).what == command::broadcast_resume);
  CHECK(parsed({"broadcast", "cancel", "7"}).what == command::broadcast_cancel);
  CHECK(refused({"broadcast"}) ==
        "broadcast: say start, list, show, pause, resume or cancel");
  CHECK(refused({"broadcast", "start"}) ==
        "broadcast start: give --text or --file");
  CHECK(refused({"broadcast", "start", "--text", "a", "--file", "b"}) ==
        "broadcast start: give --text or --file");
  CHECK(refused({"broadcast", "pause"}) ==
        "broadcast: give the campaign's id; broadcast list shows them");
}

TEST_CASE("every form of audience and forget is understood") {
  CHECK(parsed({"audience", "count"}).what == command::audience_count);
  CHECK(parsed({"audience", "count", "active 3d"}).audience == "active 3d");
  const auto list = parsed({"audience", "export", "lang=de", "--csv"});
  CHECK(list.what == command::audience_export);
  CHECK((list.csv && list.audience == "lang=de"));
  const auto add = parsed({"audience", "tag", "add", "beta", "new 7d"});
  CHECK(add.what == command::audience_tag);
  CHECK((add.add_tag && add.tag == "beta" && add.audience == "new 7d"));
  const auto remove =
      parsed({"audience", "tag", "remove", "beta", "--chat", "-1001"});
  CHECK((!remove.add_tag && remove.chat == "-1001" && remove.audience.empty()));
  CHECK(parsed({"forget", "42"}).what == command::forget);
  CHECK(parsed({"forget", "-1001", "--dry-run"}).chat == "-1001");
  CHECK(refused({"audience"}) == "audience: say count, export or tag");
  CHECK(refused({"audience", "tag", "beta"}) ==
        "audience tag: say add or remove, and which tag");
  for (const auto& whom : std::vector<std::vector<std::string>>{
           {"audience", "tag", "add", "beta"},
           {"audience", "tag", "add", "beta", "new 7d", "--chat", "1"}})
    CHECK(refused(whom) ==
          "audience tag: say who is meant, such as 'active 30d', or --chat");
  CHECK(refused({"audience", "count", "active", "30d"}) ==
        "audience: put the filter into quotes: 'active 30d, tag=beta'");
  CHECK(refused({"audience", "export", "--csv", "--json"}) ==
        "audience export: --csv or --json");
  CHECK(refused({"forget"}) == "forget: say which chat");
}

TEST_CASE("flags stand before or behind the command") {
  for (const auto& args : std::vector<std::vector<std::string>>{
           {"--json", "--store-url", "memory:", "dead-letters", "list"},
           {"dead-letters", "list", "--json", "--store-url", "memory:"},
           {"dead-letters", "--store-url=memory:", "list", "--json"}}) {
    const auto got = parsed(args);
    CHECK(got.what == command::letters_list);
    CHECK(got.json);
    CHECK(got.flags.at("store.url") == "memory:");
  }
}

TEST_CASE("wrong usage says what would be right") {
  CHECK(has(refused({"--bot-mod", "polling"}), "did you mean --bot-mode?"));
  CHECK(has(refused({"chek"}), "did you mean check?"));
  CHECK(has(refused({"webhook"}), "say set, info or delete"));
  CHECK(has(refused({"dead-letters"}), "say list, show, retry or drop"));
  CHECK(has(refused({"dead-letters", "show"}), "give one id"));
  CHECK(has(refused({"dead-letters", "retry"}), "give ids, or --all"));
  CHECK(has(refused({"dead-letters", "drop", "1", "--all"}), "give ids, or"));
  CHECK(has(refused({"cluster"}), "say status or drain"));
  CHECK(has(refused({"cluster", "drain"}), "say which node"));
  CHECK(has(refused({"stats", "chats", "1"}), "chat KEY"));
  refused({"dead-letters", "show", "x"});
  refused({"dead-letters", "list", "--limit", "0"});
  refused({"dead-letters", "list", "--limit", "1001"});
  refused({"--bot-mode"});
  refused({"run", "check"});
}

TEST_CASE("G12: a secret on the command line is refused, unrepeated") {
  const std::string token = "4400:DDHdqTcvCH1vGWJxfSeofSAs0K5PALDsaw";
  for (const auto& args : std::vector<std::vector<std::string>>{
           {"--bot-token", token},
           {"--bot-token=" + token, "run"},
           {token},
           {"run", token},
           {"--webhook-secret", "DDHdq-secret"},
           {"dead-letters", "retry", token},
           {"--bot-tokn=" + token}}) {
    const std::string text = refused(args);
    INFO(text);
    CHECK_FALSE(has(text, "DDHdq"));
  }
  CHECK(has(refused({"--bot-token", token}), "TROUPE_BOT_TOKEN"));
}

TEST_CASE("exit codes: 0 help, 2 usage, 78 configuration") {
  CHECK(run_bot({"--help"}, {}).code == 0);
  CHECK(has(run_bot({"--help"}, {}).out, "usage: shopbot"));
  CHECK(run_bot({"--version"}, {}).code == 0);
  const auto usage = run_bot({"--nonsense"}, {});
  CHECK(usage.code == 2);
  CHECK(usage.out.empty());
  CHECK(has(usage.err, "see shopbot --help"));
  const auto config = run_bot({}, {{"TROUPE_BOT_MODE", "x"}});
  CHECK(config.code == 78);
  CHECK(config.out.empty());
  const auto token = run_bot({}, {});
  CHECK(token.code == 78);
  CHECK(has(token.err, "bot.token: not set"));
}
