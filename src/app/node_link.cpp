#include "app/node_link.hpp"

#include <filesystem>
#include <future>
#include <utility>

#include "app/bot_api.hpp"
#include "app/derived.hpp"
#include "app/stats_pages.hpp"
#include "core/json.hpp"
#include "net/loop.hpp"

namespace troupe::app {
namespace {

constexpr milliseconds page_timeout{15'000};

class remote_link final : public node_link {
 public:
  static result<std::unique_ptr<remote_link>> make(const endpoint& at,
                                                   std::string token) {
    http::origin to;
    // A node that listens everywhere is found at home.
    to.host = at.host == "0.0.0.0" ? "127.0.0.1" : at.host;
    if (at.host == "::")
      to.host = "::1";
    to.port = at.port;
    http::client_options how;
    how.connect_timeout = milliseconds{3'000};
    how.max_connections = 1;
    std::unique_ptr<remote_link> out{new remote_link};
    out->token_ = std::move(token);
    auto client = http::client::make(out->loop_, std::move(to), how);
    if (!client)
      return client.error();
    out->client_ = std::move(*client);
    return out;
  }

  bool running() const noexcept override { return true; }

  result<http::response> ask(http::request what) override {
    what.headers.add("Authorization", "Bearer " + token_);
    auto got = app::ask(*client_, std::move(what), page_timeout);
    if (!got)
      return got.error().what;
    return std::move(*got);
  }

 private:
  remote_link() = default;
  net::loop loop_;
  std::string token_;
  std::unique_ptr<http::client> client_;
};

class store_link final : public node_link {
 public:
  explicit store_link(std::unique_ptr<store::backend> store)
      : store_{std::move(store)}, pages_{make_pages()} {
    pages_.attach(make_idle_node(*store_));
  }

  bool running() const noexcept override { return false; }

  result<http::response> ask(http::request what) override {
    what.headers.add("Authorization", "Bearer " + std::string{token});
    auto slot = std::make_shared<std::promise<http::response>>();
    auto coming = slot->get_future();
    pages_.take(what, [slot](http::response page) {
      slot->set_value(std::move(page));
    });
    if (coming.wait_for(page_timeout) != std::future_status::ready) {
      return error{errc::timed_out, "the store did not answer in time"};
    }
    return coming.get();
  }

 private:
  // Both ends are in this object: it guards nothing.
  static constexpr std::string_view token = "local";

  stats_pages make_pages() {
    pages_options how;
    how.token = token;
    return stats_pages{how, *store_, metrics_, nullptr};
  }

  std::unique_ptr<store::backend> store_;
  metrics::registry metrics_;
  stats_pages pages_;
};

}  // namespace

result<std::unique_ptr<node_link>> find_running(const settings& from) {
  if (from.stats_listen.empty()) {
    return error{errc::unavailable,
                 "stats.listen is empty, so a running node "
                 "can't be asked"};
  }
  auto link = remote_link::make(parse_endpoint(from.stats_listen).value(),
                                admin_token(from));
  if (!link)
    return link.error();
  http::request probe;
  probe.target = "/admin/dead-letters?limit=1";
  const auto got = (*link)->ask(std::move(probe));
  if (!got) {
    return error{errc::unavailable, "no node answers at " + from.stats_listen};
  }
  if (got->status == 401 || got->status == 404) {
    return error{errc::conflict,
                 "who answers at " + from.stats_listen +
                     " does not know us (another bot? another stats.token?)"};
  }
  return std::unique_ptr<node_link>{std::move(*link)};
}

result<std::unique_ptr<node_link>> find_node(const settings& from) {
  auto running = find_running(from);
  if (running)
    return running;
  const std::string why = running.error().context;
  const std::string file = store_file(from);
  std::error_code code;
  const bool embedded = from.store_url.starts_with("sqlite:") ||
                        from.store_url.starts_with("memory:");
  if (embedded && (file.empty() || !std::filesystem::exists(file, code))) {
    return error{errc::not_found, why + ", and there is no store at " +
                                      shown_store(from.store_url) +
                                      (code ? ": " + code.message() : "")};
  }
  auto store = store::open(store_options_of(from));
  if (!store) {
    return error{store.error().code, why + "; " + store.error().context};
  }
  return std::unique_ptr<node_link>{
      std::make_unique<store_link>(std::move(*store))};
}

std::string text_of(const json::object& from, std::string_view name) {
  const json::value* at = from.if_contains(name);
  if (at == nullptr || at->is_null())
    return {};
  if (at->is_string())
    return std::string{at->get_string()};
  return json::serialize(*at);
}

namespace {

errc code_of(unsigned status) {
  switch (status) {
    case 400: return errc::bad_input;
    case 404: return errc::not_found;
    case 409: return errc::conflict;
    case 413: return errc::too_large;
    default: return errc::unavailable;
  }
}

}  // namespace

result<json::object> fetch(node_link& node, http::request what) {
  auto got = node.ask(std::move(what));
  if (!got)
    return got.error();
  auto parsed = parse_json(got->body);
  if (!parsed || !parsed->is_object()) {
    return error{errc::internal, "unreadable answer, HTTP status " +
                                     std::to_string(got->status)};
  }
  json::object& page = parsed->get_object();
  if (got->status == 200)
    return std::move(page);
  const std::string text = text_of(page, "error");
  return error{code_of(got->status), text};
}

}  // namespace troupe::app
