#include <caf/send.hpp>
#include <mutex>
#include <optional>

#include "actors/messages.hpp"
#include "actors/node_stats.hpp"
#include "core/json.hpp"

namespace troupe::actors {

namespace {

constexpr milliseconds patience{2'000};

/// The three answers that make one page; the last one, or the end of patience,
/// finishes it once. **Threads**: any.
class chat_page {
 public:
  chat_page(chat_key key, callback<std::string> done)
      : key_{key}, done_{std::move(done)} {}

  template <class T>
  void put(std::optional<T> chat_page::*part, T value) {
    {
      std::lock_guard guard{lock_};
      this->*part = std::move(value);
    }
    finish(false);
  }

  void finish(bool late) {
    {
      std::lock_guard guard{lock_};
      bool complete = record && timers && live;
      if (finished_ || (!complete && !late))
        return;
      finished_ = true;
    }
    done_(text());
  }

  std::optional<result<std::vector<store::chat_record>>> record;
  std::optional<result<std::vector<store::timer>>> timers;
  std::optional<chat_report> live;

 private:
  result<std::string> text() const;

  const chat_key key_;
  const callback<std::string> done_;
  std::mutex lock_;
  bool finished_ = false;
};

result<std::string> chat_page::text() const {
  if (!record || !timers || !live)
    return error{errc::timed_out, "the node did not answer within 2 s"};
  if (!*record || !*timers)
    return !*record ? record->error() : timers->error();
  auto& kept = (**record).front();
  if (kept.version == 0 && !live->active)
    return error{errc::not_found, "no record of chat " + to_string(key_)};
  json::array labels, waiting;
  for (auto& l : kept.labels)
    labels.push_back(
        json::object{{"label", l.name}, {"message_id", l.message_id}});
  for (auto& t : **timers)
    waiting.push_back(json::object{{"name", t.name}, {"due_ms", to_ms(t.due)}});
  auto state = parse_json(kept.state.empty() ? "null" : kept.state);
  return json::serialize(json::object{{"chat", to_string(key_)},
                                      {"version", kept.version},
                                      {"mode", kept.mode},
                                      {"state", state ? *state : json::value{}},
                                      {"labels", std::move(labels)},
                                      {"timers", std::move(waiting)},
                                      {"active", live->active},
                                      {"to_turn", live->waiting},
                                      {"turns", live->turns},
                                      {"to_send", live->calls_waiting},
                                      {"sent", live->calls_done},
                                      {"limiter", live->lane},
                                      {"frozen_ms", live->frozen_ms}});
}

}  // namespace

void collect_chat_stats(const std::shared_ptr<services>& shared, chat_key key,
                        callback<std::string> done) {
  auto page = std::make_shared<chat_page>(key, std::move(done));
  shared->store.load(
      {key}, [page](auto r) { page->put(&chat_page::record, std::move(r)); });
  shared->store.timers(
      key, [page](auto r) { page->put(&chat_page::timers, std::move(r)); });
  caf::anon_send(shared->shard_for(key),
                 report_chat{key, [page](chat_report r) {
                               page->put(&chat_page::live, std::move(r));
                             }});
  shared->loop.after(patience, [page] { page->finish(true); });
}

}  // namespace troupe::actors
