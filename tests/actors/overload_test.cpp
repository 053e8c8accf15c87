#include <condition_variable>

#include "tests/actors/cluster_rig.hpp"

using namespace troupe;
using namespace troupe::testing;

namespace {

constexpr std::int64_t bound = 100;  // overload.max_pending of the slow node
// Twice that is what may wait with their bodies; what is handed on is in two
// counts for a moment.
constexpr std::int64_t most_in_memory = 3 * bound;

/// Texts wait until their first letter, or what is before their '-', is open.
class gate {
 public:
  std::function<void(const std::string&)> hook() {
    return [state = state_](const std::string& text) {
      std::unique_lock guard{state->lock};
      state->came += 1;
      state->changed.wait(guard, [&] {
        return state->all || state->open.contains(text.substr(0, 1)) ||
               state->open.contains(text.substr(0, text.find('-')));
      });
    };
  }
  void open(const std::string& what) {
    std::lock_guard guard{state_->lock};
    state_->open.insert(what);
    state_->changed.notify_all();
  }
  int came() const {
    std::lock_guard guard{state_->lock};
    return state_->came;
  }
  gate() = default;
  gate(const gate&) = delete;
  gate& operator=(const gate&) = delete;
  /// A test that fails must end, too.
  ~gate() {
    std::lock_guard guard{state_->lock};
    state_->all = true;
    state_->changed.notify_all();
  }

 private:
  struct inside {
    std::mutex lock;
    std::condition_variable changed;
    std::set<std::string> open;
    bool all = false;
    int came = 0;
  };
  std::shared_ptr<inside> state_ = std::make_shared<inside>();
};

actors::node_options slow(actors::node_options how) {
  how.max_pending = bound;
  how.max_unread = 1'000'000;
  how.turns.max_threads = 400;
  return how;
}

std::int64_t depth(rig& node, const char* what) {
  return node.stats().at("depth").at(what).to_number<std::int64_t>();
}

/// Private chats of these shards.
std::vector<std::int64_t> chats_in(
    const std::map<std::int64_t, std::int64_t>& shards, std::size_t many,
    std::int64_t from = 1) {
  std::vector<std::int64_t> out;
  for (auto id = from; out.size() < many; ++id)
    if (shards.contains(shard_of(chat_key::chat(id), cluster_shards).value))
      out.push_back(id);
  return out;
}

/// Into the store, as by a node that has no road.
void put(store::backend& into, std::vector<store::arrival> batch) {
  std::promise<bool> done;
  into.accept(std::move(batch),
              [&](auto answer) { done.set_value(answer.has_value()); });
  REQUIRE(done.get_future().get());
}

store::arrival arrived(std::int64_t id, std::int64_t chat,
                       const std::string& text) {
  return {{id},
          chat_key::chat(chat),
          store::make_payload(text_update(id, chat, text)),
          system_clock().wall()};
}

/// Numbered texts of many chats, and what must become of them.
class flood {
 public:
  flood(std::vector<std::int64_t> chats, char letter = 'u')
      : chats_{std::move(chats)}, letter_{letter} {}

  /// One of each chat to that node; returns when all are durable.
  void round(rig& node) {
    for (auto chat : chats_) {
      auto text = next_text(chat);
      node.post(text_update(id_++, chat, text));
    }
    REQUIRE(node.settle());
    REQUIRE(node.statuses().size() == 1);
    REQUIRE(node.statuses().contains(200));
  }
  void round(store::backend& into) {
    std::vector<store::arrival> batch;
    for (auto chat : chats_) {
      auto text = next_text(chat);
      batch.push_back(arrived(id_++, chat, text));
    }
    put(into, std::move(batch));
  }
  std::size_t size() const { return many_; }

  /// Until each was replied to, in order and once.
  bool complete(const telegram_double& telegram) const {
    const bool all = eventually(
        [&] {
          return std::all_of(texts_.begin(), texts_.end(), [&](auto& x) {
            return telegram.texts(x.first).size() >= x.second.size();
          });
        },
        240s);
    for (auto& [chat, texts] : texts_)
      CHECK(telegram.texts(chat) == counted(texts));
    return all;
  }

 private:
  std::string next_text(std::int64_t chat) {
    ++many_;
    auto text = letter_ + std::to_string(id_);
    texts_[chat].push_back(text);
    return text;
  }

