#include <algorithm>
#include <charconv>
#include <string>

#include "http/client.hpp"
#include "http/text.hpp"

namespace troupe::http {

namespace {

error bad(const char* what) {
  return {errc::bad_input, what};
}

bool is_host_char(char c) {
  return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' ||
         c == '.' || c == '_';
}

bool is_address_char(char c) {
  return (c >= 'a' && c <= 'f') || (c >= '0' && c <= '9') || c == ':' ||
         c == '.';
}

/// Takes the scheme off the front.
bool take_scheme(std::string_view& rest, std::string_view scheme) {
  if (rest.size() < scheme.size() ||
      !iequals(rest.substr(0, scheme.size()), scheme))
    return false;
  rest.remove_prefix(scheme.size());
  return true;
}

result<void> read_host(origin& out, std::string_view& authority) {
  std::string_view host;
  const bool literal = authority.starts_with('[');
  if (literal) {
    const auto end = authority.find(']');
    if (end == authority.npos)
      return bad("the URL's IPv6 address has no ']'");
    host = authority.substr(1, end - 1);
    authority.remove_prefix(end + 1);
  } else {
    host = authority.substr(0, authority.find(':'));
    authority.remove_prefix(host.size());
  }
  out.host = host;
  std::transform(host.begin(), host.end(), out.host.begin(), to_lower);
  if (host.empty() || host.size() > 253)
    return bad("the URL has no host");
  if (!std::all_of(out.host.begin(), out.host.end(),
                   literal ? is_address_char : is_host_char))
    return bad("the URL's host has characters that no host name has");
  return {};
}

result<void> read_port(origin& out, std::string_view text) {
  out.port = out.tls ? 443 : 80;
  if (text.empty())
    return {};
  if (text.front() != ':')
    return bad("the URL has no ':' before its port");
  text.remove_prefix(1);
  unsigned n = 0;
  const auto [end, ec] =
      std::from_chars(text.data(), text.data() + text.size(), n);
  if (ec != std::errc{} || end != text.data() + text.size() || n < 1 ||
      n > 65'535)
    return bad("the URL's port is not a number from 1 to 65535");
  out.port = static_cast<std::uint16_t>(n);
  return {};
}

}  // namespace

result<origin> parse_origin(std::string_view url) {
  origin out;
  if (take_scheme(url, "https://"))
    out.tls = true;
  else if (!take_scheme(url, "http://"))
    return bad("the URL starts neither with http:// nor with https://");
  if (!std::all_of(url.begin(), url.end(), [](char c) {
        return static_cast<unsigned char>(c) > 0x20 && c != 0x7f;
      }))
    return bad("the URL has a space or a control character");
  if (url.find('?') != url.npos || url.find('#') != url.npos)
    return bad("the URL has a query or a fragment");
  auto authority = url.substr(0, url.find('/'));
  auto prefix = url.substr(authority.size());
  if (authority.find('@') != authority.npos)
    return bad("the URL has a user name");
  if (auto host = read_host(out, authority); !host)
    return host.error();
  if (auto port = read_port(out, authority); !port)
    return port.error();
  while (prefix.ends_with('/'))
    prefix.remove_suffix(1);
  out.prefix = prefix;
  return out;
}

}  // namespace troupe::http
