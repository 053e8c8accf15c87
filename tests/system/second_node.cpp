#include "tests/system/second_node.hpp"

#include <csignal>

#include "tests/support/catch.hpp"

namespace troupe::system_test {

second_node::second_node(stage& first) : first_{first}, port_{free_port()} {
  const std::uint16_t stats = free_port();
  launch what;
  what.program = built(first.bot_name());
  what.args = {"run"};
  what.environment = first.settings();
  what.environment["TROUPE_WEBHOOK_LISTEN"] =
      "127.0.0.1:" + std::to_string(port_);
  what.environment["TROUPE_STATS_LISTEN"] =
      "127.0.0.1:" + std::to_string(stats);
  what.folder = first.folder().path();
  what.output = "second";
  process_ = std::make_unique<process>(what);
  const bool up = eventually([&] {
    return ask(stats, "GET", "/readyz", {}, {}, seconds{5}).status == 200;
  });
  INFO(process_->err());
  REQUIRE(up);
}

bool second_node::press(std::uint16_t port, std::int64_t chat,
                        const std::string& data) {
  const auto id = std::to_string(update_);
  const auto who = std::to_string(chat);
  const std::string body =
      R"({"update_id":)" + id + R"(,"callback_query":{"id":"q)" + id +
      R"(","from":{"id":)" + who +
      R"(,"is_bot":false,"first_name":"A"},"message":{"message_id":9,"date":1,)"
      R"("chat":{"id":)" +
      who + R"(,"type":"private"}},"chat_instance":"c","data":")" + data +
      R"("}})";
  return ask(port, "POST", "/webhook", body,
             {{"Content-Type", "application/json"},
              {"X-Telegram-Bot-Api-Secret-Token", secret}})
             .status == 200;
}

void second_node::press_first(std::int64_t chat, const std::string& data) {
  ++update_;
  REQUIRE(eventually([&] { return press(first_.bot_port(), chat, data); }));
}

void second_node::press_second(std::int64_t chat, const std::string& data) {
  ++update_;
  if (!press(port_, chat, data))
    REQUIRE(eventually([&] { return press(first_.bot_port(), chat, data); }));
}

void second_node::kill() {
  process_->signal(SIGKILL);
  REQUIRE(process_->wait() == 128 + SIGKILL);
}

}  // namespace troupe::system_test
