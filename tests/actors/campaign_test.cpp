#include "actors/campaign.hpp"

#include <set>

#include "tests/support/catch.hpp"

using namespace troupe;
using namespace troupe::actors;
using namespace std::chrono_literals;

namespace {

const auto start_at = from_ms(1'700'000'000'000);

/// A campaign without a node: the audience is a list, time a number, and what
/// is released ends when the test says so.
struct stage {
  explicit stage(std::size_t members, json::object command = {},
                 campaign_pace pace = {100}) {
    for (std::size_t i = 1; i <= members; ++i)
      audience.push_back({chat_key::chat(static_cast<std::int64_t>(i)),
                          store::audience_status::active, "de", start_at,
                          start_at});
    command["method"] = "sendMessage";
    command["params"] = json::object{{"text", "hi"}};
    state = campaign::start(command, now, pace).value().keep(now).state;
    next = now;
  }

  campaign machine() const { return campaign::read(state).value(); }

  void take(campaign_step step) {
    state = std::move(step.state);
    next = step.next;
    for (auto& n : step.notices) {
      CHECK(n.type == store::entry_kind::call);
      CHECK(released.insert(n.to).second);  // no recipient twice
    }
    last = step.notices.size();
  }

  /// The timer fires; without one nothing does.
  bool tick() {
    if (!next)
      return false;
    now = std::max(now, *next);
    auto c = machine();
    campaign_facts facts;
    facts.now = now;
    facts.asked = c.ask(now);
    auto from = audience.begin();
    if (facts.asked.after)
      while (from != audience.end() && from->key <= *facts.asked.after)
        ++from;
    for (; from != audience.end() && facts.page.size() < facts.asked.members;
         ++from)
      facts.page.push_back(*from);
    if (facts.asked.tally)
      facts.tally = tally;
    take(c.tick(7, facts));
    return true;
  }

  void command(const char* what) { take(machine().command(what, now)); }

  std::vector<store::member> audience;
  std::set<chat_key> released;
  store::campaign_tally tally;
  std::string state;
  wall_time now = start_at;
  std::optional<wall_time> next;
  std::size_t last = 0;
};

using phase = campaign::phase;

}  // namespace

