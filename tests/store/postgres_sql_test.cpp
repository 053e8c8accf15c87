#include <atomic>
#include <set>
#include <thread>

#include "store/postgres_author.hpp"
#include "tests/store/cutting_proxy.hpp"
#include "tests/store/fixture.hpp"
#include "tests/support/postgres_server.hpp"

// SQL of the author's in a turn's transaction (docs/adr/0026).

using namespace troupe;
using namespace troupe::store;
using namespace troupe::store::test;
using postgres_test::have_postgres;
using postgres_test::postgres_server;

namespace {

using status = turn_receipt::status;
const chat_key key = chat_key::chat(42);

struct sql_stage {
  sql_stage() {
    how.url = server.url() + "?connect_timeout=60";
    how.bot = "77";
    how.shards = shard_count;
    how.time = &time;
    how.allow_volatile = true;
    server.ask("CREATE TABLE slots(slot text PRIMARY KEY, chat int8 NOT NULL)");
  }
  sync_store open() {
    auto got = store::open(how);
    if (!got)
      FAIL(to_string(got.error()));
    return sync_store{std::move(*got)};
  }
  std::string rows() const { return server.ask("SELECT count(*) FROM slots"); }

  postgres_server server;
  test_clock time;
  options how;
};

/// A turn of `key` that puts a state and does this SQL.
turn turn_with(sync_store& s, std::uint64_t version,
               std::vector<sql_statement> sql, chat_key of = key) {
  auto t = turn_of(of, version,
                   accept_one(s, std::int64_t(of.id * 1'000 + version), of));
  t.state = "1";
  t.sql = std::move(sql);
  return t;
}

sql_statement book(const std::string& slot, bool must_change = false) {
  return {"INSERT INTO slots VALUES($1, $2) ON CONFLICT DO NOTHING",
          {slot, "42"},
          must_change};
}

sql_statement insert(const std::string& slot) {
  return {"INSERT INTO slots VALUES($1, $2)", {slot, "42"}, false};
}

turn_receipt only(const result<std::vector<turn_receipt>>& r) {
  if (!r)
    FAIL(to_string(r.error()));
  return r->at(0);
}

const std::string commit_sign{"\0s1\0", 4};

}  // namespace

TEST_CASE("SQL of a turn is done with it, or not at all (G4)") {
  if (!have_postgres())
    return;
  sql_stage on;
  auto s = on.open();
  CHECK(s->takes_sql());
  const auto held = s.claim_one(shard_of_key(key));
  auto t = turn_with(s, 0,
                     {insert("a"),
                      {"UPDATE slots SET chat = chat + $1 "
                       "WHERE slot = $2",
                       {"1", "a"},
                       true}});
  CHECK(only(s.commit(held, {t})).outcome == status::committed);
  CHECK(on.server.ask("SELECT chat FROM slots") == "43");
  CHECK(s.load_one(key).version == 1);

  // The second statement fails: the first one is not done, nor is the turn.
  auto bad = turn_with(s, 1, {insert("b"), insert("a")});
  bad.calls = {call_of(key, make_call_id(held.term, 1))};
  const auto r = only(s.commit(held, {bad}));
  CHECK(r.outcome == status::refused);
  CHECK_FALSE(r.sql.passing);
  CHECK(r.sql.error.starts_with("SQL statement 2: "));
  CHECK(r.sql.error.find("(23505)") != std::string::npos);
  CHECK(on.rows() == "1");
  CHECK(s.load_one(key).version == 1);
  CHECK(s.outbox(held.shard).value().empty());

  // It can be committed without.
  bad.sql.clear();
  CHECK(only(s.commit(held, {bad})).outcome == status::committed);
}

TEST_CASE("a turn whose SQL changes nothing where it must is not committed") {
  if (!have_postgres())
    return;
  sql_stage on;
  auto s = on.open();
  const auto held = s.claim_one(shard_of_key(key));
  on.server.ask("INSERT INTO slots VALUES('a', 1)");
  auto t = turn_with(s, 0, {book("b", true), book("a", true), book("a")});
  const auto r = only(s.commit(held, {t}));
  CHECK(r.outcome == status::refused);
  CHECK(r.sql.unmet == std::vector<std::size_t>{1});
  CHECK(on.rows() == "1");
  CHECK(s.load_one(key).version == 0);
  t.sql = {book("b", true), {"SELECT FROM slots WHERE chat = 1", {}, true}};
  CHECK(only(s.commit(held, {t})).outcome == status::committed);
  CHECK(on.rows() == "2");
}

TEST_CASE(
    "SQL of a turn that was committed before, or is fenced, is not done "
    "again (G2, G6)") {
  if (!have_postgres())
    return;
  sql_stage on;
  auto s = on.open();
  const auto old = s.claim_one(shard_of_key(key));
  const auto held = s.claim_one(shard_of_key(key));
  auto t = turn_with(s, 0, {insert("a")});
  CHECK(s.commit(old, {t}).error().code == errc::fenced);
  CHECK(on.rows() == "0");
  CHECK(only(s.commit(held, {t})).outcome == status::committed);
  // The repeat would violate a constraint, and change nothing: it is stale.
  CHECK(only(s.commit(held, {t})).outcome == status::stale);
  t.sql = {book("a", true)};
  CHECK(only(s.commit(held, {t})).outcome == status::stale);
  t.sql = {insert("b")};
  CHECK(only(s.commit(held, {t})).outcome == status::stale);
  CHECK(on.rows() == "1");
}

TEST_CASE("a lost answer to a commit with SQL does it once (G2, G4)") {
  if (!have_postgres())
    return;
  sql_stage on;
  cutting_proxy road{on.server.port()};
  on.how.url = on.server.url("troupe", road.port()) + "?connect_timeout=60";
  auto s = on.open();
  const auto held = s.claim_one(shard_of_key(key));
  auto t = turn_with(s, 0, {insert("a")});
  road.cut(commit_sign, cutting_proxy::moment::unheard);
  const auto lost = s.commit(held, {t});
  REQUIRE_FALSE(lost.has_value());
  CHECK(lost.error().code == errc::unavailable);
  CHECK(on.rows() == "0");
  road.cut(commit_sign, cutting_proxy::moment::answered);
  CHECK(only(s.commit(held, {t})).outcome == status::committed);
  CHECK(road.cuts() == 2);
  CHECK(on.rows() == "1");
  CHECK(only(s.commit(held, {t})).outcome == status::stale);
  CHECK(on.rows() == "1");
}

TEST_CASE(
    "SQL can't end the turn's transaction, or leave the session changed") {
  if (!have_postgres())
    return;
  sql_stage on;
  on.server.ask(
      "CREATE PROCEDURE ender() LANGUAGE plpgsql AS 'BEGIN COMMIT; END'");
  auto s = on.open();
  const auto held = s.claim_one(shard_of_key(key));
  auto t = turn_with(s, 0, {});
  for (const auto* bad :
       {"CALL ender()", "DO 'BEGIN COMMIT; END'", "SELECT 1; COMMIT",
        "INSERT INTO slots VALUES('x', 1); COMMIT"}) {
    INFO(bad);
    t.sql = {insert("a"), {bad, {}, false}};
    CHECK(only(s.commit(held, {t})).outcome == status::refused);
    CHECK(on.rows() == "0");
  }
  // What only the runtime's own tables are called is not in its way either.
  on.server.ask("CREATE TABLE timers(a int)");
  t.sql = {{"SELECT set_config('search_path', 'public', false)", {}, true},
           {"INSERT INTO timers VALUES($1)", {"7"}, true}};
  CHECK(only(s.commit(held, {t})).outcome == status::committed);
  CHECK(on.server.ask("SELECT a FROM timers") == "7");
  auto next = turn_with(s, 1, {insert("b")});
  next.set = {{key, "later", on.time.wall(), "1"}};
  CHECK(only(s.commit(held, {next})).outcome == status::committed);
  CHECK(s.timers(key).value().size() == 1);
}

TEST_CASE("what is checked at the end of a transaction is the turn's fault") {
  if (!have_postgres())
    return;
  sql_stage on;
  on.server.ask("CREATE TABLE slots2(n int PRIMARY KEY)");
  on.server.ask(
      "CREATE TABLE seats(n int REFERENCES slots2 DEFERRABLE INITIALLY "
      "DEFERRED)");
  auto s = on.open();
  const auto held = s.claim_one(shard_of_key(key));
  auto t = turn_with(s, 0, {{"INSERT INTO seats VALUES(5)", {}, false}});
  const auto r = only(s.commit(held, {t}));
  CHECK(r.outcome == status::refused);
  CHECK(r.sql.error.find("(23503)") != std::string::npos);
}

TEST_CASE("types, NULL and what only looks like SQL go as parameters") {
  if (!have_postgres())
    return;
  sql_stage on;
  on.server.ask(
      "CREATE TABLE kinds(t text, n int4, x float8, b bool, d date, j jsonb, "
      "z int)");
  auto s = on.open();
  const auto held = s.claim_one(shard_of_key(key));
  auto t = turn_with(s, 0,
                     {{"INSERT INTO kinds VALUES($1, $2, $3, $4, $5, $6, $7)",
                       {"'); DROP TABLE kinds; --", "-7", "0.5", "t",
                        "2026-11-26", R"({"a": 1})", std::nullopt},
                       true}});
  CHECK(only(s.commit(held, {t})).outcome == status::committed);
  CHECK(on.server.ask("SELECT concat_ws('|', t, n, x, b, d, j, z IS NULL) "
                      "FROM kinds") ==
        R"('); DROP TABLE kinds; --|-7|0.5|t|2026-11-26|{"a": 1}|t)");
}

TEST_CASE("an error of SQL holds no values of its parameters (G12)") {
  if (!have_postgres())
    return;
  sql_stage on;
  on.server.ask(
      "CREATE FUNCTION loud() RETURNS trigger LANGUAGE plpgsql AS "
      "'BEGIN RAISE EXCEPTION ''no seat for %'', NEW.slot; END'");
  on.server.ask(
      "CREATE TRIGGER loud BEFORE INSERT ON slots FOR EACH ROW EXECUTE "
      "FUNCTION loud()");
  auto s = on.open();
  const auto held = s.claim_one(shard_of_key(key));
  auto t = turn_with(s, 0, {});
  t.sql = {insert("card-4111-1111")};
  auto r = only(s.commit(held, {t}));
  CHECK(r.sql.error.find("no seat for $1 (P0001)") != std::string::npos);
  t.sql = {{"INSERT INTO slots VALUES('x', $1)", {"not-a-number"}, false}};
  r = only(s.commit(held, {t}));
  CHECK(r.sql.error.find("(22P02)") != std::string::npos);
  CHECK(r.sql.error.find("not-a") == std::string::npos);
  t.sql = {{"INSERT INTO slots VALUES('x', 'abc'::text::int8)", {}, false}};
  r = only(s.commit(held, {t}));
  CHECK(r.sql.error.find("abc") == std::string::npos);
}

TEST_CASE(
    "SQL that waits for a lock delays no other turn and no lease, and is "
    "given up in time (G10)") {
  if (!have_postgres())
    return;
  sql_stage on;
  on.how.url = on.server.url() + "?connect_timeout=6";
  auto s = on.open();
  const auto held = s.claim_one(shard_of_key(key));
  const auto other = chat_key::chat(43);
  const auto also = s.claim_one(shard_of_key(other));
  on.server.ask("INSERT INTO slots VALUES('a', 1)");
  // A session that has the row and does not let go.
  std::thread holder{[&] {
    on.server.ask(
        "BEGIN; UPDATE slots SET chat = 2 WHERE slot = 'a'; "
        "SELECT pg_sleep(300)");
  }};
  REQUIRE(eventually([&] {
    return on.server.ask(
               "SELECT count(*) FROM pg_stat_activity WHERE query LIKE "
               "'BEGIN; UPDATE slots%' AND wait_event = 'PgSleep'") == "1";
  }));
  std::promise<turn_receipt> blocked;
  auto t = turn_with(
      s, 0, {{"UPDATE slots SET chat = 3 WHERE slot = 'a'", {}, true}});
  s->commit(held, {t}, [&](const result<std::vector<turn_receipt>>& r) {
    blocked.set_value(r ? r->at(0) : turn_receipt{});
  });
  REQUIRE(eventually([&] {
    return on.server.ask(
               "SELECT count(*) FROM pg_stat_activity WHERE query LIKE "
               "'UPDATE slots SET chat = 3%' AND wait_event_type = 'Lock'") ==
           "1";
  }));
  auto end = blocked.get_future();
  // Meanwhile, also for the very shard:
  CHECK(s.renew({held, also}).value().size() == 2);
  CHECK(s.heartbeat({"n", "", ""}).has_value());
  CHECK(s.accept({arriving(900, key)}).has_value());
  CHECK(only(s.commit(also, {turn_with(s, 0, {}, other)})).outcome ==
        status::committed);
  CHECK(only(s.commit(also, {turn_with(s, 1, {insert("z")}, other)})).outcome ==
        status::committed);
  const auto r = end.get();
  CHECK(r.outcome == status::refused);
  CHECK(r.sql.passing);
  CHECK(r.sql.error.find("(57014)") != std::string::npos);
  on.server.ask(
      "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE "
      "'BEGIN; UPDATE slots%' AND pid <> pg_backend_pid()");
  holder.join();
  CHECK(only(s.commit(held, {t})).outcome == status::committed);
}

TEST_CASE("of two nodes that book one slot at once, one gets it") {
  if (!have_postgres())
    return;
  sql_stage on;
  auto a = on.open();
  auto b = on.open();
  const auto other = chat_key::chat(43);
  REQUIRE(shard_of_key(key) != shard_of_key(other));
  const auto mine = a.claim_one(shard_of_key(key), "a");
  const auto theirs = b.claim_one(shard_of_key(other), "b");
  constexpr int slots = 60;
  std::atomic<int> good{0}, taken{0}, odd{0};
  auto feed = [&](sync_store& s, lease held, chat_key of) {
    std::uint64_t version = 0;
    for (int i = 0; i < slots; ++i) {
      auto t = turn_with(s, version, {book(std::to_string(i), true)}, of);
      auto r = only(s.commit(held, {t}));
      if (r.outcome == status::refused && !r.sql.unmet.empty()) {
        ++taken;
        t.sql.clear();
        r = only(s.commit(held, {t}));
      } else {
        ++good;
      }
      odd += r.outcome == status::committed ? 0 : 1;
      ++version;
    }
  };
  std::thread one{[&] { feed(a, mine, key); }};
  feed(b, theirs, other);
  one.join();
  CHECK(odd == 0);
  CHECK(good == slots);
  CHECK(taken == slots);
  CHECK(on.rows() == std::to_string(slots));
}

TEST_CASE(
    "stores that are not PostgreSQL refuse SQL, and all more than one turn "
    "with it",
    "[contract]") {
  TROUPE_EACH_STORE();
  const auto held = s.claim_one(shard_of_key(key));
  auto t = turn_with(s, 0, {{"SELECT 1", {}, false}});
  CHECK(s->takes_sql() == fixture.postgres());
  if (!fixture.postgres()) {
    const auto r = s.commit(held, {t});
    REQUIRE_FALSE(r.has_value());
    CHECK(r.error().code == errc::bad_input);
    CHECK(s.load_one(key).version == 0);
    return;
  }
  auto second = t;
  second.version = 1;
  const auto r = s.commit(held, {t, second});
  REQUIRE_FALSE(r.has_value());
  CHECK(r.error().code == errc::bad_input);
  CHECK(only(s.commit(held, {t})).outcome == status::committed);
}

TEST_CASE("what a server says is told without what it was given") {
  using namespace postgres;
  const refusal unread{
      {errc::internal,
       "PostgreSQL: invalid input syntax for type integer: \"ab\" (22P02)"},
      "22P02",
      false};
  CHECK(without_values(unread, {}) ==
        "PostgreSQL: invalid input syntax for type integer: \"...\" (22P02)");
  const refusal raised{
      {errc::internal, "PostgreSQL: Ann Smith, Ann Smith! (P0001)"},
      "P0001",
      false};
  CHECK(without_values(raised, {"", {"x", "Ann Smith"}, false}) ==
        "PostgreSQL: $2, $2! (P0001)");
}
