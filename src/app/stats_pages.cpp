#include "app/stats_pages.hpp"

#include <charconv>

#include "app/audience_pages.hpp"
#include "app/campaign_pages.hpp"
#include "app/dashboard.hpp"
#include "app/stats_exchange.hpp"
#include "app/stats_feed.hpp"
#include "net/crypto.hpp"

namespace troupe::app {
namespace {

constexpr std::string_view letters_path = "/admin/dead-letters";
constexpr std::string_view drain_path = "/admin/cluster/drain";

unsigned status_of(errc code) {
  switch (code) {
    case errc::bad_input: return 400;
    case errc::not_found: return 404;
    case errc::conflict: return 409;
    case errc::too_large: return 413;
    case errc::unavailable:
    case errc::cancelled: return 503;
    case errc::timed_out: return 504;
    default: return 500;
  }
}

std::string percent_decoded(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    unsigned byte = 0;
    if (text[i] == '%' && i + 2 < text.size()) {
      const char* const first = text.data() + i + 1;
      const auto [stop, code] = std::from_chars(first, first + 2, byte, 16);
      if (code == std::errc{} && stop == first + 2) {
        out += static_cast<char>(byte);
        i += 2;
        continue;
      }
    }
    out += text[i];
  }
  return out;
}

}  // namespace

http::response json_page(unsigned status, const json::value& body) {
  http::response out;
  out.status = status;
  out.body = json::serialize(body);
  return out;
}

http::response refusal(unsigned status, std::string_view text) {
  return json_page(status, json::object{{"error", text}});
}

http::response refusal(const error& e) {
  return refusal(status_of(e.code), to_string(e));
}

stats_pages::stats_pages(pages_options how, store::backend& store,
                         metrics::registry& from, timer after)
    : how_{std::move(how)},
      store_{store},
      metrics_{from},
      after_{std::move(after)} {
  if (after_)
    feed_ = std::make_shared<stats_feed>([this] { return view(); }, after_,
                                         stats_feed::options{});
}

stats_pages::~stats_pages() {
  if (feed_)
    feed_->end();
}

void stats_pages::attach(std::shared_ptr<node_view> to) {
  const std::lock_guard lock{mutex_};
  view_ = std::move(to);
}

void stats_pages::detach() {
  attach(nullptr);
  if (feed_)
    feed_->end();
}

void stats_pages::start_draining() {
  const std::lock_guard lock{mutex_};
  draining_ = true;
}

std::shared_ptr<node_view> stats_pages::view() const {
  const std::lock_guard lock{mutex_};
  return view_;
}

bool stats_pages::admitted(const http::request& what) const {
  constexpr std::string_view scheme = "Bearer ";
  std::string_view given = what.headers.find("Authorization");
  if (how_.token.empty() || !given.starts_with(scheme))
    return false;
  given.remove_prefix(scheme.size());
  return net::equal_constant_time(given, how_.token);
}

void stats_pages::take(const http::request& what, reply done, opener open) {
  auto x = std::make_shared<exchange>(std::move(done), std::move(open));
  route(what, x);
  if (after_ && !x->answered) {
    after_(how_.timeout, [x] { x->answer(refusal(504, "no answer in time")); });
  }
}

void stats_pages::ready(exchange& x) const {
  bool draining = false;
  {
    const std::lock_guard lock{mutex_};
    draining = draining_;
  }
  std::string_view why;
  if (const auto node = view(); draining)
    why = "draining";
  else if (!node)
    why = "starting";
  else if (!node->ready())
    why = "the store fails or hangs, or shards are still being handed over";
  if (why.empty())
    return x.answer(json_page(200, json::object{{"ready", true}}));
  x.answer(json_page(503, json::object{{"ready", false}, {"why", why}}));
}

void stats_pages::route(const http::request& what,
                        std::shared_ptr<exchange> x) {
  const std::string_view path = what.path();
  const bool admin_page = path.starts_with("/admin/");
  const bool stats_page = path == "/stats" || path.starts_with("/stats/");
  if (admin_page || (stats_page && !how_.open_stats)) {
    if (!admitted(what)) {
      http::response page = refusal(401, "wrong or missing bearer token");
      page.headers.add("WWW-Authenticate", "Bearer");
      return x->answer(std::move(page));
    }
  }
  if (admin_page)
    return admin(what, std::move(x));
  auto file = dashboard_file(path);
  const bool known = stats_page || file || path == "/healthz" ||
                     path == "/readyz" || path == "/metrics";
  if (!known)
    return x->answer(refusal(404, "no such page"));
  if (what.method != "GET" && what.method != "HEAD") {
    return x->method_not_allowed("GET, HEAD");
  }
  if (file)
    return x->answer(std::move(*file));
  if (path == "/healthz") {
    return x->answer(json_page(200, json::object{{"alive", true}}));
  }
  if (path == "/readyz")
    return ready(*x);
  if (path == "/metrics") {
    http::response page;
    page.type = "text/plain; version=0.0.4; charset=utf-8";
    page.body = metrics_.render();
    return x->answer(std::move(page));
  }
  stats(what, std::move(x));
}

