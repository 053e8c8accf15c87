#include <set>

#include "tests/store/cutting_proxy.hpp"
#include "tests/store/fixture.hpp"
#include "tests/support/postgres_server.hpp"

using namespace troupe;
using namespace troupe::store;
using namespace troupe::store::test;
using postgres_test::have_postgres;
using postgres_test::postgres_server;

namespace {

const chat_key key = chat_key::chat(42);

/// One server, and how to open a store on it.
struct stage {
  explicit stage(postgres_server::settings with = {})
      : server{std::move(with)} {
    how.url = url();
    how.bot = "77";
    how.shards = shard_count;
    how.time = &time;
    how.allow_volatile = true;
  }

  /// Patient, since this machine may be busy.
  std::string url(const std::string& login = "troupe",
                  std::uint16_t port = 0) const {
    return server.url(login, port) + "?connect_timeout=60";
  }

  sync_store open() {
    auto got = store::open(how);
    if (!got)
      FAIL(to_string(got.error()));
    return sync_store{std::move(*got)};
  }
  error refusal() const {
    auto got = store::open(how);
    REQUIRE_FALSE(got.has_value());
    return got.error();
  }
  std::string count(const std::string& of) const {
    return server.ask("SELECT count(*) FROM troupe_77." + of);
  }

  postgres_server server;
  test_clock time;
  options how;
};

bool says(const error& e, const char* what) {
  return e.context.find(what) != std::string::npos;
}

/// A turn of `key` with a call, ready to be committed.
turn next_turn(sync_store& s, lease held, std::uint64_t version) {
  const auto n = static_cast<std::uint32_t>(version) + 1;
  auto t = turn_of(key, version, accept_one(s, std::int64_t{n}, key));
  t.state = std::to_string(n);
  t.calls = {call_of(key, make_call_id(held.term, n))};
  return t;
}

// How the second round trip of a group begins its COMMIT on the wire: a Bind
// of the statement to the portal without a name.
const std::string commit_sign{"\0s1\0", 4};

}  // namespace

TEST_CASE("a store on PostgreSQL knows its bot, its shards and its format") {
  if (!have_postgres())
    return;
  stage on;
  auto s = on.open();
  accept_one(s, 1, key);
  const auto mine = on.how;
  on.how.bot = "78";
  CHECK(on.open().stats().journal == 0);
  on.how = mine;
  on.how.shards = shard_count * 2;
  CHECK(on.refusal().code == errc::incompatible);
  CHECK(says(on.refusal(), "16 shards"));
  on.how = mine;
  on.server.ask("UPDATE troupe_77.meta SET value = 99 WHERE name = 'format'");
  CHECK(on.refusal().code == errc::incompatible);
  CHECK(says(on.refusal(), "format 99"));
  CHECK(on.count("journal") == "1");
}

TEST_CASE("a schema with other tables is refused and left alone") {
  if (!have_postgres())
    return;
  stage on;
  on.server.ask("CREATE SCHEMA troupe_77");
  on.server.ask("CREATE TABLE troupe_77.customers(id int)");
  CHECK(on.refusal().code == errc::corrupt);
  on.server.ask("ALTER TABLE troupe_77.customers RENAME TO meta");
  CHECK(on.refusal().code == errc::corrupt);
  CHECK(on.server.ask("SELECT string_agg(relname, ' ') FROM pg_class WHERE "
                      "relnamespace = 'troupe_77'::regnamespace") == "meta");
}

TEST_CASE(
    "a PostgreSQL that may lose what it answered is refused, unless "
    "allowed") {
  if (!have_postgres())
    return;
  stage on;
  on.how.allow_volatile = false;
  CHECK(on.refusal().code == errc::incompatible);
  CHECK(says(on.refusal(), "fsync"));
  stage hasty{{.sync = true, .lines = {"synchronous_commit = off"}}};
  hasty.how.allow_volatile = false;
  CHECK(says(hasty.refusal(), "synchronous_commit"));
  CHECK(hasty.server.ask("SELECT count(*) FROM pg_namespace WHERE nspname "
                         "LIKE 'troupe%'") == "0");
  hasty.how.url += "&options=-csynchronous_commit%3Don";
  CHECK(store::open(hasty.how).has_value());
}