TEST_CASE("a campaign meets each member once, at its rate, and ends") {
  stage s{1'500};
  std::size_t most = 0;
  while (s.tick()) {
    most = std::max(most, s.last);
    s.tally.sent = s.released.size();
    REQUIRE(s.now < start_at + 60s);
  }
  CHECK(s.released.size() == 1'500);
  CHECK(s.machine().state() == phase::done);
  // 100 a second, 25 a tick: 15 s of sending.
  CHECK(most == 25);
  CHECK(s.now >= start_at + 15s);
  CHECK(s.now < start_at + 17s);
}

TEST_CASE("a slow rate loses nothing to rounding") {
  stage s{30, {{"rate", 3}}};
  while (s.tick()) {
    s.tally.sent = s.released.size();
    REQUIRE(s.now < start_at + 60s);
  }
  CHECK(s.released.size() == 30);
  CHECK(s.now >= start_at + 9s);
  CHECK(s.now < start_at + 12s);
}

TEST_CASE("what is released and not ended is bounded") {
  stage s{5'000};
  for (int i = 0; i < 400; ++i)
    REQUIRE(s.tick());
  CHECK(s.released.size() == 200);  // two seconds of its rate
  CHECK(s.machine().state() == phase::running);
  s.tally.sent = 50;
  for (int i = 0; i < 40; ++i)
    REQUIRE(s.tick());
  CHECK(s.released.size() == 250);
}

TEST_CASE("a campaign is over when the last of its calls is") {
  stage s{10};
  for (int i = 0; i < 50; ++i)
    REQUIRE(s.tick());
  CHECK(s.released.size() == 10);
  s.tally = {7, 1, 1, 0};
  REQUIRE(s.tick());
  CHECK(s.machine().state() == phase::running);
  s.tally.unknown = 1;
  REQUIRE(s.tick());
  CHECK(s.machine().state() == phase::done);
  CHECK_FALSE(s.tick());
}

TEST_CASE("members that do not match are passed over at once") {
  stage s{3'000, {{"audience", "lang=fr"}}};
  s.audience.back().language = "fr";
  s.audience[1'700].language = "fr-CA";
  int ticks = 0;
  for (; s.tick(); ++ticks)
    s.tally.sent = s.released.size();
  CHECK(s.released.size() == 2);
  CHECK(s.now < start_at + 20s);
  CHECK(ticks < 20);  // in whole pages, once it is known that few match
}

TEST_CASE("a dry run counts, and sends nothing") {
  stage s{2'500, {{"dry_run", true}, {"rate", 50}}};
  s.audience[3].status = store::audience_status::blocked;
  while (s.tick()) {
  }
  CHECK(s.released.empty());
  CHECK(s.machine().state() == phase::done);
  const auto page = s.machine().page(7, {}, s.now);
  CHECK(page.at("total").to_number<int>() == 2'499);
  CHECK(page.at("eta_s").to_number<int>() == 50);
}

TEST_CASE("a campaign waits for its time") {
  stage s{10, {{"at_ms", to_ms(start_at + 1h)}}};
  REQUIRE(s.tick());
  CHECK(s.machine().state() == phase::scheduled);
  CHECK(s.next == start_at + 1h);
  s.command("pause");
  s.command("resume");
  CHECK(s.next == start_at + 1h);
  while (s.released.empty())
    REQUIRE(s.tick());
  CHECK(s.now >= start_at + 1h);
}

TEST_CASE("pause, resume and cancel, at any time") {
  stage s{1'000};
  s.command("pause");  // while it counts
  CHECK_FALSE(s.next);
  s.command("resume");
  while (s.released.size() < 100) {
    REQUIRE(s.tick());
    s.tally.sent = s.released.size();
  }
  const auto before = s.released.size();
  s.command("pause");
  CHECK_FALSE(s.next);
  CHECK(s.machine().state() == phase::paused);
  s.now += 1h;
  s.command("resume");
  REQUIRE(s.tick());
  CHECK(s.released.size() - before <= 100);  // no burst for the hour
  s.command("cancel");
  CHECK_FALSE(s.next);
  s.command("resume");
  CHECK_FALSE(s.next);
  CHECK(s.machine().state() == phase::cancelled);
}

TEST_CASE("a tick that fires late changes nothing in what is paused") {
  stage s{10};
  s.command("pause");
  const auto before = s.state;
  s.next = s.now;
  REQUIRE(s.tick());
  CHECK(s.state == before);
  CHECK_FALSE(s.next);
}

TEST_CASE("a campaign that is refused by all stops itself, once") {
  stage s{5'000};
  while (s.tick())
    s.tally.failed = s.released.size();
  CHECK(s.machine().state() == phase::paused);
  CHECK(s.released.size() < 300);
  CHECK(s.machine().page(7, s.tally, s.now).contains("why"));
  s.command("resume");
  for (int i = 0; i < 20; ++i)
    REQUIRE(s.tick());
  CHECK(s.machine().state() == phase::running);
}

TEST_CASE("a campaign that nobody answers stops itself, too") {
  stage s{5'000};
  while (s.tick())
    s.tally.unknown = s.released.size();
  CHECK(s.machine().state() == phase::paused);
  CHECK(s.released.size() < 300);
}

namespace {

/// A stage whose campaign is in its middle, all of its calls sent so far.
stage in_the_middle(json::object command = {}) {
  stage s{20'000, std::move(command)};
  while (s.released.size() < 1'000) {
    REQUIRE(s.tick());
    s.tally.sent = s.released.size();
  }
  return s;
}

std::string why(const stage& s) {
  const auto page = s.machine().page(7, s.tally, s.now);
  const auto* text = page.if_contains("why");
  return text ? std::string{text->as_string()} : std::string{};
}

}  // namespace

TEST_CASE("a campaign that nobody answers any more stops itself, each time") {
  auto s = in_the_middle();
  for (int outage = 1; outage <= 3; ++outage) {
    INFO("outage " << outage);
    const auto before = s.released.size();
    const auto sent = s.tally.sent;
    while (s.tick())
      s.tally.unknown = s.released.size() - sent;
    CHECK(s.machine().state() == phase::paused);
    CHECK(why(s).find("does not answer") != std::string::npos);
    // No more than may be open, and those that are tried in doubt.
    CHECK(s.released.size() - before <= 210);
    // Back again: what is judged is what came since.
    s.command("resume");
    for (int i = 0; i < 60; ++i) {
      REQUIRE(s.tick());
      s.tally.sent = s.released.size() - s.tally.unknown;
    }
    CHECK(s.machine().state() == phase::running);
  }
  while (s.tick())
    s.tally.sent = s.released.size() - s.tally.unknown;
  CHECK(s.machine().state() == phase::done);
  CHECK(s.released.size() == 20'000);
}

TEST_CASE("calls that hang until they are given up stop a campaign, too") {
  auto s = in_the_middle();
  const auto before = s.released.size();
  for (int i = 0; i < 200; ++i)
    REQUIRE(s.tick());
  CHECK(s.released.size() == before + 200);
  s.tally.unknown = 200;
  int probes = 0;
  for (; s.tick() && probes < 1'000; ++probes) {
    if (s.released.size() == before + 210)
      s.tally.unknown = 210;
  }
  CHECK(s.machine().state() == phase::paused);
  CHECK(s.released.size() == before + 210);
}

TEST_CASE("what a crash leaves unknown does not stop a campaign") {
  auto s = in_the_middle();
  for (int i = 0; i < 20; ++i)
    REQUIRE(s.tick());
  // All that was under way ends at once; what was not goes out after it.
  s.tally.unknown = s.released.size() - s.tally.sent - 20;
  REQUIRE(s.tally.unknown >= 100);
  for (int i = 0; i < 8; ++i)
    REQUIRE(s.tick());
  const auto lost = s.tally.unknown;
  while (s.tick())
    s.tally.sent = s.released.size() - lost;
  CHECK(s.machine().state() == phase::done);
  CHECK(s.released.size() == 20'000);
}

TEST_CASE("some calls without an answer do not stop a campaign") {
  auto s = in_the_middle();
  while (s.tick()) {
    s.tally.unknown = (s.released.size() - 1'000) / 3;
    s.tally.sent = s.released.size() - s.tally.unknown;
  }
  CHECK(s.machine().state() == phase::done);
}

TEST_CASE("members who are gone do not stop a campaign") {
  auto s = in_the_middle();
  const auto sent = s.tally.sent;
  while (s.tick())
    s.tally.blocked = s.released.size() - sent;
  CHECK(s.machine().state() == phase::done);
}

TEST_CASE("refusals in the middle stop a campaign until a person insists") {
  auto s = in_the_middle();
  const auto sent = s.tally.sent;
  auto refused = [&] { s.tally.failed = s.released.size() - sent; };
  while (s.tick())
    refused();
  CHECK(s.machine().state() == phase::paused);
  CHECK(why(s).find("refuses") != std::string::npos);
  s.command("resume");
  while (s.tick())
    refused();
  CHECK(s.machine().state() == phase::done);
}

TEST_CASE("who joins while a campaign runs is not met by it") {
  stage s{100};
  while (s.released.empty())
    REQUIRE(s.tick());
  s.audience.push_back({chat_key::chat(900), store::audience_status::active,
                        "de", s.now + 1s, s.now + 1s});
  while (s.tick())
    s.tally.sent = s.released.size();
  CHECK(s.machine().state() == phase::done);
  CHECK(s.released.size() == 100);
  CHECK_FALSE(s.released.contains(chat_key::chat(900)));
}

TEST_CASE("a campaign that waits for outcomes looks ever less often") {
  stage s{10};
  while (s.released.size() < 10)
    REQUIRE(s.tick());
  const auto from = s.now;
  int looks = 0;
  for (; s.now < from + 60s; ++looks)
    REQUIRE(s.tick());
  CHECK(looks <= 25);
  s.tally.sent = 10;
  REQUIRE(s.tick());
  CHECK(s.machine().state() == phase::done);
}

TEST_CASE("a copy that is gone with its chat does not keep a campaign open") {
  stage s{10};
  while (s.released.size() < 10)
    REQUIRE(s.tick());
  s.tally.sent = 9;
  const auto from = s.now;
  while (s.tick())
    REQUIRE(s.now < from + 2h);
  CHECK(s.machine().state() == phase::done);
  CHECK(s.now >= from + 1h);
  CHECK(why(s).find("no outcome") != std::string::npos);
}

TEST_CASE("what is no campaign is refused") {
  const json::object good{{"method", "sendMessage"},
                          {"params", json::object{{"text", "hi"}}}};
  CHECK(campaign::start(good, start_at, {}).has_value());
  auto bad = [&](const char* name, json::value value) {
    INFO(name);
    auto command = good;
    command[name] = std::move(value);
    auto c = campaign::start(command, start_at, {});
    REQUIRE_FALSE(c.has_value());
    CHECK(c.error().code == errc::bad_input);
  };
  bad("method", "getMe");
  bad("method", "send message");
  bad("params", "text");
  bad("params", json::object{{"chat_id", 1}});
  bad("params", json::object{{"text", std::string(70'000, 'x')}});
  bad("audience", "everybody");
  bad("rate", -1);
  bad("name", json::value(std::string(65, 'x')));
  // What would else be read as nobody, and so as all, or as now.
  bad("audience", json::array{"lang=de"});
  bad("dry_run", "true");
  bad("dryrun", true);
  bad("at_ms", "1767200000000");
  bad("at_ms", -1);
  bad("request", "");
  bad("request", "two words");
  bad("request", json::value(std::string(129, 'r')));
  bad("at_ms", std::int64_t{9'000'000'000'000'000'000});
  CHECK(campaign::read("{}").error().code == errc::corrupt);
  CHECK(campaign::read("").error().code == errc::corrupt);
}
