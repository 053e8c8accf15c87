#include "sim/verify.hpp"

#include <algorithm>
#include <charconv>
#include <fstream>
#include <functional>
#include <optional>
#include <unordered_map>
#include <utility>

#include "sim/journal.hpp"
#include "sim/ledger.hpp"
#include "sim/methods.hpp"
#include "sim/traffic.hpp"
#include "telegram/members.hpp"

namespace troupe::sim {

namespace {

constexpr std::size_t longest_line = 4 << 20;

error bad_line(std::uint64_t number, std::string_view what) {
  return {errc::bad_input,
          "line " + std::to_string(number) + ": " + std::string{what}};
}

verdict::line judged(std::string name, bool exercised, bool held,
                     std::string what) {
  using enum verdict::state;
  return {std::move(name),
          !exercised ? not_exercised
          : held     ? ok
                     : broken,
          std::move(what)};
}

std::string count(std::uint64_t n, std::string_view what) {
  return std::to_string(n) + ' ' + std::string{what};
}

}  // namespace

bool verdict::proves_something() const noexcept {
  return std::any_of(guarantees.begin(), guarantees.end(),
                     [](auto& g) { return g.is == state::ok; });
}

bool verdict::broke_something() const noexcept {
  return std::any_of(guarantees.begin(), guarantees.end(),
                     [](auto& g) { return g.is == state::broken; });
}

bool verdict::ok() const noexcept {
  return complete() && proves_something() && !broke_something();
}

struct log_judge::impl {
  explicit impl(verify_options options) : how{options} {}

  result<void> read(std::string_view line, std::uint64_t number);
  void read_config();
  void read_call();
  void conclude();

