#include "tests/actors/cluster_rig.hpp"
#include "tests/net/certificates.hpp"

using namespace troupe;
using namespace troupe::testing;

namespace {

auto some_bot() {
  return std::make_shared<counter_bot>();
}

/// Leases that hold for longer than any test, even if they can't be renewed.
actors::node_options lasting(const std::string& name) {
  auto how = patient(name);
  how.cluster.ttl = 600s;
  return how;
}

/// The roads of a node that are open.
std::size_t open_roads(rig& node) {
  std::size_t out = 0;
  const auto page = node.stats();
  for (auto& r : page.at("cluster").at("roads").as_array())
    out += r.at("state") == "open" ? 1 : 0;
  return out;
}

/// Until each node owns some shards, and tells the others of what they own.
bool connected(const std::vector<rig*>& nodes) {
  return settled(nodes) && eventually([&] {
           return std::all_of(nodes.begin(), nodes.end(), [&](auto* n) {
             return open_roads(*n) == nodes.size() - 1;
           });
         });
}

/// Why the only road of the node is not open.
std::string why_closed(rig& node) {
  std::string why;
  eventually([&] {
    const auto page = node.stats();
    auto& roads = page.at("cluster").at("roads").as_array();
    if (roads.empty() || roads[0].at("state") == "open" ||
        !roads[0].as_object().contains("why"))
      return false;
    why = std::string{roads[0].at("why").as_string()};
    return true;
  });
  return why;
}

std::int64_t chat_of(rig& node) {
  const auto shards = owned_by(node);
  for (std::int64_t id = 1;; ++id)
    if (shards.contains(shard_of(chat_key::chat(id), cluster_shards).value))
      return id;
}

/// A node that the store lists, and that is nowhere.
void list(store::backend& in, const std::string& name,
          const std::string& address, const std::string& details) {
  std::promise<bool> done;
  in.heartbeat({name, address, details}, 600s,
               [&](auto answer) { done.set_value(answer.has_value()); });
  REQUIRE(done.get_future().get());
}

/// A node that the store lists, although it lives on another one: what the
/// heartbeats would have refused is left to the road to refuse.
void list(store::backend& in, rig& stranger) {
  const auto page = stranger.stats();
  auto& cluster = page.at("cluster");
  list(in, std::string{cluster.at("name").as_string()},
       std::string{cluster.at("address").as_string()},
       R"({"protocol":1,"bot":"1","shards":32})");
}

std::unique_ptr<store::backend> plain(const std::string& name,
                                      std::uint16_t shards) {
  store::options o;
  o.url = "memory:" + name;
  o.shards = shards;
  return store::open(o).value();
}

/// What a start of that node fails with; empty: it did not.
std::string start_error(actors::node_options how,
                        std::unique_ptr<store::backend> store) {
  net::loop loop;
  metrics::registry metrics;
  auto client =
      http::client::make(loop, http::parse_origin("http://127.0.0.1:1").value())
          .value();
  auto node = actors::node::start(std::move(how), some_bot(), *store, loop,
                                  *client, metrics);
  return node ? std::string{} : to_string(node.error());
}

void encrypt(actors::node_options& how, const std::string& ca,
             const net::testing::authorities::files& with) {
  how.cluster.road.ca = ca;
  how.cluster.road.certificate = with.chain;
  how.cluster.road.key = with.key;
}

}  // namespace

TEST_CASE("G3: what another node accepts reaches the owner by road, at once") {
  telegram_double telegram;
  auto way = way_to("road");
  auto& store_of_b = *way;
  rig a{lasting("a"), some_bot(), way_to("road"), telegram.url()};
  rig b{lasting("b"), some_bot(), std::move(way), telegram.url()};
  REQUIRE(connected({&a, &b}));
  const auto chat = chat_of(b);
  // Nobody tells it where its journals end any more.
  store_of_b.fail_renewals(true);
  const auto healed = b.total("entries_healed");
  for (int i = 1; i <= 10; ++i)
    REQUIRE(a.post_and_wait(text_update(i, chat, std::to_string(i))) == 200);
  CHECK(eventually([&] { return telegram.texts(chat).size() == 10; }));
  CHECK(b.total("hints_taken") == 10);
  CHECK(a.total("hints_sent") == 10);
  CHECK(a.total("hints_lost") == 0);
  CHECK(b.total("entries_healed") == healed);
  CHECK(b.metric("troupe_hints_total{end=\"taken\"}") == 10);
}

