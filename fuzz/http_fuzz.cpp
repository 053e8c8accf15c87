#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/result.hpp"
#include "http/reader.hpp"

// Whatever the bytes and wherever packets part them, the readers neither crash
// nor give another reading, and nothing that is read exceeds its limit.
//
// Input: kind of message, where to part the rest, the rest.

namespace {

using namespace troupe;
using namespace troupe::http;

struct limits {
  std::size_t header, body;
};
/// More than libFuzzer makes by itself, so that no reading ends at a limit:
/// where exactly one ends may depend on the parting.
constexpr limits wide{64 << 10, 64 << 10};
constexpr limits narrow{64, 64};

/// What came of the bytes, for comparison.
struct reading {
  std::vector<std::string> messages;
  std::string end;
  bool operator==(const reading&) const = default;
};

std::string shown(const fields& headers, const limits& most) {
  std::string out;
  std::size_t size = 0;
  for (const auto& [name, value] : headers) {
    size += name.size() + value.size();
    out += name + '\x01' + value + '\x02';
  }
  TROUPE_CHECK(size <= most.header);
  return out;
}

/// Gives `chunks` one after the other, as connections do.
template <class Reader, class Take>
bool give(Reader& reader, const std::vector<std::string_view>& chunks,
          Take take) {
  using status = typename Reader::status;
  std::string held;
  for (const auto chunk : chunks) {
    held.append(chunk);
    while (!held.empty()) {
      const auto used = reader.feed(held);
      TROUPE_CHECK(used <= held.size());
      held.erase(0, used);
      if (reader.now() == status::need_more)
        break;
      if (reader.now() != status::done)
        return false;
      take();
    }
  }
  return true;
}

reading read_requests(const std::vector<std::string_view>& chunks,
                      const limits& most) {
  reading out;
  request_reader reader{{.header = most.header, .body = most.body}};
  const bool fine = give(reader, chunks, [&] {
    const auto r = reader.take();
    TROUPE_CHECK(r.body.size() <= most.body);
    TROUPE_CHECK(!r.method.empty() && !r.target.empty());
    TROUPE_CHECK(r.headers.find("Content-Length").empty());
    out.messages.push_back(r.method + ' ' + r.target + ' ' +
                           shown(r.headers, most) + r.body);
  });
  if (!fine) {
    const auto code = reader.refusal();
    TROUPE_CHECK(code == 400 || code == 413 || code == 415 || code == 431 ||
                 code == 501);
    out.end = "refused";
  }
  return out;
}

reading read_responses(const std::vector<std::string_view>& chunks,
                       bool to_head, const limits& most) {
  reading out;
  response_reader reader{{.header = most.header, .body = most.body}};
  reader.expect(to_head);
  const auto take = [&] {
    const auto r = reader.take();
    TROUPE_CHECK(r.body.size() <= most.body);
    TROUPE_CHECK(r.status >= 200 && r.status < 1000);
    out.messages.push_back(std::to_string(r.status) + shown(r.headers, most) +
                           r.body);
    reader.expect(to_head);
  };
  bool fine = give(reader, chunks, take);
  if (fine && reader.started()) {
    reader.feed_end();
    fine = reader.now() == response_reader::status::done;
    if (fine)
      take();
  }
  if (!fine)
    out.end = "failed";
  return out;
}

reading read_as(unsigned kind, const std::vector<std::string_view>& chunks,
                const limits& most) {
  return kind % 3 == 0 ? read_requests(chunks, most)
                       : read_responses(chunks, kind % 3 == 1, most);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data,
                                      std::size_t size) {
  if (size < 3)
    return 0;
  std::string text{reinterpret_cast<const char*>(data) + 2, size - 2};
  // Of a header that never ends, more is known when more of it is known.
  if (data[0] % 3 == 0)
    text += "\r\n\r\n";
  const std::string_view all = text;
  const auto whole = read_as(data[0], {all}, wide);
  const auto at = data[1] % all.size();
  const std::vector<std::string_view> parted{all.substr(0, at), all.substr(at)};
  TROUPE_CHECK(whole == read_as(data[0], parted, wide));
  std::vector<std::string_view> bytes;
  for (std::size_t i = 0; i < all.size(); ++i)
    bytes.push_back(all.substr(i, 1));
  TROUPE_CHECK(whole == read_as(data[0], bytes, wide));
  for (const auto& chunks : {bytes, parted, {all}})
    static_cast<void>(read_as(data[0], chunks, narrow));
  return 0;
}
