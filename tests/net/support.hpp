#pragma once

#include <chrono>
#include <functional>
#include <thread>

#include "tests/support/catch.hpp"

namespace troupe::net::testing {

using namespace std::chrono_literals;

/// Generous: a wait ends early when its condition holds.
constexpr auto patience = std::chrono::seconds{60};

/// Waits until `holds`, for at most `patience`.
inline bool eventually(const std::function<bool()>& holds) {
  const auto end = std::chrono::steady_clock::now() + patience;
  while (!holds()) {
    if (std::chrono::steady_clock::now() > end)
      return false;
    std::this_thread::sleep_for(1ms);
  }
  return true;
}

}  // namespace troupe::net::testing
