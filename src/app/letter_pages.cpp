#include <algorithm>
#include <charconv>
#include <optional>

#include "app/stats_exchange.hpp"

namespace troupe::app {
namespace {

constexpr std::size_t page_limit = 1000;

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

}  // namespace

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
