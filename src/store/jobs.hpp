#pragma once

#include <exception>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "core/callback.hpp"
#include "store/engine.hpp"

namespace troupe::store {

/// After this error of an operation the group it ran in is still good.
inline bool leaves_group_intact(const error& e) {
  return e.code == errc::fenced || e.code == errc::bad_input;
}

class accept_job;

/// One call on its way through the queue: runs (again, if its group was
/// undone), then is answered exactly once.
class job {
 public:
  explicit job(bool writes, std::size_t bytes = 0)
      : writes_{writes}, bytes_{bytes} {}
  virtual ~job() = default;
  job(const job&) = delete;
  job& operator=(const job&) = delete;

  bool writes() const noexcept { return writes_; }
  std::size_t bytes() const noexcept { return bytes_; }

  /// Runs and keeps the answer. The error, if the group must be undone.
  virtual result<> run(engine& on) = 0;
  /// Replaces the answer.
  virtual void fail(const error& why) = 0;
  virtual void answer() = 0;
  /// Itself, if it is an accept.
  virtual accept_job* as_accept() noexcept { return nullptr; }

 private:
  bool writes_;
  std::size_t bytes_;
};

using job_ptr = std::unique_ptr<job>;

/// Any call but `accept`.
/// @tparam Run callable as `result<T>(engine&)`
template <class T, class Run>
class call_job final : public job {
 public:
  call_job(bool writes, Run run, callback<T> done)
      : job{writes}, run_{std::move(run)}, done_{std::move(done)} {}

  result<> run(engine& on) override {
    answer_.emplace(run_(on));
    if (!*answer_ && !leaves_group_intact(answer_->error()))
      return answer_->error();
    return {};
  }
  void fail(const error& why) override { answer_.emplace(why); }
  void answer() override { done_(std::move(*answer_)); }

 private:
  Run run_;
  callback<T> done_;
  std::optional<result<T>> answer_;
};

/// An `accept`; the accepts of a group run together through `run_accepts`.
class accept_job final : public job {
 public:
  accept_job(std::vector<arrival> batch, callback<std::vector<receipt>> done);

  result<> run(engine& on) override;
  void fail(const error& why) override { answer_.emplace(why); }
  void answer() override { done_(std::move(*answer_)); }
  accept_job* as_accept() noexcept override { return this; }

  const std::vector<arrival>& batch() const noexcept { return batch_; }
  void succeed(std::vector<receipt> r) { answer_.emplace(std::move(r)); }

 private:
  std::vector<arrival> batch_;
  callback<std::vector<receipt>> done_;
  std::optional<result<std::vector<receipt>>> answer_;
};

/// Runs several accepts as one, in update id order.
result<> run_accepts(engine& on, const std::vector<accept_job*>& jobs);

}  // namespace troupe::store
