#include "sim/balancer.hpp"

namespace troupe::sim {

std::size_t balancer::next(mono_time now) {
  for (std::size_t i = 0; i < size(); ++i) {
    const auto target = (turn_ + i) % size();
    if (now < resting_until_[target])
      continue;
    turn_ = target + 1;
    return target;
  }
  return turn_++ % size();
}

void balancer::failed(std::size_t target, mono_time now) {
  resting_until_[target] = now + rest;
}

void balancer::succeeded(std::size_t target) {
  resting_until_[target] = {};
}

}  // namespace troupe::sim
