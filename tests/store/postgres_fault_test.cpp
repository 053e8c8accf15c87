#include <iostream>

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
