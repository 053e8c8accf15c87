#pragma once

#include <caf/actor.hpp>
#include <caf/actor_system_config.hpp>
#include <caf/fwd.hpp>
#include <cstdint>
#include <string>

#include "actors/node.hpp"

/// CAF's middleman and its TLS, behind few functions: their headers are heavy,
/// and in one translation unit only.
namespace troupe::actors {

/// Has the system load them.
void load_middleman(caf::actor_system_config& into, const road_options& how);

/// Opens the port that `road` is reached at. Blocks.
/// @returns where others find it: `how.advertise`, or what was bound
/// **Errors**: `errc::unavailable`: the port can't be had; `errc::bad_input`:
/// the certificate, or no address that others could dial.
result<std::string> open_port(caf::actor_system& system,
                              const road_options& how, const caf::actor& road);

/// Takes `(connect_atom, host, port)`, answers `(node_id, strong_actor_ptr,
/// set<string>)`. One attempt after another, on a thread of its own.
caf::actor dialer_of(caf::actor_system& system, const road_options& how);

/// For people.
std::string why_not_connected(const caf::error& what, const road_options& how);

struct host_and_port {
  std::string host;
  std::uint16_t port = 0;
};
/// Takes `host:port` apart; an IPv6 address stands in brackets.
/// **Errors**: `errc::bad_input`.
result<host_and_port> split_address(const std::string& address);

}  // namespace troupe::actors
