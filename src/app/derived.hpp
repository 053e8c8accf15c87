#pragma once

#include <string>

#include "actors/node.hpp"
#include "actors/webhook_gate.hpp"
#include "app/settings.hpp"
#include "http/server.hpp"
#include "store/store.hpp"

/// What the parts are started with, made from the settings. Pure, but for the
/// host's name and the log's list of secrets.
namespace troupe::app {

/// The bearer token of /admin/: `stats.token`, else derived from the bot's
/// token; empty if there is neither (then nothing is admitted).
std::string admin_token(const settings& from);

/// What Telegram must send with an update: `webhook.secret`; else, if we
/// register the webhook ourselves, derived from the bot's token; else empty.
std::string webhook_secret(const settings& from, bool registering);

/// `webhook.public_url`, with `webhook.path` if it has no path of its own.
std::string public_url(const settings& from, const std::string& url);

/// Scheme and host of a URL, for a log: its path may hold a secret.
std::string without_path(const std::string& url);

actors::node_options node_options_of(const settings& from,
                                     const std::string& bot_username);
/// The node's own gate, for the listener to ask before it takes a body.
actors::webhook_gate webhook_gate_of(const settings& from);
store::options store_options_of(const settings& from);
http::server_options webhook_server_of(const settings& from);
http::server_options stats_server_of(const settings& from);

/// The file of a `sqlite:` URL; empty for other stores.
std::string store_file(const settings& from);

/// The shape of a Bot API call with its body encoded.
struct encoded_call {
  std::string body;
  std::string content_type;
};

/// A setWebhook call for `url`, with the certificate if it is self-signed.
/// **Errors**: `errc::bad_input`: a certificate that can't be read, or an
/// update kind nobody knows.
result<encoded_call> set_webhook_call(const settings& from,
                                      const std::string& url,
                                      bool drop_pending);

}  // namespace troupe::app
