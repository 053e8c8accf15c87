#include <libpq-fe.h>

#include <future>
#include <iostream>
#include <thread>

#include "store/postgres_link.hpp"
#include "tests/store/fixture.hpp"
#include "tests/store/owners_load.hpp"
#include "tests/support/postgres_server.hpp"

using namespace troupe;
using namespace troupe::store;
using namespace troupe::store::test;
using postgres_test::have_postgres;
using postgres_test::postgres_server;

namespace {

constexpr std::size_t some = 25;  ///< updates turned by each owner, at least

sync_store open_on(const postgres_server& server, const test_clock& time,
                   const std::string& patience = "60") {
  options how;
  how.url = server.url() + "?connect_timeout=" + patience;
  how.bot = "77";
  how.shards = shard_count;
  how.time = &time;
  how.allow_volatile = true;
  auto got = store::open(how);
  if (!got)
    FAIL(to_string(got.error()));
  return sync_store{std::move(*got)};
}

void report(const char* what, const owners_load& load) {
  std::cout << what << ": " << load.turned() << " updates turned, "
            << load.hindered() << " calls asked again, of which "
            << load.unknown() << " with an unknown outcome\n";
}

}  // namespace

TEST_CASE(
    "a PostgreSQL killed under the load of two nodes costs nothing "
    "(G1, G2, G4)") {
  if (!have_postgres())
    return;
  postgres_server server{{.sync = true}};
  test_clock time;
  auto a = open_on(server, time);
  auto b = open_on(server, time);
  owners_load one{*a, {{0}, {1}, {2}}};
  owners_load other{*b, {{3}, {4}, {5}}};
  for (int i = 0; i < 3; ++i) {
    CHECK(one.goes_on(some));
    server.kill();
    server.restart();
    CHECK(other.goes_on(some));
  }
  CHECK(one.finish() == "");
  CHECK(other.finish() == "");
  report("PostgreSQL killed, first node", one);
  report("PostgreSQL killed, second node", other);
}

TEST_CASE(
    "connections to PostgreSQL cut under load cost nothing "
    "(G1, G2, G4)") {
  if (!have_postgres())
    return;
  postgres_server server;
  test_clock time;
  auto a = open_on(server, time);
  auto b = open_on(server, time);
  owners_load one{*a, {{0}, {1}, {2}}};
  owners_load other{*b, {{3}, {4}, {5}}};
  for (int i = 0; i < 12; ++i) {
    server.ask(
        "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity "
        "WHERE application_name = 'troupe'");
    CHECK((i % 2 == 0 ? one : other).goes_on(some));
  }
  CHECK(one.finish() == "");
  CHECK(other.finish() == "");
  report("connections cut, first node", one);
  report("connections cut, second node", other);
}

TEST_CASE(
    "a PostgreSQL that stands still is given up in time, and used again") {
  if (!have_postgres())
    return;
  postgres_server server;
  test_clock time;
  auto s = open_on(server, time, "3");
  const auto key = chat_key::chat(42);
  accept_one(s, 1, key);
  server.freeze();
  const auto r = s.accept({arriving(2, key)});
  REQUIRE_FALSE(r.has_value());
  CHECK((r.error().code == errc::unavailable ||
         r.error().code == errc::unknown_outcome));
  server.thaw();
  CHECK(eventually([&] { return s.accept({arriving(2, key)}).has_value(); }));
  CHECK(s.backlog(shard_of_key(key)).value().size() == 2);
}

