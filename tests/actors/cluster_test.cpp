#include "actors/placement.hpp"
#include "tests/actors/cluster_rig.hpp"

using namespace troupe;
using namespace troupe::testing;

namespace {

auto bot() {
  return std::make_shared<counter_bot>();
}

http::response bad_gateway() {
  http::response r;
  r.status = 502;
  r.body = R"({"ok":false,"error_code":502,"description":"Bad Gateway"})";
  return r;
}

/// Keeps every call under way for a while.
std::optional<http::response> slowly(const telegram_double::call&, int) {
  std::this_thread::sleep_for(3ms);
  return {};
}

/// What the limiter of a chat waits for.
std::string limiter_of(rig& node, const chat_key& key) {
  std::promise<std::string> page;
  node.node().chat_stats(
      key, [&](auto r) { page.set_value(r ? *r : R"({"limiter":"none"})"); });
  auto text = parse_json(page.get_future().get()).value();
  return std::string{text.at("limiter").as_string()};
}

/// A private chat of one of these shards.
std::int64_t chat_in(const std::map<std::int64_t, std::int64_t>& shards) {
  for (std::int64_t id = 1;; ++id)
    if (shards.contains(shard_of(chat_key::chat(id), cluster_shards).value))
      return id;
}

}  // namespace

TEST_CASE("G6: nodes share the shards, and each shard has one owner") {
  telegram_double telegram;
  rig a{patient("a"), bot(), way_to("share"), telegram.url()};
  REQUIRE(settled({&a}));
  rig b{patient("b"), bot(), way_to("share"), telegram.url()};
  CHECK(settled({&a, &b}));
  rig c{patient("c"), bot(), way_to("share"), telegram.url()};
  CHECK(settled({&a, &b, &c}));
  CHECK(c.stats().at("cluster").at("nodes").as_array().size() == 3);
  CHECK(a.total("leases_lost") == 0);
}

TEST_CASE("G1, G3: any node takes any update; the owner turns it, in order") {
  telegram_double telegram;
  rig a{patient("a"), bot(), way_to("any"), telegram.url()};
  rig b{patient("b"), bot(), way_to("any"), telegram.url()};
  REQUIRE(settled({&a, &b}));
  stream updates{10};
  for (int i = 0; i < 10; ++i)
    updates.round({&a, &b});
  CHECK(updates.complete(telegram, false));
  CHECK(a.total("turns_done") > 0);
  CHECK(b.total("turns_done") > 0);
  CHECK(a.total("turns_done") + b.total("turns_done") == 100);
}

TEST_CASE("G3, G5: a node that joins takes shards over, nothing is repeated") {
  telegram_double telegram{slowly};
  rig a{patient("a"), bot(), way_to("join"), telegram.url()};
  REQUIRE(settled({&a}));
  stream updates{10};
  for (int i = 0; i < 3; ++i)
    updates.round({&a});
  rig b{patient("b"), bot(), way_to("join"), telegram.url()};
  do {
    updates.round({&a, &b});
  } while (b.total("turns_done") < 10);
  CHECK(updates.complete(telegram, false));
  CHECK(a.total("handovers") > 0);
  CHECK(a.total("fenced") + b.total("fenced") == 0);
}

