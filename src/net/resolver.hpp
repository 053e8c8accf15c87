#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "net/lane.hpp"

namespace troupe::net {

/// Looks a host up and calls `done` on the lane with its addresses, or with
/// none and the reason. Not called if the lane ends before.
///
/// getaddrinfo blocks, for as long as the machine's resolver likes, and nothing
/// can end it. So each look-up has a thread of its own that nobody joins: a
/// dead DNS server must not hold up the end of the process, as it would with
/// Asio's resolver.
void resolve(
    std::shared_ptr<lane> on, const std::string& host, std::uint16_t port,
    std::function<void(std::vector<tcp::endpoint>, std::string why)> done);

}  // namespace troupe::net
