#pragma once

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <memory>
#include <string_view>

namespace troupe::http {

/// The bytes of a connection that were received and not yet understood: one
/// block, so that a parser sees a header in one piece.
class read_buffer {
 public:
  static constexpr std::size_t small = 8 * 1024;
  static constexpr std::size_t large = 64 * 1024;

  bool empty() const noexcept { return begin_ == end_; }
  std::string_view held() const noexcept {
    return {block_.get() + begin_, end_ - begin_};
  }
  void consume(std::size_t n) noexcept { begin_ += n; }
  void clear() noexcept { begin_ = end_ = 0; }

  /// Makes room behind what is held: a block of `want` bytes (`small` while a
  /// header comes, `large` for a body), more if what is held fills it.
  /// @returns false if it would grow over twice the larger of `want` and
  /// `most`.
  bool make_room(std::size_t want, std::size_t most) {
    if (empty())
      clear();
    const auto held = end_ - begin_;
    if (capacity_ < want || (held == 0 && capacity_ > want)) {
      move_to(want);
    } else if (end_ == capacity_) {
      if (begin_ > 0) {
        std::memmove(block_.get(), block_.get() + begin_, held);
        begin_ = 0;
        end_ = held;
      } else if (capacity_ < std::max(most, want)) {
        move_to(2 * capacity_);
      } else {
        return false;
      }
    }
    return true;
  }

  char* room() noexcept { return block_.get() + end_; }
  std::size_t room_size() const noexcept { return capacity_ - end_; }
  void commit(std::size_t n) noexcept { end_ += n; }

 private:
  void move_to(std::size_t capacity) {
    const auto held = end_ - begin_;
    auto block = std::make_unique_for_overwrite<char[]>(capacity);
    if (held != 0)
      std::memcpy(block.get(), block_.get() + begin_, held);
    block_ = std::move(block);
    capacity_ = capacity;
    begin_ = 0;
    end_ = held;
  }

  std::unique_ptr<char[]> block_;
  std::size_t capacity_ = 0, begin_ = 0, end_ = 0;
};

}  // namespace troupe::http
