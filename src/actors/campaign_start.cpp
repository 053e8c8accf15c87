#include <algorithm>
#include <array>
#include <utility>

#include "actors/campaign.hpp"
#include "actors/campaign_json.hpp"
#include "actors/campaign_register.hpp"
#include "telegram/call.hpp"

// How campaigns begin, and what commands to them and to their register do.
namespace troupe::actors {

namespace {

constexpr std::size_t most_params = std::size_t{64} * 1024;
constexpr std::size_t most_name = 64;
constexpr std::int64_t furthest_ms = std::int64_t{366} * 24 * 3'600'000;

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

// -- commands -----------------------------------------------------------------

result<campaign> campaign::start(const json::object& command, wall_time now,
                                 const campaign_pace& pace) {
  if (auto ok = check_members(command); !ok)
    return ok.error();
  campaign c;
  c.name_ = member_text(command, "name");
  c.request_ = member_text(command, "request");
  if (command.contains("request") && !is_campaign_request(c.request_))
    return wrong_campaign(
        "the request must be 1 to 128 letters, digits or ._:/#@+-");
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

namespace {

/// Numbers a request once, and leaves it to the campaign of that number.
campaign_step number_campaign(const std::string& state, json::object command) {
  auto known = campaign_register::read(state);
  campaign_step out;
  const auto request = member_text(command, "request");
  if (known.find(request) == nullptr) {
    const auto next = known.add(request, campaign_digest(command));
    out.notices.push_back({chat_key::campaign(next), json::serialize(command),
                           store::entry_kind::notice});
  }
  out.state = known.text();
  return out;
}

}  // namespace

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
    if (!is_campaign_request(member_text(*command, "request")))
      return wrong_campaign("a start without a request");
    return number_campaign(state, std::move(*command));
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
