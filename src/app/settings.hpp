#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "core/result.hpp"

/// The configuration. One table describes every key; the parser, the flags,
/// `--help`, `config/troupe.toml` and the error texts all come from it.
namespace troupe::app {

/// Every setting, flat: `bot.token` is `bot_token`. Units are in the names.
/// The defaults stand in the table (`keys()`), not here.
struct settings {
  std::string bot_token, bot_token_file, bot_api_root, bot_mode;
  std::string bot_allowed_updates;
  std::string webhook_listen, webhook_path, webhook_secret;
  std::string webhook_secret_file, webhook_public_url;
  std::string webhook_certificate, webhook_key;
  std::int64_t webhook_max_connections = 0, webhook_max_body = 0;
  std::int64_t polling_timeout_seconds = 0;
  std::string store_url, store_synchronous, store_volatile;
  std::int64_t store_shards = 0, store_wait_replicas = 0;
  std::string stats_listen, stats_token, stats_token_file;
  std::int64_t limits_global_per_second = 0, limits_chat_per_second = 0;
  std::int64_t limits_group_per_minute = 0, limits_bulk_per_second = 0;
  std::int64_t limits_margin_ms = 0;
  std::string limits_replies;
  std::int64_t turn_threads = 0, turn_max_threads = 0, turn_attempts = 0;
  std::int64_t turn_backoff_ms = 0, turn_deadline_ms = 0;
  std::int64_t chat_idle_seconds = 0;
  std::int64_t send_timeout_ms = 0, send_senders = 0;
  std::string node_name;
  std::int64_t node_workers = 0;
  std::string cluster_listen, cluster_advertise;
  std::string cluster_ca, cluster_certificate, cluster_key;
  std::int64_t overload_max_pending = 0;
  std::int64_t overload_max_unsent = 0;
  std::int64_t drain_seconds = 0;
  std::string log_level;
  std::string tracing_endpoint, tracing_sample;
  std::string tracing_headers, tracing_headers_file;
};

/// What a value must look like.
enum class shape : std::uint8_t {
  text,
  choice,   ///< one of `choices`
  integer,  ///< `least` to `most`
  ratio,    ///< 0 to 1, kept as text
  address,  ///< `host:port`
  url,      ///< starts with http:// or https://; never echoed
  path,     ///< of a file
};

/// One key.
struct key_spec {
  std::string_view name;  ///< "limits.margin_ms"
  std::variant<std::string settings::*, std::int64_t settings::*> slot;
  shape form = shape::text;
  std::string_view fallback;  ///< the default, as text
  std::string_view help;      ///< one or two sentences
  bool may_be_empty = false;
  bool secret = false;  ///< from the environment or its `_file` only
  std::int64_t least = 0;
  std::int64_t most = 0;
  std::array<std::string_view, 5> choices{};
};

/// All keys, section by section, in the order people should read them.
std::span<const key_spec> keys() noexcept;

/// The key of that name, or null.
const key_spec* find_key(std::string_view name) noexcept;

std::string flag_of(const key_spec& key);         ///< "--limits-margin-ms"
std::string environment_of(const key_spec& key);  ///< "TROUPE_LIMITS_MARGIN_MS"
/// What a value may be, for people: "integer, 0 to 60000".
std::string type_of(const key_spec& key);

/// The known name nearest to a mistyped one, if any is near enough.
std::optional<std::string> nearest(std::string_view wrong,
                                   const std::vector<std::string>& known);

/// Where a value came from; a later one beats an earlier one.
enum class origin : std::uint8_t { fallback, file, environment, flag };

/// Where values may come from.
struct sources {
  std::map<std::string, std::string> flags;        ///< by key name
  std::map<std::string, std::string> environment;  ///< all variables
  std::string file;                                ///< TOML; empty: none
};

struct loaded {
  settings values;
  std::map<std::string, origin> from;  ///< by key name; absent: default
  std::string file;                    ///< as given
  std::vector<std::string> warnings;
};

/// Reads flags over environment over file over defaults, then the secrets'
/// files, checks everything, and registers every secret with the log.
/// **Errors**: `errc::bad_input`; the context has one line for each thing that
/// is wrong, with file and line, key, and the nearest known key.
result<loaded> load_settings(const sources& from);

/// The file to read: `flag`, else TROUPE_CONFIG, else ./troupe.toml if it is
/// there, else none.
std::string config_file(const std::optional<std::string>& flag,
                        const std::map<std::string, std::string>& environment);

/// The defaults alone.
settings default_settings();

/// A commented TOML file with every key; what `from` says was given stands
/// there as given, the rest as a comment with its default. Holds no secret.
std::string print_config(const loaded& what);

/// `store.url` for people: a file as it is, of anything else the scheme alone,
/// for the rest may hold a password.
std::string shown_store(const std::string& url);

/// The names in `bot.allowed_updates`: none for `default`, all for `all`.
/// **Errors**: `errc::bad_input`: a name that is no kind of update.
result<std::vector<std::string>> update_kinds(std::string_view text);

/// `text` with everything that looks like a bot token replaced, beyond what
/// `log::redact` knows: for what a person typed in the wrong place.
std::string scrub(std::string text);

/// An address to listen on, taken apart.
struct endpoint {
  std::string host;
  std::uint16_t port = 0;
  bool loopback() const noexcept;
};

/// Reads `127.0.0.1:80`, `[::1]:80`, `localhost:80`, `:80` (all addresses).
/// **Errors**: `errc::bad_input`.
result<endpoint> parse_endpoint(std::string_view text);

}  // namespace troupe::app
