#include "app/bot_api.hpp"
#include "app/commands.hpp"
#include "app/derived.hpp"
#include "core/json.hpp"
#include "net/loop.hpp"

namespace troupe::app {
namespace {

constexpr milliseconds timeout{20'000};

int report(const result<api_reply>& got, const invocation& call,
           console& talk) {
  if (!got) {
    talk.say("the Bot API server can't be reached: " + got.error().context);
    return exit_failed;
  }
  if (!got->sent()) {
    talk.say("Telegram says " + got->text());
    return exit_failed;
  }
  const std::string& text = got->answer.description;
  if (call.json) {
    talk.data(
        json::serialize(json::object{{"ok", true}, {"description", text}}));
  } else {
    talk.data(text.empty() ? "done" : text);
  }
  return exit_ok;
}

int set(const settings& with, const invocation& call, const bot_api& api,
        console& talk) {
  const std::string& url =
      call.url.empty() ? with.webhook_public_url : call.url;
  if (url.empty()) {
    talk.say("webhook set: give a URL, or set webhook.public_url");
    return exit_usage;
  }
  if (with.webhook_secret.empty() && with.webhook_public_url.empty()) {
    // The node asks for the derived secret only if it registers by itself.
    talk.say(
        "set webhook.public_url or webhook.secret for the running bot, "
        "too: else it takes updates from whoever can reach it");
  }
  const auto encoded = set_webhook_call(with, url, call.drop_pending);
  if (!encoded) {
    talk.say(encoded.error().context);
    return exit_config;
  }
  return report(
      api.call("setWebhook", encoded->body, timeout, encoded->content_type),
      call, talk);
}

int info(const invocation& call, const bot_api& api, console& talk) {
  const auto got = api.call("getWebhookInfo", "{}", timeout);
  if (!got || !got->sent())
    return report(got, call, talk);
  auto parsed = parse_json(got->result);
  if (!parsed || !parsed->is_object()) {
    talk.say("Telegram's answer can't be read");
    return exit_failed;
  }
  json::object& fields = parsed->get_object();
  if (auto* url = fields.if_contains("url"); url && url->is_string()) {
    *url = without_path(std::string{url->get_string()});
  }
  if (call.json) {
    talk.data(json::serialize(fields));
    return exit_ok;
  }
  for (const auto& [name, value] : fields) {
    std::string text = value.is_string() ? std::string{value.get_string()}
                                         : json::serialize(value);
    if (name == "url" && text.empty())
      text = "(none is set)";
    talk.data(std::string{name} + ": " + text);
  }
  return exit_ok;
}

}  // namespace

int webhook(const settings& with, const invocation& call, console& talk) {
  net::loop loop;
  auto client =
      http::client::make(loop, http::parse_origin(with.bot_api_root).value());
  if (!client) {
    talk.say(client.error().context);
    return exit_failed;
  }
  const bot_api api{**client, with.bot_token};
  if (call.what == command::webhook_info)
    return info(call, api, talk);
  if (call.what == command::webhook_set)
    return set(with, call, api, talk);
  const json::object body{{"drop_pending_updates", call.drop_pending}};
  return report(api.call("deleteWebhook", json::serialize(body), timeout), call,
                talk);
}

}  // namespace troupe::app
