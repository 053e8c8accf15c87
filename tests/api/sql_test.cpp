// What `sql` and `turn_id` promise a handler, and what they refuse.

#include <cstddef>
#include <limits>
#include <optional>
#include <set>
#include <stdexcept>
#include <string>
#include <troupe/test_chat.hpp>
#include <vector>

#include "tests/api/probe.hpp"
#include "tests/support/catch.hpp"

namespace {

using namespace troupe;
using namespace troupe::probe;
using texts = std::vector<std::string>;

/// Runs each text as a statement, and replies whether it changed a row.
behavior running(chat<tally>* ctx) {
  return {[=](const text_message& m) {
    ctx->state.n++;
    ctx->reply(ctx->sql(m.text, {m.text.size()}).changed() ? "yes" : "no");
  }};
}

/// The error of a handler that makes this statement.
std::string error_of(const std::string& text,
                     const std::vector<sql_value>& params = {}) {
  auto s = seam{only([=](chat<tally>* ctx) -> behavior {
    return {[=](const text_message&) { ctx->sql(text, params); }};
  })};
  detail::turn_event e;
  e.body = std::make_shared<const std::string>(
      R"({"update_id":1,"message":{"message_id":1,"date":1,"chat":{"id":42,)"
      R"("type":"private"},"text":"go"}})");
  detail::turn_scene scene;
  scene.now_ms = s.now_ms;
  scene.takes_sql = true;
  const auto r = s.live->run(e, scene);
  return r.error;
}

}  // namespace

TEST_CASE("a statement that changes nothing is told so in a run of its own") {
  test_chat<tally> c{only(running)};
  std::set<std::string> known;
  c.database([&](const std::string& line) {
    return known.insert(line).second ? std::size_t{1} : std::size_t{0};
  });
  c.text("INSERT 1");
  c.text("INSERT 1");
  CHECK(c.sent() == texts{"sendMessage: yes", "sendMessage: no"});
  // What was thrown away left nothing: not in the state, not in the database.
  CHECK(c.state().n == 2);
  CHECK(c.sql() == texts{"INSERT 1 [8]"});
}

TEST_CASE("two equal statements of one turn are told apart") {
  test_chat<tally> c{only([](chat<tally>* ctx) -> behavior {
    return {[=](const text_message&) {
      const bool first = ctx->sql("UPDATE seats").changed();
      const bool second = ctx->sql("UPDATE seats").changed();
      ctx->reply(std::string{first ? "yes" : "no"} + (second ? " yes" : " no"));
    }};
  })};
  // One seat: the second statement finds none. The turn is taken back, and so
  // is the seat.
  std::size_t calls = 0;
  c.database([&](const std::string&) {
    return ++calls == 2 ? std::size_t{0} : std::size_t{1};
  });
  c.text("go");
  CHECK(c.sent() == texts{"sendMessage: yes no"});
  CHECK(c.sql() == texts{"UPDATE seats"});
}

TEST_CASE("a statement that nobody asks about may change nothing") {
  test_chat<tally> c{only([](chat<tally>* ctx) -> behavior {
    return {[=](const text_message&) {
      ctx->sql("DELETE FROM carts WHERE chat = $1", {ctx->id()});
      ctx->reply("done");
    }};
  })};
  c.database([](const std::string&) { return std::size_t{0}; });
  c.text("go");
  CHECK(c.sent() == texts{"sendMessage: done"});
  CHECK(c.sql() == texts{"DELETE FROM carts WHERE chat = $1 [42]"});
}

TEST_CASE(
    "a statement that fails takes its turn back; three times, then it is "
    "a dead letter (G4)") {
  test_chat<tally> c{only(running)};
  int left = 2;
  c.database([&](const std::string&) -> std::size_t {
    if (left-- > 0)
      throw std::runtime_error{"could not serialize access"};
    return 1;
  });
  c.text("UPDATE 1");
  CHECK(c.sent() == texts{"sendMessage: yes"});
  CHECK(c.state().n == 1);
  left = 3;
  c.text("UPDATE 2");
  CHECK(c.sent().size() == 1);
  CHECK(c.dead_letters() == texts{"could not serialize access"});
  CHECK(c.state().n == 1);
  CHECK(c.sql().size() == 1);
}

