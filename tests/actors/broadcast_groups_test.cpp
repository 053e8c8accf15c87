#include <troupe/bot.hpp>

#include "tests/actors/broadcast_rig.hpp"

using namespace troupe;
using namespace troupe::testing;

// Campaigns to groups, and groups that become supergroups meanwhile.

namespace {

constexpr std::int64_t old_id = -5;
constexpr std::int64_t new_id = -1'000'000'000'005;

/// Telegram, since the group has moved.
std::optional<http::response> moved(const telegram_double::call& c, int) {
  std::optional<http::response> no;
  if (c.chat != old_id)
    return no;
  no.emplace();
  no->status = 400;
  no->body = R"({"ok":false,"error_code":400,"description":"Bad Request: )"
             R"(group chat was upgraded to a supergroup chat",)"
             R"("parameters":{"migrate_to_chat_id":-1000000000005}})";
  return no;
}

auto silent_bot() {
  return bot<std::monostate>{
      [](chat<std::monostate>*) -> behavior { return {[](const notice&) {}}; }}
      .share();
}

std::string service_message(std::int64_t id, std::int64_t chat,
                            const std::string& field, std::int64_t other) {
  return R"({"update_id":)" + std::to_string(id) +
         R"(,"message":{"message_id":1,"date":1,"chat":{"id":)" +
         std::to_string(chat) + R"(,"type":"group"},")" + field +
         "\":" + std::to_string(other) + "}}";
}

std::map<std::int64_t, store::audience_status> standings(rig& r) {
  auto all = answer_to<std::vector<store::member>>(
      [&](auto done) { r.store().audience({}, 1'000, done); });
  std::map<std::int64_t, store::audience_status> out;
  for (auto& m : all.value())
    out[m.key.id] = m.status;
  return out;
}

}  // namespace

TEST_CASE("a campaign is for groups if it says so") {
  telegram_double telegram;
  auto s = memory_store();
  seed(*s, {1, 2, -3, -1'000'000'000'004});
  rig r{fast(), std::make_shared<counter_bot>(), std::move(s), telegram.url()};
  start(r, R"(,"audience":"kind=group")");
  REQUIRE(ends(r));
  CHECK(telegram.accepted() == 2);
  CHECK(telegram.texts(-3).size() == 1);
  CHECK(telegram.texts(-1'000'000'000'004).size() == 1);
}

TEST_CASE("a group that moved and was silent since has one copy, where it is") {
  telegram_double telegram{moved};
  auto s = memory_store();
  seed(*s, {old_id, -6, -7});
  rig r{fast(), std::make_shared<counter_bot>(), std::move(s), telegram.url()};
  start(r, R"(,"audience":"kind=group")");
  REQUIRE(ends(r));
  CHECK(count(page_of(r), "sent") == 3);
  CHECK(telegram.accepted() == 3);
  CHECK(telegram.texts(new_id).size() == 1);
  auto who = standings(r);
  CHECK(who.at(old_id) == store::audience_status::migrated);
  CHECK(who.at(new_id) == store::audience_status::active);
  // The next one meets it there.
  CHECK(count(begin(r, "next", R"(,"audience":"kind=group","dry_run":true)"),
              "id") == 2);
  CHECK(eventually([&] { return page_of(r, 2).at("state") == "done"; }));
  CHECK(count(page_of(r, 2), "total") == 3);
}

TEST_CASE("a group that is a member under both its ids has one copy") {
  telegram_double telegram{moved};
  auto s = memory_store();
  seed(*s, {old_id, -6});
  rig r{fast(), std::make_shared<counter_bot>(), std::move(s), telegram.url()};
  // It writes where it is; that it moved was never told.
  CHECK(r.post_and_wait(text_update(50, new_id, "hi")) == 200);
  CHECK(eventually([&] { return telegram.texts(new_id).size() == 1; }));
  CHECK(eventually([&] { return standings(r).contains(new_id); }));
  start(r, R"(,"audience":"kind=group")");
  REQUIRE(ends(r));
  CHECK(telegram.texts(new_id).size() == 2);  // and the reply
  CHECK(telegram.texts(-6).size() == 1);
  const auto page = page_of(r);
  CHECK(count(page, "sent") == 2);
  CHECK(count(page, "blocked") == 1);
  CHECK(standings(r).at(old_id) == store::audience_status::migrated);
}

TEST_CASE("either message of a move makes the audience right") {
  const bool in_the_old = GENERATE(true, false);
  telegram_double telegram;
  auto s = memory_store();
  seed(*s, {old_id});
  rig r{fast(), silent_bot(), std::move(s), telegram.url()};
  CHECK(r.post_and_wait(
            in_the_old
                ? service_message(51, old_id, "migrate_to_chat_id", new_id)
                : service_message(52, new_id, "migrate_from_chat_id",
                                  old_id)) == 200);
  CHECK(eventually([&] {
    auto who = standings(r);
    return who.contains(new_id) &&
           who.at(new_id) == store::audience_status::active &&
           who.at(old_id) == store::audience_status::migrated;
  }));
}