  verify_options how;
  telegram::members line_of;
  verdict out;
  bool configured = false;
  bool ended = false;
  std::optional<traffic> sends;
  ledger book;
};

result<void> log_judge::impl::read(std::string_view line,
                                   std::uint64_t number) {
  if (!line_of.read(line))
    return bad_line(number,
                    "not a JSON object; the log is damaged or of "
                    "another program");
  auto event = line_of.text("e");
  if (!configured) {
    if (event != "config" || line_of.number("version") != journal::version)
      return bad_line(number, "not a log of `troupe sim` in this version");
    read_config();
    return {};
  }
  if (event == "update") {
    book.update(line_of.number("id"), line_of.number("chat"),
                line_of.text("kind") == "message" ? line_of.text("text")
                                                  : std::string_view{},
                line_of.number("t"));
  } else if (event == "deliver") {
    auto status = line_of.number("status");
    if (status >= 200 && status < 300)
      book.accepted(line_of.number("id"),
                    line_of.number("t1") - line_of.number("t0"));
    else
      ++(status == 0 ? out.unreachable : out.failed_deliveries);
  } else if (event == "confirm") {
    book.confirmed(line_of.number("below"));
  } else if (event == "dropped") {
    if (line_of.text("kind") == "message")
      ++out.dropped_texts;
  } else if (event == "bot_freeze") {
    sends->bot_freeze(line_of.number("from"), line_of.number("until"));
  } else if (event == "call") {
    read_call();
  } else if (event == "settled" || event == "unsettled" || event == "stopped" ||
             event == "no_bot") {
    ended = true;
    if (out.end.empty())
      out.end = event;
  } else if (event.empty()) {
    return bad_line(number, "no event; the log is damaged");
  }
  return {};
}

void log_judge::impl::read_config() {
  configured = true;
  limit_options limits;
  auto limit = [&](std::string_view name) {
    return static_cast<unsigned>(
        std::clamp<std::int64_t>(line_of.number(name), 0, 1'000'000));
  };
  limits.global_per_second = limit("global_per_second");
  limits.chat_per_second = limit("chat_per_second");
  limits.group_per_minute = limit("group_per_minute");
  sends.emplace(limits);
}

void log_judge::impl::read_call() {
  ++out.calls;
  auto m = find_method(line_of.text("method"));
  auto chat = line_of.number("chat");
  auto arrived = line_of.number("t_in");
  auto code = line_of.number("code");
  auto fault = line_of.text("fault");
  bool recorded = line_of.text("recorded") == "true";
  if (!fault.empty())
    ++out.faults;
  if (code == 403)
    ++out.refused_403;
  traffic::attempt a;
  a.chat = chat;
  a.arrived = arrived;
  a.answered = line_of.number("t_out");
  a.cost = static_cast<unsigned>(line_of.number("cost", 1));
  a.recorded = recorded;
  a.refused = code == 429;
  a.retry_after = line_of.number("retry_after");
  a.unprovoked = fault == "429";
  a.limit = line_of.text("limit");
  // Who was cut off, or grew tired of a delay, has no answer to wait for.
  a.in_response = line_of.text("in_response") == "true";
  a.awaited = line_of.number("status") != 0 && fault != "delay";
  if (!m || !m->is_send()) {
    sends->add_other(a, std::string{line_of.text("method")} + ' ' +
                            std::to_string(chat) + ' ' +
                            std::string{line_of.text("query")});
    return;
  }
  sends->add(a);
  if (m->kind == method_kind::edit)
    return;
  auto gave = ledger::answer::given;
  if (fault == "drop")
    gave = ledger::answer::lost;
  else if (fault == "delay")
    gave = ledger::answer::late;
  if (recorded)
    book.reply({chat, line_of.text("text"), arrived, a.answered, gave});
  else if (code == 403)
    book.refused(chat, line_of.text("text"), a.answered);
}

void log_judge::impl::conclude() {
  book.conclude(out);
  sends->conclude(out, how.stretch_seconds, book.first_update());
  auto& g = out.guarantees;
  bool replied = book.counted_replies() > 0;
  g.push_back(judged(
      "G1", out.accepted_texts > 0, out.lost == 0,
      count(out.accepted_texts, "texts accepted, ") + count(out.lost, "lost")));
  g.push_back(judged("G2", replied, out.state_errors == 0,
                     count(out.redelivered, "delivered again, ") +
                         count(out.state_errors, "counted wrong")));
  g.push_back(judged("G3", replied, out.order_violations == 0,
                     count(out.order_violations, "replies out of order")));
  g.push_back(judged(
      "G4", replied, out.torn_turns == 0,
      count(out.torn_turns, "counted without the reply of the same turn")));
  g.push_back(judged(
      "G5", replied,
      std::max(out.duplicates, out.overlapping_calls) <= how.max_duplicates,
      count(out.duplicates, "sent twice, ") +
          count(out.overlapping_calls, "before the one before was answered (") +
          count(how.max_duplicates, "each allowed), ") +
          count(out.excused_duplicates, "more after an answer lost by us")));
  g.push_back(
      {"G6", verdict::state::not_exercised, "needs two nodes on one store"});
  g.push_back(judged(
      "G7", sends->limited() && out.replies > 0,
      out.limit_violations() + out.attempt_violations == 0,
      count(out.limit_violations_global, "global, ") +
          count(out.limit_violations_chat, "chat, ") +
          count(out.limit_violations_group, "group windows overfilled, ") +
          count(out.attempt_violations, "with calls that failed")));
  g.push_back(judged(
      "G8", out.answers_429 > 0, out.retry_after_violations == 0,
      count(out.retry_after_violations_chat, "too early after ") +
          count(out.answers_429, "times 429; whole bot: ") +
          (out.bot_freezes == 0
               ? "not exercised"
               : count(out.retry_after_violations_bot, "too early after ") +
                     count(out.bot_freezes, "freezes"))));
  g.push_back({"G9", verdict::state::not_exercised, "needs a campaign"});
}

log_judge::log_judge(verify_options how) : impl_{std::make_unique<impl>(how)} {}
log_judge::~log_judge() = default;

result<void> log_judge::read(std::string_view line, std::uint64_t number) {
  return impl_->read(line, number);
}

bool log_judge::ended() const noexcept {
  return impl_->ended;
}

result<verdict> log_judge::finish() {
  if (!impl_->configured)
    return error{errc::bad_input, "the log is empty"};
  if (!impl_->ended)
    return error{errc::bad_input,
                 "the log stops before the end of the run: it is cut off, or "
                 "the simulator is still running or was killed"};
  impl_->conclude();
  return std::move(impl_->out);
}

result<verdict> verify_file(const std::string& path, verify_options how) {
  std::ifstream in{path, std::ios::binary};
  if (!in)
    return error{errc::not_found, "can't be read"};
  log_judge judge{how};
  std::string line;
  for (std::uint64_t number = 1; std::getline(in, line); ++number) {
    if (line.size() > longest_line)
      return bad_line(number, "too long; not a log of `troupe sim`");
    // While the simulator stays, its last line may still be on its way.
    bool whole = !in.eof();
    auto ok = judge.read(line, number);
    if (whole && !ok)
      return ok.error();
    if (!whole && !judge.ended())
      return error{errc::bad_input,
                   "the log is cut off in line " + std::to_string(number)};
  }
  if (in.bad())
    return error{errc::unavailable, "reading failed"};
  return judge.finish();
}

}  // namespace troupe::sim
