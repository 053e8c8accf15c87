#include "store/jobs.hpp"

#include <algorithm>
#include <numeric>

namespace troupe::store {

namespace {

// What an entry costs besides its payload, for the queue's limit.
constexpr std::size_t per_arrival = 128;

std::size_t bytes_of(const std::vector<arrival>& batch) {
  std::size_t n = 0;
  for (const auto& a : batch)
    n += per_arrival + (a.body ? a.body->size() : 0);
  return n;
}

}  // namespace

accept_job::accept_job(std::vector<arrival> batch,
                       callback<std::vector<receipt>> done)
    : job{true, bytes_of(batch)},
      batch_{std::move(batch)},
      done_{std::move(done)} {}

result<> accept_job::run(engine& on) {
  return run_accepts(on, {this});
}

result<> run_accepts(engine& on, const std::vector<accept_job*>& jobs) {
  std::vector<const arrival*> all;
  for (const auto* j : jobs)
    for (const auto& a : j->batch())
      all.push_back(&a);

  // Stable, so that of two equal ids the one that came first is the fresh one.
  std::vector<std::size_t> order(all.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::stable_sort(
      order.begin(), order.end(),
      [&](std::size_t a, std::size_t b) { return all[a]->id < all[b]->id; });
  std::vector<const arrival*> sorted(all.size());
  for (std::size_t i = 0; i < order.size(); ++i)
    sorted[i] = all[order[i]];

  auto got = on.accept(sorted);
  if (!got)
    return got.error();
  std::vector<receipt> receipts(all.size());
  for (std::size_t i = 0; i < order.size(); ++i)
    receipts[order[i]] = (*got)[i];

  auto next = receipts.begin();
  for (auto* j : jobs) {
    auto end = next + static_cast<std::ptrdiff_t>(j->batch().size());
    j->succeed({next, end});
    next = end;
  }
  return {};
}

}  // namespace troupe::store
