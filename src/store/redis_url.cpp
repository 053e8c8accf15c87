#include "store/redis_url.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <utility>

namespace troupe::store::redis {

namespace {

struct scheme {
  std::string_view name;
  layout kind;
  bool tls;
};

constexpr std::array<scheme, 6> schemes{{
    {"redis", layout::single, false},
    {"rediss", layout::single, true},
    {"redis+sentinel", layout::sentinel, false},
    {"rediss+sentinel", layout::sentinel, true},
    {"redis+cluster", layout::cluster, false},
    {"rediss+cluster", layout::cluster, true},
}};

constexpr std::uint16_t redis_port = 6379;
constexpr std::uint16_t sentinel_port = 26379;
/// `databases` of redis.conf is an int; nobody has as many.
constexpr unsigned most_databases = 1'000'000;
constexpr long long longest_timeout_ms = 600'000;

const scheme* scheme_of(std::string_view url) noexcept {
  const auto end = url.find("://");
  if (end == std::string_view::npos)
    return nullptr;
  const auto it = std::find_if(
      schemes.begin(), schemes.end(),
      [name = url.substr(0, end)](const scheme& s) { return s.name == name; });
  return it == schemes.end() ? nullptr : &*it;
}

error wrong(std::string why) {
  return {errc::bad_input, "the Redis URL " + std::move(why)};
}

/// What is before `mark`, and what is after it; nothing if it is not there.
std::pair<std::string_view, std::optional<std::string_view>> cut(
    std::string_view text, char mark) {
  const auto at = text.find(mark);
  if (at == std::string_view::npos)
    return {text, std::nullopt};
  return {text.substr(0, at), text.substr(at + 1)};
}

template <class Number>
std::optional<Number> number(std::string_view text) {
  Number n{};
  const auto [end, ec] =
      std::from_chars(text.data(), text.data() + text.size(), n);
  if (text.empty() || ec != std::errc{} || end != text.data() + text.size())
    return std::nullopt;
  return n;
}

int hex(char c) noexcept {
  if (c >= '0' && c <= '9')
    return c - '0';
  if (c >= 'a' && c <= 'f')
    return c - 'a' + 10;
  if (c >= 'A' && c <= 'F')
    return c - 'A' + 10;
  return -1;
}

std::optional<std::string> decoded(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '%') {
      out += text[i];
      continue;
    }
    if (i + 2 >= text.size())
      return std::nullopt;
    const int high = hex(text[i + 1]), low = hex(text[i + 2]);
    if (high < 0 || low < 0)
      return std::nullopt;
    out += static_cast<char>(high * 16 + low);
    i += 2;
  }
  return out;
}

error bad_percent() {
  return wrong("has a % that no two hex digits follow; a % itself is %25");
}

bool plain_host(std::string_view host) {
  return !host.empty() && std::all_of(host.begin(), host.end(), [](char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') ||
           (c >= 'A' && c <= 'Z') || c == '.' || c == '-' || c == '_';
  });
}

bool bare_v6(std::string_view host) {
  return host.find(':') != std::string_view::npos &&
         std::all_of(host.begin(), host.end(), [](char c) {
           return hex(c) >= 0 || c == ':' || c == '.';
         });
}

result<address> parse_host(std::string_view text, std::uint16_t port) {
  address at{{}, port};
  std::optional<std::string_view> given;
  if (text.starts_with('[')) {
    const auto [inside, rest] = cut(text.substr(1), ']');
    if (!rest || !bare_v6(inside) || !(rest->empty() || rest->front() == ':'))
      return wrong("has a host in brackets that is no IPv6 address");
    at.host = inside;
    if (!rest->empty())
      given = rest->substr(1);
  } else {
    const auto [name, rest] = cut(text, ':');
    if (!plain_host(name))
      return wrong(
          "has no valid host; what is special in the password must be "
          "percent-encoded");
    at.host = name;
    given = rest;
  }
  if (!given)
    return at;
  const auto n = number<std::uint16_t>(*given);
  if (!n || *n == 0)
    return wrong(
        "has a port that is no number from 1 to 65535; what is special in the "
        "password must be percent-encoded");
  at.port = *n;
  return at;
}

result<> parse_login(std::string_view text, target& out) {
  const auto [user, password] = cut(text, ':');
  if (!password)
    return wrong("needs USER:PASSWORD@ or :PASSWORD@ before the host");
  auto name = decoded(user);
  auto secret = decoded(*password);
  if (!name || !secret)
    return bad_percent();
  out.user = std::move(*name);
  out.password = std::move(*secret);
  return {};
}

