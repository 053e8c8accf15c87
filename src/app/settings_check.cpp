#include "app/settings_check.hpp"

#include <algorithm>
#include <cctype>

#include "app/otlp.hpp"
#include "core/log.hpp"
#include "http/client.hpp"
#include "telegram/call.hpp"
#include "telegram/update.hpp"

namespace troupe::app {
namespace {

using texts = std::vector<std::string>;

void problem(texts& to, const std::string& where, const std::string& what) {
  to.push_back(where + ": " + what);
}

bool is_official(const http::origin& server) {
  return server.host == "api.telegram.org";
}

void check_server(const settings& v, texts& problems) {
  const auto server = http::parse_origin(v.bot_api_root);
  if (!server || !is_official(*server))
    return;
  if (!server->tls) {
    problem(problems, "bot.api_root",
            "must start with https://: over http:// the bot's token would "
            "travel unencrypted");
  }
  const auto hook = v.webhook_public_url.empty()
                        ? result<http::origin>{http::origin{}}
                        : http::parse_origin(v.webhook_public_url);
  if (v.bot_mode == "webhook" && !v.webhook_public_url.empty() && hook &&
      !hook->tls) {
    problem(problems, "webhook.public_url",
            "must start with https://: Telegram calls no other");
  }
  std::string why;
  if (!v.bot_token.empty() && !telegram::valid_token(v.bot_token, &why))
    problem(problems, "bot.token", "is no bot token: " + why);
}

void check_secrets(const settings& v, texts& problems) {
  // Other servers (a simulator) take short ones; but it goes into a path.
  const bool fits_a_path = std::ranges::all_of(v.bot_token, [](char c) {
    return std::isalnum(static_cast<unsigned char>(c)) || c == ':' ||
           c == '_' || c == '-';
  });
  if (!fits_a_path)
    problem(problems, "bot.token", "must be made of A-Z a-z 0-9 : _ - only");
  if (!v.webhook_secret.empty() && !telegram::valid_secret(v.webhook_secret))
    problem(problems, "webhook.secret", "must be 1-256 of A-Z a-z 0-9 _ -");
  if (!v.stats_token.empty() && v.stats_token.size() < 16)
    problem(problems, "stats.token", "must have at least 16 characters");
}

void check_webhook(const settings& v, texts& problems, texts& warnings) {
  if (v.webhook_path.front() != '/' ||
      v.webhook_path.find_first_of("?# ") != std::string::npos) {
    problem(problems, "webhook.path",
            "must start with '/' and have no '?', '#', ' '");
  }
  if (v.webhook_certificate.empty() != v.webhook_key.empty()) {
    problem(problems, "webhook.certificate",
            "and webhook.key belong together; one of "
            "them is not set");
  }
  // At the start, for Telegram ignores names that it does not know.
  if (const auto kinds = update_kinds(v.bot_allowed_updates); !kinds)
    problems.push_back(kinds.error().context);
  if (v.bot_mode == "polling" && !v.webhook_public_url.empty()) {
    warnings.emplace_back(
        "webhook.public_url: ignored, since bot.mode is polling");
  }
  const auto listen = parse_endpoint(v.webhook_listen);
  if (v.bot_mode == "webhook" && v.webhook_secret.empty() &&
      v.webhook_public_url.empty() && listen && !listen->loopback()) {
    warnings.emplace_back(
        "webhook.secret: not set, so whoever reaches webhook.listen can post "
        "updates; set TROUPE_WEBHOOK_SECRET");
  }
}

void check_cluster(const settings& v, texts& problems) {
  const bool all = !v.cluster_ca.empty() && !v.cluster_certificate.empty() &&
                   !v.cluster_key.empty();
  const bool any = !v.cluster_ca.empty() || !v.cluster_certificate.empty() ||
                   !v.cluster_key.empty();
  if (any && !all) {
    problem(problems, "cluster.ca",
            "cluster.certificate and cluster.key belong together; one of them "
            "is not set");
  }
  const auto listen = parse_endpoint(v.cluster_listen);
  if (v.cluster_listen.empty() || !listen)
    return;
  if (!listen->loopback() && !any) {
    problem(problems, "cluster.listen",
            '"' + v.cluster_listen +
                "\" is reachable from outside, so cluster.ca, "
                "cluster.certificate and cluster.key must be set: an authority "
                "of your own (`openssl req -x509 -newkey rsa:3072 -nodes -days "
                "3650 -subj /CN=troupe -keyout ca.key -out ca.pem`), and a "
                "certificate for each node that it signed (`openssl req "
                "-newkey rsa:3072 -nodes -subj /CN=node -keyout node.key "
                "-out node.csr`, `openssl x509 -req -in node.csr -CA ca.pem "
                "-CAkey ca.key -CAcreateserial -days 365 -out node.pem`)");
  }
  const bool everywhere = listen->host == "0.0.0.0" || listen->host == "::";
  if (everywhere && v.cluster_advertise.empty()) {
    problem(problems, "cluster.advertise",
            "must say what the other nodes dial, since cluster.listen is all "
            "addresses");
  }
}

void check_tracing(const settings& v, texts& problems, texts& warnings) {
  const auto headers = read_otlp_headers(v.tracing_headers);
  if (!headers) {
    problem(problems, "tracing.headers", headers.error().context);
    return;
  }
  // All of it is a secret already, but a value may turn up alone.
  for (const auto& [name, value] : *headers) {
    log::add_secret(value);
    if (const auto word = value.rfind(' '); word != std::string::npos)
      log::add_secret(value.substr(word + 1));
  }
  const auto to = http::parse_origin(v.tracing_endpoint);
  if (headers->empty() || !to)
    return;
  const bool near = to->host == "localhost" || endpoint{to->host, 0}.loopback();
  if (!to->tls && !near)
    warnings.emplace_back(
        "tracing.headers: travel unencrypted, since tracing.endpoint is "
        "http://");
}

}  // namespace

void check_settings(const settings& v, texts& problems, texts& warnings) {
  check_server(v, problems);
  check_secrets(v, problems);
  check_webhook(v, problems, warnings);
  check_cluster(v, problems);
  check_tracing(v, problems, warnings);
  if (!v.stats_listen.empty()) {
    const auto listen = parse_endpoint(v.stats_listen);
    if (listen && !listen->loopback() && v.stats_token.empty()) {
      problem(problems, "stats.listen",
              '"' + v.stats_listen +
                  "\" is reachable from outside, so "
                  "stats.token must be set "
                  "(TROUPE_STATS_TOKEN or stats.token_file)");
    }
  }
  if (v.turn_threads > v.turn_max_threads)
    problem(problems, "turn.threads", "must not be over turn.max_threads");
  if (v.limits_global_per_second != 0 &&
      v.limits_bulk_per_second > v.limits_global_per_second) {
    warnings.emplace_back(
        "limits.bulk_per_second: over limits.global_per_second, which holds");
  }
}

result<texts> update_kinds(std::string_view text) {
  using telegram::update_kind;
  texts out;
  if (text == "default")
    return out;
  texts all;
  for (auto n = static_cast<unsigned>(update_kind::message);
       n <= static_cast<unsigned>(update_kind::subscription); ++n) {
    all.emplace_back(to_string(static_cast<update_kind>(n)));
  }
  if (text == "all")
    return all;
  for (std::size_t at = 0; at <= text.size();) {
    const std::size_t end = std::min(text.find(',', at), text.size());
    std::string_view name = text.substr(at, end - at);
    while (name.starts_with(' '))
      name.remove_prefix(1);
    while (name.ends_with(' '))
      name.remove_suffix(1);
    if (std::ranges::find(all, name) == all.end()) {
      std::string what = "bot.allowed_updates: \"" + std::string{name} +
                         "\" is no kind of update";
      if (const auto near = nearest(name, all))
        what += "; did you mean " + *near + '?';
      return error{errc::bad_input, what};
    }
    out.emplace_back(name);
    at = end + 1;
  }
  return out;
}

}  // namespace troupe::app
