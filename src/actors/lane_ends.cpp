#include <algorithm>
#include <utility>

#include "actors/lane.hpp"
#include "core/json.hpp"

// How calls end: what an answer means for its lane, and what is settled.
namespace troupe::actors {

namespace {

using store::call_outcome;
using telegram::verdict;

// A query's answer is worthless after this: TELEGRAM.md 75, 23.
constexpr milliseconds query_life{30'000};
// After 409 another instance runs; after 401 a person must act.
constexpr milliseconds conflict_pause{3'000};
constexpr milliseconds bad_token_pause{30'000};
// Telegram counts retry_after in whole seconds from its answer.
constexpr milliseconds retry_guard{50};
// Labels of recent sends kept for edits that follow; the rest is looked up.
constexpr std::size_t known_labels = 32;

}  // namespace

std::string outcome_event(const store::call& what, call_outcome how,
                          const attempt_end* end) {
  std::string out = "{\"label\":";
  append_json_string(out, what.label);
  out += ",\"method\":";
  append_json_string(out, what.method);
  bool ok = how == call_outcome::sent || how == call_outcome::collapsed;
  out += ok ? ",\"ok\":true" : ",\"ok\":false";
  if (how == call_outcome::collapsed)
    out += ",\"collapsed\":true";
  if (ok) {
    if (end && !end->result.empty())
      out += ",\"result\":" + end->result;
    return out + "}";
  }
  out +=
      how == call_outcome::unknown ? ",\"unknown\":true" : ",\"unknown\":false";
  int code = 0;
  std::string text = "no answer";
  if (end) {
    if (auto answer = std::get_if<telegram::answer>(&end->what)) {
      code = answer->code;
      text = answer->description;
    } else {
      text = to_string(std::get<http::failure>(end->what).what);
    }
  }
  out += ",\"code\":" + std::to_string(code) + ",\"description\":";
  append_json_string(out, text);
  return out + "}";
}

std::string dead_call(const store::call& what) {
  std::string out = "{\"method\":";
  append_json_string(out, what.method);
  out += ",\"body\":" + *what.body + ",\"label\":";
  append_json_string(out, what.label);
  if (what.policy == store::call_policy::at_most_once)
    out += ",\"at_most_once\":true";
  if (what.campaign != 0)
    out += ",\"campaign\":" + std::to_string(what.campaign);
  return out + "}";
}

namespace {

/// One call's bad parameter must not cost the chat its whole queue.
void narrow(attempt_end& end, const store::call& what) {
  auto answer = std::get_if<telegram::answer>(&end.what);
  if (answer && answer->what == verdict::chat_gone &&
      !telegram::concerns_destination(*answer, what.method, what.to))
    answer->what = verdict::refused;
}

}  // namespace

void lane::answered(call_id which, chat_key from, attempt_end end, moment now,
                    actions& out) {
  for (std::size_t i = 0; i < express_.size(); ++i) {
    auto& x = express_[i];
    if (x.call.id == which && x.call.from == from && x.flying) {
      narrow(end, x.call);
      express_ended(i, end, now, out);
      return;
    }
  }
  if (step_ != step::sending || queue_.empty() ||
      queue_.front().call.id != which || queue_.front().call.from != from)
    return;
  narrow(end, queue_.front().call);
  step_ = step::idle;
  auto failure = std::get_if<http::failure>(&end.what);
  bool arrived = !failure || failure->maybe_sent;
  window_.answered(ticket_, now.mono, arrived);
  if (has_permit_)
    out.push_back(give_back{permit_, now.mono, arrived});
  has_permit_ = false;
  if (how_.settle_each && arrived)
    unsaved_ += queue_.front().cost;
  head_ended(end, now, out);
  advance(now, out);
}

void lane::head_ended(attempt_end& end, moment now, actions& out) {
  auto& head = queue_.front();
  if (auto failure = std::get_if<http::failure>(&end.what)) {
    if (failure->maybe_sent &&
        head.call.policy == store::call_policy::at_most_once) {
      finish_head(call_outcome::unknown, &end, now, out);
      return;
    }
    not_before_ = now.mono + backoff(head.attempts);
    return;
  }
  auto& answer = std::get<telegram::answer>(end.what);
  switch (answer.what) {
    case verdict::sent:
    case verdict::not_modified:
      finish_head(call_outcome::sent, &end, now, out);
      return;
    case verdict::retry_after:
      window_.slow_down(now.mono);
      not_before_ = now.mono + answer.retry_after + retry_guard;
      out.push_back(flood{answer.retry_after + retry_guard});
      return;
    case verdict::try_again:
      if (head.call.policy == store::call_policy::at_most_once)
        finish_head(call_outcome::unknown, &end, now, out);
      else
        not_before_ = now.mono + backoff(head.attempts);
      return;
    case verdict::chat_gone:
      finish_head(call_outcome::failed, &end, now, out);
      drop_all(answer, now, out);
      return;
    case verdict::migrated:
      moved_to_ = answer.migrate_to;
      not_before_ = now.mono + backoff(head.attempts - 1);
      out.push_back(report{"chat_migrated", std::to_string(moved_to_)});
      return;
    case verdict::conflict:
      not_before_ = now.mono + std::max(conflict_pause, backoff(head.attempts));
      return;
    case verdict::bad_token:
      not_before_ = now.mono + bad_token_pause;
      out.push_back(report{"bad_token", answer.description});
      return;
    case verdict::too_late:
    case verdict::refused:
      finish_head(call_outcome::failed, &end, now, out);
      return;
  }
}

void lane::express_ended(std::size_t i, attempt_end& end, moment now,
                         actions& out) {
  auto& x = express_[i];
  x.flying = false;
  auto outcome = call_outcome::failed;
  bool again = false;
  if (auto failure = std::get_if<http::failure>(&end.what)) {
    again = !failure->maybe_sent ||
            x.call.policy != store::call_policy::at_most_once;
    outcome =
        failure->maybe_sent ? call_outcome::unknown : call_outcome::failed;
    x.not_before = now.mono + backoff(x.attempts);
  } else {
    auto& answer = std::get<telegram::answer>(end.what);
    switch (answer.what) {
      case verdict::sent:
      case verdict::not_modified: outcome = call_outcome::sent; break;
      case verdict::retry_after:
        again = true;
        x.not_before = now.mono + answer.retry_after + retry_guard;
        freeze(x.not_before);
        out.push_back(flood{answer.retry_after + retry_guard});
        break;
      case verdict::try_again:
        again = x.call.policy != store::call_policy::at_most_once;
        outcome = call_outcome::unknown;
        x.not_before = now.mono + backoff(x.attempts);
        break;
      case verdict::conflict:
      case verdict::bad_token:
        again = true;
        x.not_before = now.mono + conflict_pause;
        break;
      default: break;
    }
  }
  if (again && x.not_before - x.since < query_life) {
    advance_express(now, out);
    return;
  }
  settle_item(x, outcome, &end, now, out, true);
  express_.erase(express_.begin() + static_cast<std::ptrdiff_t>(i));
}

void lane::advance_express(moment now, actions& out) {
  if (stopped_)
    return;
  for (auto& x : express_) {
    if (x.flying || now.mono < std::max(x.not_before, frozen_))
      continue;
    x.flying = true;
    ++x.attempts;
    out.push_back(send{x.call.id, !x.call.label.empty(), x.call.method,
                       x.call.body, x.call.from, mono_time::max(), x.of()});
  }
}

void lane::finish_head(call_outcome how, const attempt_end* end, moment now,
                       actions& out) {
  auto head = std::move(queue_.front());
  queue_.pop_front();
  not_before_ = mono_time{};
  if (how == call_outcome::sent && !head.call.label.empty() && end) {
    if (auto answer = std::get_if<telegram::answer>(&end->what);
        answer && answer->message_id != 0) {
      if (labels_.size() >= known_labels)
        labels_.clear();
      labels_[label_of(head.call.from, head.call.label)] = answer->message_id;
    }
  }
  const bool left = head.attempts > 0;
  settle_item(head, how, end, now, out, left);
  if (how == call_outcome::sent && moved_to_ != 0 &&
      !std::exchange(moved_told_, true)) {
    using store::audience_status;
    auto& what = std::get<settle>(out.back()).what;
    what.audience = {how_.to, audience_status::migrated, {}};
    what.joined = {chat_key::chat(moved_to_), audience_status::active, {}};
  }
  if (how_.settle_each && left && head.cost > 0) {
    unsaved_ -= std::min<unsigned>(head.cost, unsaved_);
    std::get<settle>(out.back()).tell = true;
    unsettled_ = head.call.id;
    step_ = step::settling;
  }
}

void lane::settle_item(const item& what, call_outcome how,
                       const attempt_end* end, moment now, actions& out,
                       bool left) const {
  store::settlement s;
  s.id = what.call.id;
  s.outcome = how;
  s.from = what.call.from;
  s.to = what.call.to;
  s.label = what.call.label;
  s.campaign = what.call.campaign;
  if (how == call_outcome::attempting) {
    s.spent_at = now.wall;
    s.spent = static_cast<std::uint16_t>(unsaved_);
    out.push_back(
        settle{std::move(s), what.call.at, false, true, {}, what.of()});
    return;
  }
  if (left) {
    s.spent_at = now.wall;
    s.spent = what.cost;
  }
  const telegram::answer* answer =
      end ? std::get_if<telegram::answer>(&end->what) : nullptr;
  if (answer) {
    s.message_id = answer->message_id;
    if (answer->what == verdict::chat_gone)
      s.audience = store::audience_change{what.call.to,
                                          answer->blocked_for_good
                                              ? store::audience_status::gone
                                              : store::audience_status::blocked,
                                          {}};
    if (answer->what == verdict::migrated)
      s.audience = store::audience_change{
          what.call.to, store::audience_status::migrated, {}};
  }
  if (!what.call.label.empty())
    s.event = store::make_payload(outcome_event(what.call, how, end));
  // A call that Telegram calls wrong is a bug of the bot, or of us: a person
  // must see it. A labelled one goes back to the behaviour instead.
  else if (answer && answer->what == verdict::refused && what.call.body)
    s.dead_body = store::make_payload(dead_call(what.call));
  // But a campaign's wrong call is not a dead letter for each recipient.
  if (s.campaign != 0)
    s.dead_body = nullptr;
  if (answer && answer->what == verdict::refused && what.call.label.empty())
    s.dead = std::to_string(answer->code) + " " + answer->description;
  out.push_back(settle{std::move(s), what.call.at, what.call.reply, false,
                       what.call.method, what.of()});
}

void lane::drop_all(const telegram::answer& why, moment now, actions& out) {
  attempt_end end;
  end.what = why;
  while (!queue_.empty()) {
    settle_item(queue_.front(), call_outcome::failed, &end, now, out, false);
    queue_.pop_front();
  }
}

milliseconds lane::backoff(unsigned attempts) const {
  auto shift = std::min(attempts == 0 ? 0u : attempts - 1, 16u);
  auto wait = how_.retry_first * (std::int64_t{1} << shift);
  return std::min(wait, how_.retry_max);
}

}  // namespace troupe::actors