TEST_CASE("a user without rights is told so, one with them needs no more") {
  if (!have_postgres())
    return;
  stage on{{.hba = {"host all bot 127.0.0.1/32 scram-sha-256"}}};
  on.server.ask("CREATE ROLE bot LOGIN PASSWORD 'very-secret'");
  on.how.url = on.url("bot:wrong-secret");
  CHECK(on.refusal().code == errc::unavailable);
  CHECK(says(on.refusal(), "bot"));
  CHECK_FALSE(says(on.refusal(), "secret"));
  on.how.url = on.url("bot:very-secret");
  CHECK(on.refusal().code == errc::unavailable);
  CHECK(says(on.refusal(), "permission denied"));
  on.server.ask("CREATE SCHEMA troupe_77 AUTHORIZATION bot");
  auto s = on.open();
  CHECK(accept_one(s, 1, key) == seq_no{1});
  on.how.url = "postgresql://bot:very-secret@127.0.0.1:1/x?nonsense=1";
  CHECK(on.refusal().code == errc::bad_input);
  CHECK_FALSE(says(on.refusal(), "secret"));
}

TEST_CASE("of many that make one store at once, one makes it") {
  if (!have_postgres())
    return;
  stage on;
  std::atomic<int> good{0};
  std::vector<std::thread> all;
  for (int i = 0; i < 6; ++i)
    all.emplace_back([&] { good += store::open(on.how).has_value() ? 1 : 0; });
  for (auto& t : all)
    t.join();
  CHECK(good == 6);
}

TEST_CASE("nodes that accept at once leave no gap and nothing twice (G1, G2)") {
  if (!have_postgres())
    return;
  stage on;
  auto a = on.open();
  auto b = on.open();
  // The same updates come to both, each in an order of its own, to shards that
  // both append to.
  constexpr int updates = 400;
  std::atomic<int> fresh{0}, failed{0};
  auto feed = [&](sync_store& s, int step) {
    for (int i = 0; i < updates; ++i) {
      const int id = i * step % updates;
      s->accept({arriving(id, key_in({static_cast<std::uint16_t>(id % 4)}))},
                [&](result<std::vector<receipt>> r) {
                  if (!r)
                    ++failed;
                  else if (r->at(0).fresh)
                    ++fresh;
                });
    }
    s->close();  // answers all
  };
  std::thread one{[&] { feed(a, 7); }};
  feed(b, 3);
  one.join();
  CHECK(failed == 0);
  CHECK(fresh == updates);
  auto s = on.open();
  std::set<std::int64_t> ids;
  for (std::uint16_t shard = 0; shard < 4; ++shard) {
    std::uint64_t next = 1;
    for (const auto& e : s.backlog({shard}).value()) {
      CHECK(e.seq.value == next++);
      ids.insert(e.id.value);
    }
  }
  CHECK(ids.size() == updates);
}

TEST_CASE("a commit whose answer is lost is found out on a new connection (G2)",
          "[postgres]") {
  if (!have_postgres())
    return;
  stage on;
  cutting_proxy road{on.server.port()};
  on.how.url = on.url("troupe", road.port());
  auto s = on.open();
  const auto held = s.claim_one(shard_of_key(key));
  auto t = next_turn(s, held, 0);

  road.cut(commit_sign, cutting_proxy::moment::unheard);
  const auto lost = s.commit(held, {t});
  CHECK(road.cuts() == 1);
  REQUIRE_FALSE(lost.has_value());
  CHECK(lost.error().code == errc::unavailable);  // known: nothing was done
  CHECK(s.load_one(key).version == 0);
  CHECK(s.outbox(held.shard).value().empty());

  road.cut(commit_sign, cutting_proxy::moment::answered);
  const auto done = s.commit(held, {t});
  CHECK(road.cuts() == 2);
  REQUIRE(done.has_value());  // known, too
  CHECK(done->at(0).outcome == turn_receipt::status::committed);
  CHECK(s.load_one(key).version == 1);
  CHECK(s.commit(held, {t}).value().at(0).outcome ==
        turn_receipt::status::stale);
  CHECK(s.outbox(held.shard).value().size() == 1);
}

TEST_CASE("who can't find out whether it was done says unknown") {
  if (!have_postgres())
    return;
  stage on;
  cutting_proxy road{on.server.port()};
  on.how.url = on.url("troupe", road.port());
  auto s = on.open();
  const auto held = s.claim_one(shard_of_key(key));
  auto t = next_turn(s, held, 0);
  road.cut(commit_sign, cutting_proxy::moment::answered);
  // As another server that took over knows nothing of this node.
  on.server.ask(
      "CREATE FUNCTION nobody() RETURNS trigger LANGUAGE plpgsql AS "
      "'BEGIN RETURN NULL; END'; CREATE TRIGGER forget BEFORE INSERT ON "
      "troupe_77.writers FOR EACH ROW EXECUTE FUNCTION nobody(); "
      "DELETE FROM troupe_77.writers");
  CHECK(s.commit(held, {t}).error().code == errc::unknown_outcome);
  on.server.ask("DROP TRIGGER forget ON troupe_77.writers");
  CHECK(s.commit(held, {t}).value().at(0).outcome ==
        turn_receipt::status::stale);
  CHECK(s.load_one(key).version == 1);
}