TEST_CASE(
    "a node that falls silent with locks in hand holds nobody up for long") {
  if (!have_postgres())
    return;
  postgres_server server;
  test_clock time;
  auto s = open_on(server, time);
  // As a node that was stopped between the two round trips of a group.
  postgres::link_options how;
  how.patience = std::chrono::seconds{4};
  auto silent = postgres::link::open(server.url(), how).value();
  REQUIRE(silent->enter("troupe_77", how).has_value());
  std::vector<postgres::request> locks;
  locks.emplace_back(postgres::sql::begin);
  locks.emplace_back(postgres::sql::tails_locked);
  std::vector<std::int64_t> all;
  for (std::int64_t i = 0; i < shard_count; ++i)
    all.push_back(i);
  locks.back().numbers(all);
  const auto got = silent->exchange(std::move(locks));
  REQUIRE(got.size() == 2);
  CHECK(got[1].rows.rows() == shard_count);
  CHECK(s.accept({arriving(2, chat_key::chat(42))}).has_value());
  std::vector<postgres::request> late;
  late.emplace_back(postgres::sql::commit);
  for (const auto& answer : silent->exchange(std::move(late)))
    CHECK(answer.failed);
  CHECK(silent->broken());
}

namespace {

/// As a node that was stopped (SIGSTOP) in the middle of sending a group: the
/// server waits for the rest of it, and has the locks of the first part.
class half_sent {
 public:
  explicit half_sent(const postgres_server& server)
      : of_{PQconnectdb(server.url().c_str()), PQfinish} {
    REQUIRE(PQstatus(of_.get()) == CONNECTION_OK);
    const std::unique_ptr<PGresult, decltype(&PQclear)> entered{
        PQexec(of_.get(),
               "SET search_path = troupe_77; SELECT pg_advisory_lock_shared("
               "hashtext('troupe'), hashtext('troupe_77'))"),
        PQclear};
    REQUIRE(PQresultStatus(entered.get()) == PGRES_TUPLES_OK);
    REQUIRE(PQenterPipelineMode(of_.get()) == 1);
    send("BEGIN");
    send("SELECT shard FROM owners FOR KEY SHARE");
    send("SELECT shard FROM tails ORDER BY shard FOR UPDATE");
    // No sync: for the server the pipeline goes on.
    REQUIRE(PQsendFlushRequest(of_.get()) == 1);
    REQUIRE(PQflush(of_.get()) == 0);
  }

  int pid() const { return PQbackendPID(of_.get()); }

 private:
  void send(const char* text) {
    REQUIRE(PQsendQueryParams(of_.get(), text, 0, nullptr, nullptr, nullptr,
                              nullptr, 0) == 1);
  }

  std::unique_ptr<PGconn, decltype(&PQfinish)> of_;
};

}  // namespace

TEST_CASE(
    "a node that is stopped while it sends a group is ended by whom its locks "
    "hold up (G10)") {
  if (!have_postgres())
    return;
  postgres_server server;
  test_clock time;
  auto s = open_on(server, time, "4");
  const auto held = s.claim_one({0}, "stopped");
  server.ask("UPDATE troupe_77.owners SET till = 1");
  half_sent stopped{server};
  const auto pid = std::to_string(stopped.pid());
  REQUIRE(eventually([&] {
    return server.ask("SELECT wait_event FROM pg_stat_activity WHERE pid = " +
                      pid) == "ClientRead";
  }));
  // Its rows are left alone at first, which holds up nobody.
  CHECK(s.claim({{0}}, "other").value().empty());
  CHECK(s.heartbeat({"other", "", ""}).has_value());
  CHECK(eventually([&] {
    const auto got = s.claim({{0}}, "other");
    return got && got->size() == 1 && got->at(0).term.value > held.term.value;
  }));
  CHECK(eventually(
      [&] { return s.accept({arriving(2, key_in({0}))}).has_value(); }));
  CHECK(server.ask("SELECT count(*) FROM pg_stat_activity WHERE pid = " +
                   pid) == "0");
}

