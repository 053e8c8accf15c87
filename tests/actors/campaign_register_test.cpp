#include "actors/campaign_register.hpp"

#include "actors/campaign.hpp"
#include "tests/support/catch.hpp"

using namespace troupe;
using namespace troupe::actors;

namespace {

const auto now = from_ms(1'700'000'000'000);

store::entry start_entry(const std::string& request,
                         const std::string& text = "hi") {
  store::entry e;
  e.type = store::entry_kind::update;
  e.body = store::make_payload(
      json::serialize(json::object{{"do", "start"},
                                   {"request", request},
                                   {"method", "sendMessage"},
                                   {"params", json::object{{"text", text}}}}));
  return e;
}

campaign_step number(const std::string& state, const store::entry& e) {
  return turn_campaign_entry(0, state, e, now, {}).value();
}

}  // namespace

TEST_CASE("the register numbers campaigns, and hands them their command") {
  auto first = number("", start_entry("a"));
  auto second = number(first.state, start_entry("b"));
  CHECK(campaign_register::read(second.state).last() == 2);
  REQUIRE(second.notices.size() == 1);
  CHECK(second.notices[0].to == chat_key::campaign(2));
  store::entry told;
  told.type = store::entry_kind::notice;
  told.body = store::make_payload(json::serialize(
      json::object{{"from", "campaign:0"}, {"text", second.notices[0].text}}));
  auto begun = turn_campaign_entry(2, "", told, now, {}).value();
  CHECK(campaign::read(begun.state).has_value());
  CHECK(begun.next == now);
  CHECK(begun.under_way);
  // Told twice, or what it does not know: refused.
  CHECK_FALSE(turn_campaign_entry(2, begun.state, told, now, {}).has_value());
  auto e = start_entry("c");
  e.body = store::make_payload(R"({"do":"explode"})");
  CHECK_FALSE(turn_campaign_entry(2, begun.state, e, now, {}).has_value());
  CHECK_FALSE(turn_campaign_entry(0, "", e, now, {}).has_value());
  e.body = store::make_payload(R"({"do":"start","method":"sendMessage"})");
  CHECK_FALSE(turn_campaign_entry(0, "", e, now, {}).has_value());
  e.body = store::make_payload("[");
  CHECK_FALSE(turn_campaign_entry(2, begun.state, e, now, {}).has_value());
}

TEST_CASE("a request that is repeated begins no second campaign") {
  auto first = number("", start_entry("a"));
  CHECK(first.notices.size() == 1);
  auto again = number(first.state, start_entry("a"));
  CHECK(again.notices.empty());
  CHECK(again.state == first.state);
  const auto known = campaign_register::read(again.state);
  REQUIRE(known.find("a") != nullptr);
  CHECK(known.find("a")->number == 1);
  CHECK(known.find("b") == nullptr);
}

TEST_CASE("the register remembers the latest requests, and no more") {
  std::string state;
  for (int i = 1; i <= 150; ++i)
    state = number(state, start_entry("r" + std::to_string(i))).state;
  const auto all = campaign_register::read(state);
  CHECK(all.last() == 150);
  CHECK(all.find("r50") == nullptr);
  REQUIRE(all.find("r51") != nullptr);
  CHECK(all.find("r51")->number == 51);
  CHECK(state.size() < 10'000);
}

TEST_CASE("a start is told by what it asks for, but for its time") {
  const json::object one{{"method", "sendMessage"},
                         {"params", json::object{{"text", "hi"}}},
                         {"request", "a"},
                         {"at_ms", 1}};
  auto later = one;
  later["at_ms"] = 2;
  later["request"] = "b";
  later["do"] = "start";
  CHECK(campaign_digest(one) == campaign_digest(later));
  auto other = one;
  other["params"] = json::object{{"text", "ho"}};
  CHECK(campaign_digest(one) != campaign_digest(other));
  other = one;
  other["dry_run"] = true;
  CHECK(campaign_digest(one) != campaign_digest(other));
}

TEST_CASE("start commands have ids of their own, the same at each repeat") {
  CHECK(campaign_start_id("a") == campaign_start_id("a"));
  CHECK_FALSE(campaign_start_id("a") == campaign_start_id("b"));
  // Those of other commands are milliseconds times 1024.
  const auto by_time = -(std::int64_t{1'800'000'000'000} * 1'024);
  for (int i = 0; i < 1'000; ++i) {
    const auto id = campaign_start_id("r" + std::to_string(i)).value;
    CHECK(id < by_time);
    CHECK(id > -(std::int64_t{1} << 53));
  }
}
