#include "sim/report.hpp"
#include "tests/sim/log_script.hpp"

using namespace troupe;
using namespace troupe::sim;
using namespace troupe::sim::test;

namespace {

// One chat, texts a-1 to a-`n`, all accepted by 1.1 s.
script texts(int n) {
  script s;
  for (int i = 1; i <= n; ++i)
    s.update(10 + i, 1, "a-" + std::to_string(i), 1'000'000)
        .deliver(10 + i, 1'000'000, 1'001'000);
  return s;
}

const std::string recorded = R"(,"recorded":true,"code":200)";

}  // namespace

TEST_CASE("G2: verify: a repeat that was counted again is a wrong state") {
  for (auto first : {R"(,"fault":"drop")", ""}) {
    auto s = texts(1);
    s.reply(1, "n=1 text=a-1", 2'000'000, recorded + first)
        .reply(1, "n=2 text=a-1", 4'000'000);
    auto v = judge(s.ended(), {1, 10});
    REQUIRE(v.has_value());
    INFO(first);
    CHECK(v->state_errors == 1);
    CHECK(state_of(*v, "G2") == broken);
    CHECK_FALSE(v->ok());
  }
}

TEST_CASE("G1: verify: a 403 excuses what was made by then, nothing later") {
  auto s = texts(2);
  s.reply(1, "n=1 text=a-1", 2'000'000, R"(,"code":403)")
      .update(20, 1, "a-3", 5'000'000)
      .deliver(20, 5'000'000, 5'001'000);
  auto v = judge(s.ended());
  REQUIRE(v.has_value());
  CHECK(v->undeliverable == 2);
  CHECK(v->lost == 1);
  CHECK(state_of(*v, "G1") == broken);
  s.reply(1, "n=3 text=a-3", 6'000'000);
  CHECK(judge(s.ended())->ok());
}

TEST_CASE("G1: verify: what is made before the 403 leaves is excused, too") {
  auto s = texts(1);
  s.call(1, "n=1 text=a-1", 2'000'000, 2'040'000, R"(,"code":403)");
  for (auto [at, lost] : {std::pair{2'030'000, 0u}, std::pair{2'050'000, 1u}}) {
    auto t = s;
    t.update(12, 1, "a-2", at).deliver(12, at, at + 1'000);
    auto v = judge(t.ended());
    REQUIRE(v.has_value());
    INFO(at);
    CHECK(v->lost == lost);
  }
}

TEST_CASE("G4: verify: a 403 excuses no hole below what was replied to") {
  auto s = texts(3);
  s.reply(1, "n=2 text=a-2", 2'000'000)
      .reply(1, "n=3 text=a-3", 4'000'000, R"(,"code":403)");
  auto v = judge(s.ended());
  REQUIRE(v.has_value());
  CHECK(v->lost == 1);
  CHECK(v->torn_turns == 1);
  CHECK(v->undeliverable == 1);
  CHECK(state_of(*v, "G4") == broken);
}

TEST_CASE("verify: a run without a text proves nothing") {
  script s;
  s.update(10, 1, "/start", 1'000'000).deliver(10, 1'000'000, 1'001'000);
  for (auto& log : {script{}.ended(), s.ended()}) {
    auto v = judge(log);
    REQUIRE(v.has_value());
    CHECK(state_of(*v, "G1") == not_exercised);
    CHECK(v->complete());
    CHECK_FALSE(v->ok());
    CHECK(to_table(*v).find("PROVED NOTHING") != std::string::npos);
    CHECK(to_json(*v).find(R"("proves_something":false)") != std::string::npos);
  }
}

TEST_CASE("verify: texts that nobody got are counted apart") {
  script s;
  s.raw(R"({"e":"dropped","t":5,"chat":1,"kind":"message","why":"kind"})");
  auto v = judge(s.ended());
  REQUIRE(v.has_value());
  CHECK(v->dropped_texts == 1);
  CHECK(v->updates == 0);
  CHECK(to_table(*v).find("texts never made") != std::string::npos);
}

TEST_CASE("G5: verify: only a repeat after the cut is excused") {
  for (auto [at, excused] : {std::pair{2'499'000, 0u}, std::pair{2'500'000, 1u},
                             std::pair{9'000'000, 1u}}) {
    auto s = texts(1);
    s.call(1, "n=1 text=a-1", 2'000'000, 2'500'000,
           recorded + R"(,"fault":"drop")")
        .reply(1, "n=1 text=a-1", at);
    auto v = judge(s.ended());
    REQUIRE(v.has_value());
    INFO(at);
    CHECK(v->excused_duplicates == excused);
    CHECK(v->duplicates == 1 - excused);
  }
}

TEST_CASE("G5: verify: a late answer excuses a repeat only while it is out") {
  // A client has given up after 15 s at the earliest: then any repeat will do.
  for (auto [out, at, excused] : {std::tuple{2'001'000, 4'000'000, 0u},
                                  {5'000'000, 4'000'000, 1u},
                                  {5'000'000, 5'000'000, 0u},
                                  {17'000'000, 19'000'000, 1u}}) {
    auto s = texts(1);
    s.call(1, "n=1 text=a-1", 2'000'000, out, recorded + R"(,"fault":"delay")")
        .reply(1, "n=1 text=a-1", at);
    auto v = judge(s.ended());
    REQUIRE(v.has_value());
    INFO(out << ' ' << at);
    CHECK(v->excused_duplicates == excused);
    CHECK(v->duplicates == 1 - excused);
  }
}

TEST_CASE("verify: an id that comes again is the same update") {
  auto s = texts(2);
  s.update(11, 1, "a-1", 1'500'000)
      .deliver(11, 1'500'000, 1'501'000)
      .reply(1, "n=1 text=a-1", 2'000'000)
      .reply(1, "n=2 text=a-2", 4'000'000);
  auto v = judge(s.ended());
  REQUIRE(v.has_value());
  CHECK(v->updates == 2);
  CHECK(v->texts == 2);
  CHECK(v->redelivered == 1);
  CHECK(v->lost == 0);
  CHECK(v->ok());
}
