#include "examples/payment/payment.hpp"

#include <string>
#include <troupe/test_chat.hpp>
#include <vector>

#include "tests/support/catch.hpp"

namespace {

using texts = std::vector<std::string>;

TEST_CASE("an order that is paid for in two chats is charged once") {
  test_chat<account> ann{payment, 42};
  test_chat<account> bob{payment, 43};
  bob.beside(ann);
  ann.command("order", "17");
  bob.command("order", "17");
  ann.press("Pay");
  bob.press("Pay");
  bob.press_again();
  ann.press("Pay");
  CHECK(ann.notices() == texts{"1: 17"});
  CHECK(bob.notices().empty());
  CHECK(ann.calls()[1].at("parameters").at("text") == "Thank you!");
  CHECK(bob.calls()[1].at("parameters").at("text") == "It is paid already.");
  ann.command("order", "18");
  ann.press("pay:18");
  CHECK(ann.notices() == texts{"1: 17", "1: 18"});
}

TEST_CASE("the ledger keeps what it was told, also over a restart") {
  test_chat<account> books{payment, ledger};
  books.notice("17", "42");
  books.restart();
  books.notice("18", "43");
  CHECK(books.state().charges == texts{"17", "18"});
  CHECK(books.sent().back() == "sendMessage: Charged order 18, 2 in all.");
}

TEST_CASE(
    "an order without a number, or with far too long a one, is asked for") {
  test_chat<account> c{payment};
  c.command("order");
  c.command("order", std::string(33, '7'));
  c.command("order", std::string(32, '7'));
  CHECK(c.sent()[0] == "sendMessage: Which one? /order 17");
  CHECK(c.sent()[1] == c.sent()[0]);
  CHECK(c.sent()[2].ends_with("[Pay]"));
}

}  // namespace