TEST_CASE("a node that does its work is not ended by others") {
  if (!have_postgres())
    return;
  postgres_server server;
  test_clock time;
  auto s = open_on(server, time, "4");
  // A session of another program, silent in a transaction that has our rows.
  std::thread foreign{[&] {
    server.ask(
        "BEGIN; SELECT FROM troupe_77.owners FOR KEY SHARE; "
        "SELECT pg_sleep(8)");
  }};
  REQUIRE(eventually([&] {
    return server.ask(
               "SELECT count(*) FROM pg_stat_activity WHERE wait_event = "
               "'PgSleep'") == "1";
  }));
  CHECK(s.claim({{0}}, "other").value().empty());
  CHECK(eventually([&] {
    const auto got = s.claim({{0}}, "other");
    return got && got->size() == 1;
  }));
  foreign.join();
}

TEST_CASE(
    "one operation that the server refuses fails alone, not those beside it "
    "(G10)") {
  if (!have_postgres())
    return;
  postgres_server server;
  test_clock time;
  auto s = open_on(server, time);
  const auto held = s.claim_one({0});
  // Rows of one chat can't be written, whatever the reason.
  const auto sick = key_in({0}, 3);
  server.ask(
      "CREATE FUNCTION sick() RETURNS trigger LANGUAGE plpgsql AS "
      "'BEGIN RAISE EXCEPTION ''sick''; END'");
  server.ask(
      "CREATE TRIGGER sick BEFORE INSERT OR UPDATE ON troupe_77.chats "
      "FOR EACH ROW WHEN (NEW.kid = " +
      std::to_string(sick.id) + ") EXECUTE FUNCTION sick()");
  constexpr int chats = 20;
  std::vector<turn> turns;
  for (int i = 0; i < chats; ++i) {
    const auto one = key_in({0}, i);
    turns.push_back(turn_of(one, 0, accept_one(s, 100 + i, one)));
  }
  // Behind what takes a while: one group.
  std::vector<arrival> many;
  for (int i = 0; i < 2'000; ++i)
    many.push_back(arriving(1'000 + i, sick));
  std::vector<std::promise<bool>> ends(chats);
  std::promise<bool> accepted;
  s->accept(std::move(many), [](const auto&) {});
  for (int i = 0; i < chats; ++i) {
    const auto n = static_cast<std::size_t>(i);
    s->commit(held, {turns[n]},
              [&ends, n](const auto& r) { ends[n].set_value(!!r); });
  }
  s->accept({arriving(5'000, key_in({1}))},
            [&](const auto& r) { accepted.set_value(!!r); });
  for (int i = 0; i < chats; ++i) {
    INFO(i);
    CHECK(ends[static_cast<std::size_t>(i)].get_future().get() ==
          (key_in({0}, i) != sick));
  }
  CHECK(accepted.get_future().get());
  server.ask("DROP TRIGGER sick ON troupe_77.chats");
  CHECK(s.commit(held, {turns[3]}).has_value());
}

TEST_CASE("one part of the house-keeping that fails does not stop the others") {
  if (!have_postgres())
    return;
  postgres_server server;
  test_clock time;
  auto s = open_on(server, time);
  accept_one(s, 1, key_in({0}));
  REQUIRE(s.acquire("old", "a").value());
  server.ask(
      "CREATE FUNCTION sick() RETURNS trigger LANGUAGE plpgsql AS "
      "'BEGIN RAISE EXCEPTION ''sick''; END'");
  server.ask(
      "CREATE TRIGGER sick BEFORE DELETE ON troupe_77.seen FOR EACH ROW "
      "EXECUTE FUNCTION sick()");
  time.advance(dedup_window + std::chrono::hours{1});
  server.ask("UPDATE troupe_77.names SET till = 1");
  CHECK(eventually([&] {
    return server.ask("SELECT count(*) FROM troupe_77.names") == "0";
  }));
  CHECK(server.ask("SELECT count(*) FROM troupe_77.seen") == "1");
  server.ask("DROP TRIGGER sick ON troupe_77.seen");
  CHECK(eventually([&] {
    return server.ask("SELECT count(*) FROM troupe_77.seen") == "0";
  }));
}
