#include "app/derived.hpp"

#include <unistd.h>

#include <array>
#include <charconv>

#include "app/settings_file.hpp"
#include "core/json.hpp"
#include "core/log.hpp"
#include "net/crypto.hpp"

namespace troupe::app {
namespace {

// Changing a label changes what running nodes and proxies were told.
constexpr std::string_view admin_label = "troupe admin 1";
constexpr std::string_view webhook_label = "troupe webhook 1";

/// A store that hangs must not hold Telegram's connections: it repeats after a
/// 503, and the store drops what it took after all.
constexpr milliseconds store_patience{10'000};

std::string derive(const std::string& token, std::string_view label) {
  if (token.empty())
    return {};
  std::string out = net::hmac_sha256_hex(token, label);
  log::add_secret(out);
  return out;
}

std::string host_name() {
  std::array<char, 256> name{};
  if (::gethostname(name.data(), name.size() - 1) != 0)
    return "node";
  return name.data();
}

template <class To>
To narrow(std::int64_t n) {
  return static_cast<To>(n);  // the table's ranges fit
}

void append_part(std::string& out, const std::string& boundary,
                 const std::string& head, const std::string& body) {
  out += "--" + boundary + "\r\nContent-Disposition: form-data; " + head +
         "\r\n\r\n" + body + "\r\n";
}

/// Multipart, the one way to hand a file over.
encoded_call with_certificate(const json::object& fields,
                              const std::string& pem) {
  // PEM is base64 between dashes: four underscores can't be in it.
  const std::string boundary = "____troupe____";
  encoded_call out;
  out.content_type = "multipart/form-data; boundary=" + boundary;
  for (const auto& [name, value] : fields) {
    const std::string text = value.is_string() ? std::string{value.get_string()}
                                               : json::serialize(value);
    append_part(out.body, boundary, "name=\"" + std::string{name} + '"', text);
  }
  append_part(out.body, boundary,
              "name=\"certificate\"; filename=\"certificate.pem\"", pem);
  out.body += "--" + boundary + "--\r\n";
  return out;
}

http::server_options listen_on(const std::string& address) {
  http::server_options out;
  // The settings were checked, so it parses.
  const endpoint at = parse_endpoint(address).value();
  out.address = at.host;
  out.port = at.port;
  return out;
}

}  // namespace

std::string admin_token(const settings& from) {
  if (!from.stats_token.empty())
    return from.stats_token;
  return derive(from.bot_token, admin_label);
}

std::string webhook_secret(const settings& from, bool registering) {
  if (!from.webhook_secret.empty() || !registering)
    return from.webhook_secret;
  return derive(from.bot_token, webhook_label);
}

std::string public_url(const settings& from, const std::string& url) {
  const std::size_t host = url.find("//");
  const std::size_t path =
      host == std::string::npos ? host : url.find('/', host + 2);
  if (path == std::string::npos)
    return url + from.webhook_path;
  if (path + 1 == url.size())
    return url.substr(0, path) + from.webhook_path;
  return url;
}

std::string without_path(const std::string& url) {
  const std::size_t scheme = url.find("//");
  if (scheme == std::string::npos)
    return {};
  const std::size_t start = scheme + 2;
  std::string host = url.substr(start, url.find_first_of("/?#", start) - start);
  // user:password@ is Telegram's to send, not ours to show.
  if (const auto at = host.rfind('@'); at != std::string::npos) {
    host.erase(0, at + 1);
  }
  return url.substr(0, start) + host;
}

actors::node_options node_options_of(const settings& from,
                                     const std::string& bot_username) {
  actors::node_options out;
  out.name = from.node_name.empty() ? host_name() : from.node_name;
  out.version = TROUPE_VERSION;
  out.bot_token = from.bot_token;
  out.bot_username = bot_username;
  out.webhook_secret = webhook_gate_of(from).secret;
  out.webhook_path = from.webhook_path;
  out.poll = from.bot_mode == "polling";
  out.poll_timeout = std::chrono::seconds{from.polling_timeout_seconds};
  // Checked at load: a name that is no kind does not come so far.
  if (auto kinds = update_kinds(from.bot_allowed_updates))
    out.allowed_updates = std::move(*kinds);
  auto& limits = out.limits;
  limits.global_per_second = narrow<unsigned>(from.limits_global_per_second);
  limits.chat_per_second = narrow<unsigned>(from.limits_chat_per_second);
  limits.group_per_minute = narrow<unsigned>(from.limits_group_per_minute);
  limits.bulk_per_second = narrow<unsigned>(from.limits_bulk_per_second);
  limits.margin = milliseconds{from.limits_margin_ms};
  limits.count_replies = from.limits_replies == "counted";
  out.turns.threads = narrow<unsigned>(from.turn_threads);
  out.turns.max_threads = narrow<unsigned>(from.turn_max_threads);
  out.turns.attempts = narrow<unsigned>(from.turn_attempts);
  out.turns.backoff = milliseconds{from.turn_backoff_ms};
  out.turns.deadline = milliseconds{from.turn_deadline_ms};
  out.sending.senders = narrow<unsigned>(from.send_senders);
  out.sending.timeout = milliseconds{from.send_timeout_ms};
  out.chat_idle = std::chrono::seconds{from.chat_idle_seconds};
  out.max_pending = narrow<std::size_t>(from.overload_max_pending);
  out.max_unread = out.max_pending;
  out.max_unsent = narrow<std::size_t>(from.overload_max_unsent);
  out.workers = narrow<unsigned>(from.node_workers);
  std::from_chars(from.tracing_sample.data(),
                  from.tracing_sample.data() + from.tracing_sample.size(),
                  out.tracing.sample);
  if (const auto server = http::parse_origin(from.bot_api_root)) {
    out.tracing.server_address = server->host;
    out.tracing.server_port = server->port;
  }
  auto& road = out.cluster.road;
  road.host.clear();
  if (const auto listen = parse_endpoint(from.cluster_listen)) {
    road.host = listen->host;
    road.port = listen->port;
  }
  road.advertise = from.cluster_advertise;
  road.ca = from.cluster_ca;
  road.certificate = from.cluster_certificate;
  road.key = from.cluster_key;
  return out;
}

actors::webhook_gate webhook_gate_of(const settings& from) {
  return {from.webhook_path,
          webhook_secret(from, !from.webhook_public_url.empty())};
}

store::options store_options_of(const settings& from) {
  store::options out;
  out.url = from.store_url;
  out.shards = narrow<std::uint16_t>(from.store_shards);
  out.synchronous_full = from.store_synchronous == "full";
  out.bot = from.bot_token.substr(0, from.bot_token.find(':'));
  out.allow_volatile = from.store_volatile == "allow";
  out.wait_replicas = narrow<unsigned>(from.store_wait_replicas);
  return out;
}

http::server_options webhook_server_of(const settings& from) {
  http::server_options out = listen_on(from.webhook_listen);
  out.max_body = narrow<std::size_t>(from.webhook_max_body);
  out.certificate_file = from.webhook_certificate;
  out.key_file = from.webhook_key;
  out.answer_timeout = store_patience;
  out.close_refused = true;
  out.on_header = [gate = webhook_gate_of(from)](const http::request& head) {
    return gate.refuse(head);
  };
  return out;
}

http::server_options stats_server_of(const settings& from) {
  http::server_options out = listen_on(from.stats_listen);
  out.max_body = 1 << 20;
  out.max_connections = 64;
  out.close_refused = true;
  return out;
}

std::string store_file(const settings& from) {
  constexpr std::string_view scheme = "sqlite:";
  if (!from.store_url.starts_with(scheme))
    return {};
  return from.store_url.substr(scheme.size());
}

result<encoded_call> set_webhook_call(const settings& from,
                                      const std::string& url,
                                      bool drop_pending) {
  const auto kinds = update_kinds(from.bot_allowed_updates);
  if (!kinds)
    return kinds.error();
  json::object fields;
  fields["url"] = public_url(from, url);
  fields["max_connections"] = from.webhook_max_connections;
  // An empty list means Telegram's default, where a missing one would keep
  // what was set before.
  fields["allowed_updates"] = json::array(kinds->begin(), kinds->end());
  if (const auto secret = webhook_secret(from, true); !secret.empty()) {
    fields["secret_token"] = secret;
  }
  if (drop_pending)
    fields["drop_pending_updates"] = true;
  if (!from.webhook_certificate.empty()) {
    const auto lonely = net::self_signed(from.webhook_certificate);
    if (!lonely)
      return lonely.error();
    if (*lonely) {
      const auto pem = read_small_file(from.webhook_certificate, 1 << 20);
      if (!pem)
        return pem.error();
      return with_certificate(fields, *pem);
    }
  }
  return encoded_call{json::serialize(fields), "application/json"};
}

}  // namespace troupe::app
