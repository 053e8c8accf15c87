#include <atomic>

#include "store/faulty.hpp"
#include "tests/actors/broadcast_rig.hpp"

using namespace troupe;
using namespace troupe::testing;

// Campaigns on a whole node: from the command to the last outcome.

TEST_CASE("a campaign reaches each member once, and marks who is gone") {
  telegram_double telegram{[](const auto& c, int) {
    std::optional<http::response> no;
    if (c.chat == 17) {
      no.emplace();
      no->status = 403;
      no->body = R"({"ok":false,"error_code":403,)"
                 R"("description":"Forbidden: bot was blocked by the user"})";
    }
    return no;
  }};
  auto s = memory_store();
  seed(*s, 300);
  rig r{fast(), std::make_shared<counter_bot>(), std::move(s), telegram.url()};
  start(r);
  REQUIRE(ends(r));
  const auto page = page_of(r);
  CHECK(count(page, "total") == 300);
  CHECK(count(page, "sent") == 299);
  CHECK(count(page, "blocked") == 1);
  for (std::int64_t i = 1; i <= 300; ++i)
    CHECK(telegram.texts(i).size() == (i == 17 ? 0 : 1));
  const auto all = r.stats().at("campaigns").as_array();
  REQUIRE(all.size() == 1);
  CHECK(all[0].at("name") == "news");
  // The next one leaves out who is gone.
  CHECK(
      answer_to<std::string>([&](auto done) {
        r.node().start_campaign(
            R"({"method":"sendMessage","params":{"text":"hi"},"dry_run":true})",
            done);
      }).has_value());
  CHECK(eventually([&] { return page_of(r, 2).at("state") == "done"; }));
  CHECK(count(page_of(r, 2), "total") == 299);
  CHECK(telegram.accepted() == 299);
}

