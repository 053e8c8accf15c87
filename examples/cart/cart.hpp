#pragma once

// [cart-begin]
#include <string>
#include <troupe/bot.hpp>
#include <vector>

using namespace troupe;
using namespace std::chrono_literals;

// [shop-begin]
struct cart {
  std::vector<std::string> items;  // durable, one per chat
};
BOOST_DESCRIBE_STRUCT(cart, (), (items))

inline std::string lines(const std::vector<std::string>& items) {
  std::string all = "Your cart:";
  for (const auto& item : items)
    all += "\n- " + item;
  return items.empty() ? "Your cart is empty." : all;
}

inline behavior shop(chat<cart>* ctx) {
  return {
      commands{
          {"start",
           [=](const command&) { ctx->reply("Send me things to buy."); }},
          {"cart",
           [=](const command&) {
             ctx->reply(lines(ctx->state.items),
                        buttons{{{"Pay", "pay"}, {"Empty", "empty"}}})
                 .as("cart");
           }},
      },
      callbacks{
          {"pay",
           [=](const callback& q) {
             ctx->become("checkout");
             ctx->edit("cart", "Where shall we send it?");
             ctx->answer(q);
           }},
          {"empty",
           [=](const callback& q) {
             ctx->state.items.clear();
             ctx->cancel("nudge");
             ctx->edit("cart", "Your cart is empty.");
             ctx->answer(q);
           }},
      },
      timers{
          {"nudge", [=](const timer&) { ctx->reply("Your cart is waiting."); }},
      },
      [=](const text_message& m) {
        ctx->state.items.push_back(m.text);
        ctx->schedule("nudge", 24h);  // durable; replaces an older "nudge"
      },
      [=](const notice& n) { ctx->reply(n.text); },
  };
}
// [shop-end]

inline behavior checkout(chat<cart>* ctx) {
  return {
      commands{
          {"cancel",
           [=](const command&) {
             ctx->become("shop");
             ctx->reply("Then not. Your cart is as it was.");
           }},
      },
      [=](const text_message& m) {
        ctx->reply("On its way to " + m.text + ".");
        ctx->cancel("nudge");
        ctx->clear();
        ctx->become("shop");
      },
  };
}

inline bot<cart> cart_bot() {
  return bot<cart>{}
      .mode("shop", shop)  // the first one is where every chat starts
      .mode("checkout", checkout)
      .ttl(30 * 24h);
}
// [cart-end]
