#include <troupe/bot.hpp>

#include "tests/actors/cluster_rig.hpp"

using namespace troupe;
using namespace troupe::testing;

namespace {

constexpr unsigned per_second = 10;

actors::node_options limited(const std::string& name) {
  auto how = hasty(name);
  how.limits.global_per_second = per_second;
  // A slow machine may be slow to take a call, too.
  how.limits.margin = 3s;
  return how;
}

/// The most calls that arrived within one second, to one chat or to all.
std::size_t densest(const telegram_double& telegram, std::int64_t chat = 0) {
  auto calls = telegram.calls();
  if (chat != 0)
    std::erase_if(calls, [&](auto& c) { return c.chat != chat; });
  std::sort(calls.begin(), calls.end(),
            [](auto& a, auto& b) { return a.at < b.at; });
  std::size_t most = 0, from = 0;
  for (std::size_t to = 0; to < calls.size(); ++to) {
    while (calls[to].at - calls[from].at >= 1s)
      ++from;
    most = std::max(most, to - from + 1);
  }
  return most;
}

int slices_of(rig& node) {
  return node.stats().at("global_limit").at("slices").to_number<int>();
}

}  // namespace

TEST_CASE("G7: the nodes of a cluster keep the bot's budget together") {
  constexpr std::int64_t chats = 60;
  telegram_double telegram;
  auto a = std::make_unique<rig>(limited("a"), std::make_shared<counter_bot>(),
                                 way_to("budget"), telegram.url());
  rig b{limited("b"), std::make_shared<counter_bot>(), way_to("budget"),
        telegram.url()};
  REQUIRE(settled({a.get(), &b}));
  REQUIRE(eventually([&] { return slices_of(*a) > 0 && slices_of(b) > 0; }));
  CHECK(a->stats().at("global_limit").at("slices_of") == per_second);
  for (std::int64_t chat = 1; chat <= chats; ++chat)
    (chat % 2 ? *a : b).post(text_update(chat, chat, "x"));
  REQUIRE(a->settle());
  REQUIRE(b.settle());
  CHECK(eventually([&] { return telegram.accepted() >= chats / 2; }));
  a.reset();  // its share comes back when its leases have run out
  for (std::int64_t chat = 1; chat <= chats; ++chat) {
    CHECK(eventually([&] { return !telegram.texts(chat).empty(); }));
    CHECK(first_sights(telegram.texts(chat)) == counted({"x"}));
  }
  CHECK(eventually([&] { return slices_of(b) == int(per_second); }));
  CHECK(densest(telegram) <= per_second);
}

TEST_CASE("who gave a shard up asks for no part of the budget for it") {
  constexpr std::int64_t chats = 60;
  telegram_double telegram;
  // Whatever was sent counts for a minute: what waits, waits.
  auto held_up = patient("a");
  held_up.limits.global_per_second = per_second;
  held_up.limits.margin = 60s;
  rig a{held_up, std::make_shared<counter_bot>(), way_to("given up"),
        telegram.url()};
  REQUIRE(settled({&a}));
  for (std::int64_t chat = 1; chat <= chats; ++chat)
    a.post(text_update(chat, chat, "x"));
  REQUIRE(a.settle());
  const auto waiting = [](rig& node) {
    return node.stats().at("global_limit").at("waiting").to_number<int>();
  };
  REQUIRE(eventually([&] { return waiting(a) > chats / 2; }));
  held_up.name = "b";
  rig b{held_up, std::make_shared<counter_bot>(), way_to("given up"),
        telegram.url()};
  REQUIRE(settled({&a, &b}));
  const auto still_its_own = [&] {
    int n = 0;
    const auto shards = owned_by(a);
    for (std::int64_t chat = 1; chat <= chats; ++chat)
      n += shards.contains(shard_of(chat_key::chat(chat), cluster_shards).value)
               ? 1
               : 0;
    return n;
  };
  REQUIRE(still_its_own() < chats / 2 + chats / 3);
  CHECK(eventually([&] { return waiting(a) <= still_its_own(); }));
}