TEST_CASE("a campaign is paused, resumed and cancelled") {
  telegram_double telegram;
  auto s = memory_store();
  seed(*s, 4'000);
  rig r{fast(), std::make_shared<counter_bot>(), std::move(s), telegram.url()};
  start(r, R"(,"rate":40)");
  CHECK(eventually([&] { return telegram.accepted() >= 20; }));
  steer(r, "pause");
  CHECK(eventually([&] { return page_of(r).at("state") == "paused"; }));
  const auto page = page_of(r);
  CHECK(eventually([&] {
    return std::int64_t(telegram.accepted()) == count(page_of(r), "released");
  }));
  pass_time(r, 2);
  CHECK(count(page_of(r), "released") == count(page, "released"));
  steer(r, "resume");
  CHECK(eventually(
      [&] { return count(page_of(r), "released") > count(page, "released"); }));
  steer(r, "cancel");
  CHECK(eventually([&] { return page_of(r).at("state") == "cancelled"; }));
  const auto last = page_of(r);
  pass_time(r, 3);
  CHECK(count(page_of(r), "released") == count(last, "released"));
  CHECK(answer_to<std::string>(
            [&](auto done) { r.node().steer_campaign(9, "pause", done); })
            .error()
            .code == errc::not_found);
  CHECK(answer_to<std::string>([&](auto done) {
          r.node().start_campaign(R"({"method":"getMe"})", done);
        })
            .error()
            .code == errc::bad_input);
}

TEST_CASE("G4 G5: a campaign goes on after a restart, wherever it was") {
  const auto at = GENERATE(0U, 1U, 20U, 50U, 79U);
  INFO("restarted after " << at << " calls");
  constexpr std::int64_t members = 80;
  folder dir;
  telegram_double telegram;
  {
    auto s = sqlite_store(dir / "db");
    seed(*s, members);
    rig r{fast(), std::make_shared<counter_bot>(), std::move(s),
          telegram.url()};
    start(r, R"(,"rate":100)");
    CHECK(eventually([&] { return telegram.calls().size() >= at; }));
  }
  rig r{fast(), std::make_shared<counter_bot>(), sqlite_store(dir / "db"),
        telegram.url()};
  REQUIRE(ends(r));
  check_each_once(telegram, r, members);
}

TEST_CASE("G4 G5: whichever store operation of a campaign fails") {
  using what = store::fault::what;
  constexpr std::int64_t members = 5;
  const auto kind = GENERATE(what::fail, what::commit_then_error);
  // Counted from before its start: its acceptance and number are among them.
  for (std::uint64_t n = 1; n <= 40; ++n) {
    INFO("operation " << n << (kind == what::fail ? " not done" : " done"));
    telegram_double telegram;
    auto inner = memory_store(2);
    seed(*inner, members);
    auto& behind = *inner;
    auto broken = std::make_unique<store::faulty>(std::move(inner));
    auto& s = *broken;
    rig r{fast(), std::make_shared<counter_bot>(), std::move(broken),
          telegram.url()};
    s.at(s.operations() + n, store::fault{kind, 1, {}});
    CHECK(begin(r, "once").at("id") == 1);
    REQUIRE(ends_in(behind));
    s.heal();
    check_each_once(telegram, r, members);
    auto record = answer_to<std::vector<store::chat_record>>(
        [&](auto done) { behind.load({chat_key::campaign(2)}, done); });
    CHECK(record.value().front().version == 0);
  }
}

TEST_CASE("G4: whichever store operation fails, a campaign is steered") {
  using what = store::fault::what;
  const auto kind = GENERATE(what::fail, what::commit_then_error);
  for (std::uint64_t n = 1; n <= 8; ++n) {
    INFO("operation " << n << (kind == what::fail ? " not done" : " done"));
    telegram_double telegram;
    auto inner = memory_store(2);
    seed(*inner, 2'000);
    auto broken = std::make_unique<store::faulty>(std::move(inner));
    auto& s = *broken;
    rig r{fast(), std::make_shared<counter_bot>(), std::move(broken),
          telegram.url()};
    begin(r, "steered", R"(,"rate":100)");
    auto until = [&](const char* word, const char* state) {
      s.at(s.operations() + n, store::fault{kind, 1, {}});
      CHECK(eventually([&] {
        return answer_to<std::string>(
                   [&](auto done) { r.node().steer_campaign(1, word, done); })
            .has_value();
      }));
      CHECK(eventually([&] { return page_of(r).at("state") == state; }));
      s.heal();
    };
    CHECK(eventually([&] { return telegram.accepted() > 0; }));
    until("pause", "paused");
    until("resume", "running");
    until("cancel", "cancelled");
    CHECK(eventually([&] {
      return std::int64_t(telegram.accepted()) == count(page_of(r), "released");
    }));
    for (std::int64_t i = 1; i <= 2'000; ++i)
      CHECK(telegram.texts(i).size() <= 1);
  }
}

TEST_CASE("a start that is repeated begins no second campaign") {
  telegram_double telegram;
  auto s = memory_store();
  seed(*s, 20);
  rig r{fast(), std::make_shared<counter_bot>(), std::move(s), telegram.url()};
  CHECK(begin(r, "monday").at("id") == 1);
  CHECK(begin(r, "monday").at("id") == 1);
  REQUIRE(ends(r));
  CHECK(begin(r, "monday").at("state") == "done");
  // Another campaign under that key is a mistake of the caller's.
  const auto other = answer_to<std::string>([&](auto done) {
    r.node().start_campaign(R"({"method":"sendMessage","params":{"text":"ho"},)"
                            R"("request":"monday"})",
                            done);
  });
  REQUIRE_FALSE(other.has_value());
  CHECK(other.error().code == errc::conflict);
  CHECK(begin(r, "tuesday").at("id") == 2);
  CHECK(eventually([&] { return page_of(r, 2).at("state") == "done"; }));
  CHECK(telegram.accepted() == 40);
}

TEST_CASE("starts at one moment with one key begin one campaign") {
  telegram_double telegram;
  auto s = memory_store();
  seed(*s, 20);
  rig r{fast(), std::make_shared<counter_bot>(), std::move(s), telegram.url()};
  constexpr std::size_t many = 8;
  std::vector<std::promise<result<std::string>>> pages(many);
  for (auto& p : pages)
    r.node().start_campaign(
        R"({"method":"sendMessage","params":{"text":"hi"},)"
        R"("request":"monday"})",
        [&p](result<std::string> page) { p.set_value(std::move(page)); });
  for (auto& p : pages)
    CHECK(parse_json(p.get_future().get().value()).value().at("id") == 1);
  REQUIRE(ends(r));
  CHECK(telegram.accepted() == 20);
}

TEST_CASE("an outage in its middle pauses a campaign, and a person resumes") {
  std::atomic<bool> away{false};
  telegram_double telegram{[&](const auto&, int) {
    std::optional<http::response> no;
    if (away) {
      no.emplace();
      no->status = 502;
      no->body = "Bad Gateway";
    }
    return no;
  }};
  constexpr std::int64_t members = 2'000;
  auto s = memory_store();
  seed(*s, members);
  rig r{fast(), std::make_shared<counter_bot>(), std::move(s), telegram.url()};
  start(r, R"(,"rate":200)");
  CHECK(eventually([&] { return telegram.accepted() >= 300; }));
  away = true;
  REQUIRE(eventually([&] { return page_of(r).at("state") == "paused"; }));
  const auto page = page_of(r);
  CHECK(page.contains("why"));
  CHECK(count(page, "released") < members);
  // Counted after the record says so.
  CHECK(
      eventually([&] { return r.metric("troupe_campaign_pauses_total") > 0; }));
  CHECK(r.metric("troupe_campaign_pauses_total") == 1);
  CHECK(eventually([&] { return r.metric("troupe_campaign_running") == 0; }));
  away = false;
  steer(r, "resume");
  REQUIRE(ends(r));
  check_each_once(telegram, r, members);
  const auto last = page_of(r);
  // What may be open, twice: before it was noticed, and what was tried.
  CHECK(count(last, "unknown") <= 2 * 400 + 10);
  CHECK(r.metric(R"(troupe_campaign_calls_total{outcome="sent"})") ==
        double(count(last, "sent")));
  CHECK(r.metric(R"(troupe_campaign_calls_total{outcome="unknown"})") ==
        double(count(last, "unknown")));
}

TEST_CASE("a copy without an answer is repeated only if the campaign says so") {
  const bool repeat = GENERATE(false, true);
  std::atomic<int> lost{0};
  telegram_double telegram{[&](const auto& c, int) {
    std::optional<http::response> no;
    if (c.chat == 3 && lost++ == 0) {
      no.emplace();
      no->status = 502;
      no->body = "Bad Gateway";
    }
    return no;
  }};
  auto s = memory_store();
  seed(*s, 10);
  rig r{fast(), std::make_shared<counter_bot>(), std::move(s), telegram.url()};
  start(r, repeat ? R"(,"repeat":true)" : "");
  REQUIRE(ends(r));
  CHECK(count(page_of(r), "sent") == (repeat ? 10 : 9));
  CHECK(count(page_of(r), "unknown") == (repeat ? 0 : 1));
  CHECK(lost == (repeat ? 2 : 1));
  CHECK(telegram.texts(3).size() == (repeat ? 1 : 0));
}

TEST_CASE("the limits as they are now pace a new campaign") {
  telegram_double telegram;
  auto s = memory_store();
  seed(*s, 5);
  auto how = fast();
  how.limits.bulk_per_second = 20;
  rig r{how, std::make_shared<counter_bot>(), std::move(s), telegram.url()};
  CHECK(count(begin(r, "a", R"(,"dry_run":true)"), "rate") == 20);
  how.limits.bulk_per_second = 7;
  r.node().configure(how.limits, {});
  CHECK(count(begin(r, "b", R"(,"dry_run":true)"), "rate") == 7);
}
