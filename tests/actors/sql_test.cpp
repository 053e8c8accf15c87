#include <troupe/bot.hpp>

#include "store/faulty.hpp"
#include "tests/actors/cluster_rig.hpp"
#include "tests/support/postgres_server.hpp"

// `ctx->sql` on a real PostgreSQL, over chats and faults (docs/adr/0026).

using namespace troupe;
using namespace troupe::testing;
using postgres_test::have_postgres;
using postgres_test::postgres_server;

namespace {

using texts = std::vector<std::string>;

struct visits {
  int booked = 0;
};
BOOST_DESCRIBE_STRUCT(visits, (), (booked))

/// Books the slot that a text names. "dup SLOT" violates a constraint if it is
/// taken, "slow SLOT" waits for whoever has its row. `hook` sees each run
/// first.
auto desk(std::function<void()> hook) {
  return bot<visits>{[hook](chat<visits>* ctx) -> behavior {
           return {[=](const text_message& m) {
             hook();
             if (m.text.starts_with("dup "))
               ctx->sql("INSERT INTO slots VALUES($1, $2)",
                        {m.text.substr(4), ctx->id()});
             if (m.text.starts_with("slow "))
               ctx->sql("UPDATE slots SET chat = $2 WHERE slot = $1",
                        {m.text.substr(5), ctx->id()});
             const bool mine =
                 ctx->sql(
                        "INSERT INTO slots VALUES($1, $2) ON CONFLICT DO "
                        "NOTHING",
                        {m.text, ctx->id()})
                     .changed();
             ctx->state.booked += mine ? 1 : 0;
             ctx->reply(m.text + (mine ? " is yours, " : " is taken, ") +
                        std::to_string(ctx->state.booked));
           }};
         }}
      .share();
}

std::unique_ptr<store::backend> store_on(const postgres_server& server,
                                         const std::string& bot,
                                         const std::string& patience = "60") {
  store::options how;
  how.url = server.url() + "?connect_timeout=" + patience;
  how.bot = bot;
  how.shards = 2;
  how.allow_volatile = true;
  return store::open(how).value();
}

struct bookings {
  std::map<std::int64_t, texts> replies;
  std::string slots;
};

/// Six texts in three chats for two slots, one after the other. At every second
/// run of a handler the operation that follows goes wrong: most often, that is
/// its commit.
bookings book(const postgres_server& server,
              std::optional<store::fault::what> kind) {
  static int bots = 100;
  server.ask("TRUNCATE slots");
  telegram_double telegram;
  auto broken =
      std::make_unique<store::faulty>(store_on(server, std::to_string(++bots)));
  auto& s = *broken;
  std::atomic<int> runs{0};
  rig r{patient("sql"), desk([&] {
          if (kind && runs++ % 2 == 0)
            s.at(s.operations() + 1, store::fault{*kind, 1, {}});
        }),
        std::move(broken), telegram.url()};
  for (int i = 0; i < 6; ++i) {
    int tries = 0;
    while (r.post_and_wait(
               text_update(i + 1, i % 3 + 1, i % 2 == 0 ? "x" : "y")) != 200)
      REQUIRE(++tries < 1'000);
    REQUIRE(
        eventually([&] { return telegram.accepted() >= std::size_t(i) + 1; }));
  }
  bookings end;
  for (std::int64_t chat = 1; chat <= 3; ++chat)
    end.replies[chat] = telegram.texts(chat);
  end.slots = server.ask(
      "SELECT string_agg(slot || '=' || chat, ' ' ORDER BY slot) FROM slots");
  return end;
}

}  // namespace

TEST_CASE(
    "sql: a commit that fails, or whose answer is lost, books once, and tells "
    "what it booked (G2, G4)") {
  if (!have_postgres())
    return;
  postgres_server server;
  server.ask("CREATE TABLE slots(slot text PRIMARY KEY, chat int8 NOT NULL)");
  const auto clean = book(server, std::nullopt);
  CHECK(clean.replies.at(1) == texts{"x is yours, 1", "y is taken, 1"});
  CHECK(clean.replies.at(2) == texts{"y is yours, 1", "x is taken, 1"});
  CHECK(clean.replies.at(3) == texts{"x is taken, 0", "y is taken, 0"});
  CHECK(clean.slots == "x=1 y=2");
  for (auto kind :
       {store::fault::what::fail, store::fault::what::commit_then_error}) {
    const auto got = book(server, kind);
    CHECK(got.replies == clean.replies);
    CHECK(got.slots == clean.slots);
  }
}

TEST_CASE(
    "sql: a violated constraint is a dead letter at once, and the chat goes on "
    "(G4, G10)") {
  if (!have_postgres())
    return;
  postgres_server server;
  server.ask("CREATE TABLE slots(slot text PRIMARY KEY, chat int8 NOT NULL)");
  telegram_double telegram;
  std::atomic<int> runs{0};
  rig r{patient("sql"), desk([&] { ++runs; }), store_on(server, "77"),
        telegram.url()};
  REQUIRE(r.post_and_wait(text_update(1, 1, "x")) == 200);
  REQUIRE(eventually([&] { return telegram.accepted() == 1; }));
  REQUIRE(r.post_and_wait(text_update(2, 1, "dup x")) == 200);
  REQUIRE(r.post_and_wait(text_update(3, 1, "y")) == 200);
  REQUIRE(eventually([&] { return telegram.accepted() == 2; }));
  CHECK(telegram.texts(1) == texts{"x is yours, 1", "y is yours, 2"});
  CHECK(runs == 3);
  CHECK(r.total("dead_letters") == 1);
  std::promise<std::string> error;
  r.store().dead_letters({}, 9, [&](const auto& all) {
    error.set_value(all && all->size() == 1 ? all->at(0).error : "");
  });
  const auto said = error.get_future().get();
  INFO(said);
  CHECK(said.starts_with("SQL statement 1: "));
  CHECK(said.find("(23505)") != std::string::npos);
  CHECK(server.ask("SELECT count(*) FROM slots") == "2");
}

TEST_CASE(
    "sql: what does not get its lock is tried three times, then a dead "
    "letter") {
  if (!have_postgres())
    return;
  postgres_server server;
  server.ask("CREATE TABLE slots(slot text PRIMARY KEY, chat int8 NOT NULL)");
  server.ask("INSERT INTO slots VALUES('held', 9)");
  telegram_double telegram;
  std::atomic<int> runs{0};
  rig r{patient("sql"), desk([&] { ++runs; }), store_on(server, "77", "3"),
        telegram.url()};
  std::thread holder{[&] {
    server.ask(
        "BEGIN; UPDATE slots SET chat = 8 WHERE slot = 'held'; "
        "SELECT pg_sleep(300)");
  }};
  CHECK(eventually([&] {
    return server.ask(
               "SELECT count(*) FROM pg_stat_activity WHERE wait_event = "
               "'PgSleep'") == "1";
  }));
  REQUIRE(r.post_and_wait(text_update(1, 1, "slow held")) == 200);
  CHECK(eventually([&] { return r.total("dead_letters") == 1; }));
  CHECK(runs == 3);
  server.ask(
      "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE wait_event "
      "= 'PgSleep'");
  holder.join();
  REQUIRE(r.post_and_wait(text_update(2, 1, "slow held")) == 200);
  REQUIRE(eventually([&] { return telegram.accepted() == 1; }));
  CHECK(telegram.texts(1) == texts{"slow held is yours, 1"});
  CHECK(server.ask("SELECT chat FROM slots WHERE slot = 'held'") == "1");
}