result<> parse_hosts(std::string_view text, target& out) {
  const auto port = out.kind == layout::sentinel ? sentinel_port : redis_port;
  std::optional<std::string_view> rest = text;
  while (rest) {
    const auto [one, more] = cut(*rest, ',');
    auto at = parse_host(one, port);
    if (!at)
      return at.error();
    out.hosts.push_back(std::move(*at));
    rest = more;
  }
  if (out.kind == layout::single && out.hosts.size() > 1)
    return wrong(
        "names several hosts, which is for redis+sentinel and redis+cluster");
  return {};
}

result<> parse_path(std::string_view path, target& out) {
  if (out.kind == layout::sentinel) {
    const auto [master, rest] = cut(path, '/');
    auto name = decoded(master);
    if (!name)
      return bad_percent();
    if (name->empty())
      return wrong("needs the primary's name: redis+sentinel://HOSTS/NAME");
    out.master = std::move(*name);
    path = rest.value_or("");
  }
  if (path.empty())
    return {};
  const auto db = number<unsigned>(path);
  if (!db || *db > most_databases)
    return wrong("has a database that is no number");
  if (out.kind == layout::cluster && *db != 0)
    return wrong("names a database; a Redis Cluster has only 0");
  out.db = *db;
  return {};
}

result<> take_option(std::string_view name, std::string value, target& out) {
  if (name == "timeout_ms") {
    const auto ms = number<long long>(value);
    if (!ms || *ms < 1 || *ms > longest_timeout_ms)
      return wrong("has a timeout_ms that is not within 1 and 600000");
    out.timeout = milliseconds{*ms};
    return {};
  }
  if (name == "sentinel_user" || name == "sentinel_password") {
    if (out.kind != layout::sentinel)
      return wrong("has sentinel_user or sentinel_password, but no Sentinels");
    if (name == "sentinel_user")
      out.sentinel_user = std::move(value);
    else
      out.sentinel_password = std::move(value);
    return {};
  }
  if (name != "ca" && name != "cert" && name != "key" && name != "verify")
    return wrong(
        "has a parameter that nobody knows; known are timeout_ms, ca, cert, "
        "key, verify, sentinel_user and sentinel_password");
  if (!out.tls)
    return wrong("has ca, cert, key or verify, which need rediss");
  if (name == "verify") {
    if (value != "yes" && value != "no")
      return wrong("has a verify that is neither yes nor no");
    out.verify = value == "yes";
    return {};
  }
  if (value.empty())
    return wrong("has a ca, cert or key without a file");
  (name == "ca"     ? out.ca_file
   : name == "cert" ? out.cert_file
                    : out.key_file) = std::move(value);
  return {};
}

result<> parse_query(std::string_view text, target& out) {
  std::optional<std::string_view> rest = text;
  while (rest) {
    const auto [one, more] = cut(*rest, '&');
    const auto [name, value] = cut(one, '=');
    auto plain = decoded(value.value_or(""));
    if (!plain)
      return bad_percent();
    if (auto fine = take_option(name, std::move(*plain), out); !fine)
      return fine;
    rest = more;
  }
  if (out.cert_file.empty() != out.key_file.empty())
    return wrong("has only one of cert and key");
  if (!out.sentinel_user.empty() && !out.sentinel_password)
    return wrong("has sentinel_user without sentinel_password");
  return {};
}

}  // namespace

std::string to_string(const address& at) {
  const bool v6 = at.host.find(':') != std::string::npos;
  return (v6 ? "[" + at.host + "]" : at.host) + ":" + std::to_string(at.port);
}

bool is_redis_url(std::string_view url) noexcept {
  return scheme_of(url) != nullptr;
}

result<target> parse_url(std::string_view url) {
  const auto* found = scheme_of(url);
  if (found == nullptr)
    return wrong(
        "must begin with redis://, redis+sentinel://, redis+cluster:// or the "
        "same with rediss");
  target out;
  out.kind = found->kind;
  out.tls = found->tls;
  url.remove_prefix(found->name.size() + 3);
  if (url.find('#') != std::string_view::npos)
    return wrong("has a #; in a password it is %23");
  const auto [place, query] = cut(url, '?');
  const auto [authority, path] = cut(place, '/');
  auto hosts = authority;
  const auto at = authority.rfind('@');
  if (at != std::string_view::npos) {
    if (auto fine = parse_login(authority.substr(0, at), out); !fine)
      return fine.error();
    hosts = authority.substr(at + 1);
  }
  if (auto fine = parse_hosts(hosts, out); !fine)
    return fine.error();
  if (auto fine = parse_path(path.value_or(""), out); !fine)
    return fine.error();
  if (query)
    if (auto fine = parse_query(*query, out); !fine)
      return fine.error();
  return out;
}

}  // namespace troupe::store::redis
