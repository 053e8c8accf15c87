#include <troupe/bot.hpp>

#include "actors/turn_locks.hpp"
#include "tests/actors/cluster_rig.hpp"

// `lock` over chats, nodes and faults (docs/adr/0015).

using namespace troupe;
using namespace troupe::testing;

namespace {

using texts = std::vector<std::string>;

struct shelf {
  int had = 0;
};
BOOST_DESCRIBE_STRUCT(shelf, (), (had))

/// "lock NAME", "try NAME", "keep NAME", "unlock NAME"; says what came of it.
/// `inside` runs in each turn that has a lock.
auto locker(std::function<void(const locked&)> inside = [](const locked&) {}) {
  return bot<shelf>{[inside](chat<shelf>* ctx) -> behavior {
           return {
               [=](const text_message& m) {
                 const auto name = m.text.substr(m.text.find(' ') + 1);
                 if (m.text.starts_with("unlock"))
                   ctx->unlock(name);
                 else if (m.text.starts_with("try"))
                   ctx->lock(name, 1min, 200ms);
                 else
                   ctx->lock(name, m.text.starts_with("keep") ? 24h : 1min, 1h);
                 if (m.text.starts_with("unlock"))
                   ctx->reply("unlocked");
               },
               [=](const locked& l) {
                 inside(l);
                 ctx->state.had += 1;
                 if (l.name.starts_with("k"))
                   ctx->keep(l);
                 ctx->reply("locked " + l.name + ", " +
                            std::to_string(ctx->state.had));
               },
               [=](const lock_denied& l) { ctx->reply("denied " + l.name); },
           };
         }}
      .share();
}

std::int64_t locker_on(const std::map<std::int64_t, std::int64_t>& shards) {
  for (std::int64_t id = 1;; ++id)
    if (shards.contains(shard_of(chat_key::chat(id), cluster_shards).value))
      return id;
}

std::optional<store::grant> take(store::backend& s, const std::string& name,
                                 const std::string& holder) {
  std::promise<std::optional<store::grant>> p;
  s.acquire(name, holder, 24h, [&](auto r) { p.set_value(r.value()); });
  return p.get_future().get();
}

void give(store::backend& s, const std::string& name,
          const std::string& holder) {
  std::promise<void> p;
  s.relinquish(name, holder, [&](auto) { p.set_value(); });
  p.get_future().get();
}

/// The machine's clocks, and what a test adds to them.
class skipping final : public clock {
 public:
  wall_time wall() const noexcept override {
    return system_clock().wall() + std::chrono::seconds{ahead};
  }
  mono_time mono() const noexcept override {
    return system_clock().mono() + std::chrono::seconds{ahead};
  }
  std::atomic<int> ahead{0};
};

}  // namespace

TEST_CASE("lock: chats on two nodes are never inside at once, and all get in") {
  telegram_double telegram;
  std::mutex mutex;
  std::vector<std::uint64_t> tokens;
  std::atomic<int> inside{0};
  std::atomic<int> met{0};
  auto bot = locker([&](const locked& l) {
    met += inside++;
    {
      std::lock_guard guard{mutex};
      tokens.push_back(l.token);
    }
    std::this_thread::sleep_for(2ms);
    inside -= 1;
  });
  rig a{patient("a"), bot, way_to("lock"), telegram.url()};
  rig b{patient("b"), bot, way_to("lock"), telegram.url()};
  REQUIRE(settled({&a, &b}));
  constexpr int chats = 30;
  for (int i = 1; i <= chats; ++i)
    (i % 2 == 0 ? a : b).post(text_update(i, i, "lock x"));
  REQUIRE(a.settle());
  REQUIRE(b.settle());
  CHECK(eventually([&] { return telegram.accepted() == chats; }, 120s));
  CHECK(met == 0);
  std::lock_guard guard{mutex};
  CHECK(tokens.size() == chats);
  CHECK(std::is_sorted(tokens.begin(), tokens.end(), std::less_equal<>{}));
  for (int i = 1; i <= chats; ++i)
    CHECK(telegram.texts(i) == texts{"locked x, 1"});
  CHECK(a.total("locks_granted") + b.total("locks_granted") == chats);
}

