#include <algorithm>
#include <boost/beast/http/basic_parser.hpp>
#include <boost/beast/http/error.hpp>
#include <cstdint>
#include <optional>
#include <utility>

#include "http/inflate.hpp"
#include "http/reader.hpp"
#include "http/text.hpp"

namespace troupe::http {

namespace beast = boost::beast;
namespace bh = boost::beast::http;
using beast::error_code;

namespace {

/// True if no header can grow out of these bytes. Beast looks at a header only
/// once it is complete; a peer that speaks TLS or ends lines with a bare LF
/// would otherwise be answered by a timeout.
bool hopeless(std::string_view bytes, std::size_t from) {
  for (auto i = from; i < bytes.size(); ++i) {
    const auto c = static_cast<unsigned char>(bytes[i]);
    if (c == '\n' ? i == 0 || bytes[i - 1] != '\r'
                  : c < 0x20 && c != '\t' && c != '\r')
      return true;
  }
  return false;
}

}  // namespace

class request_reader::parser final : public bh::basic_parser<true> {
 public:
  parser(limits how, const admission& admit)
      : max_header_{how.header}, max_body_{how.body}, admit_{admit} {
    header_limit(static_cast<std::uint32_t>(how.header));
    body_limit(how.body);
    eager(true);
  }

  request what;
  unsigned refusal = 0;
  std::size_t scanned = 0;
  bool expects_continue = false;
  bool version10() const { return version10_; }
  bool is_head = false;
  std::string coding;

  void refuse(unsigned why) {
    if (refusal == 0)
      refusal = why;
  }

  /// Decodes the body. @returns 0 or the status to refuse with.
  unsigned decode() {
    if (coding.empty())
      return 0;
    auto plain = inflate_body(coding, what.body, max_body_);
    if (!plain)
      return plain.error().code == errc::too_large ? 413 : 400;
    what.body = std::move(*plain);
    return 0;
  }

 private:
  void fail(unsigned why, error_code& ec) {
    refuse(why);
    ec = bh::error::bad_value;
  }

  /// Beast's own limit is for what it is given at once: a header that comes a
  /// field at a time would pass it at any length.
  void count(std::size_t text, error_code& ec) {
    constexpr std::size_t line = 4;  // ": " and CRLF
    header_ += text + line;
    if (header_ > max_header_)
      fail(431, ec);
  }

  void on_request_impl(bh::verb, beast::string_view method,
                       beast::string_view target, int version,
                       error_code& ec) override {
    ec = {};
    version10_ = version < 11;
    what.method = as_view(method);
    what.target = as_view(target);
    is_head = what.method == "HEAD";
    count(method.size() + target.size(), ec);
  }

  void on_field_impl(bh::field name, beast::string_view key,
                     beast::string_view value, error_code& ec) override {
    ec = {};
    if (header_done_)
      return;  // trailers change nothing
    count(key.size() + value.size(), ec);
    if (ec)
      return;
    switch (name) {
      case bh::field::host: ++hosts_; return;
      case bh::field::content_length:
        if (++lengths_ > 1 ||
            as_view(value).find(',') != std::string_view::npos)
          fail(400, ec);
        return;
      case bh::field::transfer_encoding:
        if (++codings_ > 1)
          fail(400, ec);
        else if (!iequals(as_view(value), "chunked"))
          fail(501, ec);
        return;
      case bh::field::connection: return;
      case bh::field::expect:
        expects_continue = iequals(as_view(value), "100-continue");
        return;
      case bh::field::content_encoding:
        if (iequals(as_view(value), "identity"))
          return;
        if (!coding.empty() || !is_inflatable(as_view(value)))
          fail(415, ec);
        else
          coding = as_view(value);
        return;
      default:
        what.headers.add(std::string{as_view(key)},
                         std::string{as_view(value)});
    }
  }

