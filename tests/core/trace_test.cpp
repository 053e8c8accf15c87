#include "core/trace.hpp"

#include <set>
#include <string>

#include "tests/support/catch.hpp"

using namespace troupe::tracing;

namespace {

constexpr std::int64_t bot = 123456;

int taken(double part, int of) {
  const sampler takes{part};
  int n = 0;
  for (int event = 1; event <= of; ++event)
    n += takes.takes(trace_of(bot, std::uint64_t(event))) ? 1 : 0;
  return n;
}

}  // namespace

// Nodes of two versions work side by side: both must say the same.
TEST_CASE("an update's trace id is the same in every version") {
  CHECK(to_string(trace_of(bot, 1)) == "4a50813759206a93190c48417c43cc79");
  CHECK(to_string(span_of(trace_of(bot, 1), 1)) == "17b85abb714fa280");
}

TEST_CASE("no two events, and no two bots, share a trace") {
  std::set<std::string> seen;
  for (std::uint64_t event = 0; event < 20'000; ++event) {
    seen.insert(to_string(trace_of(bot, event)));
    seen.insert(to_string(trace_of(bot + 1, event)));
    seen.insert(to_string(trace_of(bot, event | std::uint64_t{1} << 55)));
  }
  CHECK(seen.size() == 60'000);
  CHECK(seen.count(std::string(32, '0')) == 0);
}

TEST_CASE("ids of spans differ within a trace, and from trace to trace") {
  std::set<std::uint64_t> seen;
  for (std::uint64_t event = 1; event <= 100; ++event)
    for (std::uint64_t which = 0; which < 100; ++which)
      seen.insert(span_of(trace_of(bot, event), which).value);
  for (int i = 0; i < 10'000; ++i)
    seen.insert(new_span().value);
  CHECK(seen.size() == 20'000);
  CHECK(seen.count(0) == 0);
}

TEST_CASE("a sampler takes its part of the traces, and nothing or all") {
  CHECK(taken(0, 10'000) == 0);
  CHECK(taken(1, 10'000) == 10'000);
  // Ids are fixed, so this is no matter of luck.
  CHECK(taken(0.1, 100'000) > 9'700);
  CHECK(taken(0.1, 100'000) < 10'300);
  CHECK(taken(0.001, 100'000) > 60);
  CHECK(taken(0.001, 100'000) < 140);
}

TEST_CASE("what a smaller part takes, a larger one takes, too") {
  const sampler few{0.05};
  const sampler many{0.5};
  for (std::uint64_t event = 1; event < 10'000; ++event) {
    const auto trace = trace_of(bot, event);
    if (few.takes(trace))
      CHECK(many.takes(trace));
  }
}

TEST_CASE("a traceparent is read as W3C Trace Context has it") {
  const std::string trace = "4bf92f3577b34da6a3ce929d0e0e4736";
  const std::string span = "00f067aa0ba902b7";
  const auto got = read_traceparent("00-" + trace + "-" + span + "-01");
  REQUIRE(got.has_value());
  CHECK(to_string(got->trace) == trace);
  CHECK(to_string(got->span) == span);
  CHECK(got->sampled);
  const auto not_sampled = read_traceparent("00-" + trace + "-" + span + "-02");
  REQUIRE(not_sampled.has_value());
  CHECK_FALSE(not_sampled->sampled);
  // Of a version that is not written yet.
  CHECK(read_traceparent("01-" + trace + "-" + span + "-01-more"));
}

TEST_CASE("what is no traceparent is none") {
  const std::string trace = "4bf92f3577b34da6a3ce929d0e0e4736";
  const std::string span = "00f067aa0ba902b7";
  for (const std::string& text :
       {std::string{}, std::string{"00"}, "00-" + trace + "-" + span,
        "00-" + trace + "-" + span + "-01-more",
        "ff-" + trace + "-" + span + "-01",
        "00-" + std::string(32, '0') + "-" + span + "-01",
        "00-" + trace + "-" + std::string(16, '0') + "-01",
        "00-4BF92F3577B34DA6A3CE929D0E0E4736-" + span + "-01",
        "00-" + trace + "-" + span + "-0g", "00_" + trace + "-" + span + "-01",
        "01-" + trace + "-" + span + "-01.more"}) {
    INFO(text);
    CHECK_FALSE(read_traceparent(text));
  }
}
