#include "http/inflate.hpp"

#include <zlib.h>

#include <algorithm>
#include <limits>

#include "http/text.hpp"

namespace troupe::http {

namespace {

constexpr int gzip_bits = 15 + 16;
constexpr int zlib_bits = 15;
constexpr int raw_bits = -15;

/// RFC 1950: method 8, and the first two bytes are a multiple of 31.
bool has_zlib_header(std::string_view data) {
  if (data.size() < 2)
    return false;
  const auto a = static_cast<unsigned char>(data[0]);
  const auto b = static_cast<unsigned char>(data[1]);
  return (a & 15) == Z_DEFLATED && (a * 256u + b) % 31 == 0;
}

struct stream {
  z_stream z{};
  bool open = false;
  explicit stream(int bits) { open = inflateInit2(&z, bits) == Z_OK; }
  ~stream() {
    if (open)
      inflateEnd(&z);
  }
  stream(const stream&) = delete;
  stream& operator=(const stream&) = delete;
};

error broken() {
  return {errc::bad_input, "the compressed body is damaged"};
}

}  // namespace

bool is_inflatable(std::string_view coding) noexcept {
  return iequals(coding, "gzip") || iequals(coding, "x-gzip") ||
         iequals(coding, "deflate");
}

result<std::string> inflate_body(std::string_view coding, std::string_view data,
                                 std::size_t max) {
  if (data.size() > std::numeric_limits<uInt>::max())
    return error{errc::too_large, "the compressed body is too large"};
  const int bits = !iequals(coding, "deflate") ? gzip_bits
                   : has_zlib_header(data)     ? zlib_bits
                                               : raw_bits;
  stream in{bits};
  if (!in.open)
    return error{errc::unavailable, "no memory to inflate a body"};
  in.z.next_in =
      reinterpret_cast<Bytef*>(const_cast<char*>(data.data()));  // not written
  in.z.avail_in = static_cast<uInt>(data.size());

  std::string out;
  for (int state = Z_OK; state != Z_STREAM_END;) {
    constexpr std::size_t step = 64 * 1024;
    const auto before = out.size();
    out.resize(std::min(before + step, max + 1));
    in.z.next_out = reinterpret_cast<Bytef*>(out.data() + before);
    in.z.avail_out = static_cast<uInt>(out.size() - before);
    state = inflate(&in.z, Z_NO_FLUSH);
    const bool stuck = state == Z_OK && in.z.avail_out != 0;
    out.resize(out.size() - in.z.avail_out);
    if (out.size() > max)
      return error{errc::too_large, "the body inflates to over its limit"};
    if ((state != Z_OK && state != Z_STREAM_END) || stuck)
      return broken();
  }
  if (in.z.avail_in != 0)
    return broken();
  return out;
}

}  // namespace troupe::http
