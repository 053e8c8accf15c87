#include <chrono>
#include <functional>
#include <stdexcept>
#include <string>
#include <troupe/test_chat.hpp>
#include <variant>
#include <vector>

#include "tests/support/catch.hpp"

namespace {

using namespace troupe;
using namespace std::chrono_literals;
using plain = chat<std::monostate>;
using act = std::function<void(plain&)>;

/// What came of a text whose handler does `what`.
struct done {
  explicit done(const act& what)
      : chat{[what](plain* ctx) -> behavior {
          return {[=](const text_message&) { what(*ctx); }};
        }} {
    chat.text("x");
  }
  test_chat<std::monostate> chat;
};

std::string refusal_of(const act& what) {
  done d{what};
  CHECK(d.chat.broadcasts().empty());
  REQUIRE(d.chat.dead_letters().size() == 1);
  return d.chat.dead_letters()[0];
}

}  // namespace

TEST_CASE("a broadcast is seen by the test, and nothing of it is sent") {
  done d{[](plain& ctx) {
    ctx.broadcast("active 30d, lang=de", "Neu: Birnen.",
                  {.name = "pears", .rate = 5, .at = ctx.now() + 1h});
    ctx.broadcast_call("", "sendDice", {{"emoji", "x"}});
  }};
  CHECK(d.chat.sent().empty());
  CHECK(d.chat.notices().empty());
  const auto& all = d.chat.broadcasts();
  REQUIRE(all.size() == 2);
  CHECK(all[0].at("audience") == "active 30d, lang=de");
  CHECK(all[0].at("method") == "sendMessage");
  CHECK(all[0].at("params").at("text") == "Neu: Birnen.");
  CHECK(all[0].at("name") == "pears");
  CHECK(all[0].at("rate") == 5);
  CHECK(all[0].at("repeat") == false);
  CHECK(all[0].at("at_ms").to_number<std::int64_t>() ==
        (d.chat.now() + 1h).time_since_epoch().count());
  CHECK(all[1].at("method") == "sendDice");
  CHECK_FALSE(all[1].as_object().contains("at_ms"));
  d.chat.forget();
  CHECK(d.chat.broadcasts().empty());
}

TEST_CASE("what no broadcast can be ends the turn, and nothing is begun") {
  CHECK(refusal_of([](plain& ctx) {
          ctx.broadcast("everybody", "x");
        }).find("everybody") != std::string::npos);
  refusal_of([](plain& ctx) { ctx.broadcast_call("", "getMe", {}); });
  refusal_of([](plain& ctx) { ctx.broadcast_call("", "sendDice", nullptr); });
  refusal_of([](plain& ctx) {
    ctx.broadcast_call("", "sendDice", {{"chat_id", 1}});
  });
  refusal_of([](plain& ctx) {
    ctx.broadcast("", "x", {.name = std::string(65, 'n')});
  });
  refusal_of([](plain& ctx) {
    ctx.broadcast("", "x", {.at = ctx.now() + 24h * 400});
  });
  refusal_of([](plain& ctx) {
    for (int i = 0; i < 17; ++i)
      ctx.broadcast("", "x");
  });
}

TEST_CASE("a turn that fails begins no broadcast") {
  refusal_of([](plain& ctx) {
    ctx.broadcast("", "x");
    throw std::runtime_error{"as told"};
  });
}

TEST_CASE("a broadcast outside a turn is an error") {
  plain* kept = nullptr;
  done d{[&](plain& ctx) { kept = &ctx; }};
  REQUIRE(kept != nullptr);
  CHECK_THROWS_AS(kept->broadcast("", "x"), std::logic_error);
}
