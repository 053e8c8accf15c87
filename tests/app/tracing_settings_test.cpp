#include "app/derived.hpp"
#include "app/settings.hpp"
#include "core/log.hpp"
#include "tests/app/settings_support.hpp"

using namespace troupe;
using namespace troupe::app;
using namespace troupe::app::test;

namespace {

/// What a node is told of the sample that a file asks for.
double sample_in_file(const std::string& value) {
  const temporary_folder folder;
  sources from;
  from.file = folder.write("t.toml", "[tracing]\nsample = " + value + "\n");
  const auto got = load_settings(from);
  INFO((got ? std::string{} : got.error().context));
  REQUIRE(got.has_value());
  return node_options_of(got->values, {}).tracing.sample;
}

}  // namespace

TEST_CASE("a part of the traces is a number from 0 to 1") {
  CHECK(sample_in_file("0.25") == 0.25);
  CHECK(sample_in_file("0") == 0);
  CHECK(sample_in_file("1") == 1);
  CHECK(sample_in_file("1e-3") == 0.001);
  const auto by_variable =
      load_settings(with_environment({{"TROUPE_TRACING_SAMPLE", "0.5"}}));
  REQUIRE(by_variable.has_value());
  CHECK(node_options_of(by_variable->values, {}).tracing.sample == 0.5);
  CHECK(node_options_of(default_settings(), {}).tracing.sample == 1);

  CHECK(complaint_about_file("[tracing]\nsample = 1.5\n") ==
        "t.toml:2: tracing.sample: \"1.5\" must be a number, 0 to 1");
  CHECK(complaint_about_file("[tracing]\nsample = nan\n") ==
        "t.toml:2: tracing.sample: \"nan\" must be a number, 0 to 1");
  CHECK(complaint_about_file("[tracing]\nsample = \"0.5\"\n") ==
        "t.toml:2: tracing.sample: must be a number, 0 to 1, not text");
  for (const char* wrong : {"", "-0.1", "half", "0.5x", "1.01", "inf"}) {
    INFO(wrong);
    sources from;
    from.flags["tracing.sample"] = wrong;
    CHECK(has(complaint(from), "--tracing-sample: "));
  }
}

TEST_CASE("G12: the collector's headers are secret, the value alone, too") {
  const auto got = load_settings(with_environment(
      {{"TROUPE_TRACING_HEADERS", "authorization=Bearer%20quite%2Dsecret"}}));
  REQUIRE(got.has_value());
  CHECK(log::redact("x quite-secret y") == "x *** y");
  CHECK(log::redact("quite%2Dsecret") == "***");
  CHECK_FALSE(has(print_config(*got), "secret%2D"));
  CHECK_FALSE(has(print_config(*got), "quite"));
  const auto wrong = complaint(
      with_environment({{"TROUPE_TRACING_HEADERS", "other-hidden-thing"}}));
  CHECK(has(wrong, "tracing.headers: must be name=value"));
  CHECK_FALSE(has(wrong, "hidden"));
}

TEST_CASE("headers that would travel unencrypted are warned of") {
  const auto warnings = [](const std::string& endpoint) {
    const auto got = load_settings(
        with_environment({{"TROUPE_TRACING_HEADERS", "api-key=quite-secret"},
                          {"TROUPE_TRACING_ENDPOINT", endpoint}}));
    REQUIRE(got.has_value());
    return got->warnings.size();
  };
  CHECK(warnings("http://127.0.0.1:4318") == 0);
  CHECK(warnings("https://collector.example") == 0);
  CHECK(warnings("http://collector.example:4318") == 1);
  CHECK(warnings("") == 0);
}
