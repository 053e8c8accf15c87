#include "store/redis_pipeline.hpp"

#include <algorithm>
#include <iterator>
#include <utility>

namespace troupe::store::redis {

namespace {

/// hiredis moves what it has not parsed yet after each kilobyte it parsed: with
/// pieces of this size that stays cheaper than the parsing.
constexpr std::size_t piece_bytes = 16 * 1024;

/// A server that could not carry something out is asked again after so long,
/// doubled each time.
constexpr milliseconds first_pause{20};
constexpr milliseconds longest_pause{1000};

/// A slot that moves takes a command along once or twice. More often is a
/// disagreement among the nodes, which takes them a while.
constexpr std::uint8_t most_hops = 3;

constexpr std::string_view not_repeated =
    "; it may have been done, and is not repeated";

}  // namespace

pipeline::pipeline(const settings& how, figure_cells& count)
    : how_{how},
      count_{count},
      reader_{how.most_answer_bytes},
      pause_{first_pause} {
  for (const auto& each : how_.scripts)
    scripts_.add(each);
}

void pipeline::push(command_ptr what) {
  note_deadline(what->deadline);
  if (what->code)
    scripts_.add(*what->code);
  waiting_.push_back(std::move(what));
  count();
}

void pipeline::connected(std::string where, mono_time now) {
  TROUPE_CHECK(flight_.empty());
  where_ = std::move(where);
  hindrance_ = where_ + ": too much was before it";
  reader_.reset();
  scripts_.forgotten();
  filled_bytes_ = sent_bytes_ = 0;
  heard_at_ = now;
  resume_at_ = {};
}

bool pipeline::wants_to_send(mono_time now) const {
  return next_may_leave() && !draining_ && !halted_ && now >= resume_at_;
}

// A server forgets its scripts at any moment (SCRIPT FLUSH). Those that are on
// their way by name then fail one after the other, so none overtakes another;
// but one that comes after the server was taught again would. So it is taught
// when no script is on its way: once, and after it forgot. A text teaches only
// itself, so while there are others, none of them follows it.
bool pipeline::next_may_leave() const {
  if (waiting_.empty())
    return false;
  const auto& next = *waiting_.front();
  if (!next.code)
    return true;
  const bool by_name = scripts_.taught(*next.code) && !next.in_full();
  return (by_name || by_sha_ == 0) && (as_text_ == 0 || scripts_.alone());
}

void pipeline::fill(std::string& out, mono_time now) {
  const auto start = out.size();
  bool writes = false;
  while (next_may_leave() && out.size() - start < how_.batch) {
    writes = writes || !waiting_.front()->reads;
    append_next(out, start, now);
  }
  if (writes && how_.wait_replicas > 0)
    append_wait(out, now);
  filled_bytes_ += out.size() - start;
  count();
}

void pipeline::append_next(std::string& out, std::uint64_t start,
                           mono_time now) {
  traveller next;
  next.what = std::move(waiting_.front());
  waiting_.pop_front();
  const auto& what = *next.what;
  if (what.code) {
    const bool unknown = !scripts_.taught(*what.code);
    next.as_text = what.in_full() || (unknown && scripts_.alone());
    next.by_sha = !next.as_text;
    ++(next.by_sha ? by_sha_ : as_text_);
    // Two that were taught one by one may be forgotten one by one.
    if (next.as_text && scripts_.alone())
      scripts_.told(*what.code);
    else if (next.by_sha && unknown)
      append_lesson(out, filled_bytes_ + (out.size() - start), now);
  }
  next.begin = filled_bytes_ + (out.size() - start);
  next.at = now;
  next.skip = append_command(out, what, next.as_text);
  flight_.push_back(std::move(next));
  figure_cells::add(count_.commands, 1);
}

void pipeline::append_lesson(std::string& out, std::uint64_t begin,
                             mono_time now) {
  traveller lesson;
  lesson.type = traveller::kind::lesson;
  lesson.begin = begin;
  lesson.at = now;
  // If it fails, the commands that need it tell.
  lesson.skip = scripts_.append_lesson(out) - 1;
  flight_.push_back(std::move(lesson));
}

void pipeline::append_wait(std::string& out, mono_time now) {
  append_words(out, {"WAIT", std::to_string(how_.wait_replicas),
                     std::to_string(how_.wait_timeout.count())});
  traveller wait;
  wait.type = traveller::kind::wait;
  wait.begin = filled_bytes_;
  wait.at = now;
  flight_.push_back(std::move(wait));
}

result<> pipeline::feed(std::string_view bytes, mono_time now, ends& out) {
  heard_at_ = now;
  result<> fine;
  while (fine && !bytes.empty()) {
    const auto piece = bytes.substr(0, piece_bytes);
    bytes.remove_prefix(piece.size());
    reader_.feed(piece);
    while (fine) {
      auto got = reader_.next();
      if (!got)
        fine = got.error();
      else if (*got)
        fine = take_reply(std::move(**got), now, out);
      else
        break;
    }
  }
  count();
  return fine;
}

result<> pipeline::take_reply(reply&& got, mono_time now, ends& out) {
  if (flight_.empty())
    return error{errc::unavailable, "an answer to nothing"};
  if (flight_.front().skip > 0) {
    --flight_.front().skip;
    return {};
  }
  auto one = std::move(flight_.front());
  flight_.pop_front();
  by_sha_ -= one.by_sha ? 1 : 0;
  as_text_ -= one.as_text ? 1 : 0;
  count_.travelled(static_cast<std::uint64_t>(
      std::chrono::duration_cast<std::chrono::microseconds>(now - one.at)
          .count()));
  if (one.type == traveller::kind::wait) {
    take_confirmation(got, out);
  } else if (one.type == traveller::kind::command) {
    if (got.is_error()) {
      take_refusal(std::move(one.what), std::move(got), out);
    } else {
      pause_ = first_pause;
      if (how_.wait_replicas > 0 && !one.what->reads)
        unconfirmed_.push_back({std::move(one.what), std::move(got)});
      else
        finish(std::move(one.what), std::move(got), out);
    }
  }
  settle_drain(now);
  return {};
}

void pipeline::take_refusal(command_ptr what, reply&& got, ends& out) {
  using kind = verdict::kind;
  auto why = judge(got.text);
  const bool redirected = why.what == kind::moved || why.what == kind::ask ||
                          why.what == kind::try_again;
  if (redirected && !how_.cluster) {
    why.what = kind::final;
    why.code = errc::incompatible;
    got.text = "it is a node of a Redis Cluster; redis+cluster:// is for those";
  }
  if (why.what == kind::no_script && (what->in_full() || !what->code))
    why.what = kind::final;
  switch (why.what) {
    case kind::final:
      return finish(std::move(what), error{why.code, where_ + ": " + got.text},
                    out);
    case kind::no_script:
      ++what->misses;
      scripts_.forgotten();
      break;
    case kind::pause: pause_next_ = true; break;
    case kind::relocate:
      if (!halt_)
        halt_.emplace();
      halt_->relocate = true;
      halt_->why = got.text;
      break;
    case kind::moved:
      if (!halt_)
        halt_.emplace();
      halt_->moves.push_back(why);
      halt_->bounced = halt_->bounced || what->hops >= most_hops;
      if (what->hops < most_hops)
        ++what->hops;
      halt_->why = got.text;
      break;
    case kind::ask:
    case kind::try_again:
      out.detours.push_back({std::move(what), std::move(why)});
      return;
  }
  come_back(std::move(what), got.text);
}

void pipeline::take_confirmation(const reply& got, ends& out) {
  const bool enough =
      got.type == reply::kind::integer &&
      got.number >= static_cast<std::int64_t>(how_.wait_replicas);
  for (auto& one : std::exchange(unconfirmed_, {})) {
    if (enough) {
      finish(std::move(one.what), std::move(one.answer), out);
      continue;
    }
    const auto have = got.is_error() ? "WAIT: " + got.text
                                     : std::to_string(got.number) + " of " +
                                           std::to_string(how_.wait_replicas) +
                                           " replicas confirmed it in time";
    finish(std::move(one.what),
           error{errc::unknown_outcome, where_ + ": it was done, but " + have},
           out);
  }
}

void pipeline::come_back(command_ptr what, const std::string& why) {
  hindrance_ = where_ + ": " + why;
  returned_.push_back(std::move(what));
  draining_ = true;
}

void pipeline::merge_returned() {
  waiting_.insert(waiting_.begin(), std::move_iterator{returned_.begin()},
                  std::move_iterator{returned_.end()});
  returned_.clear();
}

void pipeline::settle_drain(mono_time now) {
  if (!draining_ || !flight_.empty())
    return;
  draining_ = false;
  merge_returned();
  halted_ = halted_ || halt_.has_value();
  if (std::exchange(pause_next_, false))
    pause(now);
}

void pipeline::pause(mono_time now) {
  resume_at_ = now + pause_;
  pause_ = std::min(pause_ * 2, longest_pause);
}

void pipeline::resume_after_pause(mono_time now) {
  halted_ = false;
  pause(now);
}

void pipeline::drain(std::string why) {
  if (!halt_)
    halt_.emplace();
  halt_->why = std::move(why);
  draining_ = true;
  settle_drain({});
}

std::optional<pipeline::halt> pipeline::take_halt() {
  if (!halted_)
    return std::nullopt;
  return std::exchange(halt_, std::nullopt);
}

std::optional<mono_time> pipeline::paused_until(mono_time now) const {
  if (resume_at_ <= now)
    return std::nullopt;
  return resume_at_;
}

void pipeline::lost(const std::string& why, mono_time now, ends& out) {
  hindrance_ = where_ + ": " + why;
  lose_unconfirmed(why, now, out);
  for (auto& one : std::exchange(flight_, {}))
    if (one.type == traveller::kind::command)
      lose(one, why, now, out);
  by_sha_ = as_text_ = 0;
  draining_ = true;
  settle_drain(now);
  resume_at_ = {};
  count();
}

void pipeline::lose(traveller& one, const std::string& why, mono_time now,
                    ends& out) {
  auto what = std::move(one.what);
  const bool left = one.begin < sent_bytes_;
  if (left && !what->repeatable) {
    error lost{errc::unknown_outcome, where_ + ": " + why};
    lost.context.append(not_repeated);
    return finish(std::move(what), std::move(lost), out);
  }
  what->doubt = what->doubt || left;
  if (what->deadline <= now) {
    auto late = too_late(*what);
    return finish(std::move(what), std::move(late), out);
  }
  returned_.push_back(std::move(what));
}

void pipeline::lose_unconfirmed(const std::string& why, mono_time now,
                                ends& out) {
  std::deque<command_ptr> again;
  for (auto& one : std::exchange(unconfirmed_, {})) {
    if (one.what->repeatable && one.what->deadline > now) {
      one.what->doubt = true;
      again.push_back(std::move(one.what));
      continue;
    }
    finish(std::move(one.what),
           error{errc::unknown_outcome,
                 where_ + ": it was done, but no replica confirmed it: " + why},
           out);
  }
  returned_.insert(returned_.begin(), std::move_iterator{again.begin()},
                   std::move_iterator{again.end()});
}

bool pipeline::expire(mono_time now, ends& out) {
  if (now < first_deadline_)
    return true;
  first_deadline_ = mono_time::max();
  expire_in(returned_, now, out);
  expire_in(waiting_, now, out);
  const bool alive = !silent(now);
  if (alive)
    give_up_overdue(now, out);
  count();
  return alive;
}

void pipeline::expire_in(std::deque<command_ptr>& list, mono_time now,
                         ends& out) {
  const auto late = std::stable_partition(
      list.begin(), list.end(),
      [&](const auto& what) { return what->deadline > now; });
  for (auto it = list.begin(); it != late; ++it)
    note_deadline((*it)->deadline);
  for (auto it = late; it != list.end(); ++it) {
    auto why = too_late(**it);
    finish(std::move(*it), std::move(why), out);
  }
  list.erase(late, list.end());
}

bool pipeline::silent(mono_time now) const {
  const auto owed = [&](const traveller& one) {
    return one.type == traveller::kind::given_up ||
           (one.type == traveller::kind::command && one.what->deadline <= now);
  };
  const auto it = std::find_if(flight_.begin(), flight_.end(), owed);
  return it != flight_.end() &&
         now - std::max(heard_at_, it->at) >= how_.patience;
}

void pipeline::give_up_overdue(mono_time now, ends& out) {
  for (auto& one : flight_) {
    if (one.type == traveller::kind::lesson ||
        one.type == traveller::kind::wait)
      continue;
    if (one.type == traveller::kind::command && one.what->deadline > now) {
      note_deadline(one.what->deadline);
      continue;
    }
    note_deadline(std::max(heard_at_, one.at) + how_.patience);
    if (one.type == traveller::kind::given_up)
      continue;
    one.type = traveller::kind::given_up;
    one.what->doubt = true;
    auto why = too_late(*one.what);
    finish(std::move(one.what), std::move(why), out);
  }
  std::vector<end> still;
  for (auto& one : std::exchange(unconfirmed_, {})) {
    if (one.what->deadline > now) {
      note_deadline(one.what->deadline);
      still.push_back(std::move(one));
      continue;
    }
    finish(std::move(one.what),
           error{errc::unknown_outcome,
                 where_ + ": it was done, but no replica confirmed it in time"},
           out);
  }
  unconfirmed_ = std::move(still);
}

void pipeline::note_deadline(mono_time at) {
  first_deadline_ = std::min(first_deadline_, at);
}

error pipeline::too_late(const command& what) const {
  if (what.doubt)
    return {errc::unknown_outcome,
            where_ + ": no answer in time; it may have been done"};
  return {errc::unavailable, hindrance_ + "; nothing was done in time"};
}

void pipeline::finish(command_ptr what, result<reply> answer, ends& out) {
  if (!answer && answer.error().code == errc::unknown_outcome)
    figure_cells::add(count_.unknown, 1);
  out.answered.push_back({std::move(what), std::move(answer)});
}

std::vector<command_ptr> pipeline::take_waiting() {
  merge_returned();
  std::vector<command_ptr> out{std::move_iterator{waiting_.begin()},
                               std::move_iterator{waiting_.end()}};
  waiting_.clear();
  count();
  return out;
}

std::vector<command_ptr> pipeline::take_all() {
  std::vector<command_ptr> out;
  for (auto& one : std::exchange(unconfirmed_, {}))
    out.push_back(std::move(one.what));
  for (auto& one : std::exchange(flight_, {}))
    if (one.type == traveller::kind::command)
      out.push_back(std::move(one.what));
  for (auto& what : take_waiting())
    out.push_back(std::move(what));
  return out;
}

void pipeline::count() {
  // Differences, since the cells are those of all pipelines.
  figure_cells::add(count_.waiting, waiting() - counted_waiting_);
  figure_cells::add(count_.in_flight, in_flight() - counted_flight_);
  counted_waiting_ = waiting();
  counted_flight_ = in_flight();
}

}  // namespace troupe::store::redis
