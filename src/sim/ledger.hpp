#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "sim/verify.hpp"

namespace troupe::sim {

/// A counter's `n=<n> text=<text>`.
struct counted_reply {
  std::uint64_t n = 0;
  std::string_view text;
};
std::optional<counted_reply> read_counted(std::string_view reply);

/// What the bot owes and what it gave: every text needs one reply, in order,
/// with its place in the chat as the counter. Pure; times are microseconds.
class ledger {
 public:
  /// An id that is known already is the same update once more.
  /// @param text empty for an update that a counter does not count.
  void update(std::int64_t id, std::int64_t chat, std::string_view text,
              std::int64_t at);
  void accepted(std::int64_t id, std::int64_t took);
  void confirmed(std::int64_t below);
  /// What a fault of ours did to the answer of a call that was carried out.
  enum class answer : std::uint8_t {
    given,
    lost,  ///< the connection was cut instead
    late,  ///< it was held back
  };
  struct sent {
    std::int64_t chat = 0;
    std::string_view text;
    std::int64_t arrived = 0;
    std::int64_t answered = 0;  ///< or cut
    answer how = answer::given;
  };
  /// A message was recorded.
  void reply(const sent& what);
  /// 403: the chat does not take the bot's messages. That excuses the texts
  /// that were made by `answered` and are above all that was replied to by
  /// now: a bot gives up what waits for such a chat.
  void refused(std::int64_t chat, std::string_view text, std::int64_t answered);

  std::uint64_t counted_replies() const noexcept { return counted_; }
  std::int64_t first_update() const noexcept { return first_update_; }
  void conclude(verdict& into);

 private:
  struct entry {
    std::uint64_t text = 0;  ///< a hash; 0: not counted
    std::int64_t id = 0;
    std::int64_t at = 0;
    std::uint32_t place = 0;  ///< in its chat, from 1
    std::uint16_t replies = 0;
    bool accepted = false;
    bool refused = false;  ///< excused by a 403
  };
  struct chat {
    std::int64_t id = 0;
    std::vector<std::uint32_t> texts;  ///< entries, by place
    std::uint32_t highest = 0;         ///< place of the latest first reply
    std::int64_t refused_at = -1;      ///< the latest 403
    std::uint32_t refused_to = 0;      ///< places up to here were looked at
    /// Made when a reply does not fit its place.
    std::unordered_map<std::uint64_t, std::uint32_t> by_text;
  };

  /// Why a text may come twice.
  struct excuse {
    std::int64_t arrived = 0;
    std::int64_t answered = 0;
    answer how = answer::lost;
  };

  entry* find(std::int64_t id);
  void accept(entry& e);
  entry* match(chat& in, const counted_reply& r);
  bool excused(const entry& e, std::int64_t repeat);
  void note(std::string_view what, std::int64_t in_chat, std::string_view text);

  std::vector<entry> entries_;
  std::unordered_map<std::int64_t, std::uint32_t> odd_ids_;
  std::unordered_map<std::int64_t, chat> chats_;
  std::unordered_map<std::int64_t, std::vector<excuse>> excuses_;  ///< by id
  std::size_t confirmed_to_ = 0;
  std::int64_t first_update_ = 0;
  std::uint64_t counted_ = 0;
  verdict sums_;
  std::vector<std::uint32_t> accept_us_;
  std::vector<std::uint32_t> end_to_end_us_;
  std::unordered_map<std::string, unsigned> noted_;
};

/// Exact percentiles of microseconds; reorders `samples`.
percentiles percentiles_of(std::vector<std::uint32_t>& samples);

}  // namespace troupe::sim