TEST_CASE("parameters are sent as PostgreSQL reads them") {
  test_chat<tally> c{only([](chat<tally>* ctx) -> behavior {
    return {[=](const text_message&) {
      ctx->sql("SELECT",
               {1, -2.5, true, false, nullptr, "it's", std::string{"b"},
                std::string_view{"c"}, std::optional<int>{},
                std::optional<int>{7}, std::numeric_limits<std::int64_t>::min(),
                0.1, std::numeric_limits<double>::infinity()});
    }};
  })};
  c.text("go");
  CHECK(c.sql() == texts{"SELECT [1, -2.5, t, f, NULL, it's, b, c, NULL, 7, "
                         "-9223372036854775808, 0.1, Infinity]"});
  CHECK_THROWS_AS(sql_value{std::string(1, '\0')}, std::invalid_argument);
}

TEST_CASE("what would end the turn's transaction is refused") {
  for (const auto* good :
       {"SELECT 1", "insert into t values(1)", " \n\tUpdate t SET a = 1",
        "-- why\nDELETE FROM t", "/* a /* nested */ one */ MERGE INTO t",
        "WITH x AS (SELECT 1) SELECT * FROM x", "--\n/**/--\nSELECT(1)"})
    CHECK(error_of(good).empty());
  for (const auto* bad : {"COMMIT",
                          "commit;",
                          "BEGIN",
                          "ROLLBACK",
                          "END",
                          "ABORT",
                          "START",
                          "SAVEPOINT a",
                          "RELEASE a",
                          "PREPARE TRANSACTION 'a'",
                          "SET a = 1",
                          "RESET ALL",
                          "DISCARD ALL",
                          "COPY t FROM STDIN",
                          "LISTEN a",
                          "DO $$$$",
                          "CALL p()",
                          "VACUUM",
                          "/**/COMMIT",
                          "--\nCOMMIT",
                          "/* SELECT */ COMMIT",
                          "",
                          ";",
                          "/* SELECT",
                          "-- SELECT",
                          "SELECTED 1"}) {
    INFO(bad);
    CHECK(error_of(bad).find("ctx->sql takes SELECT") != std::string::npos);
  }
  CHECK(error_of("SELECT '" + std::string(70'000, 'x') + "'").find("64 KiB") !=
        std::string::npos);
  CHECK(error_of("SELECT 1", std::vector<sql_value>(1'001, 1))
            .find("1000 parameters") != std::string::npos);
}

TEST_CASE("a store that is not PostgreSQL is an error at the first use") {
  auto s = seam{only([](chat<tally>* ctx) -> behavior {
    return {[=](const text_message&) { ctx->sql("SELECT 1"); }};
  })};
  const auto r = s.update(
      R"({"update_id":1,"message":{"message_id":1,"date":1,"chat":{"id":42,)"
      R"("type":"private"},"text":"go"}})");
  CHECK(r.how == probe::end::threw);
  CHECK(r.error.find("needs a store on PostgreSQL") != std::string::npos);
}

TEST_CASE(
    "a turn has at most 64 statements, and one is asked about only in its "
    "turn") {
  std::optional<statement> kept;
  test_chat<tally> c{only([&](chat<tally>* ctx) -> behavior {
    return {[&, ctx](const text_message& m) {
      if (m.text == "ask") {
        (void)kept->changed();
        return;
      }
      for (int i = 0; i < std::stoi(m.text); ++i)
        kept = ctx->sql("SELECT $1", {i});
    }};
  })};
  c.text("64");
  CHECK(c.sql().size() == 64);
  c.text("65");
  c.text("ask");
  REQUIRE(c.dead_letters().size() == 2);
  CHECK(c.dead_letters()[0] == "a turn has over 64 statements of SQL");
  CHECK(c.dead_letters()[1].starts_with("a statement can be asked about only"));
  CHECK_THROWS_AS(kept->changed(), std::logic_error);
}

TEST_CASE("a turn's id is the same at every attempt, and no other's") {
  texts ids;
  bool boom = false;
  test_chat<tally> c{only([&](chat<tally>* ctx) -> behavior {
    return {[&, ctx](const text_message&) {
      ids.push_back(ctx->turn_id());
      if (boom)
        throw std::runtime_error{"boom"};
    }};
  })};
  c.text("a");
  boom = true;
  c.text("b");
  REQUIRE(ids.size() == 4);
  CHECK_FALSE(ids[0].empty());
  CHECK(ids[1] != ids[0]);
  CHECK(ids[2] == ids[1]);
  CHECK(ids[3] == ids[1]);
}
