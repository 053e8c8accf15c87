#include "actors/slices.hpp"

#include <algorithm>
#include <utility>

namespace troupe::actors {

namespace {

/// Gives each its wish as far as `total` allows: nobody gets more while another
/// who wants it has less. Leftovers of the division go in the order of names.
void pour(std::vector<unsigned>& shares, const std::vector<unsigned>& wishes,
          unsigned total) {
  for (bool more = true; more && total > 0;) {
    more = false;
    unsigned least = ~0U;
    for (std::size_t i = 0; i < shares.size(); ++i)
      if (shares[i] < wishes[i])
        least = std::min(least, shares[i]);
    for (std::size_t i = 0; i < shares.size() && total > 0; ++i)
      if (shares[i] < wishes[i] && shares[i] == least) {
        ++shares[i];
        --total;
        more = true;
      }
  }
}

}  // namespace

unsigned fair_share(std::vector<budget_want> wants, const std::string& me,
                    unsigned total, std::uint64_t turn) {
  std::sort(wants.begin(), wants.end(),
            [](auto& a, auto& b) { return a.node < b.node; });
  const auto n = wants.size();
  auto divide = [&](std::optional<std::size_t> favoured) {
    std::vector<unsigned> shares(n), wishes(n);
    auto left = total;
    for (std::size_t i = 0; i < n; ++i)
      wishes[i] = std::clamp(wants[i].slices, 1U, total);
    if (favoured) {
      shares[*favoured] = std::min(wants[*favoured].largest, total);
      left -= shares[*favoured];
    }
    auto given = [&] {
      unsigned sum = 0;
      for (auto s : shares)
        sum += s;
      return sum;
    };
    pour(shares, wishes, left);
    pour(shares, std::vector<unsigned>(n, total), total - given());
    return shares;
  };
  auto shares = divide(std::nullopt);
  for (std::size_t k = 0; k < n; ++k) {
    const auto i = static_cast<std::size_t>((turn + k) % n);
    if (wants[i].largest <= shares[i])
      continue;
    shares = divide(i);
    break;
  }
  for (std::size_t i = 0; i < n; ++i)
    if (wants[i].node == me)
      return shares[i];
  return 0;
}

slices::slices(const options& how) : how_{how}, slots_(most) {
  configure(how.per_second);
  next_ = how.first % total_;
}

void slices::configure(unsigned per_second) {
  how_.per_second = per_second;
  total_ = std::clamp(per_second, 1U, most);
  for (unsigned i = 0; i < most; ++i)
    slots_[i].messages = per_second / most + (i < per_second % most ? 1 : 0);
  next_ %= total_;
}

unsigned slices::slices_for(unsigned messages) const noexcept {
  const auto least = std::max(1U, how_.per_second / total());
  return std::min((messages + least - 1) / least, total());
}

std::vector<slices::action> slices::tick(mono_time now, unsigned used) {
  std::vector<action> out;
  unsigned count = 0;
  for (auto& s : slots_) {
    // Run out, as far as we know: it may be another's, or be ours again.
    if (s.ours && now >= s.safe_until + how_.margin)
      s.ours = s.leaving = false;
    count += s.ours && !s.leaving ? 1 : 0;
  }
  for (unsigned i = total_; i < most; ++i)
    if (slots_[i].ours && !slots_[i].leaving) {
      slots_[i].leaving = true;
      --count;
    }
  for (auto s = slots_.rbegin(); s != slots_.rend() && count > share_; ++s)
    if (s->ours && !s->leaving) {
      s->leaving = true;
      --count;
    }
  const bool arrived = used <= limit(now);
  for (unsigned i = 0; i < most; ++i) {
    auto& s = slots_[i];
    if (!s.ours || s.asking)
      continue;
    if (s.leaving && arrived) {
      s.ours = s.leaving = false;
      out.push_back(relinquish{i});
      continue;
    }
    if (now - s.asked < how_.renew_every)
      continue;
    s.asking = true;
    s.asked = now;
    out.push_back(acquire{i});
  }
  for (unsigned looked = 0; looked < total() && count < share_; ++looked) {
    const auto i = std::exchange(next_, (next_ + 1) % total());
    auto& s = slots_[i];
    if (s.ours || s.asking)
      continue;
    s.asking = true;
    s.asked = now;
    ++count;
    out.push_back(acquire{i});
  }
  return out;
}

std::optional<slices::gain> slices::answered(unsigned slice, mono_time asked,
                                             std::optional<bool> holds,
                                             mono_time now) {
  auto& s = slots_[slice];
  s.asking = false;
  if (!holds)
    return std::nullopt;
  if (!*holds) {
    s.ours = s.leaving = false;
    return std::nullopt;
  }
  // Without a gap it was ours all the time; after one, another may have had it.
  const bool kept = s.ours && now < s.safe_until;
  if (!s.ours)
    s.leaving = false;
  s.ours = true;
  s.safe_until = std::max(s.safe_until, asked + how_.ttl - how_.margin);
  if (kept)
    return std::nullopt;
  const auto late = std::max(how_.arrival - how_.margin, milliseconds{0});
  return gain{s.messages, now + late};
}

unsigned slices::limit(mono_time now) const noexcept {
  unsigned sum = 0;
  for (auto& s : slots_)
    sum += usable(s, now) ? s.messages : 0;
  return sum;
}

unsigned slices::held(mono_time now) const noexcept {
  return static_cast<unsigned>(std::count_if(
      slots_.begin(), slots_.end(), [&](auto& s) { return usable(s, now); }));
}

}  // namespace troupe::actors