TEST_CASE("who has the traffic has most of the budget") {
  telegram_double telegram;
  rig a{limited("a"), std::make_shared<counter_bot>(), way_to("demand"),
        telegram.url()};
  rig b{limited("b"), std::make_shared<counter_bot>(), way_to("demand"),
        telegram.url()};
  REQUIRE(settled({&a, &b}));
  constexpr int half = per_second / 2;
  REQUIRE(
      eventually([&] { return slices_of(a) == half && slices_of(b) == half; }));
  // To chats of a's shards only, until a has what b does not need.
  const auto shards = owned_by(a);
  std::int64_t id = 0, chat = 0;
  CHECK(eventually([&] {
    const auto waiting = a.stats().at("global_limit").at("waiting");
    for (int i = 0; i < 5 && waiting.to_number<int>() < 20; ++i) {
      do {
        ++chat;
      } while (!shards.contains(
          shard_of(chat_key::chat(chat), cluster_shards).value));
      a.post(text_update(++id, chat, "x"));
    }
    return slices_of(a) > int(per_second) * 7 / 10;
  }));
  CHECK(eventually([&] { return slices_of(b) == 1; }));
  CHECK(densest(telegram) <= per_second);
}

TEST_CASE("G7: chats of all nodes that write to one keep its limit together") {
  constexpr std::int64_t all = 20, admin = 500;
  telegram_double telegram;
  auto how_a = patient("a");
  auto how_b = patient("b");
  how_a.limits.chat_per_second = how_b.limits.chat_per_second = 5;
  how_a.limits.margin = how_b.limits.margin = 3s;
  rig a{how_a, std::make_shared<counter_bot>(), way_to("admin"),
        telegram.url()};
  rig b{how_b, std::make_shared<counter_bot>(), way_to("admin"),
        telegram.url()};
  REQUIRE(settled({&a, &b}));
  for (std::int64_t chat = 1; chat <= all; ++chat)
    (chat % 2 ? a : b)
        .post(text_update(chat, chat, "tell " + std::to_string(admin)));
  REQUIRE(a.settle());
  REQUIRE(b.settle());
  CHECK(eventually([&] { return telegram.texts(admin).size() == all; }, 120s));
  auto texts = telegram.texts(admin);
  std::sort(texts.begin(), texts.end());
  CHECK(std::unique(texts.begin(), texts.end()) == texts.end());
  CHECK(densest(telegram, admin) <= 5);
}

namespace {

/// Tells chat 500 three things, the second one with a label.
auto reporter() {
  return bot<std::monostate>{[](chat<std::monostate>* ctx) -> behavior {
           return {
               [=](const text_message& m) {
                 ctx->reply(m.text + " 1").to(500);
                 ctx->reply(m.text + " 2").to(500).as("report");
                 ctx->reply(m.text + " 3").to(500);
               },
               [=](const sent& s) { ctx->reply("done " + s.label); },
           };
         }}
      .share();
}

}  // namespace

TEST_CASE("a labelled call to a chat of another shard comes back, in order") {
  telegram_double telegram;
  rig a{patient("a"), reporter(), way_to("report"), telegram.url()};
  rig b{patient("b"), reporter(), way_to("report"), telegram.url()};
  REQUIRE(settled({&a, &b}));
  for (std::int64_t chat = 1; chat <= 6; ++chat) {
    const auto texts = [&] { return telegram.texts(500); };
    const auto before = texts().size();
    REQUIRE(a.post_and_wait(text_update(chat, chat, std::to_string(chat))) ==
            200);
    REQUIRE(eventually([&] { return texts().size() == before + 3; }));
    for (std::size_t i = 0; i < 3; ++i)
      CHECK(texts()[before + i] ==
            std::to_string(chat) + ' ' + std::to_string(i + 1));
    CHECK(eventually([&] {
      return telegram.texts(chat) == std::vector<std::string>{"done report"};
    }));
  }
}
