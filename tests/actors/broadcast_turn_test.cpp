#include <stdexcept>
#include <troupe/bot.hpp>

#include "store/faulty.hpp"
#include "tests/actors/broadcast_rig.hpp"

using namespace troupe;
using namespace troupe::testing;

// Campaigns that a bot's code starts.

namespace {

/// Says to all what a text says, and throws after it for "throw".
auto herald() {
  return bot<std::monostate>{[](chat<std::monostate>* ctx) -> behavior {
           return {[=](const text_message& m) {
             ctx->broadcast("", m.text, {.name = "herald"});
             if (m.text == "throw")
               throw std::runtime_error{"as told"};
           }};
         }}
      .share();
}

}  // namespace

TEST_CASE("G4: a broadcast leaves with its turn, or not at all") {
  telegram_double telegram;
  auto s = memory_store();
  seed(*s, 10);
  rig r{fast(), herald(), std::move(s), telegram.url()};
  CHECK(r.post_and_wait(text_update(50, 1, "throw")) == 200);
  CHECK(eventually([&] { return r.total("dead_letters") == 1; }));
  CHECK(r.post_and_wait(text_update(51, 1, "news")) == 200);
  REQUIRE(eventually([&] {
    auto all = parse_json(answer_to<std::string>([&](auto done) {
                            r.node().campaigns(0, done);
                          }).value())
                   .value();
    auto& list = all.at("campaigns").as_array();
    return list.size() == 1 && list[0].at("state") == "done";
  }));
  CHECK(page_of(r).at("name") == "herald");
  CHECK(telegram.accepted() == 10);
  CHECK(telegram.texts(7) == std::vector<std::string>{"news"});
}

TEST_CASE("G4: whichever store operation fails, a turn broadcasts once") {
  using what = store::fault::what;
  const auto kind = GENERATE(what::fail, what::commit_then_error);
  for (std::uint64_t n = 1; n <= 12; ++n) {
    INFO("operation " << n << (kind == what::fail ? " not done" : " done"));
    telegram_double telegram;
    auto inner = memory_store(2);
    seed(*inner, 5);
    auto& behind = *inner;
    auto broken = std::make_unique<store::faulty>(std::move(inner));
    auto& s = *broken;
    rig r{fast(), herald(), std::move(broken), telegram.url()};
    s.at(s.operations() + n, store::fault{kind, 1, {}});
    // As Telegram does it: until it is taken.
    CHECK(eventually(
        [&] { return r.post_and_wait(text_update(51, 1, "news")) == 200; }));
    REQUIRE(ends_in(behind));
    s.heal();
    check_each_once(telegram, r, 5);
    auto record = answer_to<std::vector<store::chat_record>>(
        [&](auto done) { behind.load({chat_key::campaign(2)}, done); });
    CHECK(record.value().front().version == 0);
  }
}