void stats_pages::stats(const http::request& what,
                        std::shared_ptr<exchange> x) {
  constexpr std::string_view chats = "/stats/chats/";
  const std::string_view path = what.path();
  if (path == "/stats/events")
    return events(what, std::move(x));
  const auto node = view();
  if (!node)
    return x->answer(refusal(503, "starting"));
  const auto answer = [x](result<std::string> got) { x->answer(got); };
  if (path == "/stats" || path == "/stats/")
    return node->stats(answer);
  if (!path.starts_with(chats)) {
    return x->answer(refusal(404, "no such page"));
  }
  const auto key = parse_chat_key(percent_decoded(path.substr(chats.size())));
  if (!key)
    return x->answer(refusal(key.error()));
  node->chat_stats(*key, answer);
}

void stats_pages::events(const http::request& what,
                         std::shared_ptr<exchange> x) {
  if (what.method != "GET")
    return x->method_not_allowed("GET");
  if (!feed_ || !x->open)
    return x->answer(refusal(404, "no events without a running node"));
  if (!feed_->has_room()) {
    http::response full = refusal(503, "too many listen already");
    full.headers.add("Retry-After", "5");
    return x->answer(std::move(full));
  }
  if (x->answered.exchange(true))
    return;
  http::response head;
  head.type = "text/event-stream";
  head.headers.add("Cache-Control", "no-store");
  head.headers.add("X-Content-Type-Options", "nosniff");
  // A proxy that collects answers would show the past.
  head.headers.add("X-Accel-Buffering", "no");
  feed_->add(x->open(std::move(head)));
}

void stats_pages::admin(const http::request& what,
                        std::shared_ptr<exchange> x) {
  std::string_view path = what.path();
  if (path == drain_path)
    return drain(what, *x);
  if (path == campaigns_path || path.starts_with("/admin/campaigns/"))
    return campaigns(what, std::move(x));
  if (path == "/admin/reload")
    return reload(what, std::move(x));
  if (path == audience_path || path.starts_with("/admin/audience/") ||
      path.starts_with(chats_path))
    return people(what, std::move(x));
  if (!path.starts_with(letters_path)) {
    return x->answer(refusal(404, "no such page"));
  }
  path.remove_prefix(letters_path.size());
  const bool retry = path == "/retry";
  if (retry || path == "/drop") {
    if (what.method != "POST")
      return x->method_not_allowed("POST");
    return act(what, retry, std::move(x));
  }
  if (!path.empty() && !path.starts_with('/')) {
    return x->answer(refusal(404, "no such page"));
  }
  if (what.method != "GET")
    return x->method_not_allowed("GET");
  if (path.empty())
    return list_letters(what, std::move(x));
  show_letter(path.substr(1), std::move(x));
}

void stats_pages::campaigns(const http::request& what,
                            std::shared_ptr<exchange> x) const {
  const auto node = view();
  if (!node)
    return x->answer(refusal(503, "starting"));
  campaign_page(what, *node,
                [x, node](result<std::string> got) { x->answer(got); });
}

void stats_pages::people(const http::request& what,
                         std::shared_ptr<exchange> x) {
  const auto node = view();
  if (!node)
    return x->answer(refusal(503, "starting"));
  audience_page(what, store_, *node, how_.time->wall(),
                [x, node](result<std::string> got) { x->answer(got); });
}

void stats_pages::drain(const http::request& what, exchange& x) const {
  if (what.method != "POST")
    return x.method_not_allowed("POST");
  const auto parsed = parse_json(what.body);
  const json::object* in = parsed ? parsed->if_object() : nullptr;
  const json::value* name = in ? in->if_contains("node") : nullptr;
  if (name == nullptr || !name->is_string() || name->get_string().empty())
    return x.answer(refusal(400, "say which node: {\"node\":NAME}"));
  const auto node = view();
  if (!node)
    return x.answer(refusal(503, "starting"));
  const auto asked = node->ask_to_drain(std::string{name->get_string()});
  if (!asked)
    return x.answer(refusal(asked.error()));
  x.answer(json_page(200, json::object{{"draining", *asked}}));
}

void stats_pages::reload(const http::request& what,
                         std::shared_ptr<exchange> x) const {
  if (what.method != "POST")
    return x->method_not_allowed("POST");
  if (how_.reload == nullptr)
    return x->answer(refusal(503, "the node is not running"));
  how_.reload([x](result<json::object> got) {
    x->answer(got ? json_page(200, *got)
                  : refusal(status_of(got.error().code), got.error().context));
  });
}

}  // namespace troupe::app
