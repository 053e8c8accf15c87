#include "actors/turn_names.hpp"

#include <memory>
#include <mutex>
#include <optional>
#include <utility>

namespace troupe::actors {

namespace {

std::string name_of(const std::string& key) {
  return "once/" + key;
}

/// Counts the answers for one turn's keys.
class answers {
 public:
  answers(std::size_t expected, callback<std::vector<std::string>> done)
      : left_{expected}, done_{std::move(done)} {}

  void take(const std::string& key, result<std::optional<store::grant>> a) {
    std::unique_lock lock{mutex_};
    if (!a)
      failed_ = failed_ ? failed_ : a.error();
    else if (!*a)
      denied_.push_back(key);
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

void reserve(store::backend& in, const std::vector<detail::wanted_once>& keys,
             const std::string& holder,
             callback<std::vector<std::string>> done) {
  auto all = std::make_shared<answers>(keys.size(), std::move(done));
  for (const auto& k : keys)
    in.acquire(name_of(k.key), holder, milliseconds{k.ttl_ms},
               [all, key = k.key](auto a) { all->take(key, std::move(a)); });
}

void give_back(store::backend& in, const std::string& key,
               const std::string& holder) {
  in.relinquish(name_of(key), holder, [](auto) {});
}

}  // namespace troupe::actors
