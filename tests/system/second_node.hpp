#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "tests/system/stage.hpp"

namespace troupe::system_test {

/// A second process of a stage's bot, on the same store, that takes updates at
/// a port of its own; and presses of buttons for either, as Telegram would
/// deliver them.
class second_node {
 public:
  /// Starts it and waits until it is ready.
  explicit second_node(stage& first);

  /// A press of the button `data`, delivered to the first node.
  void press_first(std::int64_t chat, const std::string& data);
  /// The same, to the second. What it does not take Telegram delivers again:
  /// to the first.
  void press_second(std::int64_t chat, const std::string& data);
  /// kill -9
  void kill();

 private:
  bool press(std::uint16_t port, std::int64_t chat, const std::string& data);

  stage& first_;
  std::uint16_t port_;
  std::unique_ptr<process> process_;
  std::int64_t update_ = 1'000'000;  ///< far from what the simulator numbers
};

}  // namespace troupe::system_test
