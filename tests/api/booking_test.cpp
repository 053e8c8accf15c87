#include "examples/booking/booking.hpp"

#include <cstddef>
#include <map>
#include <string>
#include <troupe/test_chat.hpp>
#include <vector>

#include "tests/support/catch.hpp"

namespace {

using texts = std::vector<std::string>;

/// The table: a slot's chat. As its statement has them: [slot, chat, turn].
struct bookings {
  std::map<std::string, std::string> all;

  std::size_t operator()(const std::string& line) {
    const auto from = line.find('[') + 1;
    const auto comma = line.find(", ", from);
    const auto slot = line.substr(from, comma - from);
    const auto chat =
        line.substr(comma + 2, line.find(", ", comma + 2) - comma - 2);
    return all.try_emplace(slot, chat).first->second == chat ? 1 : 0;
  }
};

}  // namespace

TEST_CASE("a slot that two chats press is one's, and the other is told so") {
  bookings table;
  const auto is = [&](const std::string& line) { return table(line); };
  test_chat<std::monostate> ann{booking, 42};
  test_chat<std::monostate> bob{booking, 43};
  ann.database(is);
  bob.database(is);
  ann.command("slots");
  bob.command("slots");
  ann.press("9:00");
  bob.press("9:00");
  bob.press("10:00");
  ann.press("9:00");  // again: it is hers still
  CHECK(ann.sent()[2] == "sendMessage: 9:00 is yours.");
  CHECK(ann.sent().back() == "sendMessage: 9:00 is yours.");
  CHECK(bob.sent()[2] == "sendMessage: 9:00 is taken.");
  CHECK(bob.sent().back() == "sendMessage: 10:00 is yours.");
  CHECK(table.all ==
        std::map<std::string, std::string>{{"9:00", "42"}, {"10:00", "43"}});
  // What was thrown away was not committed.
  CHECK(bob.sql().size() == 1);
}