TEST_CASE("G3, G5: a node that drains hands over, nothing is repeated or cut") {
  telegram_double telegram{slowly};
  rig b{patient("b"), bot(), way_to("drain"), telegram.url()};
  stream updates{10};
  {
    rig a{patient("a"), bot(), way_to("drain"), telegram.url()};
    REQUIRE(settled({&a, &b}));
    for (int i = 0; i < 5; ++i)
      updates.round({&a, &b});
    CHECK(a.node().drain(60s));
    CHECK(a.post_and_wait(text_update(1'000, 1, "late")) == 503);
    CHECK(a.total("handovers") > 0);
    CHECK(settled({&b}));
    updates.round({&b});
  }
  updates.round({&b});
  CHECK(updates.complete(telegram, false));
  CHECK(b.total("leases_lost") == 0);
}

TEST_CASE("a node that drains keeps its shards until the others know") {
  telegram_double telegram;
  auto how = patient("a");
  how.cluster.beat = 2s;
  rig a{how, bot(), way_to("keep"), telegram.url()};
  REQUIRE(settled({&a}));
  auto other = way_to("keep");
  auto alive = [&] {
    std::promise<std::size_t> count;
    other->heartbeat({"z-other", "", "{}"}, 60s, [&](auto nodes) {
      count.set_value(nodes ? nodes->size() : 0);
    });
    return count.get_future().get();
  };
  REQUIRE(alive() == 2);
  // It gives up what should be the other's, and keeps the rest.
  REQUIRE(eventually([&] { return owned_by(a).size() < cluster_shards; }));
  const std::vector<std::string> names{
      std::string{a.stats().at("cluster").at("name").as_string()}, "z-other"};
  shard_id kept{0};
  while (actors::place(kept, names) != 0)
    ++kept.value;
  auto claimed = [&] {
    std::promise<std::size_t> count;
    other->claim({kept}, "z-other", 60s, [&](auto leases) {
      count.set_value(leases ? leases->size() : 0);
    });
    return count.get_future().get();
  };
  const auto from = std::chrono::steady_clock::now();
  auto drained =
      std::async(std::launch::async, [&] { return a.node().drain(60s); });
  REQUIRE(eventually([&] { return alive() == 1; }));
  const auto taken = claimed();
  // A machine that slow proves nothing.
  if (std::chrono::steady_clock::now() - from < 2s)
    CHECK(taken == 0);
  CHECK(drained.get());
  CHECK(claimed() == 1);
}

TEST_CASE("G3, G5: a node that dies is taken over from, in order") {
  telegram_double telegram;
  auto a =
      std::make_unique<rig>(hasty("a"), bot(), way_to("die"), telegram.url());
  rig b{hasty("b"), bot(), way_to("die"), telegram.url()};
  REQUIRE(settled({a.get(), &b}));
  stream updates{10};
  for (int i = 0; i < 5; ++i)
    updates.round({a.get(), &b});
  a.reset();  // without a drain: its leases run out
  for (int i = 0; i < 5; ++i)
    updates.round({&b});
  CHECK(updates.complete(telegram, true));
  CHECK(settled({&b}));
}

TEST_CASE(
    "G3, G5: a node cut off from the store loses nothing but its shards") {
  telegram_double telegram;
  auto way = way_to("cut");
  auto& store_of_a = *way;
  rig a{hasty("a"), bot(), std::move(way), telegram.url()};
  rig b{hasty("b"), bot(), way_to("cut"), telegram.url()};
  REQUIRE(settled({&a, &b}));
  stream updates{10};
  for (int i = 0; i < 3; ++i)
    updates.round({&a, &b});
  store_of_a.at(store_of_a.operations() + 1,
                {store::fault::what::fail, ~0ULL, {}});
  CHECK(a.post_and_wait(text_update(5'000, 1, "refused")) == 503);
  for (int i = 0; i < 3; ++i)
    updates.round({&b});
  CHECK(eventually([&] { return owned_by(b).size() == cluster_shards; }));
  store_of_a.heal();
  CHECK(settled({&a, &b}));
  CHECK(eventually([&] { return a.node().ready(); }));
  for (int i = 0; i < 3; ++i)
    updates.round({&a, &b});
  CHECK(updates.complete(telegram, true));
}

TEST_CASE(
    "a node is ready when it has its shards, and while it can renew them") {
  telegram_double telegram;
  auto way = way_to("ready");
  auto& store_of_a = *way;
  rig a{hasty("a"), bot(), std::move(way), telegram.url()};
  CHECK(eventually([&] { return a.node().ready(); }));
  CHECK(owned_by(a).size() == cluster_shards);
  {
    // One that comes later waits for what is handed over to it.
    rig b{hasty("b"), bot(), way_to("ready"), telegram.url()};
    REQUIRE(eventually([&] { return b.node().ready(); }));
    CHECK(!owned_by(b).empty());
    CHECK(b.node().drain(30s));
    CHECK_FALSE(b.node().ready());
  }
  // Its store hangs: renewals are answered, but for a while far too late.
  CHECK(eventually([&] { return a.node().ready(); }));
  store_of_a.at(store_of_a.operations() + 1,
                {store::fault::what::delay, 6, 4'000ms});
  CHECK(eventually([&] { return !a.node().ready(); }));
  CHECK(eventually([&] { return a.node().ready(); }));
}

TEST_CASE("G6: who can't renew stops sending before another may begin") {
  std::atomic<bool> answers{false};
  auto script = [&](auto&, int) -> std::optional<http::response> {
    if (answers)
      return {};
    return bad_gateway();
  };
  telegram_double of_a{script};
  telegram_double of_b;
  auto way = way_to("stop");
  auto& store_of_a = *way;
  auto how = hasty("a");
  how.sending.retry_max = 50ms;
  rig a{how, bot(), std::move(way), of_a.url()};
  rig b{hasty("b"), bot(), way_to("stop"), of_b.url()};
  REQUIRE(settled({&a, &b}));
  const auto chat = chat_in(owned_by(a));
  // Committed, tried every 50 ms, and refused by the server all the time.
  REQUIRE(a.post_and_wait(text_update(1, chat, "x")) == 200);
  REQUIRE(eventually([&] { return of_a.calls().size() > 2; }));
  store_of_a.fail_renewals(true);
  REQUIRE(eventually([&] { return of_b.texts(chat).size() == 1; }));
  // From here on the call is another's; it would be accepted by now.
  const auto tried = of_a.calls();
  answers = true;
  CHECK(of_b.calls().front().at > tried.back().at);
  std::this_thread::sleep_for(500ms);  // ten more tries
  CHECK(of_a.calls().size() == tried.size());
  CHECK(of_a.accepted() == 0);
  CHECK(a.total("held_back") > 0);
  store_of_a.fail_renewals(false);
  CHECK(settled({&a, &b}));
  CHECK(of_b.texts(chat) == counted({"x"}));
}

TEST_CASE("G6: a turn that outlives its lease leaves nothing behind") {
  telegram_double telegram;
  std::promise<void> open;
  auto gate = open.get_future().share();
  std::atomic<int> begun{0};
  auto way = way_to("outlive");
  auto& store_of_a = *way;
  auto waits = std::make_shared<counter_bot>([&, gate](const std::string& t) {
    if (t != "x")
      return;
    ++begun;
    gate.wait();
  });
  rig a{hasty("a"), waits, std::move(way), telegram.url()};
  rig b{hasty("b"), bot(), way_to("outlive"), telegram.url()};
  REQUIRE(settled({&a, &b}));
  const auto chat = chat_in(owned_by(a));
  REQUIRE(a.post_and_wait(text_update(1, chat, "x")) == 200);
  REQUIRE(eventually([&] { return begun == 1; }));
  store_of_a.fail_renewals(true);
  // The other node turns the same update, and one more.
  REQUIRE(b.post_and_wait(text_update(2, chat, "y")) == 200);
  REQUIRE(eventually([&] { return telegram.texts(chat).size() == 2; }));
  open.set_value();
  REQUIRE(eventually([&] { return a.total("held_back") > 0; }));
  store_of_a.fail_renewals(false);
  CHECK(settled({&a, &b}));
  REQUIRE(a.post_and_wait(text_update(3, chat, "z")) == 200);
  CHECK(eventually([&] { return telegram.texts(chat).size() == 3; }));
  CHECK(first_sights(telegram.texts(chat)) == counted({"x", "y", "z"}));
}

TEST_CASE("a shard's timers go with it, and fire once") {
  telegram_double telegram;
  rig b{hasty("b"), bot(), way_to("timers"), telegram.url()};
  auto a = std::make_unique<rig>(hasty("a"), bot(), way_to("timers"),
                                 telegram.url());
  REQUIRE(settled({a.get(), &b}));
  std::set<std::int64_t> chats;
  std::int64_t id = 1;
  for (std::int64_t chat = 1; chat <= 20; ++chat) {
    REQUIRE(a->post_and_wait(text_update(id++, chat, "soon")) == 200);
    chats.insert(chat);
  }
  a.reset();
  for (std::int64_t chat = 1; chat <= 20; ++chat) {
    INFO("chat " << chat);
    // A call that was under way when its node went is made again.
    CHECK(eventually(
        [&] { return first_sights(telegram.texts(chat)).size() >= 2; }));
    CHECK(first_sights(telegram.texts(chat)) ==
          std::vector<std::string>{"n=1 text=soon", "timer soon"});
  }
}

TEST_CASE("of several nodes one polls, and another when it is gone") {
  telegram_double telegram;
  auto how_a = hasty("a");
  auto how_b = hasty("b");
  how_a.poll = how_b.poll = true;
  auto a = std::make_unique<rig>(how_a, bot(), way_to("poll"), telegram.url());
  REQUIRE(eventually([&] { return a->metric("troupe_polls_total") > 0; }));
  rig b{how_b, bot(), way_to("poll"), telegram.url()};
  REQUIRE(settled({a.get(), &b}));
  for (std::int64_t i = 1; i <= 10; ++i)
    telegram.queue(i, text_update(i, i, "x"));
  CHECK(eventually([&] { return telegram.accepted() >= 10; }));
  CHECK(b.metric("troupe_polls_total") == 0);
  a.reset();
  for (std::int64_t i = 11; i <= 20; ++i)
    telegram.queue(i, text_update(i, i, "x"));
  for (std::int64_t chat = 1; chat <= 20; ++chat) {
    CHECK(eventually([&] { return !telegram.texts(chat).empty(); }));
    CHECK(first_sights(telegram.texts(chat)) == counted({"x"}));
  }
  CHECK(b.metric("troupe_polls_total") > 0);
}

TEST_CASE("a call to a chat of another node's shard is made, once") {
  telegram_double telegram;
  rig a{patient("a"), bot(), way_to("across"), telegram.url()};
  rig b{patient("b"), bot(), way_to("across"), telegram.url()};
  REQUIRE(settled({&a, &b}));
  const auto mine = chat_in(owned_by(a));
  const auto other = chat_in(owned_by(b));
  for (int i = 1; i <= 5; ++i)
    REQUIRE(b.post_and_wait(
                text_update(i, mine, "tell " + std::to_string(other))) == 200);
  CHECK(eventually([&] { return telegram.texts(other).size() >= 5; }));
  CHECK(telegram.texts(other) ==
        std::vector<std::string>(5, "from " + std::to_string(mine)));
  CHECK(eventually([&] {
    return a.stats().at("depth").at("outbox") == 0 &&
           a.stats().at("depth").at("settling") == 0;
  }));
  CHECK(a.stats().at("store").at("outbox") == 0);
}

TEST_CASE("G7: a new owner knows what a group was sent by the last one") {
  constexpr std::int64_t group = -100;
  telegram_double telegram;
  auto how_a = hasty("a");
  auto how_b = hasty("b");
  how_a.limits.group_per_minute = how_b.limits.group_per_minute = 3;
  auto a = std::make_unique<rig>(how_a, bot(), way_to("group"), telegram.url());
  REQUIRE(settled({a.get()}));
  for (int i = 1; i <= 3; ++i)
    REQUIRE(a->post_and_wait(text_update(i, group, "x")) == 200);
  REQUIRE(eventually([&] { return a->total("calls_sent") == 3; }));
  REQUIRE(
      eventually([&] { return a->stats().at("depth").at("settling") == 0; }));
  rig b{how_b, bot(), way_to("group"), telegram.url()};
  a.reset();
  REQUIRE(b.post_and_wait(text_update(4, group, "x")) == 200);
  CHECK(eventually(
      [&] { return limiter_of(b, chat_key::chat(group)) == "window"; }));
  CHECK(b.total("turns_done") == 1);
  CHECK(telegram.accepted() == 3);
}
