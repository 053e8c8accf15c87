#include "app/stats_pages.hpp"

#include <algorithm>
#include <atomic>
#include <charconv>
#include <optional>

#include "core/json.hpp"
#include "core/log.hpp"
#include "net/crypto.hpp"

namespace troupe::app {
namespace {

constexpr std::size_t page_limit = 1000;
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

std::optional<std::uint64_t> number(std::string_view text) {
  std::uint64_t n = 0;
  const char* const end = text.data() + text.size();
  const auto [stop, code] = std::from_chars(text.data(), end, n);
  if (text.empty() || code != std::errc{} || stop != end)
    return std::nullopt;
  return n;
}

/// A query's number; `fallback` if it is not there, nothing if it is none.
std::optional<std::uint64_t> argument(std::string_view query,
                                      std::string_view name,
                                      std::uint64_t fallback) {
  while (!query.empty()) {
    const std::size_t end = std::min(query.find('&'), query.size());
    const std::string_view pair = query.substr(0, end);
    query.remove_prefix(std::min(end + 1, query.size()));
    const std::size_t equals = pair.find('=');
    if (pair.substr(0, equals) != name)
      continue;
    return number(equals == std::string_view::npos ? std::string_view{}
                                                   : pair.substr(equals + 1));
  }
  return fallback;
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

std::string_view name_of(store::entry_kind kind) {
  switch (kind) {
    case store::entry_kind::update: return "update";
    case store::entry_kind::notice: return "notice";
    case store::entry_kind::outcome: return "outcome";
    case store::entry_kind::call: return "call";
    case store::entry_kind::timer: return "timer";
  }
  return "unknown";
}

json::object to_json(const store::dead_letter& from, bool with_body) {
  json::object out;
  out["id"] = from.id.value;
  out["chat"] = to_string(from.key);
  out["type"] = name_of(from.type);
  out["update_id"] = from.update.value;
  out["shard"] = from.shard.value;
  out["accepted_at_ms"] = to_ms(from.accepted_at);
  out["died_at_ms"] = to_ms(from.died_at);
  out["error"] = from.error;
  if (with_body) {
    const std::string& text = from.body ? *from.body : std::string{};
    auto parsed = parse_json(text);
    if (!parsed) {
      // Perhaps not even UTF-8: that may be why it died.
      std::string quoted;
      append_json_string(quoted, text);
      parsed = parse_json(quoted);
    }
    out["body"] = std::move(parsed.value());
  }
  return out;
}

/// What a retry or a drop is asked for.
struct wanted_letters {
  bool all = false;
  std::vector<dead_letter_id> ids;
  wall_time before;
};

result<wanted_letters> read_wanted(const std::string& body, wall_time now) {
  const auto wrong = [](std::string text) {
    return error{errc::bad_input, std::move(text)};
  };
  const auto parsed = parse_json(body);
  if (!parsed)
    return parsed.error();
  const json::object* in = parsed->if_object();
  if (in == nullptr)
    return wrong("the body must be a JSON object");
  wanted_letters out;
  out.before = now;
  if (const json::value* before = in->if_contains("before_ms")) {
    if (!before->is_int64())
      return wrong("before_ms must be an integer");
    out.before = from_ms(before->get_int64());
  }
  if (const json::value* all = in->if_contains("all")) {
    if (!all->is_bool())
      return wrong("all must be true or false");
    out.all = all->get_bool();
  }
  const json::value* ids = in->if_contains("ids");
  if ((ids != nullptr) == out.all)
    return wrong("give ids, or all");
  if (ids == nullptr)
    return out;
  if (!ids->is_array())
    return wrong("ids must be an array");
  if (ids->get_array().size() > page_limit) {
    return error{errc::too_large, "at most 1000 ids at once"};
  }
  for (const json::value& id : ids->get_array()) {
    boost::system::error_code bad;
    const auto n = id.to_number<std::uint64_t>(bad);
    if (bad || !id.is_number() || id.is_double()) {
      return wrong("ids must be positive integers");
    }
    out.ids.push_back({n});
  }
  return out;
}

class idle_node final : public node_view {
 public:
  explicit idle_node(store::backend& store) : store_{store} {}
  bool ready() const noexcept override { return false; }
  void stats(callback<std::string> done) override {
    store_.stats([done = std::move(done)](result<store::figures> got) {
      if (!got)
        return done(got.error());
      json::object out{{"running", false}};
      out["store"] = json::object{{"journal", got->journal},
                                  {"outbox", got->outbox},
                                  {"timers", got->timers},
                                  {"chats", got->chats},
                                  {"dead_letters", got->dead_letters},
                                  {"bytes", got->bytes},
                                  {"free_bytes", got->free_bytes}};
      done(json::serialize(out));
    });
  }
  void chat_stats(chat_key, callback<std::string> done) override {
    done(error{errc::unavailable, "the node is not running"});
  }
  void retry(std::vector<dead_letter_id> which,
             callback<std::size_t> done) override {
    store_.retry(std::move(which), [done = std::move(done)](
                                       result<std::vector<store::entry>> got) {
      if (!got)
        return done(got.error());
      done(got->size());
    });
  }
  result<std::string> ask_to_drain(const std::string&) override {
    return error{errc::unavailable, "the node is not running"};
  }

 private:
  store::backend& store_;
};

}  // namespace

std::shared_ptr<node_view> make_idle_node(store::backend& store) {
  return std::make_shared<idle_node>(store);
}

/// One request on its way to its one answer.
struct stats_pages::exchange {
  explicit exchange(reply to) : done{std::move(to)} {}
  void answer(http::response page) {
    if (answered.exchange(true))
      return;
    page.headers.add("Cache-Control", "no-store");
    page.body = log::redact(std::move(page.body));
    done(std::move(page));
  }
  void method_not_allowed(const char* allowed) {
    http::response page = refusal(405, std::string{"use "} + allowed);
    page.headers.add("Allow", allowed);
    answer(std::move(page));
  }

