#include "actors/turn_names.hpp"

#include <memory>
#include <mutex>
#include <optional>
#include <utility>

namespace troupe::actors {

namespace {

/// Counts the answers for one turn's names.
class answers {
 public:
  answers(std::size_t expected, callback<std::vector<std::string>> done)
      : left_{expected}, done_{std::move(done)} {}

  void take(const wanted_name& n, result<std::optional<store::grant>> a) {
    std::unique_lock lock{mutex_};
    if (!a)
      failed_ = failed_ ? failed_ : a.error();
    else if (!*a || (n.token != 0 && (*a)->token != n.token))
      denied_.push_back(n.name);
    if (--left_ > 0)
      return;
    lock.unlock();
    if (failed_)
      done_(*failed_);
    else
      done_(std::move(denied_));
  }

 private:
  std::mutex mutex_;
  std::size_t left_;
  std::optional<error> failed_;
  std::vector<std::string> denied_;
  callback<std::vector<std::string>> done_;
};

}  // namespace

std::string once_name(const std::string& key) {
  return "once/" + key;
}

void reserve(store::backend& in, const std::vector<wanted_name>& names,
             callback<std::vector<std::string>> done) {
  auto all = std::make_shared<answers>(names.size(), std::move(done));
  for (const auto& n : names)
    in.acquire(n.name, n.holder, milliseconds{n.ttl_ms},
               [all, n](auto a) { all->take(n, std::move(a)); });
}

void give_back(store::backend& in, std::string name, std::string holder,
               std::function<void(bool)> done) {
  in.relinquish(std::move(name), std::move(holder),
                [done = std::move(done)](auto answer) {
                  done(answer || answer.error().code == errc::cancelled);
                });
}

}  // namespace troupe::actors
