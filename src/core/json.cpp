#include "core/json.hpp"

#include <boost/json/src.hpp>

namespace troupe {

result<json::value> parse_json(std::string_view text) {
  json::parse_options options;
  options.max_depth = 100;
  boost::system::error_code ec;
  json::stream_parser parser{{}, options};
  auto used = parser.write_some(text.data(), text.size(), ec);
  if (!ec && used < text.size() &&
      text.find_first_not_of(" \t\r\n", used) != std::string_view::npos)
    ec = json::error::extra_data;
  if (!ec)
    parser.finish(ec);
  if (ec)
    return error{errc::bad_input, "not JSON at byte " + std::to_string(used) +
                                      ": " + ec.message()};
  return parser.release();
}

namespace {

// Length of the valid UTF-8 sequence at `text[i]`, or 0.
std::size_t utf8_length(std::string_view text, std::size_t i) {
  auto byte = [&](std::size_t k) -> unsigned {
    return k < text.size() ? static_cast<unsigned char>(text[k]) : 0u;
  };
  auto tail = [&](std::size_t k) { return (byte(k) & 0xc0u) == 0x80u; };
  unsigned b = byte(i);
  if (b < 0x80)
    return 1;
  if (b >= 0xc2 && b <= 0xdf)
    return tail(i + 1) ? 2 : 0;
  if (b >= 0xe0 && b <= 0xef) {
    if (!tail(i + 1) || !tail(i + 2) || (b == 0xe0 && byte(i + 1) < 0xa0) ||
        (b == 0xed && byte(i + 1) > 0x9f))
      return 0;
    return 3;
  }
  if (b >= 0xf0 && b <= 0xf4) {
    if (!tail(i + 1) || !tail(i + 2) || !tail(i + 3) ||
        (b == 0xf0 && byte(i + 1) < 0x90) || (b == 0xf4 && byte(i + 1) > 0x8f))
      return 0;
    return 4;
  }
  return 0;
}

}  // namespace

void append_json_string(std::string& out, std::string_view text) {
  static constexpr char hex[] = "0123456789abcdef";
  out.push_back('"');
  for (std::size_t i = 0; i < text.size();) {
    auto c = static_cast<unsigned char>(text[i]);
    if (c == '"' || c == '\\') {
      out.push_back('\\');
      out.push_back(text[i++]);
    } else if (c == '\n') {
      out += "\\n";
      ++i;
    } else if (c < 0x20) {
      out += "\\u00";
      out.push_back(hex[c >> 4]);
      out.push_back(hex[c & 15]);
      ++i;
    } else if (auto n = utf8_length(text, i)) {
      out.append(text, i, n);
      i += n;
    } else {
      out += "\xef\xbf\xbd";
      ++i;
    }
  }
  out.push_back('"');
}

}  // namespace troupe