TEST_CASE("a long update comes by road without its body, and is turned") {
  telegram_double telegram;
  auto way = way_to("long");
  auto& store_of_b = *way;
  rig a{lasting("a"), some_bot(), way_to("long"), telegram.url()};
  rig b{lasting("b"), some_bot(), std::move(way), telegram.url()};
  REQUIRE(connected({&a, &b}));
  const auto chat = chat_of(b);
  store_of_b.fail_renewals(true);
  const std::string text(100'000, 'x');
  REQUIRE(a.post_and_wait(text_update(1, chat, text)) == 200);
  REQUIRE(a.post_and_wait(text_update(2, chat, "y")) == 200);
  CHECK(eventually([&] { return telegram.texts(chat).size() == 2; }));
  CHECK(telegram.texts(chat) == counted({text, "y"}));
  CHECK(b.total("hints_taken") == 2);
  CHECK(b.stats().at("depth").at("parked") == 0);
}

TEST_CASE("G3: order holds in a flood through all nodes, by hints alone") {
  telegram_double telegram;
  std::vector<store::faulty*> stores;
  std::vector<std::unique_ptr<rig>> nodes;
  std::vector<rig*> all;
  for (auto name : {"a", "b", "c"}) {
    auto way = way_to("flood");
    stores.push_back(way.get());
    nodes.push_back(std::make_unique<rig>(lasting(name), some_bot(),
                                          std::move(way), telegram.url()));
    all.push_back(nodes.back().get());
  }
  REQUIRE(connected(all));
  for (auto* s : stores)
    s->fail_renewals(true);
  stream updates{20};
  for (int i = 0; i < 20; ++i)
    updates.round(all);
  CHECK(updates.complete(telegram, false));
  std::int64_t taken = 0;
  for (auto* n : all)
    taken += n->total("hints_taken");
  CHECK(taken > 100);
}

TEST_CASE("G1, G3: hints that get lost cost nothing but time") {
  telegram_double telegram;
  std::atomic<int> came{0};
  auto third = [&] {
    return ++came % 3 == 0 ? actors::road_fault::lose
                           : actors::road_fault::none;
  };
  auto how_a = lasting("a");
  auto how_b = lasting("b");
  how_a.cluster.road.spoil = how_b.cluster.road.spoil = third;
  rig a{how_a, some_bot(), way_to("lossy"), telegram.url()};
  rig b{how_b, some_bot(), way_to("lossy"), telegram.url()};
  REQUIRE(connected({&a, &b}));
  stream updates{10};
  for (int i = 0; i < 20; ++i)
    updates.round({&a, &b});
  CHECK(updates.complete(telegram, false));
  CHECK(came > 3);
  CHECK(a.total("entries_healed") + b.total("entries_healed") > 0);
  CHECK(a.total("turns_done") + b.total("turns_done") == 200);
}

TEST_CASE("G11: a node that hangs costs no memory, and its hints are counted") {
  telegram_double telegram;
  auto how = lasting("b");
  how.cluster.road.spoil = [] { return actors::road_fault::hang; };
  rig a{lasting("a"), some_bot(), way_to("hang"), telegram.url()};
  rig b{how, some_bot(), way_to("hang"), telegram.url()};
  REQUIRE(connected({&a, &b}));
  const auto chat = chat_of(b);
  constexpr int many = 200;
  const std::string text(30'000, 'x');
  for (int i = 1; i <= many; ++i) {
    a.post(text_update(i, chat, text));
    REQUIRE(a.settle());
  }
  CHECK(eventually([&] { return a.total("hints_lost") > 0; }));
  CHECK(a.total("hints_sent") < 60);
  CHECK(
      a.stats().at("cluster").at("roads").at(0).at("waiting").to_number<int>() <
      60);
  CHECK(b.total("hints_taken") == 0);
  CHECK(eventually([&] { return b.total("turns_done") == many; }));
  CHECK(b.total("entries_healed") == many);
}

TEST_CASE("a node that is gone is no peer any more, and its successor is one") {
  telegram_double telegram;
  rig a{hasty("a"), some_bot(), way_to("gone"), telegram.url()};
  {
    rig b{hasty("b"), some_bot(), way_to("gone"), telegram.url()};
    REQUIRE(connected({&a, &b}));
  }
  CHECK(eventually(
      [&] { return a.stats().at("cluster").at("roads").as_array().empty(); }));
  rig b{hasty("b"), some_bot(), way_to("gone"), telegram.url()};
  CHECK(connected({&a, &b}));
}

TEST_CASE("a node that ends while another dials it does end") {
  telegram_double telegram;
  rig a{hasty("a"), some_bot(), way_to("dialled"), telegram.url()};
  for (int i = 0; i < 15; ++i) {
    const rig b{hasty("b"), some_bot(), way_to("dialled"), telegram.url()};
    // From before it is dialled to after: the moment is what counts.
    std::this_thread::sleep_for(i * 15ms);
  }
  CHECK(settled({&a}));
}

TEST_CASE("without a road, updates still reach their owner") {
  telegram_double telegram;
  auto how_a = lasting("a");
  auto how_b = lasting("b");
  how_a.cluster.road.host = how_b.cluster.road.host = "";
  rig a{how_a, some_bot(), way_to("roadless"), telegram.url()};
  rig b{how_b, some_bot(), way_to("roadless"), telegram.url()};
  REQUIRE(settled({&a, &b}));
  stream updates{10};
  for (int i = 0; i < 5; ++i)
    updates.round({&a, &b});
  CHECK(updates.complete(telegram, false));
  CHECK(a.total("hints_sent") + b.total("hints_sent") == 0);
}

TEST_CASE("a peer that is of another kind is refused on the road, with why") {
  telegram_double telegram;
  auto how_z = lasting("z");
  std::uint16_t shards = cluster_shards;
  std::string expected;
  SECTION("another version") {
    how_z.cluster.protocol = 2;
    expected = "it speaks protocol 2, this node 1";
  }
  SECTION("another bot") {
    how_z.bot_token = "2:another-token";
    expected = "it is of bot 2, this node of 1";
  }
  SECTION("another number of shards") {
    shards = 16;
    expected = "it has 16 shards, this node 32";
  }
  SECTION("the same bot, another token") {
    how_z.bot_token = "1:another-token";
    expected = "bot.token";
  }
  rig z{how_z, some_bot(), plain("refusing", shards), telegram.url()};
  auto way = way_to("refused");
  list(*way, z);
  rig a{lasting("a"), some_bot(), std::move(way), telegram.url()};
  const auto why = why_closed(a);
  CHECK(why.find("it refused this node: ") == 0);
  CHECK(why.find(expected) != std::string::npos);
  CHECK(why.find("another-token") == std::string::npos);
  CHECK(open_roads(z) == 0);
}

TEST_CASE("a node that differs from those alive does not start, and says why") {
  telegram_double telegram;
  rig a{lasting("a"), some_bot(), way_to("differs"), telegram.url()};
  REQUIRE(settled({&a}));
  const auto epochs = owned_by(a);
  auto newer = lasting("b");
  newer.cluster.protocol = 2;
  const auto why = start_error(newer, way_to("differs"));
  CHECK(why.find("node a-") != std::string::npos);
  CHECK(why.find("it speaks protocol 1, this node 2") != std::string::npos);
  auto other = lasting("b");
  other.bot_token = "2:another-token";
  CHECK(start_error(other, way_to("differs")).find("it is of bot 1") !=
        std::string::npos);
  // Nothing was handed over to it.
  CHECK(a.stats().at("cluster").at("nodes").as_array().size() == 1);
  CHECK(owned_by(a) == epochs);
}

TEST_CASE("a node that only looks whether it fits has no place yet") {
  telegram_double telegram;
  rig a{lasting("a"), some_bot(), way_to("looks"), telegram.url()};
  REQUIRE(settled({&a}));
  auto way = way_to("looks");
  const std::string details = R"({"protocol":1,"bot":"1","shards":32)";
  list(*way, "looks-1", "", details + R"(,"only_looks":true})");
  list(*way, "stays-1", "", details + "}");
  const auto nodes = [&] {
    return a.stats().at("cluster").at("nodes").as_array().size();
  };
  // Who sees the second sees the first, too.
  REQUIRE(eventually([&] { return nodes() > 1; }));
  CHECK(nodes() == 2);
}

TEST_CASE("all addresses need one that others can dial") {
  auto how = lasting("a");
  how.cluster.road.host = "0.0.0.0";
  CHECK(start_error(how, way_to("everywhere")).find("cluster.advertise") !=
        std::string::npos);
  how.cluster.road.advertise = "127.0.0.1:0";
  CHECK(start_error(how, way_to("everywhere")).empty());
}

TEST_CASE("with certificates of one authority, nodes reach each other") {
  net::testing::authorities trusted;
  telegram_double telegram;
  auto how_a = lasting("a");
  auto how_b = lasting("b");
  encrypt(how_a, trusted.ca(), trusted.good());
  encrypt(how_b, trusted.ca(), trusted.good());
  auto way = way_to("tls");
  auto& store_of_b = *way;
  rig a{how_a, some_bot(), way_to("tls"), telegram.url()};
  rig b{how_b, some_bot(), std::move(way), telegram.url()};
  REQUIRE(connected({&a, &b}));
  store_of_b.fail_renewals(true);
  const auto chat = chat_of(b);
  REQUIRE(a.post_and_wait(text_update(1, chat, "x")) == 200);
  CHECK(eventually([&] { return telegram.texts(chat).size() == 1; }));
  CHECK(b.total("hints_taken") == 1);
}

TEST_CASE("G12: without a certificate of the authority, nobody is a peer") {
  net::testing::authorities trusted;
  net::testing::authorities others;
  telegram_double telegram;
  auto how_a = lasting("a");  // dials
  auto how_b = lasting("b");
  SECTION("the one that dials has none") {
    encrypt(how_b, trusted.ca(), trusted.good());
  }
  SECTION("the one that is dialled has none") {
    encrypt(how_a, trusted.ca(), trusted.good());
  }
  SECTION("the one that dials has another's, and would trust anybody") {
    encrypt(how_a, trusted.ca(), others.good());
    encrypt(how_b, trusted.ca(), trusted.good());
  }
  SECTION("the one that is dialled has another's, and would trust anybody") {
    encrypt(how_a, trusted.ca(), trusted.good());
    encrypt(how_b, trusted.ca(), others.good());
  }
  rig a{how_a, some_bot(), way_to("untrusted"), telegram.url()};
  rig b{how_b, some_bot(), way_to("untrusted"), telegram.url()};
  REQUIRE(settled({&a, &b}));
  CHECK(why_closed(a).find("certificate") != std::string::npos);
  CHECK(open_roads(a) == 0);
  CHECK(open_roads(b) == 0);
  // It only takes longer.
  const auto chat = chat_of(b);
  REQUIRE(a.post_and_wait(text_update(1, chat, "x")) == 200);
  CHECK(eventually([&] { return telegram.texts(chat).size() == 1; }));
  CHECK(b.total("hints_taken") == 0);
}
