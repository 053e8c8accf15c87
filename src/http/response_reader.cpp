#include <algorithm>
#include <boost/beast/http/basic_parser.hpp>
#include <boost/beast/http/error.hpp>
#include <cstdint>
#include <utility>

#include "http/reader.hpp"
#include "http/text.hpp"

namespace troupe::http {

namespace beast = boost::beast;
namespace bh = boost::beast::http;
using beast::error_code;

class response_reader::parser final : public bh::basic_parser<false> {
 public:
  parser(limits how, bool to_head) : max_header_{how.header} {
    header_limit(static_cast<std::uint32_t>(how.header));
    body_limit(how.body);
    eager(true);
    skip(to_head);
    what.type.clear();
  }

  response what;

 private:
  void on_response_impl(int code, beast::string_view, int,
                        error_code& ec) override {
    ec = {};
    what.status = static_cast<unsigned>(code);
  }

  void on_field_impl(bh::field name, beast::string_view key,
                     beast::string_view value, error_code& ec) override {
    ec = {};
    if (header_done_)
      return;  // trailers change nothing
    // As in the request reader: a field at a time passes Beast's limit.
    header_ += key.size() + value.size();
    if (header_ > max_header_) {
      ec = bh::error::header_limit;
      return;
    }
    switch (name) {
      case bh::field::content_length:
        if (++lengths_ > 1)
          ec = bh::error::multiple_content_length;
        return;
      case bh::field::transfer_encoding:
        ++codings_;
        if (!iequals(as_view(value), "chunked"))
          ec = bh::error::bad_transfer_encoding;
        return;
      case bh::field::connection: return;
      case bh::field::content_type: what.type = as_view(value); return;
      default:
        what.headers.add(std::string{as_view(key)},
                         std::string{as_view(value)});
    }
  }

  void on_header_impl(error_code& ec) override {
    ec = {};
    header_done_ = true;
    if (lengths_ > 0 && codings_ > 0)
      ec = bh::error::bad_transfer_encoding;
    // Nobody asked for another protocol; and 000 to 099 are no statuses.
    if (what.status == 101 || what.status < 100)
      ec = bh::error::bad_status;
  }

  void on_body_init_impl(const boost::optional<std::uint64_t>& length,
                         error_code& ec) override {
    ec = {};
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

  void on_request_impl(bh::verb, beast::string_view, beast::string_view, int,
                       error_code& ec) override {
    ec = bh::error::bad_version;  // never called for responses
  }

  std::size_t max_header_;
  std::size_t header_ = 0;
  bool header_done_ = false;
  unsigned lengths_ = 0, codings_ = 0;
};

response_reader::response_reader(limits how)
    : limits_{how}, parser_{std::make_unique<parser>(how, false)} {}

response_reader::~response_reader() = default;

void response_reader::expect(bool to_head) {
  to_head_ = to_head;
  started_ = false;
  now_ = status::need_more;
  parser_ = std::make_unique<parser>(limits_, to_head);
}

std::size_t response_reader::feed(std::string_view bytes) {
  std::size_t used = 0;
  while (now_ == status::need_more && used < bytes.size()) {
    started_ = true;
    const auto rest = bytes.substr(used);
    if (must_wait(*parser_, rest))
      break;
    error_code ec;
    const auto n = parser_->put({rest.data(), rest.size()}, ec);
    used += n;
    if (ec == bh::error::need_more)
      break;
    if (ec == bh::error::body_limit || ec == bh::error::header_limit) {
      now_ = status::failed;
      reason_ = {errc::too_large, "the answer is larger than its limit"};
    } else if (ec) {
      classify(ec.message());
    } else if (parser_->is_done()) {
      if (parser_->what.status >= 200)
        now_ = status::done;
      else  // interim: the real answer follows
        parser_ = std::make_unique<parser>(limits_, to_head_);
    }
    if (n == 0)
      break;
  }
  return used;
}

void response_reader::feed_end() {
  if (now_ != status::need_more)
    return;
  error_code ec;
  if (parser_->got_some())
    parser_->put_eof(ec);
  if (!ec && parser_->is_done())
    now_ = status::done;
  else
    classify(started_ ? "it ended early" : "the peer closed without one");
}

void response_reader::classify(std::string_view why) {
  now_ = status::failed;
  reason_ = {errc::unknown_outcome, "bad answer: " + std::string{why}};
}

response_reader::status response_reader::now() const noexcept {
  return now_;
}
const error& response_reader::reason() const noexcept {
  return reason_;
}
bool response_reader::started() const noexcept {
  return started_;
}

bool response_reader::keep_alive() const noexcept {
  return now_ == status::done && parser_->is_header_done() &&
         !parser_->need_eof() && parser_->keep_alive();
}

response response_reader::take() {
  return std::move(parser_->what);
}

}  // namespace troupe::http
