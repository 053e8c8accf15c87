#include "http/writer.hpp"

#include <algorithm>
#include <array>
#include <utility>

#include "http/text.hpp"

namespace troupe::http {

namespace {

using phrase = std::pair<unsigned, std::string_view>;

constexpr std::array phrases{
    phrase{100, "Continue"},
    phrase{101, "Switching Protocols"},
    phrase{200, "OK"},
    phrase{201, "Created"},
    phrase{202, "Accepted"},
    phrase{204, "No Content"},
    phrase{206, "Partial Content"},
    phrase{301, "Moved Permanently"},
    phrase{302, "Found"},
    phrase{303, "See Other"},
    phrase{304, "Not Modified"},
    phrase{307, "Temporary Redirect"},
    phrase{308, "Permanent Redirect"},
    phrase{400, "Bad Request"},
    phrase{401, "Unauthorized"},
    phrase{403, "Forbidden"},
    phrase{404, "Not Found"},
    phrase{405, "Method Not Allowed"},
    phrase{406, "Not Acceptable"},
    phrase{408, "Request Timeout"},
    phrase{409, "Conflict"},
    phrase{410, "Gone"},
    phrase{411, "Length Required"},
    phrase{412, "Precondition Failed"},
    phrase{413, "Content Too Large"},
    phrase{414, "URI Too Long"},
    phrase{415, "Unsupported Media Type"},
    phrase{416, "Range Not Satisfiable"},
    phrase{417, "Expectation Failed"},
    phrase{421, "Misdirected Request"},
    phrase{422, "Unprocessable Content"},
    phrase{425, "Too Early"},
    phrase{426, "Upgrade Required"},
    phrase{428, "Precondition Required"},
    phrase{429, "Too Many Requests"},
    phrase{431, "Request Header Fields Too Large"},
    phrase{500, "Internal Server Error"},
    phrase{501, "Not Implemented"},
    phrase{502, "Bad Gateway"},
    phrase{503, "Service Unavailable"},
    phrase{504, "Gateway Timeout"},
    phrase{505, "HTTP Version Not Supported"},
};

void append_field(std::string& out, std::string_view name,
                  std::string_view value) {
  out.append(name).append(": ").append(value).append("\r\n");
}

/// The framing is ours: a caller's own idea of it would desynchronise the peer.
bool is_framing(std::string_view name) noexcept {
  return iequals(name, "Content-Length") || iequals(name, "Connection") ||
         iequals(name, "Transfer-Encoding");
}

bool are_sendable(const fields& headers) noexcept {
  return std::all_of(headers.begin(), headers.end(), [](const auto& entry) {
    return is_token(entry.first) && is_field_value(entry.second);
  });
}

/// Everything but what ends or splits a request line.
bool is_target(std::string_view text) noexcept {
  return !text.empty() && std::all_of(text.begin(), text.end(), [](char c) {
    return static_cast<unsigned char>(c) > 0x20 && c != 0x7f;
  });
}

bool may_have_body(std::string_view method) noexcept {
  return method != "GET" && method != "HEAD";
}

}  // namespace

std::string_view reason_phrase(unsigned status) noexcept {
  const auto it =
      std::find_if(phrases.begin(), phrases.end(),
                   [=](const auto& p) { return p.first == status; });
  return it == phrases.end() ? std::string_view{"Unknown"} : it->second;
}

bool is_bodiless(unsigned status) noexcept {
  return status < 200 || status == 204 || status == 304;
}

bool is_sendable(const response& answer) noexcept {
  return answer.status >= 200 && answer.status <= 999 &&
         is_field_value(answer.type) && are_sendable(answer.headers);
}

void append_head(std::string& out, const response& answer, framing how,
                 std::string_view date) {
  out.append("HTTP/1.1 ");
  append_number(out, answer.status);
  out.append(" ").append(reason_phrase(answer.status)).append("\r\n");
  append_field(out, "Date", date);
  if (!answer.type.empty() && !is_bodiless(answer.status))
    append_field(out, "Content-Type", answer.type);
  for (const auto& [name, value] : answer.headers)
    if (!is_framing(name))
      append_field(out, name, value);
  if (how.chunked && !how.http10) {
    append_field(out, "Transfer-Encoding", "chunked");
  } else if (!how.chunked && !is_bodiless(answer.status)) {
    out.append("Content-Length: ");
    append_number(out, answer.body.size());
    out.append("\r\n");
  }
  if (!how.keep_alive)
    append_field(out, "Connection", "close");
  else if (how.http10)
    append_field(out, "Connection", "keep-alive");
  out.append("\r\n");
}

void append_chunk(std::string& out, std::string_view data) {
  if (data.empty())
    return;
  append_number(out, data.size(), 16);
  out.append("\r\n").append(data).append("\r\n");
}

result<void> check_sendable(const request& what) {
  if (!is_token(what.method))
    return error{errc::bad_input, "the request's method is not a token"};
  if (!is_target(what.target) || what.target.front() != '/')
    return error{errc::bad_input,
                 "the request's target has characters that must be escaped"};
  if (!are_sendable(what.headers))
    return error{errc::bad_input, "a header of the request can't be sent"};
  return {};
}

void append_head(std::string& out, const request& what, std::string_view prefix,
                 std::string_view host) {
  out.append(what.method).append(" ").append(prefix).append(what.target);
  out.append(" HTTP/1.1\r\n");
  append_field(out, "Host", host);
  for (const auto& [name, value] : what.headers)
    if (!is_framing(name) && !iequals(name, "Host"))
      append_field(out, name, value);
  if (!what.body.empty() || may_have_body(what.method)) {
    out.append("Content-Length: ");
    append_number(out, what.body.size());
    out.append("\r\n");
  }
  out.append("\r\n");
}

std::string_view date_text::at(std::time_t now) {
  if (now != made_) {
    std::tm parts{};
    gmtime_r(&now, &parts);
    static constexpr const char* days[] = {"Sun", "Mon", "Tue", "Wed",
                                           "Thu", "Fri", "Sat"};
    static constexpr const char* months[] = {"Jan", "Feb", "Mar", "Apr",
                                             "May", "Jun", "Jul", "Aug",
                                             "Sep", "Oct", "Nov", "Dec"};
    // Not %a and %b: those follow the locale.
    char rest[32];
    std::strftime(rest, sizeof rest, " %Y %H:%M:%S GMT", &parts);
    const auto day = static_cast<char>('0' + parts.tm_mday % 10);
    const auto ten = static_cast<char>('0' + parts.tm_mday / 10);
    const auto text = std::string{days[parts.tm_wday]} + ", " + ten + day +
                      " " + months[parts.tm_mon] + rest;
    text.copy(text_, sizeof text_ - 1);
    made_ = now;
  }
  return text_;
}

}  // namespace troupe::http
