#include "actors/cluster_view.hpp"

#include "tests/actors/cluster_rig.hpp"

using namespace troupe;
using namespace troupe::actors;
using namespace troupe::testing;

namespace {

auto counting() {
  return std::make_shared<counter_bot>();
}

/// What one node shows of another; empty if it does not.
json::object shown(rig& by, const std::string& node) {
  const auto page = by.stats();
  for (auto& n : page.at("cluster").at("nodes").as_array())
    if (n.at("node").as_string() == node)
      return n.as_object();
  return {};
}

std::size_t listed(rig& by, const char* name) {
  return by.stats().at("cluster").at("shards").at(name).as_array().size();
}

/// Another node, of which there is only what it says.
class stranger {
 public:
  explicit stranger(const std::string& store) : way_{way_to(store)} {}
  void say(const std::string& name, const std::string& details) {
    std::promise<bool> done;
    way_->heartbeat({name, "", details}, 60s,
                    [&](auto r) { done.set_value(r.has_value()); });
    REQUIRE(done.get_future().get());
  }

 private:
  std::unique_ptr<store::faulty> way_;
};

}  // namespace

TEST_CASE("held shards are told as runs, and read as they were told") {
  bool cut = true;
  const std::vector<std::uint32_t> epochs{7, 7, 7, 0, 0, 2, 3, 3};
  CHECK(runs_text(epochs, cut) == "0-2:7 5:2 6-7:3");
  CHECK_FALSE(cut);
  CHECK(runs_text({0, 0}, cut).empty());
  const auto word = read_word(R"({"holds":"0-2:7 5:2 6-7:3"})", 8);
  REQUIRE(word.holds.size() == 3);
  CHECK(word.holds[0].last == 2);
  CHECK(word.holds[0].epoch == 7);
  CHECK(word.holds[1].first == 5);
  CHECK(word.holds[2].last == 7);
  // As many as a store may have, each with an epoch of its own.
  std::vector<std::uint32_t> many(65'535);
  for (std::uint32_t i = 0; i < many.size(); ++i)
    many[i] = 4'000'000'000u + i;
  CHECK(runs_text(many, cut).size() < 20'000);
  CHECK(cut);
}

TEST_CASE("odd shards in a node's word end the list, and harm nothing") {
  auto runs = [](const std::string& text) {
    return read_word(json::serialize(json::object{{"holds", text}}), 8)
        .holds.size();
  };
  CHECK(runs("0:1 1:1") == 2);
  for (auto odd : {"x", "0", "0:", "0:0", "8:1", "0-8:1", "3-2:1", "-1:1",
                   "0-:1", ":1", "99999999999:1", "0:99999999999", " 0:1"}) {
    INFO(odd);
    CHECK(runs(odd) == 0);
  }
  for (auto half : {"0:1 0:1", "0:1 x", "0:1,1:1", "3:1 1:1", "0:1  1:1"}) {
    INFO(half);
    CHECK(runs(half) == 1);
  }
}

TEST_CASE("what is odd in a node's word is as if it was not there") {
  for (auto odd :
       {"", "x", "[]", "1", "\"x\"", "{}", R"({"node":1,"state":"king"})",
        R"({"holds":[1],"counters":[2],"drain":"n1","slices":-1})",
        R"({"started_ms":"x","drain":[1,{}],"counters":{"a":"b","c":{}}})"}) {
    INFO(odd);
    const auto word = read_word(odd, 8);
    CHECK(word.node.empty());
    CHECK(word.state.empty());
    CHECK(word.holds.empty());
    CHECK(word.counters.empty());
    CHECK(word.drain.empty());
    CHECK(word.slices == 0);
    CHECK(word.budget_want == 1);
  }
  // Too much is nothing.
  const auto large = R"({"node":"a","x":")" + std::string(70'000, 'x') + "\"}";
  CHECK(read_word(large, 8).node.empty());
  json::array names(1'000);
  for (auto& n : names)
    n = "n";
  CHECK(read_word(json::serialize(json::object{{"drain", names}}), 8)
            .drain.size() <= 64);
}

TEST_CASE("the stats of any node show all nodes, owners and counts") {
  telegram_double telegram;
  auto how_b = patient("b");
  how_b.version = "9.8.7";
  how_b.stats_address = "10.0.0.2:9464";
  rig a{patient("a"), counting(), way_to("view"), telegram.url()};
  rig b{how_b, counting(), way_to("view"), telegram.url()};
  REQUIRE(settled({&a, &b}));
  stream updates{10};
  updates.round({&a, &b});
  CHECK(updates.complete(telegram, false));
  const auto mine = owned_by(b);
  REQUIRE(eventually([&] {
    auto page = shown(a, "b");
    return !page.empty() && page.at("shards") == mine.size() &&
           page.at("state") == "serving" &&
           page.at("counters").at("turns") == b.total("turns_done");
  }));
  const auto page = shown(a, "b");
  CHECK(page.at("version") == "9.8.7");
  CHECK(page.at("stats") == "10.0.0.2:9464");
  CHECK(page.at("counters").at("shards_taken") == mine.size());
  CHECK(page.at("word_age_ms").to_number<std::int64_t>() >= 0);
  CHECK(eventually([&] {
    return shown(b, "a").at("counters").at("handovers") == a.total("handovers");
  }));
  // Every shard with its one owner and epoch, here as there.
  for (auto* node : {&a, &b})
    CHECK(eventually([&] {
      return listed(*node, "owned") == cluster_shards &&
             listed(*node, "unowned") == 0 &&
             listed(*node, "claimed_twice") == 0;
    }));
  const auto name_of_b = page.at("name").as_string();
  const auto stats = a.stats();
  for (auto& s : stats.at("cluster").at("shards").at("owned").as_array()) {
    const auto at = mine.find(s.at("shard").to_number<std::int64_t>());
    CHECK((s.at("node").as_string() == name_of_b) == (at != mine.end()));
    if (at != mine.end())
      CHECK(s.at("epoch").to_number<std::int64_t>() == at->second);
  }
  CHECK(a.metric("troupe_nodes_alive") == 2);
  CHECK(b.metric("troupe_shards_held") == double(mine.size()));
}

TEST_CASE("a stranger's word does not break the page, and ages") {
  telegram_double telegram;
  rig a{patient("a"), counting(), way_to("odd"), telegram.url()};
  REQUIRE(settled({&a}));
  stranger other{"odd"};
  // Names sort before ours or behind: what it says shifts nobody else's.
  other.say("0-stranger", "{\"holds\":[");
  other.say("z-stranger",
            R"({"node":"z","state":"king","holds":"0-31:4000000000 x",)"
            R"("counters":{"turns":"many","fenced":3},"uptime":{}})");
  REQUIRE(eventually([&] {
    return a.stats().at("cluster").at("nodes").as_array().size() == 3;
  }));
  const auto z = shown(a, "z");
  CHECK(z.at("state") == "");
  CHECK(z.at("counters").as_object().size() == 1);
  CHECK(shown(a, "a").at("word_age_ms") == 0);
  CHECK(eventually([&] {
    return shown(a, "z").at("word_age_ms").to_number<std::int64_t>() > 200;
  }));
}

TEST_CASE("a shard that two claim in one epoch is shown as such") {
  telegram_double telegram;
  rig a{patient("a"), counting(), way_to("twice"), telegram.url()};
  REQUIRE(settled({&a}));
  std::string all;
  for (auto& [shard, epoch] : owned_by(a))
    all += (all.empty() ? "" : " ") + std::to_string(shard) + ':' +
           std::to_string(epoch);
  stranger other{"twice"};
  other.say("z-stranger", json::serialize(json::object{{"holds", all}}));
  // Ours gives up what should be the other's by now, and keeps the rest.
  CHECK(eventually([&] {
    const auto twice = listed(a, "claimed_twice");
    return twice > 0 && twice == owned_by(a).size();
  }));
}

TEST_CASE("a node hears from any other that it is to drain") {
  telegram_double telegram;
  std::atomic<int> told_a{0};
  std::atomic<int> told_b{0};
  auto how_a = patient("a");
  auto how_b = patient("b");
  how_a.asked_to_drain = [&] { ++told_a; };
  how_b.asked_to_drain = [&] { ++told_b; };
  rig a{how_a, counting(), way_to("tell"), telegram.url()};
  rig b{how_b, counting(), way_to("tell"), telegram.url()};
  REQUIRE(settled({&a, &b}));
  REQUIRE(eventually([&] { return !shown(a, "b").empty(); }));
  const auto nobody = a.node().ask_to_drain("c");
  REQUIRE_FALSE(nobody.has_value());
  CHECK(nobody.error().code == errc::not_found);
  CHECK(nobody.error().context.find("b-") != std::string::npos);
  const auto asked = a.node().ask_to_drain("b");
  REQUIRE(asked.has_value());
  CHECK(asked->starts_with("b-"));
  CHECK(eventually([&] { return told_b == 1; }));
  CHECK(shown(a, "b").at("state") == "draining");
  // Told once, however long it takes; and nobody else.
  std::this_thread::sleep_for(300ms);
  CHECK(told_b == 1);
  CHECK(told_a == 0);
  CHECK(b.node().drain(60s));
  CHECK(settled({&a}));
}

TEST_CASE("without a cluster nobody is asked to drain") {
  telegram_double telegram;
  rig r{fast(), counting(), memory_store(), telegram.url()};
  const auto asked = r.node().ask_to_drain("node");
  REQUIRE_FALSE(asked.has_value());
  CHECK(asked.error().code == errc::conflict);
}
