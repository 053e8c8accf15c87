#include "actors/road_middleman.hpp"

#include <caf/actor_system.hpp>
#include <caf/io/middleman.hpp>
#include <caf/openssl/manager.hpp>
#include <caf/openssl/publish.hpp>
#include <charconv>

#include "actors/road_wire.hpp"
#include "net/crypto.hpp"

namespace troupe::actors {

namespace {

// BASP's own, on each connection: one whose other end hangs, or is gone without
// a word, is cut.
constexpr auto heartbeat_every = std::chrono::seconds{5};
constexpr auto longest_silence = std::chrono::seconds{20};

std::string join_address(const std::string& host, std::uint16_t port) {
  const bool six = host.find(':') != std::string::npos;
  return (six ? '[' + host + ']' : host) + ':' + std::to_string(port);
}

}  // namespace

void load_middleman(caf::actor_system_config& into, const road_options& how) {
  add_road_messages(into);
  into.load<caf::io::middleman>();
  // What a peer sends is little: the middleman's own thread reads it.
  into.set("middleman.workers", std::size_t{0});
  into.set("middleman.heartbeat-interval", caf::timespan{heartbeat_every});
  into.set("middleman.connection-timeout", caf::timespan{longest_silence});
  if (!how.encrypted())
    return;
  // All three set: then CAF asks for the peer's certificate, both ways.
  into.openssl_cafile = how.ca;
  into.openssl_certificate = how.certificate;
  into.openssl_key = how.key;
  into.load<caf::openssl::manager>();
}

result<std::string> open_port(caf::actor_system& system,
                              const road_options& how, const caf::actor& road) {
  const bool everywhere = how.host == "0.0.0.0" || how.host == "::";
  if (everywhere && how.advertise.empty())
    return error{errc::bad_input,
                 "cluster.advertise: must say what other nodes dial, since "
                 "cluster.listen is all addresses"};
  if (how.encrypted())
    if (auto usable = net::check_identity(how.ca, how.certificate, how.key);
        !usable)
      return error{errc::bad_input,
                   "cluster.certificate: " + usable.error().context};
  auto bound =
      how.encrypted()
          ? caf::openssl::publish(road, how.port, how.host.c_str(), true)
          : system.middleman().publish(road, how.port, how.host.c_str(), true);
  if (!bound)
    return error{errc::unavailable,
                 "cluster.listen: " + join_address(how.host, how.port) +
                     " can't be listened on (" + system.render(bound.error()) +
                     ')'};
  if (how.advertise.empty())
    return join_address(how.host, *bound);
  auto told = split_address(how.advertise);
  if (!told)
    return error{errc::bad_input, "cluster.advertise: " + told.error().context};
  return join_address(told->host, told->port != 0 ? told->port : *bound);
}

caf::actor dialer_of(caf::actor_system& system, const road_options& how) {
  if (how.encrypted())
    return caf::actor_cast<caf::actor>(system.openssl_manager().actor_handle());
  return caf::actor_cast<caf::actor>(system.middleman().actor_handle());
}

std::string why_not_connected(const caf::error& what, const road_options& how) {
  if (what.category() != caf::atom("system"))
    return "the connection failed";
  switch (static_cast<caf::sec>(what.code())) {
    case caf::sec::request_timeout: return "it did not answer in time";
    case caf::sec::cannot_connect_to_node:
      return "nobody answers at its address: if it runs on another machine, "
             "set cluster.listen and cluster.advertise there";
    case caf::sec::disconnect_during_handshake:
      return how.encrypted()
                 ? "it hung up: one of the two does not trust the other's "
                   "certificate (cluster.ca, cluster.certificate)"
                 : "it hung up: it may want certificates that this node does "
                   "not have (cluster.ca, cluster.certificate, cluster.key)";
    default:
      return "the connection failed (" +
             std::string{to_string(static_cast<caf::sec>(what.code()))} + ')';
  }
}

result<host_and_port> split_address(const std::string& address) {
  const error wrong{errc::bad_input, "\"" + address + "\" is no host:port"};
  const auto colon = address.rfind(':');
  if (colon == std::string::npos || colon == 0)
    return wrong;
  host_and_port out;
  out.host = address.substr(0, colon);
  if (out.host.front() == '[' && out.host.back() == ']')
    out.host = out.host.substr(1, out.host.size() - 2);
  const char* const end = address.data() + address.size();
  const auto [stop, code] =
      std::from_chars(address.data() + colon + 1, end, out.port);
  if (code != std::errc{} || stop != end || out.host.empty())
    return wrong;
  return out;
}

}  // namespace troupe::actors
