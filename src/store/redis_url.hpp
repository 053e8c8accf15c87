#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/clock.hpp"
#include "core/result.hpp"

namespace troupe::store::redis {

/// Where a server listens: a name, or a bare IP address (no brackets).
struct address {
  std::string host;
  std::uint16_t port = 0;

  friend auto operator<=>(const address&, const address&) = default;
};

/// `host:port`, `[v6]:port`.
std::string to_string(const address& at);

/// How the servers of a target belong together.
enum class layout : std::uint8_t {
  single,    ///< one server
  sentinel,  ///< the hosts are Sentinels, who know the current primary
  cluster,   ///< the hosts are some nodes of a Redis Cluster
};

/// What a URL says. It holds passwords: nothing prints it whole.
struct target {
  layout kind = layout::single;
  bool tls = false;
  std::vector<address> hosts;  ///< at least one; exactly one if `single`
  std::string user;            ///< empty: the default user
  std::optional<std::string> password;
  std::string sentinel_user;
  std::optional<std::string> sentinel_password;
  std::string master;  ///< `sentinel`: the name of the primary
  unsigned db = 0;
  std::string ca_file;    ///< empty: the system's CAs
  std::string cert_file;  ///< empty: no client certificate
  std::string key_file;
  bool verify = true;
  /// For connecting, and for commands that name none of their own.
  std::optional<milliseconds> timeout;
};

/// Reads one of
///
///     redis://[USER:PASSWORD@]HOST[:6379][/DB]
///     redis+sentinel://[USER:PASSWORD@]HOST[:26379],.../MASTER[/DB]
///     redis+cluster://[USER:PASSWORD@]HOST[:6379],...
///
/// or the same with `rediss` for TLS, and then `?name=value&...` with
/// `timeout_ms`; `ca`, `cert`, `key` (PEM files), `verify=no` with TLS;
/// `sentinel_user`, `sentinel_password` with Sentinels. USER may be empty. What
/// is special in a URL is percent-encoded; an IPv6 address stands in brackets.
/// **Errors**: `errc::bad_input`. The sentence says what is wrong and repeats
/// nothing after the scheme: any of it may be a password whose special
/// characters nobody encoded.
result<target> parse_url(std::string_view url);

/// True if `url` has one of the schemes of `parse_url`.
bool is_redis_url(std::string_view url) noexcept;

}  // namespace troupe::store::redis
