#include "actors/sequencer.hpp"

#include <algorithm>

namespace troupe::actors {

void sequencer::start(seq_no last, seq_no end) {
  started_ = true;
  end_ = end.value;
  next_ = last.value + 1;
  kept_.erase(kept_.begin(), kept_.lower_bound(next_));
}

std::vector<store::entry> sequencer::offer(std::vector<store::entry> hints) {
  std::vector<store::entry> out;
  for (auto& e : hints) {
    auto seq = e.seq.value;
    if (started_ && seq < next_)
      continue;
    if (started_ && seq == next_ && kept_.empty()) {
      ++next_;
      out.push_back(std::move(e));
      continue;
    }
    if (kept_.size() < most_kept)
      kept_.emplace(seq, std::move(e));
    else
      lost_ = true;
  }
  if (started_)
    release(out);
  return out;
}

std::vector<store::entry> sequencer::heal(std::vector<store::entry> page,
                                          bool more) {
  std::vector<store::entry> out;
  lost_ = lost_ && more;
  if (!more)
    tail_ = 0;  // the page went to the end; the next renewal tells anew
  for (auto& e : page) {
    if (e.seq.value < next_)
      continue;
    next_ = e.seq.value + 1;
    out.push_back(std::move(e));
  }
  if (!more)
    next_ = std::max(next_, end_ + 1);
  kept_.erase(kept_.begin(), kept_.lower_bound(next_));
  release(out);
  return out;
}

void sequencer::release(std::vector<store::entry>& out) {
  for (auto it = kept_.begin(); it != kept_.end() && it->first == next_;
       it = kept_.erase(it)) {
    ++next_;
    out.push_back(std::move(it->second));
  }
}

}  // namespace troupe::actors
