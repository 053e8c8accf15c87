#include "actors/campaign.hpp"

#include <algorithm>
#include <utility>

#include "actors/lane.hpp"

// What a campaign does: steered by commands, moved by ticks.
namespace troupe::actors {

namespace {

using namespace std::chrono_literals;

constexpr milliseconds pause_between{250};
constexpr milliseconds tally_every{1'000};
/// While all waits for outcomes, ticks come ever less often: up to 4 s apart.
constexpr std::uint64_t most_quiet = 4;
/// What a tick that came late makes up for at most: no burst after a pause.
constexpr std::int64_t most_owed_ms = 1'000;
/// What has no outcome by then has none: its chat was forgotten with it
/// (docs/adr/0024), or nobody sends for an hour.
constexpr std::int64_t longest_quiet_ms = 3'600'000;
/// So many calls are judged together. If none of the first so many is sent,
/// the call itself is wrong, or nobody answers at all.
constexpr std::uint64_t judged_calls = 50;
/// In doubt so many more say whether it goes on. A crash ends as many calls
/// without an answer as were under way, and those after it are answered.
constexpr std::uint64_t probe_calls = 10;

constexpr std::string_view why_refused =
    "Telegram refuses the calls: see campaign_call_refused in the log; resume "
    "goes on all the same";
constexpr std::string_view why_unanswered =
    "Telegram does not answer: the last calls ended as unknown; resume when it "
    "is back";

constexpr std::string_view why_no_outcome =
    "some calls have no outcome: their chats were forgotten, or nothing was "
    "sent for an hour";

store::campaign_tally since_then(const store::campaign_tally& all,
                                 const store::campaign_tally& then) {
  return {all.sent - then.sent, all.failed - then.failed,
          all.blocked - then.blocked, all.unknown - then.unknown};
}

}  // namespace

// -- commands -----------------------------------------------------------------

void campaign::end(phase how, wall_time now) {
  state_ = how;
  ended_ms_ = to_ms(now);
}

campaign_step campaign::command(std::string_view what, wall_time now) {
  const bool over = state_ == phase::done || state_ == phase::cancelled;
  if (over)
    return keep(std::nullopt);
  if (what == "cancel") {
    end(phase::cancelled, now);
    return keep(std::nullopt);
  }
  if (what == "pause") {
    state_ = phase::paused;
    return keep(std::nullopt);
  }
  if (state_ == phase::paused) {
    insisted_ = insisted_ || !why_.empty();
    tolerant_ = tolerant_ || why_ == why_refused;
    why_.clear();
    doubt_ = false;
    unmarked_ = true;
    changed_ms_ = 0;
    state_ = !counted_             ? phase::counting
             : to_ms(now) < at_ms_ ? phase::scheduled
                                   : phase::running;
    paid_ms_ = to_ms(now);
    if (state_ == phase::running && started_ms_ == 0)
      started_ms_ = paid_ms_;
  }
  return keep(
      std::max(now, state_ == phase::scheduled ? from_ms(at_ms_) : now));
}

// -- ticks --------------------------------------------------------------------

/// Released and not ended at most: two seconds of its rate. What a million
/// recipients cost in rows, and an outage in recipients.
std::uint64_t campaign::most_open() const {
  return doubt_ ? probe_calls : std::max<std::uint64_t>(100, 2 * rate_);
}

/// What its rate has left, as of `now`.
std::uint64_t campaign::allowed(wall_time now) const {
  const auto owed =
      std::clamp<std::int64_t>(to_ms(now) - paid_ms_, 0, most_owed_ms);
  return rate_ * static_cast<std::uint64_t>(owed) / 1'000;
}

campaign_question campaign::ask(wall_time now) const {
  if (state_ == phase::counting)
    return {cursor_, campaign_page, false};
  if (state_ != phase::running)
    return {};
  campaign_question out{cursor_, 0, false};
  const auto wanted = walked_all_ ? 0 : std::min(allowed(now), most_open());
  // Some will not match.
  if (wanted > 0)
    out.members = sparse_
                      ? campaign_page
                      : std::min<std::uint64_t>(2 * wanted + 32, campaign_page);
  out.tally = walked_all_ || doubt_ ||
              released_ + wanted > ended_ + most_open() ||
              from_ms(tallied_ms_) + tally_every <= now;
  return out;
}

campaign_step campaign::tick(std::int64_t number, const campaign_facts& facts) {
  const auto now = facts.now;
  switch (state_) {
    case phase::counting: return count(facts);
    case phase::scheduled:
      if (to_ms(now) < at_ms_)
        return keep(from_ms(at_ms_));
      state_ = phase::running;
      started_ms_ = paid_ms_ = to_ms(now);
      return keep(now + pause_between);
    case phase::running: return release(number, facts);
    default: return keep(std::nullopt);
  }
}

campaign_step campaign::count(const campaign_facts& facts) {
  const auto now = facts.now;
  for (const auto& who : facts.page)
    total_ += filter_.matches(who, now) ? 1 : 0;
  if (!facts.page.empty())
    cursor_ = facts.page.back().key;
  if (facts.page.size() >= facts.asked.members)
    return keep(now);
  cursor_.reset();
  counted_ = true;
  if (dry_run_) {
    end(phase::done, now);
    return keep(std::nullopt);
  }
  state_ = phase::scheduled;
  return keep(std::max(now, from_ms(at_ms_)));
}

/// Takes in what has ended, and looks whether anything gets through. A call
/// that nobody answers is given up as unknown, so an outage would use up the
/// whole audience: when most of the calls since the last look were not
/// answered, only a few more are let out, and when hardly one of those is the
/// campaign stops itself. (What is known to never have left is not ended.)
/// @returns true if it is to stop; `why_` says why
bool campaign::is_hopeless(const store::campaign_tally& all, wall_time now) {
  quiet_ = all.ended() == ended_ ? std::min(quiet_ + 1, most_quiet) : 0;
  if (quiet_ == 0 || changed_ms_ == 0)
    changed_ms_ = to_ms(now);
  ended_ = all.ended();
  tallied_ms_ = to_ms(now);
  if (std::exchange(unmarked_, false))
    mark_ = all;
  const auto since = since_then(all, mark_);
  const auto bad = since.unknown + (tolerant_ ? 0 : since.failed);
  const bool never =
      !insisted_ && all.sent == 0 && all.failed + all.unknown >= judged_calls;
  if (!never) {
    if (since.ended() < (doubt_ ? probe_calls : judged_calls))
      return false;
    const bool before = doubt_;
    // Some of those were answered before it began.
    doubt_ = before ? bad * 10 >= since.ended() * 9 : bad * 2 >= since.ended();
    mark_ = all;
    if (!before || !doubt_)
      return false;
  }
  why_ = since.failed > since.unknown ? why_refused : why_unanswered;
  return true;
}

/// Who joins while it runs is not: by the order of the keys some would be met
/// and others not, and a group that moves would be met twice.
bool campaign::is_meant(const store::member& who, wall_time now) const {
  return filter_.matches(who, now) && who.first_seen <= from_ms(started_ms_);
}

campaign_step campaign::release(std::int64_t number,
                                const campaign_facts& facts) {
  const auto now = facts.now;
  if (facts.tally && is_hopeless(*facts.tally, now)) {
    state_ = phase::paused;
    auto out = keep(std::nullopt);
    out.stopped = why_;
    return out;
  }
  const auto open = released_ - std::min(ended_, released_);
  const auto room = most_open() - std::min(open, most_open());
  const auto wanted = std::min(allowed(now), room);
  std::vector<store::notice> calls;
  std::size_t looked = 0;
  for (; looked < facts.page.size() && calls.size() < wanted; ++looked) {
    const auto& who = facts.page[looked];
    cursor_ = who.key;
    ++walked_;
    if (is_meant(who, now))
      calls.push_back(
          {who.key, call_for(who.key, number), store::entry_kind::call});
  }
  released_ += calls.size();
  const bool looked_at_all = looked == facts.page.size();
  // A page that was cut short for want of rate or room says nothing.
  if (facts.asked.members > 0 && looked_at_all &&
      facts.page.size() < facts.asked.members)
    walked_all_ = true;
  const bool short_page = facts.asked.members > 0 && looked_at_all &&
                          !walked_all_ && calls.size() < wanted;
  // What is left over stays owed, but no more than a second of it.
  paid_ms_ = std::max(
      paid_ms_ + static_cast<std::int64_t>(calls.size() * 1'000 / rate_),
      to_ms(now) - most_owed_ms);
  const bool given_up = to_ms(now) - changed_ms_ > longest_quiet_ms;
  if (walked_all_ && facts.tally && (ended_ >= released_ || given_up)) {
    if (ended_ < released_)
      why_ = why_no_outcome;
    end(phase::done, now);
    return keep(std::nullopt);
  }
  sparse_ = short_page;
  // Nothing can be done before something ends.
  const bool waits = walked_all_ || room == 0;
  auto out = keep(short_page ? now
                  : waits    ? now + pause_between * (1 << quiet_)
                             : now + pause_between);
  out.notices = std::move(calls);
  return out;
}

std::string campaign::call_for(const chat_key& to, std::int64_t number) const {
  json::object body{{"chat_id", to.id}};
  for (const auto& [name, value] : params_)
    body[name] = value;
  store::call c;
  c.method = method_;
  c.body = store::make_payload(json::serialize(body));
  c.policy =
      repeat_ ? store::call_policy::resend : store::call_policy::at_most_once;
  c.campaign = static_cast<std::uint64_t>(number);
  return dead_call(c);
}

}  // namespace troupe::actors