TEST_CASE("lock: a kept one keeps others out until it is given up") {
  telegram_double telegram;
  rig a{patient("a"), locker(), way_to("kept"), telegram.url()};
  rig b{patient("b"), locker(), way_to("kept"), telegram.url()};
  REQUIRE(settled({&a, &b}));
  const auto mine = locker_on(owned_by(a));
  const auto other = locker_on(owned_by(b));
  REQUIRE(a.post_and_wait(text_update(1, mine, "keep k")) == 200);
  REQUIRE(eventually([&] { return telegram.accepted() == 1; }));
  REQUIRE(a.post_and_wait(text_update(2, other, "lock k")) == 200);
  REQUIRE(eventually([&] { return b.total("lock_waits") >= 3; }));
  CHECK(telegram.accepted() == 1);
  // The one that waits goes on meanwhile.
  REQUIRE(a.post_and_wait(text_update(3, other, "lock y")) == 200);
  REQUIRE(eventually([&] { return telegram.accepted() == 2; }));
  REQUIRE(b.post_and_wait(text_update(4, mine, "unlock k")) == 200);
  CHECK(eventually([&] { return telegram.accepted() == 4; }));
  CHECK(telegram.texts(mine) == texts{"locked k, 1", "unlocked"});
  CHECK(telegram.texts(other) == texts{"locked y, 1", "locked k, 2"});
}

TEST_CASE("lock: who dies with it is run again elsewhere and has it still") {
  telegram_double telegram;
  auto way = way_to("dies");
  auto& store_of_a = *way;
  std::atomic<bool> cut{false};
  std::mutex mutex;
  std::vector<std::uint64_t> tokens;
  auto noting = [&](const locked& l) {
    std::lock_guard guard{mutex};
    tokens.push_back(l.token);
  };
  auto dying = locker([&](const locked& l) {
    noting(l);
    if (cut.exchange(true))
      return;
    // It never commits; its leases run out.
    store_of_a.fail_renewals(true);
    store_of_a.at(store_of_a.operations() + 1,
                  {store::fault::what::fail, ~0ULL, {}});
  });
  auto a =
      std::make_unique<rig>(hasty("a"), dying, std::move(way), telegram.url());
  rig b{hasty("b"), locker(noting), way_to("dies"), telegram.url()};
  REQUIRE(settled({a.get(), &b}));
  const auto mine = locker_on(owned_by(*a));
  const auto other = locker_on(owned_by(b));
  REQUIRE(b.post_and_wait(text_update(1, mine, "lock x")) == 200);
  CHECK(eventually([&] { return !telegram.texts(mine).empty(); }));
  CHECK(cut);
  REQUIRE(b.post_and_wait(text_update(2, other, "lock x")) == 200);
  CHECK(eventually([&] { return !telegram.texts(other).empty(); }, 120s));
  a.reset();
  CHECK(first_sights(telegram.texts(mine)) == texts{"locked x, 1"});
  CHECK(first_sights(telegram.texts(other)) == texts{"locked x, 1"});
  std::lock_guard guard{mutex};
  REQUIRE(tokens.size() >= 3);
  CHECK(tokens[0] == tokens[1]);
  CHECK(tokens.back() > tokens[0]);
}

namespace {

struct long_turn {
  enum class another : std::uint8_t { nobody, takes_it, had_it };

  telegram_double telegram;
  skipping time;
  std::mutex mutex;
  std::vector<std::uint64_t> tokens;
  store::backend* store = nullptr;
  std::atomic<bool> taken{false};  ///< by another, while the first run lasted

  /// The handler's first run takes `lasts` seconds of the lock's minute.
  std::unique_ptr<rig> start(int lasts, another who) {
    auto how = fast();
    how.time = &time;
    store::options o;
    o.url = "memory:";
    o.shards = 8;
    o.time = &time;
    auto opened = store::open(o).value();
    store = opened.get();
    auto bot = locker([this, lasts, who](const locked& l) {
      std::lock_guard guard{mutex};
      tokens.push_back(l.token);
      if (tokens.size() > 1)
        return;
      time.ahead += lasts;
      if (who != another::nobody)
        taken = take(*store, "lock/x", "stranger").has_value();
      if (who == another::had_it)
        give(*store, "lock/x", "stranger");
    });
    return std::make_unique<rig>(how, bot, std::move(opened), telegram.url());
  }
};

}  // namespace

TEST_CASE("lock: a turn that took long is committed if it has the lock still") {
  long_turn t;
  auto r = t.start(45, long_turn::another::nobody);
  REQUIRE(r->post_and_wait(text_update(1, 1, "lock x")) == 200);
  CHECK(eventually([&] { return t.telegram.accepted() == 1; }));
  CHECK(t.tokens.size() == 1);
  CHECK(r->total("locks_lost") == 0);
}

TEST_CASE("lock: a turn that took longer is run again after who had it then") {
  long_turn t;
  auto r = t.start(61, long_turn::another::takes_it);
  REQUIRE(r->post_and_wait(text_update(1, 1, "lock x")) == 200);
  CHECK(eventually([&] { return r->total("lock_waits") >= 2; }));
  CHECK(t.taken);
  CHECK(r->total("locks_lost") == 1);
  CHECK(t.telegram.accepted() == 0);
  give(*t.store, "lock/x", "stranger");
  CHECK(eventually([&] { return t.telegram.accepted() == 1; }));
  CHECK(t.telegram.texts(1) == texts{"locked x, 1"});
  REQUIRE(t.tokens.size() == 2);
  CHECK(t.tokens[1] > t.tokens[0] + 1);
}

