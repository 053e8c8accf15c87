// States that end by their TTL, in chats that sleep and wake in between.
#include <troupe/bot.hpp>

#include "tests/actors/rig.hpp"

using namespace troupe;
using namespace troupe::testing;

namespace {

struct basket {
  int n = 0;
};
BOOST_DESCRIBE_STRUCT(basket, (), (n))

/// "add" counts; every other text leaves the state as it is. Replies the count.
bot<basket> adding() {
  bot<basket> b{[](chat<basket>* ctx) -> behavior {
    return {[=](const text_message& m) {
      if (m.text == "add")
        ++ctx->state.n;
      ctx->reply(std::to_string(ctx->state.n));
    }};
  }};
  return std::move(b.ttl(1h));
}

/// The machine's clocks; the wall clock is moved by hand.
class moved final : public troupe::clock {
 public:
  void advance(milliseconds by) { ahead_ += by.count(); }
  wall_time wall() const noexcept override {
    return system_clock().wall() + milliseconds{ahead_.load()};
  }
  mono_time mono() const noexcept override { return system_clock().mono(); }

 private:
  std::atomic<std::int64_t> ahead_{0};
};

using said = std::vector<std::string>;

}  // namespace

TEST_CASE("an expired state does not come back with the chat's next turns") {
  moved time;
  telegram_double telegram;
  auto how = fast();
  how.chat_idle = 50ms;
  how.time = &time;
  store::options where;
  where.shards = 8;
  where.time = &time;
  folder dir;
  where.url = GENERATE(std::string{"memory:"}, std::string{"sqlite:"});
  if (where.url == "sqlite:")
    where.url += dir / "store.db";
  where.synchronous_full = false;
  rig r{how, adding().share(), store::open(where).value(), telegram.url()};
  std::int64_t id = 0;
  auto says = [&](const std::string& text) {
    auto before = telegram.accepted();
    CHECK(r.post_and_wait(text_update(++id, 42, text)) == 200);
    CHECK(eventually([&] { return telegram.accepted() > before; }));
  };
  auto sleeps = [&] {
    CHECK(eventually([&] { return r.stats().at("actors").at("chats") == 0; }));
  };
  says("add");
  says("add");
  sleeps();
  time.advance(2h);
  // The record is there still, and this turn gives it another hour.
  says("peek");
  sleeps();
  says("peek");
  says("add");
  sleeps();
  time.advance(30min);
  says("peek");
  CHECK(telegram.texts(42) == said{"1", "2", "0", "0", "1", "1"});
}
