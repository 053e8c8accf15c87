#include "sim/journal.hpp"

#include <algorithm>
#include <charconv>

#include "core/json.hpp"

namespace troupe::sim {

std::int64_t journal::micros(mono_time at) const noexcept {
  return std::chrono::floor<std::chrono::microseconds>(at - start_).count();
}

void journal::begin(std::string_view event, mono_time at) {
  line_.clear();
  line_ += R"({"e":")";
  line_ += event;
  line_ += '"';
  number("t", micros(at));
}

void journal::number(std::string_view name, std::int64_t n) {
  char digits[24];
  auto end = std::to_chars(digits, digits + sizeof digits, n).ptr;
  line_ += ",\"";
  line_ += name;
  line_ += "\":";
  line_.append(digits, end);
}

void journal::text(std::string_view name, std::string_view value) {
  line_ += ",\"";
  line_ += name;
  line_ += "\":";
  append_json_string(line_, value);
}

void journal::end() {
  line_ += "}\n";
  if (file_)
    file_->append(line_);
}

void journal::config(moment now, std::string_view rest) {
  begin("config", now.mono);
  number("version", version);
  number("wall_ms", to_ms(now.wall));
  if (!rest.empty()) {
    line_ += ',';
    line_ += rest;
  }
  end();
}

void journal::mark(std::string_view event, mono_time now,
                   std::string_view rest) {
  begin(event, now);
  if (!rest.empty()) {
    line_ += ',';
    line_ += rest;
  }
  end();
}

void journal::update(mono_time now, update_id id, std::int64_t chat,
                     std::int64_t user, telegram::update_kind kind,
                     std::string_view words) {
  begin("update", now);
  number("id", id.value);
  number("chat", chat);
  number("user", user);
  text("kind", telegram::to_string(kind));
  text("text", words);
  end();
}

void journal::dropped(mono_time now, std::int64_t chat,
                      telegram::update_kind kind, std::string_view why) {
  begin("dropped", now);
  number("chat", chat);
  text("kind", telegram::to_string(kind));
  text("why", why);
  end();
}

void journal::delivery(const webhook_queues::delivery& d, mono_time sent,
                       mono_time answered, unsigned status) {
  begin("deliver", answered);
  number("id", d.id.value);
  number("attempt", d.attempt);
  number("t0", micros(sent));
  number("t1", micros(answered));
  number("status", status);
  if (d.resend)
    line_ += R"(,"resend":true)";
  end();
}

void journal::confirmed(mono_time now, const update_queue::confirmation& c) {
  if (c.count == 0)
    return;
  begin("confirm", now);
  number("below", c.below);
  number("count", static_cast<std::int64_t>(c.count));
  end();
}

void journal::poll(const poller::answer& a, const feed::page& p,
                   mono_time now) {
  begin("poll", now);
  number("offset", a.offset);
  number("count", static_cast<std::int64_t>(p.count));
  if (p.count > 0) {
    number("first", p.first);
    number("last", p.last);
  }
  number("t_in", micros(a.asked));
  number("status", 200);
  end();
}

void journal::refused_poll(mono_time now, unsigned status) {
  begin("poll", now);
  number("status", status);
  end();
}

void journal::call(const method& m, const call_outcome& c, mono_time arrived,
                   bool by_webhook) {
  begin("call", arrived);
  number("n", static_cast<std::int64_t>(calls_));
  text("method", m.name);
  number("chat", c.chat);
  if (!c.text.empty())
    text("text", c.text);
  if (!c.query.empty())
    text("query", c.query);
  if (c.message_id != 0)
    number("message_id", c.message_id);
  number("t_in", micros(arrived));
  number("t_out", micros(arrived + c.delay));
  number("status", c.cut ? 0 : c.answer.status);
  number("code", c.answer.status);
  if (c.answer.retry_after > 0)
    number("retry_after", c.answer.retry_after);
  if (c.cost != 1)
    number("cost", c.cost);
  if (c.recorded)
    line_ += R"(,"recorded":true)";
  if (c.fault != fault_kind::none)
    text("fault", to_string(c.fault));
  if (c.limit != limit_scope::none)
    text("limit", to_string(c.limit));
  if (by_webhook)
    line_ += R"(,"in_response":true)";
  end();

  recent_.emplace_back(line_, 0, line_.size() - 1);
  recent_bytes_ += recent_.back().size();
  while (recent_.size() > remembered_calls ||
         recent_bytes_ > remembered_bytes) {
    recent_bytes_ -= recent_.front().size();
    recent_.pop_front();
  }
  ++calls_;
  if (!c.bot_freeze)
    return;
  begin("bot_freeze", arrived);
  number("from", micros(c.bot_freeze->from));
  number("until", micros(c.bot_freeze->until));
  end();
}

void journal::flush() {
  if (file_)
    file_->flush();
}

std::string journal::trouble() const {
  return file_ ? file_->trouble() : std::string{};
}

std::string journal::calls_since(std::uint64_t since) const {
  auto oldest = calls_ - recent_.size();
  auto from = std::clamp(since, oldest, calls_) - oldest;
  std::string out = R"({"next":)" + std::to_string(calls_) + R"(,"calls":[)";
  for (auto i = from; i < recent_.size(); ++i) {
    if (i != from)
      out += ",\n";
    out += recent_[i];
  }
  return out + "]}";
}

}  // namespace troupe::sim
