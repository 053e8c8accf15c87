#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <string_view>

#include "core/clock.hpp"
#include "sim/bot.hpp"
#include "sim/event_log.hpp"
#include "sim/feed.hpp"

namespace troupe::sim {

/// Writes the simulator's events as the lines README.md describes, into the
/// log file if there is one, and keeps the last calls for `/sim/calls`.
/// **Threads**: one at a time.
class journal {
 public:
  static constexpr std::size_t remembered_calls = 10'000;
  static constexpr std::size_t remembered_bytes = 32 << 20;
  static constexpr int version = 1;

  /// @param file may be null.
  journal(std::unique_ptr<event_log> file, mono_time start)
      : file_{std::move(file)}, start_{start} {}

  /// @param rest more members, `"seed":1,...`, or empty.
  void config(moment now, std::string_view rest);
  /// Marks a moment: started, settled, unsettled, end, outage...
  void mark(std::string_view event, mono_time now, std::string_view rest = {});
  void update(mono_time now, update_id id, std::int64_t chat, std::int64_t user,
              telegram::update_kind kind, std::string_view text);
  /// A text nobody will get. @param why `kind`: allowed_updates leaves it out;
  /// `queue`: that is full.
  void dropped(mono_time now, std::int64_t chat, telegram::update_kind kind,
               std::string_view why);
  void delivery(const webhook_queues::delivery& d, mono_time sent,
                mono_time answered, unsigned status);
  void confirmed(mono_time now, const update_queue::confirmation& c);
  void poll(const poller::answer& a, const feed::page& p, mono_time now);
  void refused_poll(mono_time now, unsigned status);
  /// The call, and the freeze of the whole bot it led to.
  void call(const method& m, const call_outcome& c, mono_time arrived,
            bool by_webhook);
  void flush();
  std::string trouble() const;

  std::uint64_t calls() const noexcept { return calls_; }
  /// `{"next":N,"calls":[...]}`: the calls from number `since` on.
  std::string calls_since(std::uint64_t since) const;

 private:
  std::int64_t micros(mono_time at) const noexcept;
  void begin(std::string_view event, mono_time at);
  void number(std::string_view name, std::int64_t n);
  void text(std::string_view name, std::string_view value);
  void end();

  std::unique_ptr<event_log> file_;
  mono_time start_;
  std::string line_;
  std::deque<std::string> recent_;
  std::size_t recent_bytes_ = 0;
  std::uint64_t calls_ = 0;
};

}  // namespace troupe::sim