TEST_CASE("lock: a turn in whose time another had it is run again, too") {
  long_turn t;
  auto r = t.start(61, long_turn::another::had_it);
  REQUIRE(r->post_and_wait(text_update(1, 1, "lock x")) == 200);
  CHECK(eventually([&] { return t.telegram.accepted() == 1; }));
  CHECK(t.telegram.texts(1) == texts{"locked x, 1"});
  CHECK(t.taken);
  CHECK(r->total("locks_lost") == 1);
  REQUIRE(t.tokens.size() == 2);
  CHECK(t.tokens[1] > t.tokens[0] + 1);
}

TEST_CASE("lock: who waited in vain is told so, once, and may ask again") {
  telegram_double telegram;
  rig r{fast(), locker(), memory_store(), telegram.url()};
  REQUIRE(take(r.store(), "lock/x", "stranger"));
  REQUIRE(r.post_and_wait(text_update(1, 1, "try x")) == 200);
  CHECK(eventually([&] { return telegram.accepted() == 1; }));
  CHECK(telegram.texts(1) == texts{"denied x"});
  CHECK(r.total("locks_denied") == 1);
  CHECK(r.total("lock_waits") >= 1);
  give(r.store(), "lock/x", "stranger");
  REQUIRE(r.post_and_wait(text_update(2, 1, "try x")) == 200);
  CHECK(eventually([&] { return telegram.accepted() == 2; }));
  CHECK(telegram.texts(1) == texts{"denied x", "locked x, 1"});
}

TEST_CASE("lock: a turn that failed for good has given it up") {
  telegram_double telegram;
  rig r{fast(), locker([](const locked& l) {
          if (l.name == "bad")
            throw std::runtime_error{"boom"};
        }),
        memory_store(), telegram.url()};
  REQUIRE(r.post_and_wait(text_update(1, 1, "lock bad")) == 200);
  REQUIRE(eventually([&] { return r.total("dead_letters") == 1; }));
  CHECK(eventually(
      [&] { return take(r.store(), "lock/bad", "next").has_value(); }));
}

namespace {

struct story {
  std::map<std::int64_t, texts> replies;
  std::uint64_t operations = 0;
};

/// One chat keeps a lock that another waits for.
story tell(std::uint64_t fail_at, std::optional<store::fault> fault) {
  telegram_double telegram;
  auto broken = std::make_unique<store::faulty>(memory_store(2));
  auto& s = *broken;
  if (fault)
    s.at(fail_at, *fault);
  rig r{fast(), locker(), std::move(broken), telegram.url()};
  int id = 0;
  const auto post = [&](std::int64_t chat, const std::string& text) {
    ++id;
    int tries = 0;
    while (r.post_and_wait(text_update(id, chat, text)) != 200)
      REQUIRE(++tries < 10);
  };
  post(1, "keep k");
  REQUIRE(eventually([&] { return telegram.accepted() >= 1; }));
  post(2, "lock k");
  REQUIRE(eventually([&] { return r.total("lock_waits") >= 1; }));
  CHECK(telegram.accepted() == 1);
  post(1, "unlock k");
  REQUIRE(eventually([&] { return telegram.accepted() >= 3; }));
  post(2, "unlock k");
  REQUIRE(eventually([&] { return telegram.accepted() >= 4; }));
  post(1, "lock y");
  REQUIRE(eventually([&] { return telegram.accepted() >= 5; }));
  CHECK(r.node().drain(60s));
  story end;
  for (std::int64_t chat = 1; chat <= 2; ++chat)
    end.replies[chat] = telegram.texts(chat);
  end.operations = s.operations();
  return end;
}

}  // namespace

TEST_CASE("lock: whichever store operation fails, the story ends the same") {
  const auto clean = tell(0, std::nullopt);
  CHECK(clean.replies.at(1) == texts{"locked k, 1", "unlocked", "locked y, 2"});
  CHECK(clean.replies.at(2) == texts{"locked k, 1", "unlocked"});
  using what = store::fault::what;
  auto kind = GENERATE(what::fail, what::commit_then_error);
  // How often the second chat tries differs from run to run.
  const auto last = std::min<std::uint64_t>(clean.operations, 40);
  for (std::uint64_t n = 3; n <= last; ++n) {
    INFO("operation " << n << " of " << clean.operations
                      << (kind == what::fail ? " not done" : " done"));
    CHECK(tell(n, store::fault{kind, 1, {}}).replies == clean.replies);
  }
}
