#include "store/codec.hpp"

namespace troupe::store {

void put_u64(std::string& out, std::uint64_t n) {
  for (int i = 0; i < 8; ++i, n >>= 8)
    out += static_cast<char>(n & 0xff);
}

std::uint64_t u64_at(std::string_view text, std::size_t i) noexcept {
  std::uint64_t n = 0;
  for (std::size_t k = 8; k-- > 0;)
    n = n << 8 | static_cast<unsigned char>(text[i * 8 + k]);
  return n;
}

std::string encode_labels(const std::vector<label>& labels) {
  std::string out;
  for (const auto& l : labels) {
    put_u64(out, l.call.value);
    put_u64(out, static_cast<std::uint64_t>(l.message_id));
    put_u64(out, l.name.size());
    out += l.name;
  }
  return out;
}

std::optional<std::vector<label>> decode_labels(std::string_view text) {
  std::vector<label> out;
  while (!text.empty()) {
    if (text.size() < 24)
      return std::nullopt;
    const auto size = u64_at(text, 2);
    if (size > text.size() - 24)
      return std::nullopt;
    out.push_back({std::string{text.substr(24, size)},
                   {u64_at(text, 0)},
                   static_cast<std::int64_t>(u64_at(text, 1))});
    text.remove_prefix(24 + size);
  }
  return out;
}

}  // namespace troupe::store