  void on_header_impl(error_code& ec) override {
    ec = {};
    header_done_ = true;
    const bool http11 = !version10_;
    if (lengths_ > 0 && codings_ > 0)
      fail(400, ec);
    if (codings_ > 0 && !http11)
      fail(400, ec);
    if (hosts_ > 1 || (http11 && hosts_ == 0))
      fail(400, ec);
    expects_continue = expects_continue && http11;
    if (refusal == 0 && admit_ && !admit_(what))
      fail(403, ec);
  }

  void on_body_init_impl(const boost::optional<std::uint64_t>& length,
                         error_code& ec) override {
    ec = {};
    // Room for what was announced, but not for the taking.
    if (length)
      what.body.reserve(std::min<std::uint64_t>(*length, 256 * 1024));
  }

  std::size_t on_body_impl(beast::string_view body, error_code& ec) override {
    ec = {};
    what.body.append(body.data(), body.size());
    return body.size();
  }

  void on_chunk_header_impl(std::uint64_t, beast::string_view,
                            error_code& ec) override {
    ec = {};
  }

  std::size_t on_chunk_body_impl(std::uint64_t, beast::string_view body,
                                 error_code& ec) override {
    return on_body_impl(body, ec);
  }

  void on_finish_impl(error_code& ec) override { ec = {}; }

  void on_response_impl(int, beast::string_view, int, error_code& ec) override {
    ec = bh::error::bad_version;  // never called for requests
  }

  std::size_t max_header_, max_body_;
  std::size_t header_ = 0;
  const admission& admit_;
  unsigned hosts_ = 0, lengths_ = 0, codings_ = 0;
  bool header_done_ = false;
  bool version10_ = false;
};

request_reader::request_reader(limits how, admission admit)
    : limits_{how},
      admit_{std::move(admit)},
      parser_{std::make_unique<parser>(how, admit_)} {}

request_reader::~request_reader() = default;

std::size_t request_reader::feed(std::string_view bytes) {
  std::size_t skipped = 0;
  // Some clients end a POST with one more line break (RFC 9112, 2.2).
  if (!parser_->got_some() && parser_->scanned == 0)
    while (bytes.substr(skipped).starts_with("\r\n"))
      skipped += 2;
  bytes.remove_prefix(skipped);
  if (bytes.empty() || (bytes == "\r" && !parser_->got_some()) ||
      must_wait(*parser_, bytes))
    return skipped;

  error_code ec;
  const auto used = parser_->put({bytes.data(), bytes.size()}, ec);
  if (ec == bh::error::need_more) {
    if (!parser_->is_header_done()) {
      if (hopeless(bytes, parser_->scanned))
        parser_->refuse(400);
      parser_->scanned = bytes.size() - used;
    }
  } else if (ec) {
    parser_->refuse(ec == bh::error::header_limit ? 431
                    : ec == bh::error::body_limit ? 413
                                                  : 400);
  } else if (parser_->is_done()) {
    if (const auto why = parser_->decode())
      parser_->refuse(why);
  }
  return skipped + used;
}

request_reader::status request_reader::now() const noexcept {
  if (parser_->refusal != 0)
    return status::refused;
  return parser_->is_done() ? status::done : status::need_more;
}

unsigned request_reader::refusal() const noexcept {
  return parser_->refusal;
}

bool request_reader::in_body() const noexcept {
  return parser_->is_header_done();
}

bool request_reader::expects_continue() const noexcept {
  return parser_->expects_continue;
}

bool request_reader::keep_alive() const noexcept {
  return parser_->is_header_done() && parser_->keep_alive();
}

bool request_reader::is_head() const noexcept {
  return parser_->is_head;
}

bool request_reader::is_http10() const noexcept {
  return parser_->is_header_done() && parser_->version10();
}

request request_reader::take() {
  auto what = std::move(parser_->what);
  parser_ = std::make_unique<parser>(limits_, admit_);
  return what;
}

}  // namespace troupe::http
