#include "examples/cart/cart.hpp"

#include <string>
#include <troupe/test_chat.hpp>
#include <vector>

#include "tests/support/catch.hpp"

namespace {

using texts = std::vector<std::string>;

TEST_CASE("a cart reminds after a day, also after a restart") {
  test_chat<cart> c{shop};
  c.text("milk");
  c.restart();
  c.advance(24h - 1ms);
  CHECK(c.sent().empty());
  c.advance(1ms);
  CHECK(c.sent() == texts{"sendMessage: Your cart is waiting."});
  c.advance(48h);
  CHECK(c.sent().size() == 1);
}

TEST_CASE("a newer text moves the cart's reminder") {
  test_chat<cart> c{shop};
  c.text("milk");
  c.advance(20h);
  c.text("bread");
  c.advance(20h);
  CHECK(c.sent().empty());
  c.advance(4h);
  CHECK(c.sent().size() == 1);
}

TEST_CASE("the cart's message can be edited by its label after a restart") {
  test_chat<cart> c{cart_bot()};
  c.text("milk");
  c.command("cart");
  c.restart();
  c.press("Empty");
  CHECK(c.sent() == texts{"sendMessage: Your cart:\n- milk [Pay][Empty]",
                          "editMessageText(cart): Your cart is empty.",
                          "answerCallbackQuery"});
  CHECK(c.state().items.empty());
  CHECK_FALSE(c.waits_for("nudge"));
  CHECK_THROWS_AS(c.press("Empty"), std::logic_error);
}

TEST_CASE("checking out is a mode, and clears the cart at its end") {
  test_chat<cart> c{cart_bot()};
  c.text("milk");
  c.command("cart");
  c.press("pay");
  CHECK(c.mode() == "checkout");
  c.restart();
  c.text("Main Street 1");
  CHECK(c.sent().back() == "sendMessage: On its way to Main Street 1.");
  CHECK(c.mode() == "shop");
  CHECK(c.stored_state().empty());
  CHECK_FALSE(c.waits_for("nudge"));
}

TEST_CASE("a cart that nobody touches for 30 days is gone") {
  test_chat<cart> c{cart_bot()};
  c.text("milk");
  c.command("cart");
  c.press("pay");
  SECTION("in a living chat") {}
  SECTION("in a chat that sleeps") {
    c.restart();
  }
  c.advance(24h);
  SECTION("after its reminder's 30 days") {
    c.advance(30 * 24h);
    c.restart();
    CHECK(c.state().items.empty());
    CHECK(c.mode().empty());
  }
  SECTION("and a living one starts anew") {
    c.advance(30 * 24h);
    c.command("start");
    CHECK(c.sent().back() == "sendMessage: Send me things to buy.");
    CHECK(c.state().items.empty());
    CHECK(c.stored_state().empty());
    CHECK(c.mode() == "shop");
  }
}

TEST_CASE("a notice from another chat reaches the cart") {
  test_chat<cart> c{shop};
  c.notice("Sale!");
  CHECK(c.sent() == texts{"sendMessage: Sale!"});
}

}  // namespace
