#include "actors/campaign.hpp"

#include <algorithm>
#include <array>

#include "actors/lane.hpp"
#include "telegram/call.hpp"

namespace troupe::actors {

namespace {

using namespace std::chrono_literals;

constexpr milliseconds pause_between{250};
constexpr milliseconds tally_every{1'000};
/// What a tick that came late makes up for at most: no burst after a pause.
constexpr std::int64_t most_owed_ms = 1'000;
/// Refused without a single one sent: the call itself is wrong.
constexpr std::uint64_t hopeless = 50;
constexpr std::size_t most_params = std::size_t{64} * 1024;
constexpr std::size_t most_name = 64;
constexpr std::int64_t furthest_ms = std::int64_t{366} * 24 * 3'600'000;

constexpr std::array<std::string_view, 6> phase_names{
    "counting", "scheduled", "running", "paused", "done", "cancelled"};

std::string_view phase_name(campaign::phase p) {
  return phase_names[static_cast<std::size_t>(p)];
}

error wrong_campaign(std::string text) {
  return {errc::bad_input, "campaign: " + std::move(text)};
}

std::string member_text(const json::object& from, std::string_view name) {
  const auto* found = from.if_contains(name);
  return found && found->is_string() ? std::string{found->as_string()}
                                     : std::string{};
}

std::int64_t number_said(const json::object& from, std::string_view name) {
  const auto* found = from.if_contains(name);
  boost::system::error_code bad;
  const auto n = found ? found->to_number<std::int64_t>(bad) : 0;
  return bad ? 0 : n;
}

std::uint64_t count_said(const json::object& from, std::string_view name) {
  return static_cast<std::uint64_t>(
      std::max<std::int64_t>(number_said(from, name), 0));
}

bool flag_said(const json::object& from, std::string_view name) {
  const auto* found = from.if_contains(name);
  return found && found->is_bool() && found->as_bool();
}

/// Whoever mistypes who is meant, or that nothing is to be sent, would send to
/// all of them: so nothing that is not understood passes.
result<> check_members(const json::object& command) {
  using json::kind;
  struct known {
    std::string_view name;
    std::array<kind, 2> kinds;
  };
  constexpr std::array<known, 10> all{
      {{"do", {kind::string, kind::string}},
       {"request", {kind::string, kind::string}},
       {"name", {kind::string, kind::string}},
       {"method", {kind::string, kind::string}},
       {"params", {kind::object, kind::object}},
       {"audience", {kind::string, kind::string}},
       {"rate", {kind::int64, kind::uint64}},
       {"at_ms", {kind::int64, kind::uint64}},
       {"dry_run", {kind::bool_, kind::bool_}},
       {"repeat", {kind::bool_, kind::bool_}}}};
  for (const auto& [name, value] : command) {
    const auto* of = std::ranges::find(all, std::string_view{name},
                                       [](const known& k) { return k.name; });
    if (of == all.end())
      return wrong_campaign("no member '" + std::string{name}.substr(0, 32) +
                            "'");
    if (std::ranges::find(of->kinds, value.kind()) == of->kinds.end())
      return wrong_campaign("'" + std::string{name} + "' is of the wrong type");
  }
  return {};
}

bool is_method_name(std::string_view text) {
  return !text.empty() && text.size() <= 64 &&
         std::ranges::all_of(text, [](char c) {
           return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
         });
}

}  // namespace

// -- text ---------------------------------------------------------------------

result<campaign> campaign::read(std::string_view state) {
  auto parsed = parse_json(state);
  const auto* in = parsed ? parsed->if_object() : nullptr;
  const auto* params = in ? in->if_contains("params") : nullptr;
  if (!params || !params->is_object())
    return error{errc::corrupt, "the campaign's record makes no sense"};
  campaign c;
  c.params_ = params->as_object();
  c.name_ = member_text(*in, "name");
  c.request_ = member_text(*in, "request");
  c.method_ = member_text(*in, "method");
  c.audience_ = member_text(*in, "audience");
  c.why_ = member_text(*in, "why");
  const auto phase = std::ranges::find(phase_names, member_text(*in, "state"));
  auto filter = audience_filter::parse(c.audience_);
  if (phase == phase_names.end() || !filter)
    return error{errc::corrupt, "the campaign's record makes no sense"};
  c.state_ = static_cast<campaign::phase>(phase - phase_names.begin());
  c.filter_ = std::move(*filter);
  if (const auto cursor = member_text(*in, "cursor"); !cursor.empty()) {
    const auto key = parse_chat_key(cursor);
    if (!key)
      return error{errc::corrupt, key.error().context};
    c.cursor_ = *key;
  }
  c.rate_ = std::max<std::uint64_t>(count_said(*in, "rate"), 1);
  c.walked_ = count_said(*in, "walked");
  c.total_ = count_said(*in, "total");
  c.released_ = count_said(*in, "released");
  c.ended_ = count_said(*in, "ended");
  c.at_ms_ = number_said(*in, "at_ms");
  c.created_ms_ = number_said(*in, "created_ms");
  c.started_ms_ = number_said(*in, "started_ms");
  c.ended_ms_ = number_said(*in, "ended_ms");
  c.paid_ms_ = number_said(*in, "paid_ms");
  c.tallied_ms_ = number_said(*in, "tallied_ms");
  c.dry_run_ = flag_said(*in, "dry_run");
  c.counted_ = flag_said(*in, "counted");
  c.walked_all_ = flag_said(*in, "walked_all");
  c.sparse_ = flag_said(*in, "sparse");
  c.insisted_ = flag_said(*in, "insisted");
  c.repeat_ = flag_said(*in, "repeat");
  return c;
}

std::string campaign::text() const {
  return json::serialize(
      json::object{{"name", name_},
                   {"request", request_},
                   {"method", method_},
                   {"params", params_},
                   {"audience", audience_},
                   {"why", why_},
                   {"state", phase_name(state_)},
                   {"cursor", cursor_ ? to_string(*cursor_) : std::string{}},
                   {"rate", rate_},
                   {"walked", walked_},
                   {"total", total_},
                   {"released", released_},
                   {"ended", ended_},
                   {"at_ms", at_ms_},
                   {"created_ms", created_ms_},
                   {"started_ms", started_ms_},
                   {"ended_ms", ended_ms_},
                   {"paid_ms", paid_ms_},
                   {"tallied_ms", tallied_ms_},
                   {"dry_run", dry_run_},
                   {"counted", counted_},
                   {"walked_all", walked_all_},
                   {"sparse", sparse_},
                   {"insisted", insisted_},
                   {"repeat", repeat_}});
}

campaign_step campaign::keep(std::optional<wall_time> next) const {
  return {text(), {}, next};
}

// -- commands -----------------------------------------------------------------

result<campaign> campaign::start(const json::object& command, wall_time now,
                                 const campaign_pace& pace) {
  if (auto ok = check_members(command); !ok)
    return ok.error();
  campaign c;
  c.name_ = member_text(command, "name");
  c.request_ = member_text(command, "request");
  c.method_ = member_text(command, "method");
  c.audience_ = member_text(command, "audience");
  const auto* params = command.if_contains("params");
  if (!is_method_name(c.method_) ||
      telegram::lane_of(c.method_) != telegram::lane::chat)
    return wrong_campaign("the method must be one that sends to a chat");
  if (!params || !params->is_object())
    return wrong_campaign("the parameters must be a JSON object");
  c.params_ = params->as_object();
  if (c.params_.contains("chat_id"))
    return wrong_campaign("chat_id is each recipient's own; leave it out");
  if (json::serialize(c.params_).size() > most_params)
    return wrong_campaign("the parameters are over 64 KiB");
  if (c.name_.size() > most_name)
    return wrong_campaign("the name is over 64 bytes");
  auto filter = audience_filter::parse(c.audience_);
  if (!filter)
    return filter.error();
  c.filter_ = std::move(*filter);
  const auto rate = number_said(command, "rate");
  if (rate < 0)
    return wrong_campaign("the rate must be at least 1 a second");
  const auto most = std::max(pace.most_per_second, 1U);
  c.rate_ = rate == 0 ? most
                      : std::min<std::uint64_t>(
                            static_cast<std::uint64_t>(rate), most);
  c.at_ms_ = number_said(command, "at_ms");
  if (c.at_ms_ < 0 || c.at_ms_ > to_ms(now) + furthest_ms)
    return wrong_campaign("the time must be within a year");
  c.dry_run_ = flag_said(command, "dry_run");
  c.repeat_ = flag_said(command, "repeat");
  c.created_ms_ = to_ms(now);
  return c;
}

void campaign::end(phase how, wall_time now) {
  state_ = how;
  ended_ms_ = to_ms(now);
}

campaign_step campaign::command(std::string_view what, wall_time now) {
  const bool over = state_ == phase::done || state_ == phase::cancelled;
  if (over)
    return keep(std::nullopt);
  if (what == "cancel") {
    end(phase::cancelled, now);
    return keep(std::nullopt);
  }
  if (what == "pause") {
    state_ = phase::paused;
    return keep(std::nullopt);
  }
  if (state_ == phase::paused) {
    insisted_ = insisted_ || !why_.empty();
    why_.clear();
    state_ = !counted_             ? phase::counting
             : to_ms(now) < at_ms_ ? phase::scheduled
                                   : phase::running;
    paid_ms_ = to_ms(now);
    if (state_ == phase::running && started_ms_ == 0)
      started_ms_ = paid_ms_;
  }
  return keep(
      std::max(now, state_ == phase::scheduled ? from_ms(at_ms_) : now));
}

// -- ticks --------------------------------------------------------------------

/// Released and not ended at most: two seconds of its rate. What a million
/// recipients cost in rows.
std::uint64_t campaign::most_open() const {
  return std::max<std::uint64_t>(100, 2 * rate_);
}

/// What its rate has left, as of `now`.
std::uint64_t campaign::allowed(wall_time now) const {
  const auto owed =
      std::clamp<std::int64_t>(to_ms(now) - paid_ms_, 0, most_owed_ms);
  return rate_ * static_cast<std::uint64_t>(owed) / 1'000;
}

campaign_question campaign::ask(wall_time now) const {
  if (state_ == phase::counting)
    return {cursor_, campaign_page, false};
  if (state_ != phase::running)
    return {};
  campaign_question out{cursor_, 0, false};
  const auto wanted = walked_all_ ? 0 : allowed(now);
  // Some will not match.
  if (wanted > 0)
    out.members = sparse_
                      ? campaign_page
                      : std::min<std::uint64_t>(2 * wanted + 32, campaign_page);
  out.tally = walked_all_ || released_ + wanted > ended_ + most_open() ||
              from_ms(tallied_ms_) + tally_every <= now;
  return out;
}

campaign_step campaign::tick(std::int64_t number, const campaign_facts& facts) {
  const auto now = facts.now;
  switch (state_) {
    case phase::counting: return count(facts);
    case phase::scheduled:
      if (to_ms(now) < at_ms_)
        return keep(from_ms(at_ms_));
      state_ = phase::running;
      started_ms_ = paid_ms_ = to_ms(now);
      return keep(now + pause_between);
    case phase::running: return release(number, facts);
    default: return keep(std::nullopt);
  }
}

campaign_step campaign::count(const campaign_facts& facts) {
  const auto now = facts.now;
  for (const auto& who : facts.page)
    total_ += filter_.matches(who, now) ? 1 : 0;
  if (!facts.page.empty())
    cursor_ = facts.page.back().key;
  if (facts.page.size() >= facts.asked.members)
    return keep(now);
  cursor_.reset();
  counted_ = true;
  if (dry_run_) {
    end(phase::done, now);
    return keep(std::nullopt);
  }
  state_ = phase::scheduled;
  return keep(std::max(now, from_ms(at_ms_)));
}

campaign_step campaign::release(std::int64_t number,
                                const campaign_facts& facts) {
  const auto now = facts.now;
  if (facts.tally) {
    ended_ = facts.tally->ended();
    tallied_ms_ = to_ms(now);
    if (facts.tally->sent == 0 && !insisted_ &&
        facts.tally->failed + facts.tally->unknown >= hopeless) {
      state_ = phase::paused;
      why_ =
          "not one call so far was sent: see campaign_call_refused in the log, "
          "or Telegram is away; resume goes on all the same";
      return keep(std::nullopt);
    }
  }
  const auto open = released_ - std::min(ended_, released_);
  const auto room = most_open() - std::min(open, most_open());
  const auto wanted = std::min(allowed(now), room);
  campaign_step out;
  std::size_t looked = 0;
  for (; looked < facts.page.size() && out.notices.size() < wanted; ++looked) {
    const auto& who = facts.page[looked];
    cursor_ = who.key;
    ++walked_;
    if (filter_.matches(who, now))
      out.notices.push_back(
          {who.key, call_for(who.key, number), store::entry_kind::call});
  }
  released_ += out.notices.size();
  const bool looked_at_all = looked == facts.page.size();
  // A page that was cut short for want of rate or room says nothing.
  if (facts.asked.members > 0 && looked_at_all &&
      facts.page.size() < facts.asked.members)
    walked_all_ = true;
  const bool short_page = facts.asked.members > 0 && looked_at_all &&
                          !walked_all_ && out.notices.size() < wanted;
  // What is left over stays owed, but no more than a second of it.
  paid_ms_ = std::max(
      paid_ms_ + static_cast<std::int64_t>(out.notices.size() * 1'000 / rate_),
      to_ms(now) - most_owed_ms);
  if (walked_all_ && facts.tally && ended_ >= released_) {
    end(phase::done, now);
    out.state = text();
    return out;
  }
  sparse_ = short_page;
  out.next = short_page ? now : now + pause_between;
  out.state = text();
  return out;
}

std::string campaign::call_for(const chat_key& to, std::int64_t number) const {
  json::object body{{"chat_id", to.id}};
  for (const auto& [name, value] : params_)
    body[name] = value;
  store::call c;
  c.method = method_;
  c.body = store::make_payload(json::serialize(body));
  c.policy =
      repeat_ ? store::call_policy::resend : store::call_policy::at_most_once;
  c.campaign = static_cast<std::uint64_t>(number);
  return dead_call(c);
}

// -- pages --------------------------------------------------------------------

json::object campaign::page(std::int64_t number,
                            const store::campaign_tally& tally,
                            wall_time now) const {
  json::object out{{"id", number},
                   {"name", name_},
                   {"state", phase_name(state_)},
                   {"total", total_},
                   {"sent", tally.sent},
                   {"failed", tally.failed},
                   {"blocked", tally.blocked},
                   {"unknown", tally.unknown},
                   {"released", released_},
                   {"walked", walked_},
                   {"rate", rate_},
                   {"audience", audience_},
                   {"method", method_},
                   {"dry_run", dry_run_},
                   {"request", request_},
                   {"created_ms", created_ms_},
                   {"started_ms", started_ms_},
                   {"ended_ms", ended_ms_},
                   {"at_ms", at_ms_}};
  out["eta_s"] = nullptr;
  const auto left = total_ - std::min(tally.ended(), total_);
  const bool over = state_ == phase::done || state_ == phase::cancelled;
  if (counted_ && !over) {
    const auto wait = std::max<std::int64_t>(at_ms_ - to_ms(now), 0) / 1'000;
    out["eta_s"] =
        static_cast<std::uint64_t>(wait) + (left + rate_ - 1) / rate_;
  } else if (counted_ && dry_run_) {
    out["eta_s"] = (total_ + rate_ - 1) / rate_;
  }
  if (!why_.empty())
    out["why"] = why_;
  return out;
}

// -- entries ------------------------------------------------------------------

namespace {

/// A command as the register handed it on, or as it was accepted.
result<json::object> read_command(const store::entry& what) {
  auto parsed = parse_json(what.body ? *what.body : std::string{});
  if (parsed && parsed->is_object() && what.type == store::entry_kind::notice)
    parsed = parse_json(member_text(parsed->as_object(), "text"));
  if (!parsed || !parsed->is_object())
    return wrong_campaign("a command that is no JSON object");
  return std::move(parsed->as_object());
}

}  // namespace

std::int64_t last_campaign(std::string_view register_state) {
  auto parsed = parse_json(register_state);
  return parsed && parsed->is_object()
             ? number_said(parsed->as_object(), "last")
             : 0;
}

result<campaign_step> turn_campaign_entry(std::int64_t number,
                                          const std::string& state,
                                          const store::entry& what,
                                          wall_time now,
                                          const campaign_pace& pace) {
  auto command = read_command(what);
  if (!command)
    return command.error();
  const auto todo = member_text(*command, "do");
  if (number == 0) {
    if (todo != "start")
      return wrong_campaign("the register takes start only");
    const auto next = last_campaign(state) + 1;
    return campaign_step{json::serialize(json::object{{"last", next}}),
                         {{chat_key::campaign(next), json::serialize(*command),
                           store::entry_kind::notice}},
                         std::nullopt};
  }
  if (todo == "start") {
    if (!state.empty())
      return wrong_campaign("it was started before");
    auto c = campaign::start(*command, now, pace);
    if (!c)
      return c.error();
    return c->keep(now);
  }
  if (todo != "pause" && todo != "resume" && todo != "cancel")
    return wrong_campaign("no command '" + todo.substr(0, 32) + "'");
  auto c = campaign::read(state);
  if (!c)
    return c.error();
  return c->command(todo, now);
}

}  // namespace troupe::actors