  reply done;
  std::atomic<bool> answered{false};
};

stats_pages::stats_pages(pages_options how, store::backend& store,
                         metrics::registry& from, timer after)
    : how_{std::move(how)},
      store_{store},
      metrics_{from},
      after_{std::move(after)} {}

void stats_pages::attach(std::shared_ptr<node_view> to) {
  const std::lock_guard lock{mutex_};
  view_ = std::move(to);
}

void stats_pages::detach() {
  attach(nullptr);
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

void stats_pages::take(const http::request& what, reply done) {
  auto x = std::make_shared<exchange>(std::move(done));
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
  const auto node = view();
  std::string_view why;
  if (draining) {
    why = "draining";
  } else if (!node) {
    why = "starting";
  } else if (!node->ready()) {
    why = "the store fails, or leases are lost";
  }
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
  const bool known = stats_page || path == "/healthz" || path == "/readyz" ||
                     path == "/metrics";
  if (!known)
    return x->answer(refusal(404, "no such page"));
  if (what.method != "GET" && what.method != "HEAD") {
    return x->method_not_allowed("GET, HEAD");
  }
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
  const auto node = view();
  if (!node)
    return x->answer(refusal(503, "starting"));
  const auto answer = [x](result<std::string> got) {
    if (!got)
      return x->answer(refusal(got.error()));
    http::response page;
    page.body = std::move(*got);
    x->answer(std::move(page));
  };
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

void stats_pages::admin(const http::request& what,
                        std::shared_ptr<exchange> x) {
  std::string_view path = what.path();
  if (path == drain_path)
    return drain(what, *x);
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

void stats_pages::list_letters(const http::request& what,
                               std::shared_ptr<exchange> x) {
  const auto after = argument(what.query(), "after", 0);
  const auto limit = argument(what.query(), "limit", 100);
  if (!after || !limit || *limit < 1 || *limit > page_limit) {
    return x->answer(refusal(400, "after must be an id, limit 1 to 1000"));
  }
  store_.dead_letters(
      {*after}, *limit,
      [x, full = *limit](result<std::vector<store::dead_letter>> got) {
        if (!got)
          return x->answer(refusal(got.error()));
        json::array letters;
        for (const auto& one : *got)
          letters.push_back(to_json(one, false));
        json::object page;
        page["next"] = nullptr;
        if (got->size() >= full)
          page["next"] = got->back().id.value;
        page["dead_letters"] = std::move(letters);
        x->answer(json_page(200, page));
      });
}

void stats_pages::show_letter(std::string_view id,
                              std::shared_ptr<exchange> x) {
  const auto n = number(id);
  if (!n || *n == 0)
    return x->answer(refusal(400, "not an id"));
  store_.dead_letters({*n - 1}, 1,
                      [x, n = *n](result<std::vector<store::dead_letter>> got) {
                        if (!got)
                          return x->answer(refusal(got.error()));
                        if (got->empty() || got->front().id.value != n) {
                          return x->answer(refusal(404, "no such dead letter"));
                        }
                        x->answer(json_page(200, to_json(got->front(), true)));
                      });
}

void stats_pages::act(const http::request& what, bool retry,
                      std::shared_ptr<exchange> x) {
  auto wanted = read_wanted(what.body, how_.time->wall());
  if (!wanted)
    return x->answer(refusal(wanted.error()));
  const auto node = view();
  if (!node)
    return x->answer(refusal(503, "starting"));
  auto go = [x, node, retry, store = &store_](std::vector<dead_letter_id> ids,
                                              bool more) {
    const auto done = [x, retry, more](result<std::size_t> got) {
      if (!got)
        return x->answer(refusal(got.error()));
      json::object page;
      page[retry ? "retried" : "dropped"] = *got;
      page["more"] = more;
      x->answer(json_page(200, page));
    };
    if (ids.empty())
      return done(std::size_t{0});
    if (retry)
      return node->retry(std::move(ids), done);
    store->drop(std::move(ids), done);
  };
  if (!wanted->all)
    return go(std::move(wanted->ids), false);
  // A retried letter may die again at once, under a new id: `before` keeps
  // the request from running after it.
  store_.dead_letters({0}, page_limit,
                      [x, go, before = wanted->before](
                          result<std::vector<store::dead_letter>> got) {
                        if (!got)
                          return x->answer(refusal(got.error()));
                        std::vector<dead_letter_id> ids;
                        for (const auto& one : *got) {
                          if (one.died_at <= before)
                            ids.push_back(one.id);
                        }
                        const bool more = ids.size() == page_limit;
                        go(std::move(ids), more);
                      });
}

}  // namespace troupe::app
