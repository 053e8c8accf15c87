#include "sim/users.hpp"

#include <algorithm>
#include <cmath>
#include <utility>

namespace troupe::sim {

namespace {

// The text a counter's reply is about, or nothing if it is no counter's.
std::optional<std::string_view> counted_text(std::string_view reply) {
  if (!reply.starts_with("n="))
    return std::nullopt;
  auto digits = reply.find_first_not_of("0123456789", 2);
  if (digits == 2 || digits == std::string_view::npos ||
      !reply.substr(digits).starts_with(" text="))
    return std::nullopt;
  return reply.substr(digits + 6);
}

}  // namespace

std::int64_t user_id_of(std::uint64_t n) noexcept {
  auto i = static_cast<std::int64_t>(n);
  switch (n % 4) {
    case 0: return 100'001 + i;
    case 1: return 5'000'000'000 + i;
    case 2: return 2'147'483'000 + i;  // around 2^31
    default: return (std::int64_t{1} << 51) + i;
  }
}

std::int64_t group_id_of(std::uint64_t n) noexcept {
  auto i = static_cast<std::int64_t>(n);
  return n % 2 == 0 ? -1'001'500'000'000 - i : -4'000'001 - i;
}

virtual_users::virtual_users(user_options how)
    : how_{std::move(how)}, random_{how_.seed} {
  std::sort(how_.bursts.begin(), how_.bursts.end(),
            [](auto& a, auto& b) { return a.second < b.second; });
}

double virtual_users::fraction() {
  return std::uniform_real_distribution<double>{0, 1}(random_);
}

bool virtual_users::is_blocked(std::uint64_t n) const noexcept {
  // A mix of the number, so that who blocks does not hang on the order.
  auto x = (n + how_.seed) * 0x9e3779b97f4a7c15u;
  x ^= x >> 32;
  return static_cast<double>(x % 1'000'000) < how_.blocked * 1e6;
}

void virtual_users::start(mono_time now) {
  start_ = now;
  next_arrival_ = now;
}

bool virtual_users::all_written() const {
  return how_.users + how_.groups == 0 ||
         (how_.count && written_ >= *how_.count);
}

std::optional<mono_time> virtual_users::arrival(mono_time now) const {
  if (how_.rate > 0)
    return next_arrival_;
  return unanswered_ < how_.in_flight ? std::optional{now} : std::nullopt;
}

bool virtual_users::is_past_end(mono_time at) const {
  return how_.duration && at >= *start_ + duration_of(*how_.duration);
}

bool virtual_users::burst_begins(mono_time now) {
  if (!start_ || next_burst_ >= how_.bursts.size() ||
      now < *start_ + duration_of(how_.bursts[next_burst_].second))
    return false;
  burst_left_ += how_.bursts[next_burst_++].count;
  return true;
}

std::optional<virtual_users::utterance> virtual_users::next(mono_time now) {
  if (!start_ || all_written())
    return std::nullopt;
  if (burst_left_ > 0) {
    --burst_left_;
    return write();
  }
  auto when = arrival(now);
  if (!when || *when > now || is_past_end(*when))
    return std::nullopt;
  if (how_.rate > 0) {
    auto gap = 1 / how_.rate;
    if (how_.poisson)
      gap *= -std::log(1 - fraction());
    next_arrival_ += duration_of(gap);
  }
  return write();
}

virtual_users::utterance virtual_users::write() {
  auto n = random_() % (how_.users + how_.groups);
  utterance out;
  bool ignored = false;
  if (n < how_.users) {
    out.chat = out.user = user_id_of(n);
    ignored = is_blocked(n);
  } else {
    out.chat = group_id_of(n - how_.users);
    out.user = user_id_of(how_.users > 0 ? random_() % how_.users : n);
  }
  auto [it, is_new] = talks_.try_emplace(out.chat);
  auto& t = it->second;
  if (is_new)
    t.ignored = ignored;
  out.text =
      how_.prefix + std::to_string(out.chat) + '-' + std::to_string(++t.said);
  ++written_;
  if (!t.ignored) {
    t.waiting.push_back(out.text);
    ++unanswered_;
  }
  return out;
}

bool virtual_users::finished(mono_time now) const {
  if (!start_)
    return false;
  if (all_written())
    return true;
  // What was due before the end is still to be written.
  bool over = is_past_end(how_.rate > 0 ? std::min(now, next_arrival_) : now);
  return over && burst_left_ == 0 && next_burst_ >= how_.bursts.size();
}

std::optional<mono_time> virtual_users::wake(mono_time now) const {
  if (!start_ || all_written())
    return std::nullopt;
  if (burst_left_ > 0)
    return now;
  std::optional<mono_time> at;
  auto consider = [&](mono_time when) { at = at ? std::min(*at, when) : when; };
  if (next_burst_ < how_.bursts.size())
    consider(*start_ + duration_of(how_.bursts[next_burst_].second));
  if (auto when = arrival(now); when && !is_past_end(*when))
    consider(*when);
  if (how_.duration && !is_past_end(now))
    consider(*start_ + duration_of(*how_.duration));
  return at;
}

void virtual_users::forget(const utterance& u) {
  auto it = talks_.find(u.chat);
  if (it == talks_.end())
    return;
  auto found =
      std::find(it->second.waiting.begin(), it->second.waiting.end(), u.text);
  if (found == it->second.waiting.end())
    return;
  it->second.waiting.erase(found);
  --unanswered_;
}

void virtual_users::heard(std::int64_t chat, std::string_view text) {
  auto it = talks_.find(chat);
  if (it == talks_.end() || it->second.waiting.empty())
    return;
  auto& waiting = it->second.waiting;
  auto found = waiting.begin();
  if (auto about = counted_text(text)) {
    found = std::find(waiting.begin(), waiting.end(), *about);
    if (found == waiting.end())
      return;
  }
  waiting.erase(found);
  --unanswered_;
}

void virtual_users::gave_up(std::int64_t chat) {
  auto it = talks_.find(chat);
  if (it == talks_.end())
    return;
  unanswered_ -= it->second.waiting.size();
  it->second.waiting.clear();
}

void virtual_users::ignore(std::int64_t chat, bool on) {
  talks_[chat].ignored = on;
  if (on)
    gave_up(chat);
}

}  // namespace troupe::sim
