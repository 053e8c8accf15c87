#include <troupe/bot.hpp>

#include "actors/turn_commit.hpp"
#include "tests/actors/cluster_rig.hpp"

// `once` over chats, nodes and faults (docs/adr/0014).

using namespace troupe;
using namespace troupe::testing;

namespace {

using texts = std::vector<std::string>;

struct book {
  int orders = 0;
};
BOOST_DESCRIBE_STRUCT(book, (), (orders))

/// Pays the order that a text names, once for all chats. `hook` sees each run
/// of the handler first.
auto till(std::function<void(const std::string&)> hook =
              [](const std::string&) {}) {
  return bot<book>{[hook](chat<book>* ctx) -> behavior {
           return {[=](const text_message& m) {
             hook(m.text);
             const bool mine = ctx->once("charge:" + m.text, 24h);
             ctx->state.orders += mine ? 1 : 0;
             ctx->reply((mine ? "charged " : "was charged ") + m.text + ", " +
                        std::to_string(ctx->state.orders));
           }};
         }}
      .share();
}

std::int64_t chat_of(const std::map<std::int64_t, std::int64_t>& shards) {
  for (std::int64_t id = 1;; ++id)
    if (shards.contains(shard_of(chat_key::chat(id), cluster_shards).value))
      return id;
}

std::size_t starting_with(const texts& all, const std::string& what) {
  return std::size_t(std::count_if(
      all.begin(), all.end(), [&](auto& t) { return t.starts_with(what); }));
}

std::optional<store::grant> acquire(store::backend& s, const std::string& name,
                                    const std::string& holder) {
  std::promise<std::optional<store::grant>> p;
  s.acquire(name, holder, 24h, [&](auto r) { p.set_value(r.value()); });
  return p.get_future().get();
}

}  // namespace

TEST_CASE(
    "once: two chats on two nodes press at once, each order is paid once") {
  telegram_double telegram;
  rig a{patient("a"), till(), way_to("once"), telegram.url()};
  rig b{patient("b"), till(), way_to("once"), telegram.url()};
  REQUIRE(settled({&a, &b}));
  const auto mine = chat_of(owned_by(a));
  const auto other = chat_of(owned_by(b));
  constexpr int orders = 60;
  int id = 0;
  for (int i = 1; i <= orders; ++i) {
    a.post(text_update(++id, mine, std::to_string(i)));
    b.post(text_update(++id, other, std::to_string(i)));
  }
  REQUIRE(a.settle());
  REQUIRE(b.settle());
  REQUIRE(eventually([&] { return telegram.accepted() >= 2 * orders; }));
  auto all = telegram.texts(mine);
  const auto theirs = telegram.texts(other);
  // What was thrown away left nothing in the state.
  for (auto& one : {all, theirs})
    CHECK(one.back().ends_with(", " +
                               std::to_string(starting_with(one, "charged "))));
  all.insert(all.end(), theirs.begin(), theirs.end());
  CHECK(all.size() == 2 * orders);
  for (int i = 1; i <= orders; ++i) {
    INFO("order " << i);
    CHECK(starting_with(all, "charged " + std::to_string(i) + ",") == 1);
    CHECK(starting_with(all, "was charged " + std::to_string(i) + ",") == 1);
  }
  CHECK(a.total("turns_denied") + b.total("turns_denied") == orders);
}

TEST_CASE("once: a key that a crash left reserved is its own turn's only") {
  telegram_double telegram;
  auto store = memory_store();
  // As if update 7 had been turned up to its commit.
  REQUIRE(acquire(*store, "once/charge:x", "update/7"));
  rig r{fast(), till(), std::move(store), telegram.url()};
  REQUIRE(r.post_and_wait(text_update(6, 1, "x")) == 200);
  REQUIRE(r.post_and_wait(text_update(7, 1, "x")) == 200);
  REQUIRE(r.post_and_wait(text_update(8, 1, "x")) == 200);
  REQUIRE(eventually([&] { return telegram.accepted() == 3; }));
  CHECK(telegram.texts(1) ==
        texts{"was charged x, 0", "charged x, 1", "was charged x, 1"});
  CHECK(r.total("turns_denied") == 2);
}

TEST_CASE(
    "once: a node that dies between reservation and commit costs nothing") {
  telegram_double telegram;
  auto way = way_to("between");
  auto& store_of_a = *way;
  std::atomic<bool> cut{false};
  auto dying = till([&](const std::string& text) {
    if (text != "x" || cut.exchange(true))
      return;
    // Whatever it asks for from here on is done, but it is never told so; its
    // leases run out.
    store_of_a.fail_renewals(true);
    store_of_a.at(store_of_a.operations() + 1,
                  {store::fault::what::commit_then_error, ~0ULL, {}});
  });
  auto a =
      std::make_unique<rig>(hasty("a"), dying, std::move(way), telegram.url());
  rig b{hasty("b"), till(), way_to("between"), telegram.url()};
  REQUIRE(settled({a.get(), &b}));
  const auto mine = chat_of(owned_by(*a));
  const auto other = chat_of(owned_by(b));
  REQUIRE(b.post_and_wait(text_update(1, mine, "x")) == 200);
  // The other node takes the chat over, and the key is its turn's still.
  CHECK(eventually([&] { return !telegram.texts(mine).empty(); }));
  CHECK(cut);
  REQUIRE(b.post_and_wait(text_update(2, other, "x")) == 200);
  CHECK(eventually([&] { return !telegram.texts(other).empty(); }));
  a.reset();
  CHECK(first_sights(telegram.texts(mine)) == texts{"charged x, 1"});
  CHECK(first_sights(telegram.texts(other)) == texts{"was charged x, 0"});
}

