#pragma once

#include "store/engine.hpp"
#include "store/postgres_group.hpp"

namespace troupe::store::postgres {

/// Notes what the operations of a group are about, and does nothing: its
/// answers mean nothing.
class scout final : public engine {
 public:
  scout(std::uint16_t shards, const clock& time)
      : shards_{shards}, nodes_{time} {}

  /// What was noted since.
  needs take() { return std::exchange(found_, {}); }

  std::uint16_t shards() const noexcept override { return shards_; }
  result<> begin() override { return {}; }
  result<> end() override { return {}; }
  void undo() override {}
  void tidy() override {}
  gathering& nodes() override { return nodes_; }

  result<std::vector<receipt>> accept(
      const std::vector<const arrival*>& sorted) override;
  result<std::vector<lease>> claim(const std::vector<shard_id>& wanted,
                                   const std::string& node,
                                   milliseconds ttl) override;
  result<std::vector<lease>> renew(const std::vector<lease>& held,
                                   milliseconds ttl) override;
  result<> release(const std::vector<lease>& held) override;
  result<std::optional<grant>> acquire(const std::string& name,
                                       const std::string& holder,
                                       milliseconds ttl) override;
  result<> relinquish(const std::string& name,
                      const std::string& holder) override;
  result<std::vector<turn_receipt>> commit(
      const lease& held, const std::vector<turn>& turns) override;
  result<std::vector<std::optional<entry>>> settle(
      const lease& held, const std::vector<settlement>& outcomes) override;
  result<std::vector<entry>> retry(
      const std::vector<dead_letter_id>& which) override;
  result<std::size_t> drop(const std::vector<dead_letter_id>& which) override;
  result<std::size_t> tag(const std::vector<chat_key>& whom, const std::string&,
                          bool) override;
  result<holdings> forget(const lease& held, const chat_key& key,
                          seq_no through) override;

  // What only reads needs nothing beforehand.
  result<std::vector<node_info>> heartbeat(const node_info&,
                                           milliseconds) override {
    return nothing();
  }
  result<> leave(const std::string&) override { return nothing(); }
  result<std::vector<entry>> backlog(shard_id, seq_no, std::size_t) override {
    return nothing();
  }
  result<std::vector<entry>> entries(shard_id,
                                     const std::vector<seq_no>&) override {
    return nothing();
  }
  result<std::vector<chat_record>> load(const std::vector<chat_key>&) override {
    return nothing();
  }
  result<std::vector<call>> outbox(shard_id, call_id, std::size_t) override {
    return nothing();
  }
  result<std::vector<call>> calls(shard_id,
                                  const std::vector<call_id>&) override {
    return nothing();
  }
  result<std::vector<spending>> spent(wall_time) override { return nothing(); }
  result<backend::due_timers> due(const std::vector<shard_id>&, wall_time,
                                  std::size_t) override {
    return nothing();
  }
  result<std::vector<timer>> timers(const chat_key&) override {
    return nothing();
  }
  result<std::vector<dead_letter>> dead_letters(dead_letter_id,
                                                std::size_t) override {
    return nothing();
  }
  result<std::vector<member>> audience(const std::optional<chat_key>&,
                                       std::size_t) override {
    return nothing();
  }
  result<holdings> about(const chat_key&) override { return nothing(); }
  result<std::vector<campaign_tally>> tallies(
      const std::vector<std::uint64_t>&) override {
    return nothing();
  }
  result<figures> stats() override { return nothing(); }

 private:
  static error nothing() { return {errc::bad_input, "only asked about"}; }
  void change(const std::vector<lease>& held);
  void commit_one(const turn& t);

  const std::uint16_t shards_;
  gathering nodes_;
  needs found_;
};

}  // namespace troupe::store::postgres
