#include "actors/campaign_register.hpp"

#include <algorithm>
#include <utility>

#include "actors/campaign_json.hpp"

namespace troupe::actors {

namespace {

constexpr std::size_t most_request = 128;

// The ids of other commands are milliseconds times 1024: below this until 2109.
constexpr std::int64_t first_start_id = std::int64_t{1} << 52;

}  // namespace

campaign_register campaign_register::read(std::string_view state) {
  campaign_register out;
  auto parsed = parse_json(state);
  const auto* in = parsed ? parsed->if_object() : nullptr;
  if (!in)
    return out;
  out.last_ = number_said(*in, "last");
  const auto* all = in->if_contains("requests");
  if (!all || !all->is_array())
    return out;
  for (const auto& one : all->get_array())
    if (const auto* of = one.if_object())
      out.known_.push_back({member_text(*of, "request"), number_said(*of, "id"),
                            number_said(*of, "digest")});
  return out;
}

std::string campaign_register::text() const {
  json::array all;
  for (const auto& one : known_)
    all.push_back(json::object{
        {"request", one.request}, {"id", one.number}, {"digest", one.digest}});
  return json::serialize(
      json::object{{"last", last_}, {"requests", std::move(all)}});
}

const campaign_register::known* campaign_register::find(
    std::string_view request) const noexcept {
  const auto it = std::ranges::find(known_, request, &known::request);
  return it == known_.end() ? nullptr : &*it;
}

std::int64_t campaign_register::add(std::string request, std::int64_t digest) {
  known_.push_back({std::move(request), ++last_, digest});
  if (known_.size() > most_known)
    known_.erase(known_.begin());
  return last_;
}

bool is_campaign_request(std::string_view text) noexcept {
  constexpr std::string_view signs = "._:/#@+-";
  return !text.empty() && text.size() <= most_request &&
         std::ranges::all_of(text, [&](char c) {
           return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                  (c >= '0' && c <= '9') ||
                  signs.find(c) != std::string_view::npos;
         });
}

std::int64_t campaign_digest(const json::object& command) {
  auto what = command;
  for (const char* name : {"do", "request", "at_ms"})
    what.erase(name);
  return stable_hash(json::serialize(what));
}

update_id campaign_start_id(std::string_view request) noexcept {
  return {-(first_start_id + stable_hash(request) % first_start_id)};
}

}  // namespace troupe::actors