TEST_CASE("connections that were closed meanwhile are made again unnoticed") {
  if (!have_postgres())
    return;
  stage on;
  auto s = on.open();
  const auto held = s.claim_one(shard_of_key(key));
  const std::string all_others =
      "SELECT count(pg_terminate_backend(pid, 60000)) FROM pg_stat_activity "
      "WHERE application_name = 'troupe'";
  for (std::uint64_t i = 0; i < 5; ++i) {
    CHECK(on.server.ask(all_others) == "1");
    auto t = next_turn(s, held, i);
    CHECK(on.server.ask(all_others) == "1");
    CHECK(s.commit(held, {t}).has_value());
    CHECK(on.server.ask(all_others) == "1");
    CHECK(s.load_one(key).version == i + 1);
  }
}

TEST_CASE("one refused part of a group leaves the others alone (G4)") {
  if (!have_postgres())
    return;
  stage on;
  auto s = on.open();
  const auto old = s.claim_one(shard_of_key(key));
  const auto held = s.claim_one(shard_of_key(key));
  const auto first = accept_one(s, 1, key);
  const auto second = accept_one(s, 2, key);
  std::vector<std::promise<errc>> ends(5);
  auto note = [&](std::size_t i) {
    return [&ends, i](const auto& r) {
      ends[i].set_value(r ? errc{} : r.error().code);
    };
  };
  // Behind what takes a while: one group.
  std::vector<arrival> many;
  for (int i = 0; i < 2'000; ++i)
    many.push_back(arriving(1'000 + i, key));
  s->accept(std::move(many), [](const auto&) {});
  s->commit(old, {turn_of(key, 0, first)}, note(0));
  s->commit(held, {turn_of(key, 7, first)}, note(1));
  s->commit(held, {turn_of(key, 0, first)}, note(2));
  s->load({key}, [&](const result<std::vector<chat_record>>& r) {
    // It sees what was done before it, and nothing that comes later.
    ends[3].set_value(r && r->at(0).version == 1 ? errc{} : errc::internal);
  });
  s->commit(held, {turn_of(key, 1, second)}, note(4));
  CHECK(ends[0].get_future().get() == errc::fenced);
  CHECK(ends[1].get_future().get() == errc::corrupt);
  CHECK(ends[2].get_future().get() == errc{});
  CHECK(ends[3].get_future().get() == errc{});
  CHECK(ends[4].get_future().get() == errc{});
  CHECK(s.load_one(key).version == 2);
}

TEST_CASE("what is over is swept") {
  if (!have_postgres())
    return;
  stage on;
  auto s = on.open();
  const auto held = s.claim_one(shard_of_key(key));
  auto t = next_turn(s, held, 0);
  t.mode = "M";
  t.expires = on.time.wall() + milliseconds{5};
  REQUIRE(s.commit(held, {t}).has_value());
  auto end = settled(t.calls[0], call_outcome::sent);
  end.to = chat_key::chat(-5);
  end.spent = 1;
  end.spent_at = on.time.wall();
  REQUIRE(s.settle(held, {end}).has_value());
  const auto lone = chat_key::lone({9});
  const auto other = s.claim_one(shard_of_key(lone));
  REQUIRE(
      s.commit(other, {turn_of(lone, 0, accept_one(s, 9, lone))}).has_value());
  REQUIRE(s.acquire("once", "a").value());
  REQUIRE(s.heartbeat({"n", "", ""}).has_value());
  CHECK(on.count("seen") != "0");
  CHECK(on.count("spending") == "1");
  on.time.advance(dedup_window + std::chrono::hours{1});
  on.server.ask("UPDATE troupe_77.names SET till = 1");
  on.server.ask("UPDATE troupe_77.nodes SET till = 1");
  CHECK(eventually([&] {
    return on.count("seen") == "0" && on.count("spending") == "0" &&
           on.count("names") == "0" && on.count("nodes") == "0" &&
           on.count("chats WHERE mode IS NOT NULL") == "0" &&
           on.count("chats") == "1";
  }));
  CHECK(s.load_one(key).version == 1);
}

TEST_CASE("thousands of update ids of one shard stay distinct and small") {
  if (!have_postgres())
    return;
  stage on;
  on.how.shards = 1;
  auto s = on.open();
  std::vector<arrival> even;
  for (int i = 0; i < 4'096; i += 2)
    even.push_back(arriving(i, key));
  for (const auto& r : s.accept(even).value())
    CHECK(r.fresh);
  for (const auto& r : s.accept(even).value())
    CHECK_FALSE(r.fresh);
  CHECK(on.server.ask("SELECT max(length(ids)) FROM troupe_77.seen") == "512");
  for (int i = 1; i < 4'096; i += 256)
    accept_one(s, i, key);
}
