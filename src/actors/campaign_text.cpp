#include <algorithm>
#include <array>

#include "actors/campaign.hpp"
#include "actors/campaign_json.hpp"

// A campaign as it stands in its record, and as people see it.
namespace troupe::actors {

namespace {

constexpr std::array<std::string_view, 6> phase_names{
    "counting", "scheduled", "running", "paused", "done", "cancelled"};

std::string_view phase_name(campaign::phase p) {
  return phase_names[static_cast<std::size_t>(p)];
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
  c.read_counts(*in);
  c.dry_run_ = flag_said(*in, "dry_run");
  c.counted_ = flag_said(*in, "counted");
  c.walked_all_ = flag_said(*in, "walked_all");
  c.sparse_ = flag_said(*in, "sparse");
  c.insisted_ = flag_said(*in, "insisted");
  c.tolerant_ = flag_said(*in, "tolerant");
  c.doubt_ = flag_said(*in, "doubt");
  c.unmarked_ = flag_said(*in, "unmarked");
  c.repeat_ = flag_said(*in, "repeat");
  return c;
}

void campaign::read_counts(const json::object& in) {
  rate_ = std::max<std::uint64_t>(count_said(in, "rate"), 1);
  walked_ = count_said(in, "walked");
  total_ = count_said(in, "total");
  released_ = count_said(in, "released");
  ended_ = count_said(in, "ended");
  at_ms_ = number_said(in, "at_ms");
  created_ms_ = number_said(in, "created_ms");
  started_ms_ = number_said(in, "started_ms");
  ended_ms_ = number_said(in, "ended_ms");
  paid_ms_ = number_said(in, "paid_ms");
  tallied_ms_ = number_said(in, "tallied_ms");
  quiet_ = count_said(in, "quiet");
  changed_ms_ = number_said(in, "changed_ms");
  const auto* mark = in.if_contains("mark");
  if (const auto* of = mark ? mark->if_object() : nullptr)
    mark_ = {count_said(*of, "sent"), count_said(*of, "failed"),
             count_said(*of, "blocked"), count_said(*of, "unknown")};
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
                   {"tolerant", tolerant_},
                   {"doubt", doubt_},
                   {"unmarked", unmarked_},
                   {"quiet", quiet_},
                   {"changed_ms", changed_ms_},
                   {"mark", json::object{{"sent", mark_.sent},
                                         {"failed", mark_.failed},
                                         {"blocked", mark_.blocked},
                                         {"unknown", mark_.unknown}}},
                   {"repeat", repeat_}});
}

campaign_step campaign::keep(std::optional<wall_time> next) const {
  campaign_step out;
  out.state = text();
  out.next = next;
  out.under_way = state_ == phase::counting || state_ == phase::running;
  return out;
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

}  // namespace troupe::actors
