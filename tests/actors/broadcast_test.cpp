#include "store/faulty.hpp"
#include "tests/actors/rig.hpp"
#include "tests/support/catch.hpp"

using namespace troupe;
using namespace troupe::testing;

// Campaigns on a whole node: from the command to the last outcome.

namespace {

template <class T, class Start>
result<T> answer_to(Start start) {
  std::promise<result<T>> p;
  start([&](result<T> r) { p.set_value(std::move(r)); });
  return p.get_future().get();
}

/// Puts private chats 1 to `members` into the audience.
void seed(store::backend& s, std::int64_t members) {
  const auto key = chat_key::chat(1);
  const auto shard = shard_of(key, s.shards());
  auto held = answer_to<std::vector<store::lease>>([&](auto done) {
                s.claim({shard}, "seed", 60s, done);
              }).value();
  auto got =
      answer_to<std::vector<store::receipt>>([&](auto done) {
        s.accept({{{1}, key, store::make_payload("{}"), system_clock().wall()}},
                 done);
      }).value();
  store::turn t;
  t.key = key;
  t.seq = got.front().seq;
  for (std::int64_t i = 1; i <= members; ++i)
    t.audience.push_back(
        {chat_key::chat(i), store::audience_status::active, "de"});
  REQUIRE(answer_to<std::vector<store::turn_receipt>>([&](auto done) {
            s.commit(held.front(), {t}, done);
          }).has_value());
  REQUIRE(
      answer_to<void>([&](auto done) { s.release(held, done); }).has_value());
}

json::object page_of(rig& r, std::int64_t number = 1) {
  for (;;) {
    auto page = answer_to<std::string>(
        [&](auto done) { r.node().campaigns(number, done); });
    if (page)
      return parse_json(*page).value().as_object();
  }
}

std::int64_t count(const json::object& page, const char* name) {
  return page.at(name).to_number<std::int64_t>();
}

void start(rig& r, const char* more = "") {
  auto page = answer_to<std::string>([&](auto done) {
    r.node().start_campaign(
        R"({"name":"news","method":"sendMessage","params":{"text":"hi"})" +
            std::string{more} + "}",
        done);
  });
  REQUIRE(page.has_value());
  CHECK(parse_json(*page).value().at("id") == 1);
}

/// Read past whatever stands before the store: no operation of the node's.
bool ends_in(store::backend& s) {
  return eventually([&] {
    auto of = answer_to<std::vector<store::chat_record>>(
        [&](auto done) { s.load({chat_key::campaign(1)}, done); });
    return of &&
           of->front().state.find(R"("state":"done")") != std::string::npos;
  });
}

bool ends(rig& r) {
  return eventually([&] { return page_of(r).at("state") == "done"; });
}

void steer(rig& r, const char* what) {
  REQUIRE(answer_to<std::string>([&](auto done) {
            r.node().steer_campaign(1, what, done);
          }).has_value());
}

/// Nobody twice, and nobody left out who is not counted.
void check_each_once(telegram_double& telegram, rig& r, std::int64_t members) {
  const auto page = page_of(r);
  std::int64_t missed = 0;
  for (std::int64_t i = 1; i <= members; ++i) {
    CHECK(telegram.texts(i).size() <= 1);
    missed += telegram.texts(i).empty() ? 1 : 0;
  }
  CHECK(count(page, "sent") + count(page, "unknown") == members);
  CHECK(count(page, "released") == members);
  CHECK(missed <= count(page, "unknown"));
  CHECK(r.stats().at("store").at("outbox") == 0);
}

}  // namespace

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
  CHECK(count(page, "released") < 4'000);
  CHECK(eventually([&] {
    return std::int64_t(telegram.accepted()) == count(page_of(r), "released");
  }));
  CHECK(count(page_of(r), "released") == count(page, "released"));
  steer(r, "resume");
  CHECK(eventually(
      [&] { return count(page_of(r), "released") > count(page, "released"); }));
  steer(r, "cancel");
  CHECK(eventually([&] { return page_of(r).at("state") == "cancelled"; }));
  CHECK(count(page_of(r), "released") < 4'000);
  CHECK(answer_to<std::string>(
            [&](auto done) { r.node().steer_campaign(2, "pause", done); })
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
  for (std::uint64_t n = 1; n <= 32; ++n) {
    INFO("operation " << n << (kind == what::fail ? " not done" : " done"));
    telegram_double telegram;
    auto inner = memory_store(2);
    seed(*inner, members);
    auto& behind = *inner;
    auto broken = std::make_unique<store::faulty>(std::move(inner));
    auto& s = *broken;
    rig r{fast(), std::make_shared<counter_bot>(), std::move(broken),
          telegram.url()};
    start(r);
    s.at(s.operations() + n, store::fault{kind, 1, {}});
    REQUIRE(ends_in(behind));
    s.heal();
    check_each_once(telegram, r, members);
  }
}
