#include "actors/audience_filter.hpp"

#include "tests/support/catch.hpp"

using namespace troupe;
using namespace troupe::actors;
using namespace std::chrono_literals;

namespace {

const auto now_at = from_ms(1'700'000'000'000);

store::member seen(std::int64_t chat, std::chrono::hours first_ago,
                   std::chrono::hours last_ago, std::string language = "de") {
  return {chat_key::chat(chat), store::audience_status::active,
          std::move(language), now_at - first_ago, now_at - last_ago};
}

bool meant(const char* text, const store::member& who) {
  INFO(text);
  auto filter = audience_filter::parse(text);
  REQUIRE(filter.has_value());
  return filter->matches(who, now_at);
}

}  // namespace

TEST_CASE("an audience is private and active, if nothing else is said") {
  auto who = seen(7, 100h, 1h);
  CHECK(meant("", who));
  CHECK(meant("  ", who));
  CHECK_FALSE(meant("", seen(-100, 1h, 1h)));
  for (auto gone :
       {store::audience_status::blocked, store::audience_status::gone,
        store::audience_status::migrated}) {
    who.status = gone;
    CHECK_FALSE(meant("", who));
    CHECK_FALSE(meant("kind=any", who));
  }
  who = seen(7, 1h, 1h);
  who.key = chat_key::poll(7);
  CHECK_FALSE(meant("kind=any", who));
}

TEST_CASE("each term of an audience narrows it") {
  CHECK(meant("active 2h", seen(7, 9h, 1h)));
  CHECK_FALSE(meant("active 2h", seen(7, 9h, 3h)));
  CHECK(meant("idle 2h", seen(7, 9h, 3h)));
  CHECK_FALSE(meant("idle 2h", seen(7, 9h, 1h)));
  CHECK(meant("new 1d", seen(7, 9h, 1h)));
  CHECK_FALSE(meant("new 1d", seen(7, 25h, 1h)));
  CHECK(meant("active 1w , lang = de", seen(7, 9h, 1h)));
  CHECK_FALSE(meant("active 1w, lang=fr", seen(7, 9h, 1h)));
  CHECK(meant("lang=fr, lang=de", seen(7, 9h, 1h)));
  CHECK(meant("lang=pt", seen(7, 9h, 1h, "pt-BR")));
  CHECK(meant("lang=PT-br", seen(7, 9h, 1h, "pt-BR")));
  CHECK_FALSE(meant("lang=pt-br", seen(7, 9h, 1h, "pt")));
  CHECK_FALSE(meant("lang=d", seen(7, 9h, 1h)));
  CHECK_FALSE(meant("lang=de", seen(7, 9h, 1h, "")));
  CHECK(meant("kind=group", seen(-100, 9h, 1h)));
  CHECK_FALSE(meant("kind=group", seen(7, 9h, 1h)));
  CHECK(meant("kind=any", seen(-100, 9h, 1h)));
  CHECK(meant("active 3600s, active 60m", seen(7, 9h, 1h)));
}

TEST_CASE("tags narrow an audience, with and without") {
  auto who = seen(42, 1h, 1h);
  who.tags = {"beta", "vip"};
  CHECK(meant("tag=beta", who));
  CHECK(meant(" tag = beta , tag=vip", who));
  CHECK_FALSE(meant("tag=beta, tag=gold", who));
  CHECK_FALSE(meant("tag=bet", who));
  CHECK(meant("tag!=gold", who));
  CHECK_FALSE(meant("tag=beta, tag!=vip", who));
  CHECK(meant("tag!=beta", seen(42, 1h, 1h)));
  CHECK_FALSE(meant("tag=beta", seen(42, 1h, 1h)));
}

TEST_CASE("what is no audience is refused, and the term is named") {
  for (auto text : {"active", "active 30", "active d", "active -1d",
                    "active 0d", "active 30y", "active 99999999999999w",
                    "old 3d", ",", "active 1d,", "lang=", "lang=d e", "kind=",
                    "kind=bots", "tag=", "tag=a b", "tag!=", "=", "lang"}) {
    INFO(text);
    auto filter = audience_filter::parse(text);
    REQUIRE_FALSE(filter.has_value());
    CHECK(filter.error().code == errc::bad_input);
    CHECK(filter.error().context.starts_with("audience: '"));
  }
  CHECK(audience_filter::parse("lang=de, kind=bots").error().context ==
        "audience: 'kind=bots': kind is private, group or any");
}
