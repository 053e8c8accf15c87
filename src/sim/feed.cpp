#include "sim/feed.hpp"

#include <algorithm>
#include <random>
#include <utility>

#include "core/json.hpp"
#include "telegram/call.hpp"

namespace troupe::sim {

using namespace std::chrono_literals;
using telegram::update_kind;

namespace {

constexpr std::uint32_t bit(update_kind kind) {
  return std::uint32_t{1} << static_cast<unsigned>(kind);
}

constexpr std::uint32_t default_kinds =
    ~(bit(update_kind::chat_member) | bit(update_kind::message_reaction) |
      bit(update_kind::message_reaction_count));

update_id first_of(const feed_options& how) {
  if (how.first_update > 0)
    return {how.first_update};
  std::mt19937_64 random{how.seed};
  return {std::uniform_int_distribution<std::int64_t>{
      update_queue::first_id_low, update_queue::first_id_high}(random)};
}

// Names of kinds in force, in the order of the kinds; empty for the default.
std::string allowed_names(std::uint32_t allowed) {
  if (allowed == default_kinds)
    return {};
  std::string out;
  for (auto k = static_cast<unsigned>(update_kind::message);
       k <= static_cast<unsigned>(update_kind::subscription); ++k) {
    if ((allowed & (1u << k)) == 0)
      continue;
    out += out.empty() ? "\"" : ",\"";
    out += telegram::to_string(static_cast<update_kind>(k));
    out += '"';
  }
  return out;
}

}  // namespace

feed::feed(feed_options how)
    : how_{how}, queue_{first_of(how)}, allowed_{default_kinds} {}

bool feed::allows(update_kind kind) const noexcept {
  return (allowed_ & bit(kind)) != 0;
}

std::optional<update_id> feed::push(update_kind kind, std::int64_t queue,
                                    std::string_view member, mono_time now) {
  if (!allows(kind))
    return std::nullopt;
  queued_update u;
  u.id = queue_.next();
  u.kind = kind;
  u.queue = queue;
  u.expires = now + life_of(kind);
  u.body.reserve(member.size() + 40);
  u.body += R"({"update_id":)";
  u.body += std::to_string(u.id.value);
  u.body += ",\n";
  u.body += member;
  u.body += '}';
  auto id = u.id;
  if (!push(std::move(u)))
    return std::nullopt;
  return id;
}

bool feed::push(queued_update u) {
  auto id = u.id;
  if (!queue_.push(std::move(u)))
    return false;
  if (hook_)
    unloaded_.push_back(id);
  return true;
}

void feed::allow(const params& with) {
  auto raw = with.get("allowed_updates");
  if (raw.empty())
    return;
  auto list = parse_json(raw);
  if (!list || !list->is_array())
    return;
  std::uint32_t chosen = 0;
  for (auto& name : list->get_array()) {
    if (!name.is_string())
      continue;
    std::string lower{name.get_string()};
    for (auto& c : lower)
      if (c >= 'A' && c <= 'Z')
        c = static_cast<char>(c - 'A' + 'a');
    auto kind = telegram::parse_update_kind(lower);
    if (kind != update_kind::unknown && kind != update_kind::none)
      chosen |= bit(kind);
  }
  allowed_ = chosen == 0 ? default_kinds : chosen;
}

api_answer feed::set_webhook(const params& with, moment now) {
  if (with.get("url").empty())
    return delete_webhook(with);
  webhook hook;
  hook.url = with.get("url");
  hook.secret = with.get("secret_token");
  if (hook.secret.size() > 256)
    return bad(400, "Bad Request: secret token is too long");
  if (!hook.secret.empty() && !telegram::valid_secret(hook.secret))
    return bad(400, "Bad Request: secret token contains unallowed characters");
  if (!hook.url.starts_with("http://") && !hook.url.starts_with("https://"))
    return bad(400,
               "Bad Request: bad webhook: An HTTPS URL must be provided for "
               "webhook");
  hook.max_connections = static_cast<std::size_t>(std::clamp<std::int64_t>(
      with.integer("max_connections", 40), 1, 100'000));
  return install(std::move(hook), with, now);
}

api_answer feed::install(webhook hook, const params& with, moment now) {
  if (hook_ && hook_->url == hook.url && hook_->secret == hook.secret &&
      hook_->max_connections == hook.max_connections &&
      !with.flag("drop_pending_updates")) {
    allow(with);
    return good("true", "Webhook is already set");
  }
  if (last_set_ && now.mono < *last_set_ + 1s)
    return bad(429, "Too Many Requests: retry after 1", 1);
  last_set_ = now.mono;
  allow(with);
  if (with.flag("drop_pending_updates"))
    queue_.clear();
  refused_ = poller_.cancel(now.mono);
  deliveries_.emplace(webhook_options{hook.max_connections, how_.time_scale,
                                      how_.resend, how_.seed});
  if (paused_)
    deliveries_->pause();
  hook_ = std::move(hook);
  ++generation_;
  auto waiting = queue_.ids();
  unloaded_.assign(waiting.begin(), waiting.end());
  error_date_ = 0;
  error_text_.clear();
  return good("true", "Webhook was set");
}

api_answer feed::delete_webhook(const params& with) {
  if (with.flag("drop_pending_updates"))
    queue_.clear();
  if (!hook_)
    return good("true", "Webhook is already deleted");
  hook_.reset();
  deliveries_.reset();
  unloaded_.clear();
  ++generation_;
  return good("true", "Webhook was deleted");
}

api_answer feed::webhook_info(moment now) {
  // What is loaded stays until its delivery has ended one way or the other.
  if (!hook_)
    queue_.sweep(now.mono);
  std::string out = R"({"url":)";
  append_json_string(out, hook_ ? hook_->url : std::string{});
  out += R"(,"has_custom_certificate":false,"pending_update_count":)" +
         std::to_string(queue_.size());
  if (hook_) {
    if (error_date_ != 0) {
      out += R"(,"last_error_date":)" + std::to_string(error_date_) +
             R"(,"last_error_message":)";
      append_json_string(out, error_text_);
    }
    out += R"(,"max_connections":)" + std::to_string(hook_->max_connections);
  }
  auto names = allowed_names(allowed_);
  if (!names.empty())
    out += R"(,"allowed_updates":[)" + names + ']';
  return good(out + '}');
}

std::optional<feed::job> feed::next(mono_time now) {
  if (!deliveries_)
    return std::nullopt;
  while (deliveries_->wants_more() && !unloaded_.empty()) {
    auto id = unloaded_.front();
    unloaded_.pop_front();
    auto u = queue_.find(id);
    if (u && u->expires > now)
      deliveries_->load(id, u->queue, u->expires);
    else
      queue_.erase(id);
  }
  auto d = deliveries_->next(now);
  if (!d)
    return std::nullopt;
  auto u = queue_.find(d->id);
  TROUPE_CHECK(u != nullptr);
  return job{*d, u};
}

webhook_queues::fate feed::done(const webhook_queues::delivery& d,
                                unsigned status,
                                std::optional<unsigned> retry_after,
                                std::string_view failure, moment now) {
  using fate = webhook_queues::fate;
  auto what = deliveries_->done(d, status, retry_after, now.mono);
  if (what != fate::delivered && what != fate::again) {
    error_date_ = to_ms(now.wall) / 1000;
    error_text_ = failure;
  }
  if (what == fate::delivered || what == fate::dropped)
    queue_.erase(d.id);
  if (what == fate::given_up)
    delete_webhook({});
  return what;
}

void feed::pause() {
  paused_ = true;
  if (deliveries_)
    deliveries_->pause();
}

void feed::restart(mono_time now) {
  paused_ = false;
  if (deliveries_)
    deliveries_->restart(now);
}

feed::poll_step feed::begin_poll(poller::token who, const params& with,
                                 mono_time now) {
  if (hook_)
    return {bad(409,
                "Conflict: can't use getUpdates method while webhook is "
                "active; use deleteWebhook to delete the webhook first"),
            {},
            {}};
  allow(with);
  poller::request r;
  r.who = who;
  r.offset =
      std::clamp<std::int64_t>(with.integer("offset"), INT32_MIN, INT32_MAX);
  r.limit = with.integer("limit", 100);
  r.timeout = with.integer("timeout");
  auto confirmed = queue_.confirm(r.offset);
  return {std::nullopt, poller_.begin(r, queue_, now), confirmed};
}

std::optional<poller::answer> feed::poll(mono_time now) {
  return poller_.poll(queue_, now);
}

std::optional<poller::refusal> feed::take_refused() noexcept {
  return std::exchange(refused_, std::nullopt);
}

feed::page feed::fetch(const poller::answer& a, mono_time now) {
  page out;
  // Once more: what came while the call was held may be below its offset.
  out.confirmed = queue_.confirm(a.offset);
  auto updates = queue_.read(a.offset, a.limit, now);
  out.count = updates.size();
  out.body = R"({"ok":true,"result":[)";
  for (auto u : updates) {
    if (u != updates.front())
      out.body += ",\n";
    out.body += u->body;
  }
  out.body += "]}";
  if (!updates.empty()) {
    out.first = updates.front()->id.value;
    out.last = updates.back()->id.value;
  }
  return out;
}

std::optional<mono_time> feed::wake(mono_time now) const {
  auto at = poller_.wake();
  if (deliveries_) {
    auto other = deliveries_->wake(now);
    if (other && (!at || *other < *at))
      at = other;
  }
  return at;
}

}  // namespace troupe::sim
