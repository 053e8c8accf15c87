#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/ids.hpp"
#include "core/json.hpp"
#include "core/result.hpp"

namespace troupe::actors {

/// The record of `campaign:0`: how many campaigns there are, and which request
/// each of the latest began with, so that a repeated one begins no second.
class campaign_register {
 public:
  /// Requests that are remembered.
  static constexpr std::size_t most_known = 100;

  struct known {
    std::string request;
    std::int64_t number = 0;
    std::int64_t digest = 0;  ///< see `campaign_digest`
  };

  /// What makes no sense counts as an empty one, but for the last number.
  static campaign_register read(std::string_view state);

  std::string text() const;

  const known* find(std::string_view request) const noexcept;

  /// @returns the number of the new one
  std::int64_t add(std::string request, std::int64_t digest);

  std::int64_t last() const noexcept { return last_; }

 private:
  std::int64_t last_ = 0;
  std::vector<known> known_;  ///< the oldest first
};

/// True for 1 to 128 letters, digits and `. _ : / # @ + -`.
bool is_campaign_request(std::string_view text) noexcept;

/// One number for what a start command asks for. Its time is not part of it: a
/// person who repeats "in half an hour" means the same campaign.
std::int64_t campaign_digest(const json::object& command);

/// By which a request's start command is accepted: the same for each repeat.
/// Below all that other commands have, and exact as a double, as stores that
/// count in doubles need it.
update_id campaign_start_id(std::string_view request) noexcept;

}  // namespace troupe::actors
