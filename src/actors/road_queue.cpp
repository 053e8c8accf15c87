#include "actors/road_queue.hpp"

#include <utility>

namespace troupe::actors {

bool road_queue::offer(road_hint what) {
  const auto weight = weight_of(what);
  if (bytes_ + weight > most_bytes)
    return false;
  bytes_ += weight;
  waiting_.push_back(std::move(what));
  return true;
}

std::optional<road_hints> road_queue::next() {
  if (waiting_.empty() || under_way_.size() >= most_batches)
    return {};
  const bool full = waiting_.size() >= batch_hints || bytes_ >= batch_bytes;
  if (!full && !under_way_.empty())
    return {};
  road_hints out;
  out.number = ++last_;
  std::size_t bytes = 0;
  // It may end over its size by one hint, of `longest_hint` at most.
  while (!waiting_.empty() && out.what.size() < batch_hints &&
         bytes < batch_bytes) {
    const auto weight = weight_of(waiting_.front());
    bytes += weight;
    bytes_ -= weight;
    out.what.push_back(std::move(waiting_.front()));
    waiting_.pop_front();
  }
  under_way_.insert(out.number);
  return out;
}

std::size_t road_queue::clear() {
  const auto lost = waiting_.size();
  waiting_.clear();
  under_way_.clear();
  bytes_ = 0;
  return lost;
}

}  // namespace troupe::actors