namespace {

struct sales {
  std::map<std::int64_t, texts> replies;
  std::uint64_t operations = 0;
};

/// Six presses in three chats for two orders, one after the other.
sales sell(std::uint64_t fail_at, std::optional<store::fault> fault) {
  telegram_double telegram;
  auto broken = std::make_unique<store::faulty>(memory_store(2));
  auto& s = *broken;
  if (fault)
    s.at(fail_at, *fault);
  rig r{fast(), till(), std::move(broken), telegram.url()};
  for (int i = 0; i < 6; ++i) {
    int tries = 0;
    while (r.post_and_wait(
               text_update(i + 1, i % 3 + 1, i % 2 == 0 ? "x" : "y")) != 200)
      REQUIRE(++tries < 10);
    REQUIRE(
        eventually([&] { return telegram.accepted() >= std::size_t(i) + 1; }));
  }
  CHECK(r.node().drain(60s));
  sales end;
  for (std::int64_t chat = 1; chat <= 3; ++chat)
    end.replies[chat] = telegram.texts(chat);
  end.operations = s.operations();
  return end;
}

}  // namespace

TEST_CASE("once: whichever store operation fails, each order is paid once") {
  const auto clean = sell(0, std::nullopt);
  CHECK(clean.replies.at(1) == texts{"charged x, 1", "was charged y, 1"});
  CHECK(clean.replies.at(2) == texts{"charged y, 1", "was charged x, 1"});
  CHECK(clean.replies.at(3) == texts{"was charged x, 0", "was charged y, 0"});
  using what = store::fault::what;
  auto kind = GENERATE(what::fail, what::commit_then_error);
  for (std::uint64_t n = 3; n <= clean.operations; ++n) {
    INFO("operation " << n << " of " << clean.operations
                      << (kind == what::fail ? " not done" : " done"));
    CHECK(sell(n, store::fault{kind, 1, {}}).replies == clean.replies);
  }
}

namespace {

/// The machine's clocks, and what a test adds to them.
class leaping final : public clock {
 public:
  wall_time wall() const noexcept override {
    return system_clock().wall() + std::chrono::hours{ahead};
  }
  mono_time mono() const noexcept override {
    return system_clock().mono() + std::chrono::hours{ahead};
  }
  std::atomic<int> ahead{0};
};

}  // namespace

TEST_CASE("once: a commit that its keys may not outlive is not just repeated") {
  telegram_double telegram;
  leaping time;
  auto broken = std::make_unique<store::faulty>(memory_store());
  auto& s = *broken;
  std::atomic<int> runs{0};
  auto how = fast();
  how.time = &time;
  rig r{how, till([&](const std::string&) {
          // Reserved it is (if nothing comes between), committed it is not.
          if (runs++ == 0)
            s.at(s.operations() + 2, {store::fault::what::fail, ~0ULL, {}});
        }),
        std::move(broken), telegram.url()};
  int run_again = 0;
  for (int i = 1; i <= 20 && run_again == 0; ++i) {
    runs = 0;
    REQUIRE(r.post_and_wait(text_update(i, 1, std::to_string(i))) == 200);
    REQUIRE(eventually([&] { return runs > 0; }));
    const auto before = s.operations();
    REQUIRE(eventually([&] { return s.operations() >= before + 4; }));
    time.ahead += 13;  // more than half of the ttl
    s.heal();
    REQUIRE(eventually([&] { return telegram.accepted() == std::size_t(i); }));
    CHECK(telegram.texts(1).back() ==
          "charged " + std::to_string(i) + ", " + std::to_string(i));
    run_again += runs > 1 ? 1 : 0;
  }
  CHECK(run_again > 0);
}

TEST_CASE("an event has one name at every attempt, and no other has it") {
  const auto key = chat_key::chat(42);
  auto name_of = [&](store::entry_kind type, std::uint64_t seq,
                     std::int64_t update) {
    store::entry e;
    e.seq = {seq};
    e.type = type;
    e.key = key;
    e.id = {update};
    return actors::identity_of({key, seq, &e, nullptr, false});
  };
  using kind = store::entry_kind;
  // Also as a dead letter that stands in the journal again.
  CHECK(name_of(kind::update, 5, 1) == name_of(kind::update, 9, 1));
  CHECK(name_of(kind::update, 5, 1) != name_of(kind::update, 5, 2));
  CHECK(name_of(kind::notice, 5, 0) != name_of(kind::notice, 6, 0));
  CHECK(name_of(kind::notice, 5, 0) != name_of(kind::update, 6, 5));
  auto timer_name = [&](std::string name, std::int64_t due) {
    const store::timer t{key, std::move(name), from_ms(due), ""};
    return actors::identity_of({key, 1, nullptr, &t, false});
  };
  CHECK(timer_name("a", 1) == timer_name("a", 1));
  CHECK(timer_name("a", 1) != timer_name("b", 1));
  CHECK(timer_name("a", 1) != timer_name("a", 2));
}
