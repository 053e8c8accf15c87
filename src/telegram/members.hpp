#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string_view>

namespace troupe::telegram {

/// Reads the members of one JSON object after another, without building a
/// document: strings come unescaped, every other value as its raw JSON text,
/// which is how Telegram's server takes the parameters of a call
/// (TELEGRAM.md 5).
/// **Threads**: one at a time.
/// **Lifetime**: the views point into the reader, until the next `read`.
/// **Cost**: one pass; no allocation once the buffers have grown.
class members {
 public:
  struct member {
    std::string_view name;
    std::string_view value;
    bool is_string = false;
  };

  members();
  ~members();
  members(const members&) = delete;
  members& operator=(const members&) = delete;

  /// True if `text` is one whole JSON object. If not, the members in front of
  /// the fault are kept, since Telegram uses those too.
  bool read(std::string_view text);

  std::size_t size() const noexcept;
  const member* begin() const noexcept;
  const member* end() const noexcept;

  /// The first member of that name, or none.
  const member* find(std::string_view name) const noexcept;
  /// Its value, or an empty view.
  std::string_view text(std::string_view name) const noexcept;
  /// Its value as a whole number, or `otherwise` if it is absent or not one.
  std::int64_t number(std::string_view name,
                      std::int64_t otherwise = 0) const noexcept;

 private:
  struct impl;
  std::unique_ptr<impl> impl_;
};

}  // namespace troupe::telegram
