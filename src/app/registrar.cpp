#include "app/registrar.hpp"

#include <algorithm>
#include <utility>

#include "app/derived.hpp"
#include "core/json.hpp"
#include "core/log.hpp"

namespace troupe::app {
namespace {

constexpr milliseconds timeout{20'000};

std::string member(const std::string& text, std::string_view name) {
  const auto parsed = parse_json(text);
  const json::object* in = parsed ? parsed->if_object() : nullptr;
  const json::value* at = in ? in->if_contains(name) : nullptr;
  if (at == nullptr || !at->is_string())
    return {};
  return std::string{at->get_string()};
}

}  // namespace

identity who_am_i(const bot_api& api) {
  identity out;
  const auto got = api.call("getMe", "{}", milliseconds{10'000});
  if (!got) {
    out.trouble = got.error().context;
    return out;
  }
  out.known = got->sent();
  out.refused = got->answer.what == telegram::verdict::bad_token;
  if (out.known)
    out.username = member(got->result, "username");
  if (!out.known)
    out.trouble = got->text();
  return out;
}

registrar::registrar(const settings& with, bot_api api, bool identified,
                     std::function<void(std::string)> on_name,
                     std::function<void()> on_bad_token, pauses how_long)
    : with_{with},
      api_{std::move(api)},
      identified_{identified},
      on_name_{std::move(on_name)},
      on_bad_token_{std::move(on_bad_token)},
      pauses_{how_long},
      thread_{[this] { work(); }} {}

registrar::~registrar() {
  stop();
  thread_.join();
}

void registrar::stop() {
  {
    const std::lock_guard lock{mutex_};
    stop_ = true;
  }
  told_.notify_all();
}

void registrar::again(settings with) {
  {
    const std::lock_guard lock{mutex_};
    wanted_ = std::move(with);
  }
  told_.notify_all();
}

void registrar::work() {
  for (;;) {
    introduce();
    std::unique_lock lock{mutex_};
    told_.wait(lock, [this] { return stop_ || wanted_; });
    if (stop_)
      return;
    with_ = std::move(*wanted_);
    wanted_.reset();
  }
}

void registrar::introduce() {
  if (!identified_ && !until_done(&registrar::identify))
    return;
  if (with_.bot_mode == "polling") {
    until_done(&registrar::look_for_webhook);
  } else if (!with_.webhook_public_url.empty()) {
    until_done(&registrar::register_webhook);
  } else {
    log::info("webhook_not_registered",
              {{"why", "webhook.public_url is not set"}});
  }
}

bool registrar::until_done(next (registrar::*step)()) {
  for (milliseconds wait = pauses_.first;;
       wait = std::min(wait * 2, pauses_.longest)) {
    if (!pause(milliseconds{0}))
      return false;
    asked_to_wait_ = milliseconds{0};
    const next what = (this->*step)();
    if (what != next::again)
      return what == next::done;
    if (!pause(std::max(wait, asked_to_wait_)))
      return false;
  }
}

bool registrar::pause(milliseconds how_long) {
  std::unique_lock lock{mutex_};
  return !told_.wait_for(lock, how_long, [this] { return stop_ || wanted_; });
}

registrar::next registrar::judge(const char* event,
                                 const result<api_reply>& got) {
  using telegram::verdict;
  {
    const std::lock_guard lock{mutex_};
    if (stop_)
      return next::never;
  }
  if (!got) {
    log::warn(event,
              {{"outcome", "unreachable"}, {"error", got.error().context}});
    return next::again;
  }
  if (got->sent())
    return next::done;
  log::error(event, {{"outcome", to_string(got->answer.what)},
                     {"error", got->text()}});
  switch (got->answer.what) {
    case verdict::bad_token: on_bad_token_(); return next::never;
    case verdict::refused: asked_to_wait_ = pauses_.longest; return next::again;
    default: asked_to_wait_ = got->answer.retry_after; return next::again;
  }
}

registrar::next registrar::identify() {
  const auto got = api_.call("getMe", "{}", timeout);
  const next what = judge("identify_bot", got);
  if (what == next::done) {
    identified_ = true;
    on_name_(member(got->result, "username"));
  }
  return what;
}

registrar::next registrar::register_webhook() {
  const auto encoded = set_webhook_call(with_, with_.webhook_public_url, false);
  if (!encoded) {
    log::error("register_webhook", {{"error", encoded.error().context}});
    asked_to_wait_ = pauses_.longest;
    return next::again;
  }
  const next what = judge(
      "register_webhook",
      api_.call("setWebhook", encoded->body, timeout, encoded->content_type));
  if (what == next::done) {
    log::info("webhook_registered",
              {{"host", without_path(with_.webhook_public_url)}});
  }
  return what;
}

registrar::next registrar::look_for_webhook() {
  const auto got = api_.call("getWebhookInfo", "{}", timeout);
  const next what = judge("look_for_webhook", got);
  if (what != next::done)
    return what;
  if (const auto url = member(got->result, "url"); !url.empty()) {
    // Deleting it could cut off another deployment: a person decides.
    log::error("webhook_in_the_way",
               {{"host", without_path(url)},
                {"effect", "getUpdates answers 409, no update comes in"},
                {"do", "run `webhook delete`, or set bot.mode to webhook"}});
  }
  return what;
}

}  // namespace troupe::app
