#include "actors/webhook_gate.hpp"

#include "core/json.hpp"
#include "net/crypto.hpp"

namespace troupe::actors {

http::response error_page(unsigned status, std::string_view text) {
  http::response r;
  r.status = status;
  r.body = "{\"ok\":false,\"error_code\":" + std::to_string(status) +
           ",\"description\":";
  append_json_string(r.body, text);
  r.body += "}";
  return r;
}

http::response come_back(unsigned seconds, std::string_view text) {
  auto r = error_page(503, text);
  r.headers.add("Retry-After", std::to_string(seconds));
  return r;
}

std::optional<http::response> webhook_gate::refuse(
    const http::request& what) const {
  auto target = what.path();
  std::string_view in_path;
  if (target != path) {
    if (!target.starts_with(path) || target.size() <= path.size() + 1 ||
        target[path.size()] != '/')
      return error_page(404, "Not Found");
    in_path = target.substr(path.size() + 1);
    if (secret.empty() || in_path.find('/') != std::string_view::npos)
      return error_page(404, "Not Found");
  }
  if (!secret.empty()) {
    auto given = what.headers.find("X-Telegram-Bot-Api-Secret-Token");
    if (given.empty())
      given = in_path;
    if (given.empty())
      return error_page(401, "Unauthorized: the secret token is missing");
    if (!net::equal_constant_time(given, secret))
      return error_page(403, "Forbidden: wrong secret token");
  }
  if (what.method != "POST") {
    auto r = error_page(405, "Method Not Allowed: use POST");
    r.headers.add("Allow", "POST");
    return r;
  }
  return std::nullopt;
}

}  // namespace troupe::actors
