#pragma once

#include <cstdint>
#include <string>
#include <troupe/bot.hpp>
#include <vector>

using namespace troupe;
using namespace std::chrono_literals;

/// The chat that keeps the ledger: it stands in for a payment service.
inline constexpr std::int64_t ledger = 1;

// [payment-begin]
struct account {
  std::vector<std::string> charges;  // in the ledger's chat only
};
BOOST_DESCRIBE_STRUCT(account, (), (charges))

inline behavior payment(chat<account>* ctx) {
  return {
      commands{
          {"order",
           [=](const command& c) {
             if (c.arguments.empty() || c.arguments.size() > 32)
               ctx->reply("Which one? /order 17");
             else
               ctx->reply("Order " + c.arguments,
                          buttons{{{"Pay", "pay:" + c.arguments}}});
           }},
      },
      [=](const callback& q) {
        const auto order = q.data.substr(q.data.find(':') + 1);
        // True for one press of all, in whatever chat and on whatever node.
        const bool first = ctx->once("charge:" + order, 30 * 24h);
        if (first)
          ctx->notify(ledger, order);
        ctx->answer(q, first ? "Thank you!" : "It is paid already.");
      },
      [=](const notice& n) {
        ctx->state.charges.push_back(n.text);
        ctx->reply("Charged order " + n.text + ", " +
                   std::to_string(ctx->state.charges.size()) + " in all.");
      },
  };
}
// [payment-end]