  std::vector<std::int64_t> chats_;
  const char letter_;
  std::int64_t id_ = 1;
  std::size_t many_ = 0;
  std::map<std::int64_t, std::vector<std::string>> texts_;
};

bool road_is_open(rig& node) {
  return eventually([&] {
    const auto page = node.stats();
    auto& roads = page.at("cluster").at("roads").as_array();
    return !roads.empty() && roads[0].at("state") == "open";
  });
}

}  // namespace

TEST_CASE(
    "G1, G3, G11: what others accept for a busy owner waits in the store") {
  telegram_double telegram;
  gate doors;
  rig a{patient("a"), std::make_shared<counter_bot>(), way_to("busy"),
        telegram.url()};
  rig b{slow(patient("b")), std::make_shared<counter_bot>(doors.hook()),
        way_to("busy"), telegram.url()};
  REQUIRE(settled({&a, &b}));
  REQUIRE(road_is_open(a));
  const auto mine = owned_by(b);
  const auto chats = chats_in(mine, 500);
  // Its turn is under way: what it sets is due when nothing is taken in.
  const auto other = chats_in(mine, 1, chats.back() + 1)[0];
  REQUIRE(a.post_and_wait(text_update(1'000'000, other, "soon")) == 200);
  REQUIRE(eventually([&] { return doors.came() == 1; }));
  flood updates{chats};
  for (int i = 0; i < 10; ++i) {
    updates.round(a);
    CHECK(depth(b, "to_turn") + depth(b, "parked") <= most_in_memory);
  }
  REQUIRE(updates.size() == 5'000);
  CHECK(eventually(
      [&] { return depth(b, "unread") + depth(b, "to_turn") > 5'000; }));
  CHECK(b.metric("troupe_journal_depth") > 5'000);
  CHECK(b.metric("troupe_journal_unread") > 5'000 - most_in_memory);
  CHECK(b.post_and_wait(text_update(2'000'000, other, "x")) == 503);
  SECTION("timers that are due meanwhile are turned") {
    doors.open("s");
    CHECK(eventually([&] {
      return telegram.texts(other) ==
             std::vector<std::string>{"n=1 text=soon", "timer soon"};
    }));
    CHECK(telegram.accepted() == 2);
    doors.open("u");
    CHECK(updates.complete(telegram));
  }
  SECTION("what is left goes to another with the shard") {
    doors.open("s");
    doors.open("u");
    CHECK(b.node().drain(120s));
    CHECK(settled({&a}));
    CHECK(updates.complete(telegram));
    CHECK(a.total("turns_done") > 0);
    CHECK(a.total("leases_lost") + b.total("leases_lost") == 0);
  }
  CHECK(depth(b, "most_held") > bound);
  CHECK(depth(b, "most_held") <= most_in_memory);
  CHECK(b.total("hints_left") > 0);
  CHECK(eventually(
      [&] { return depth(b, "unread") == 0 && depth(b, "to_turn") == 0; }));
}

TEST_CASE("G3, G11: one chat's flood by other nodes is bounded, too") {
  telegram_double telegram;
  gate doors;
  auto how = slow(patient("b"));
  how.max_parked = 300;
  auto way = way_to("chat");
  auto& store = *way;
  rig a{patient("a"), std::make_shared<counter_bot>(), std::move(way),
        telegram.url()};
  rig b{how, std::make_shared<counter_bot>(doors.hook()), way_to("chat"),
        telegram.url()};
  REQUIRE(settled({&a, &b}));
  REQUIRE(road_is_open(a));
  flood updates{chats_in(owned_by(b), 1)};
  while (updates.size() < 3'000) {
    // By road, and told of by renewals only.
    for (int i = 0; i < 10; ++i)
      updates.round(a);
    for (int i = 0; i < 90; ++i)
      updates.round(store);
    CHECK(depth(b, "parked") <= 300 + most_in_memory);
  }
  CHECK(eventually([&] { return depth(b, "unread") > 2'000; }));
  CHECK(depth(b, "parked") > 200);
  doors.open("u");
  CHECK(updates.complete(telegram));
  CHECK(depth(b, "most_held") <= most_in_memory);
  CHECK(eventually(
      [&] { return depth(b, "parked") == 0 && depth(b, "unread") == 0; }));
}

TEST_CASE("G11: chats that read their bodies back share what room there is") {
  constexpr int many = 40, each = 100, loaded = 32;
  telegram_double telegram;
  gate doors;
  auto way = way_to("bodies");
  auto& store = *way;
  rig b{slow(patient("b")), std::make_shared<counter_bot>(doors.hook()),
        std::move(way), telegram.url()};
  REQUIRE(settled({&b}));
  // Of one shard, so that they are read one chat after the other.
  const auto chats = chats_in({{0, 1}}, many);
  std::vector<std::vector<std::string>> texts(many);
  std::vector<store::arrival> batch;
  for (int c = 0; c < many; ++c)
    for (int i = 0; i < each; ++i) {
      auto& all = texts[std::size_t(c)];
      all.push_back((i < loaded - 1    ? "a" + std::to_string(c)
                     : i == loaded - 1 ? std::string{"b"}
                                       : std::string{"u"}) +
                    "-" + std::to_string(i));
      batch.push_back(
          arrived(c * each + i + 1, chats[std::size_t(c)], all.back()));
    }
  put(store, std::move(batch));
  // All but one of what each chat has in memory, when it has been read.
  for (int c = 0; c < many; ++c) {
    REQUIRE(eventually(
        [&] { return depth(b, "parked") >= (c + 1) * (each - loaded); }));
    doors.open("a" + std::to_string(c));
  }
  REQUIRE(eventually([&] { return depth(b, "to_turn") == many; }));
  CHECK(depth(b, "parked") == many * (each - loaded));
  // Now all at once need what they left.
  doors.open("b");
  CHECK(eventually(
      [&] { return telegram.accepted() == std::size_t(many * loaded); }));
  doors.open("u");
  for (int c = 0; c < many; ++c) {
    auto chat = chats[std::size_t(c)];
    CHECK(eventually([&] { return telegram.texts(chat).size() == each; }));
    CHECK(telegram.texts(chat) == counted(texts[std::size_t(c)]));
  }
  CHECK(depth(b, "most_held") <= most_in_memory);
}

TEST_CASE("G1, G11: hints that wait for lost ones leave room to read those") {
  telegram_double telegram;
  auto way_a = way_to("room");
  auto way_b = way_to("room");
  auto& store_of_a = *way_a;
  auto& store_of_b = *way_b;
  auto lasting = patient("b");
  lasting.cluster.ttl = 600s;
  rig a{patient("a"), std::make_shared<counter_bot>(), std::move(way_a),
        telegram.url()};
  rig b{slow(lasting), std::make_shared<counter_bot>(), std::move(way_b),
        telegram.url()};
  REQUIRE(settled({&a, &b}));
  REQUIRE(road_is_open(a));
  const auto chats = chats_in(owned_by(b), 190);
  // Nobody tells it of the first ones.
  store_of_b.fail_renewals(true);
  flood updates{chats};
  updates.round(store_of_a);
  // The rest by one group commit: all hints come before one gap is read.
  store_of_a.at_accept(store_of_a.accepts() + 1,
                       {store::fault::what::delay, 1, 300ms});
  updates.round(a);
  // On a slow machine some are left out for want of room: of those it is told.
  store_of_b.fail_renewals(false);
  CHECK(updates.complete(telegram));
  CHECK(depth(b, "most_held") <= most_in_memory);
}

TEST_CASE("G1, G11: a start takes in a long backlog as there is room for it") {
  telegram_double telegram;
  gate doors;
  auto way = way_to("start");
  auto& store = *way;
  std::map<std::int64_t, std::int64_t> all;
  for (std::int64_t i = 0; i < cluster_shards; ++i)
    all[i] = 1;
  flood updates{chats_in(all, 300)};
  for (int i = 0; i < 10; ++i)
    updates.round(store);
  rig b{slow(patient("b")), std::make_shared<counter_bot>(doors.hook()),
        std::move(way), telegram.url()};
  // Nobody else told it of anything: it knows what there is.
  CHECK(eventually(
      [&] { return depth(b, "unread") + depth(b, "to_turn") == 3'000; }));
  doors.open("u");
  CHECK(updates.complete(telegram));
  CHECK(depth(b, "most_held") <= most_in_memory);
  CHECK(b.total("turns_done") == 3'000);
}

TEST_CASE("G11: what the owner can't keep up with is refused by every node") {
  telegram_double telegram;
  gate doors;
  auto how = slow(patient("b"));
  how.max_unread = 200;
  rig a{patient("a"), std::make_shared<counter_bot>(), way_to("refuse"),
        telegram.url()};
  rig b{how, std::make_shared<counter_bot>(doors.hook()), way_to("refuse"),
        telegram.url()};
  REQUIRE(settled({&a, &b}));
  REQUIRE(road_is_open(a));
  const auto chats = chats_in(owned_by(b), 400);
  std::map<std::int64_t, std::vector<std::string>> accepted;
  std::int64_t id = 1;
  unsigned status = 200;
  while (status == 200 && id <= 5'000) {
    const auto chat = chats[std::size_t(id) % chats.size()];
    auto text = "u" + std::to_string(id);
    status = a.post_and_wait(text_update(id++, chat, text));
    if (status == 200)
      accepted[chat].push_back(text);
  }
  REQUIRE(status == 503);
  CHECK(a.last().headers.find("Retry-After") == "1");
  CHECK(a.total("refused_overload") == 1);
  CHECK(id > 300);
  // Those of others are taken.
  const auto other = chats_in(owned_by(a), 1)[0];
  CHECK(a.post_and_wait(text_update(10'000, other, "x")) == 200);
  CHECK(eventually([&] { return telegram.texts(other).size() == 1; }));
  const auto page = a.stats();
  int behind = 0;
  for (auto& n : page.at("cluster").at("nodes").as_array())
    behind += n.at("behind") == true && n.at("node") == "b";
  CHECK(behind == 1);
  doors.open("u");
  const auto late = std::to_string(id);
  CHECK(eventually([&] {
    return a.post_and_wait(text_update(id, chats[0], "u" + late)) == 200;
  }));
  accepted[chats[0]].push_back("u" + late);
  for (auto& [chat, texts] : accepted) {
    CHECK(eventually(
        [&] { return telegram.texts(chat).size() == texts.size(); }));
    CHECK(telegram.texts(chat) == counted(texts));
  }
}

TEST_CASE("G11: what the owner can't send is refused by every node") {
  std::atomic<bool> away{true};
  std::set<std::int64_t> stuck;
  std::mutex lock;
  telegram_double telegram{[&](const auto& call, int) {
    const std::lock_guard guard{lock};
    return away && stuck.contains(call.chat)
               ? std::optional{http::response{502, {}, ""}}
               : std::nullopt;
  }};
  auto how = patient("b");
  how.max_unsent = 100;
  rig a{patient("a"), std::make_shared<counter_bot>(), way_to("unsent"),
        telegram.url()};
  rig b{how, std::make_shared<counter_bot>(), way_to("unsent"), telegram.url()};
  REQUIRE(settled({&a, &b}));
  REQUIRE(road_is_open(a));
  const auto chats = chats_in(owned_by(b), 400);
  {
    const std::lock_guard guard{lock};
    stuck.insert(chats.begin(), chats.end());
  }
  std::size_t accepted = 0;
  unsigned status = 200;
  for (std::int64_t id = 1; status == 200 && id <= 5'000; ++id) {
    status = a.post_and_wait(
        text_update(id, chats[std::size_t(id) % chats.size()], "u"));
    accepted += status == 200;
  }
  REQUIRE(status == 503);
  CHECK(accepted > 100);
  const auto other = chats_in(owned_by(a), 1)[0];
  CHECK(a.post_and_wait(text_update(10'000, other, "x")) == 200);
  CHECK(eventually([&] { return telegram.texts(other).size() == 1; }));
  away = false;
  CHECK(eventually([&] { return telegram.accepted() == accepted + 1; }, 240s));
  CHECK(eventually([&] {
    return a.post_and_wait(text_update(10'001, chats[0], "late")) == 200;
  }));
}

TEST_CASE("G10, G11: one chat's flood has no other chat's updates refused") {
  telegram_double telegram;
  gate doors;
  auto how = slow(patient("b"));
  how.max_unread = 200;
  how.max_parked = 300;
  auto way = way_to("flooded");
  auto& store = *way;
  rig a{patient("a"), std::make_shared<counter_bot>(), std::move(way),
        telegram.url()};
  rig b{how, std::make_shared<counter_bot>(doors.hook()), way_to("flooded"),
        telegram.url()};
  REQUIRE(settled({&a, &b}));
  REQUIRE(road_is_open(a));
  const auto chats = chats_in(owned_by(b), 2);
  flood updates{{chats[0]}};
  while (updates.size() < 2'000)
    updates.round(store);
  REQUIRE(eventually([&] { return depth(b, "unread") > 1'000; }));
  // With each heartbeat it could say so.
  const auto beats = store.operations() + 50;
  REQUIRE(eventually([&] { return store.operations() > beats; }));
  for (int i = 1; i <= 20; ++i)
    CHECK(a.post_and_wait(text_update(10'000 + i, chats[1], "x")) == 200);
  doors.open("u");
  doors.open("x");
  CHECK(updates.complete(telegram));
  CHECK(eventually([&] { return telegram.texts(chats[1]).size() == 20; }));
}
