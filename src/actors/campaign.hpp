#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "actors/audience_filter.hpp"
#include "core/json.hpp"
#include "store/store.hpp"

/// A broadcast as a state machine without I/O (docs/adr/0021). It lives in the
/// record of its key, `campaign:N`, and is turned like a chat: commands come
/// as journal entries, ticks as a durable timer. Key `campaign:0` is the
/// register, which numbers them (campaign_register.hpp).
///
/// It is for those who were members when it began, and notices when nothing
/// gets through any more: see `is_hopeless`.
namespace troupe::actors {

/// The timer of a campaign. A bot's own may not begin with ':'.
inline constexpr std::string_view campaign_timer = ":campaign";

/// Recipients a tick reads at most.
inline constexpr std::size_t campaign_page = 1'000;

/// What may be sent in the name of campaigns.
struct campaign_pace {
  unsigned most_per_second = 20;  ///< also what one without a rate gets
};

/// What a tick must know, asked for before its turn.
struct campaign_question {
  std::optional<chat_key> after;
  std::size_t members = 0;  ///< of the audience after `after`; 0: not asked
  bool tally = false;
};

struct campaign_facts {
  wall_time now;  ///< when they were asked for
  campaign_question asked;
  std::vector<store::member> page;
  std::optional<store::campaign_tally> tally;
};

/// What a turn of a campaign leaves behind.
struct campaign_step {
  std::string state;
  std::vector<store::notice> notices;
  std::optional<wall_time> next;  ///< tick; none: no timer is left
  bool under_way = false;         ///< it counts or sends
  std::string stopped{};          ///< why it paused itself just now, if so
};

class campaign {
 public:
  enum class phase : std::uint8_t {
    counting,   ///< walks the audience once, to know how many it will be
    scheduled,  ///< counted; waits for its time
    running,
    paused,
    done,
    cancelled,
  };

  /// **Errors**: `errc::corrupt` if the text is none of ours.
  static result<campaign> read(std::string_view state);

  /// A new one, as a start command describes it.
  /// **Errors**: `errc::bad_input`, for a person.
  static result<campaign> start(const json::object& command, wall_time now,
                                const campaign_pace& pace);

  /// `pause`, `resume` or `cancel`; one that comes too late changes nothing.
  campaign_step command(std::string_view what, wall_time now);

  /// What the tick at `now` needs.
  campaign_question ask(wall_time now) const;

  /// @param number of the campaign
  campaign_step tick(std::int64_t number, const campaign_facts& facts);

  campaign_step keep(std::optional<wall_time> next) const;

  /// For pages: what is known, with `tally` as of now.
  json::object page(std::int64_t number, const store::campaign_tally& tally,
                    wall_time now) const;

  phase state() const noexcept { return state_; }

 private:
  std::string text() const;
  void read_counts(const json::object& in);
  bool is_hopeless(const store::campaign_tally& all, wall_time now);
  bool is_meant(const store::member& who, wall_time now) const;
  std::uint64_t allowed(wall_time now) const;
  std::uint64_t most_open() const;
  campaign_step count(const campaign_facts& facts);
  campaign_step release(std::int64_t number, const campaign_facts& facts);
  std::string call_for(const chat_key& to, std::int64_t number) const;
  void end(phase how, wall_time now);

  json::object params_;
  audience_filter filter_;
  std::string name_, request_, method_, audience_, why_;
  std::optional<chat_key> cursor_;
  std::uint64_t rate_ = 1;
  std::uint64_t walked_ = 0;    ///< members, matching or not
  std::uint64_t total_ = 0;     ///< matching, when they were counted
  std::uint64_t released_ = 0;  ///< calls left to their chats
  std::uint64_t ended_ = 0;     ///< of those, as last known
  std::int64_t at_ms_ = 0, created_ms_ = 0, started_ms_ = 0, ended_ms_ = 0;
  std::int64_t paid_ms_ = 0;     ///< the rate has been used up to here
  std::int64_t tallied_ms_ = 0;  ///< when `ended_` was read
  store::campaign_tally mark_;   ///< where the last judged calls ended
  std::uint64_t quiet_ = 0;      ///< tallies in a row that said nothing new
  std::int64_t changed_ms_ = 0;  ///< when a tally last said something new
  phase state_ = phase::counting;
  bool dry_run_ = false;
  bool counted_ = false;
  bool walked_all_ = false;
  bool sparse_ = false;    ///< few match: whole pages are read
  bool insisted_ = false;  ///< resumed after it stopped itself
  bool tolerant_ = false;  ///< and that was for refusals: they stop it no more
  bool doubt_ = false;     ///< most of the last calls were not answered
  bool unmarked_ = false;  ///< `mark_` is of before a pause
  bool repeat_ = false;    ///< a call without an answer is sent again
};

/// A command to the register or to a campaign, as it stands in the journal.
/// **Errors**: `errc::bad_input`, for a person.
result<campaign_step> turn_campaign_entry(std::int64_t number,
                                          const std::string& state,
                                          const store::entry& what,
                                          wall_time now,
                                          const campaign_pace& pace);

}  // namespace troupe::actors
