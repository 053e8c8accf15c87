#include "actors/cluster_view.hpp"

#include <algorithm>
#include <charconv>
#include <limits>
#include <mutex>
#include <optional>

#include "actors/told.hpp"

namespace troupe::actors {

namespace {

using namespace std::chrono_literals;

constexpr std::size_t most_read = 64 * 1024;
constexpr std::size_t longest_text = 200;
constexpr std::size_t most_runs_text = 16 * 1024;
constexpr std::size_t most_counters = 64;
constexpr std::size_t most_drains = 64;
constexpr std::int64_t most_slices = 1'000;
// A node that hears nothing for so long is not going to: it hangs, or is gone.
constexpr auto drain_asked_for = 30s;

/// What is told to the other nodes, and shown of each of them: one line each.
struct shown_counter {
  const char* name;
  std::uint64_t (*value)(const meters&);
};

constexpr shown_counter shown_counters[] = {
    {"accepted", [](const meters& m) { return m.accepted.value(); }},
    {"turns", [](const meters& m) { return m.turns_done.value(); }},
    {"calls_sent", [](const meters& m) { return m.calls_sent.value(); }},
    {"shards_taken", [](const meters& m) { return m.shards_taken.value(); }},
    {"handovers", [](const meters& m) { return m.handovers.value(); }},
    {"shards_lost", [](const meters& m) { return m.leases_lost.value(); }},
    {"fenced", [](const meters& m) { return m.fenced.value(); }},
    {"held_back", [](const meters& m) { return m.held_back.value(); }},
    {"gaps_healed", [](const meters& m) { return m.gaps_healed.value(); }},
    {"entries_healed",
     [](const meters& m) { return m.entries_healed.value(); }},
    {"hints_sent", [](const meters& m) { return m.hints_sent.value(); }},
    {"hints_taken", [](const meters& m) { return m.hints_taken.value(); }},
    {"hints_lost", [](const meters& m) { return m.hints_lost.value(); }},
    {"hints_left", [](const meters& m) { return m.hints_left.value(); }},
    {"store_errors", [](const meters& m) { return m.store_errors.value(); }},
};

json::object counters_of(const meters& m) {
  json::object out;
  for (auto& c : shown_counters)
    out[c.name] = c.value(m);
  return out;
}

std::string_view state_of(const services& s) {
  return states[s.draining ? 2 : s.joined ? 1 : 0];
}

std::vector<std::uint32_t> epochs_of(const services& s) {
  std::vector<std::uint32_t> out;
  for (std::size_t i = 0; i < s.store.shards(); ++i)
    out.push_back(s.terms[i]);
  return out;
}

// -- reading what another said ------------------------------------------------

/// Takes the number at the front of `text`, and what must follow it.
std::optional<std::uint32_t> take_number(std::string_view& text) {
  std::uint32_t n = 0;
  auto [end, bad] = std::from_chars(text.data(), text.data() + text.size(), n);
  if (bad != std::errc{})
    return std::nullopt;
  text.remove_prefix(std::size_t(end - text.data()));
  return n;
}

bool take(std::string_view& text, char c) {
  if (!text.starts_with(c))
    return false;
  text.remove_prefix(1);
  return true;
}

/// As far as it can be understood. Runs are in order and don't overlap: so
/// there are at most as many as shards.
std::vector<held_run> read_runs(std::string_view text, std::uint16_t shards) {
  std::vector<held_run> out;
  std::uint32_t next = 0;
  while (!text.empty()) {
    auto first = take_number(text);
    auto last = first && take(text, '-') ? take_number(text) : first;
    auto epoch = last && take(text, ':') ? take_number(text) : std::nullopt;
    if (!epoch || *epoch == 0 || *first < next || *last < *first ||
        *last >= shards)
      return out;
    out.push_back({std::uint16_t(*first), std::uint16_t(*last), *epoch});
    next = *last + 1;
    if (!text.empty() && !take(text, ' '))
      return out;
  }
  return out;
}

// -- the page -----------------------------------------------------------------

struct owners {
  struct owner {
    std::uint32_t epoch = 0;
    const std::string* node = nullptr;
    bool twice = false;
  };
  explicit owners(std::size_t shards) : all(shards) {}

  /// A word may be older than the shard's next claim: the later epoch has it.
  void add(const std::vector<held_run>& runs, const std::string& node) {
    for (auto& run : runs)
      for (unsigned i = run.first; i <= run.last; ++i) {
        auto& o = all[i];
        if (run.epoch > o.epoch)
          o = {run.epoch, &node, false};
        else if (run.epoch == o.epoch && o.node != &node)
          o.twice = true;
      }
  }

  std::vector<owner> all;
};

json::object node_page(const node_word& w, const store::node_info& n,
                       milliseconds age, wall_time now) {
  unsigned shards = 0;
  for (auto& r : w.holds)
    shards += r.last - r.first + 1u;
  json::object out{{"name", n.name},       {"node", w.node},
                   {"state", w.state},     {"version", w.version},
                   {"address", n.address}, {"stats", w.stats},
                   {"shards", shards},     {"slices", w.slices},
                   {"behind", w.behind},   {"word_age_ms", age.count()}};
  out["uptime_s"] = nullptr;
  if (w.started_ms > 0)
    out["uptime_s"] =
        double(std::max<std::int64_t>(0, to_ms(now) - w.started_ms)) / 1000;
  if (w.holds_cut)
    out["shards_cut"] = true;
  out["counters"] = w.counters;
  return out;
}

json::object shards_page(const owners& from) {
  json::array owned;
  json::array unowned;
  json::array twice;
  for (std::size_t i = 0; i < from.all.size(); ++i) {
    auto& o = from.all[i];
    if (!o.node) {
      unowned.push_back(i);
      continue;
    }
    if (o.twice)
      twice.push_back(i);
    owned.push_back(
        json::object{{"shard", i}, {"node", *o.node}, {"epoch", o.epoch}});
  }
  return {{"total", from.all.size()},
          {"unowned", std::move(unowned)},
          {"claimed_twice", std::move(twice)},
          {"owned", std::move(owned)}};
}

json::array roads_of(const services& s) {
  json::array out;
  for (auto& r : s.roads) {
    json::object one{
        {"to", r.name}, {"state", r.state}, {"waiting", r.waiting}};
    if (!r.why.empty())
      one["why"] = r.why;
    out.push_back(std::move(one));
  }
  return out;
}

}  // namespace

std::string runs_text(const std::vector<std::uint32_t>& epochs, bool& cut) {
  std::string out;
  cut = false;
  for (std::size_t i = 0; i < epochs.size();) {
    auto end = i + 1;
    while (end < epochs.size() && epochs[end] == epochs[i])
      ++end;
    if (epochs[i] != 0) {
      if (out.size() > most_runs_text) {
        cut = true;
        return out;
      }
      out += (out.empty() ? "" : " ") + std::to_string(i);
      if (end - i > 1)
        out += '-' + std::to_string(end - 1);
      out += ':' + std::to_string(epochs[i]);
    }
    i = end;
  }
  return out;
}

node_word read_word(const std::string& details, std::uint16_t shards) {
  node_word out;
  if (details.size() > most_read)
    return out;
  auto parsed = parse_json(details);
  auto in = parsed ? parsed->if_object() : nullptr;
  if (!in)
    return out;
  constexpr auto any = std::numeric_limits<std::int64_t>::max();
  out.node = told_text(*in, "node", longest_text);
  out.version = told_text(*in, "version", longest_text);
  out.stats = told_text(*in, "stats", longest_text);
  auto state = told_text(*in, "state", longest_text);
  if (std::find(std::begin(states), std::end(states), state) !=
      std::end(states))
    out.state = state;
  out.started_ms = told_number(*in, "started_ms", any, 0);
  out.slices = told_number(*in, "slices", most_slices, 0);
  out.budget_want = told_number(*in, "budget_want", most_slices, 1);
  out.budget_largest = told_number(*in, "budget_largest", most_slices, 1);
  out.frozen_until_ms = told_number(*in, "frozen_until_ms", any, 0);
  if (auto runs = in->if_contains("holds"); runs && runs->is_string()) {
    std::string_view text{runs->get_string().data(), runs->get_string().size()};
    out.holds = read_runs(text, shards);
  }
  out.holds_cut = told_yes(*in, "holds_cut");
  out.encrypted = told_yes(*in, "encrypted");
  out.behind = told_yes(*in, "behind");
  out.only_looks = told_yes(*in, "only_looks");
  auto counters = in->if_contains("counters");
  if (counters && counters->is_object())
    for (auto& [name, value] : counters->get_object())
      if (name.size() <= longest_text && out.counters.size() < most_counters &&
          (value.is_int64() || value.is_uint64()))
        out.counters[name] = value;
  auto drain = in->if_contains("drain");
  if (drain && drain->is_array())
    for (auto& name : drain->get_array())
      if (name.is_string() && name.get_string().size() <= longest_text &&
          out.drain.size() < most_drains)
        out.drain.emplace_back(name.get_string());
  return out;
}

node_facts facts_of(const services& s) {
  return {s.how.cluster.protocol, bot_of(s.how.bot_token), s.store.shards()};
}

result<void> agree(const services& s,
                   const std::vector<store::node_info>& alive) {
  for (auto& n : alive) {
    if (n.name == s.instance ||
        read_word(n.details, s.store.shards()).only_looks)
      continue;
    auto details = parse_json(n.details);
    auto why =
        mismatch(facts_of(s), read_facts(details ? *details : json::value{}));
    if (!why.empty())
      return error{errc::conflict,
                   "node " + n.name + " is alive on this store, and " + why};
  }
  return {};
}

store::node_info introduction(services& s, bool only_looks) {
  // As a time of day, which stays the same however often it is passed on.
  auto now = s.now();
  auto frozen = mono_time{mono_time::duration{s.frozen_until}} - now.mono;
  auto until = now.wall + std::chrono::duration_cast<milliseconds>(frozen);
  auto up = std::chrono::duration_cast<milliseconds>(now.mono - s.started);
  bool cut = false;
  json::object o{
      {"node", s.how.name},
      {"version", s.how.version},
      {"state", state_of(s)},
      {"stats", s.how.stats_address},
      {"started_ms", to_ms(now.wall - up)},
      {"told_ms", to_ms(now.wall)},
      {"encrypted", s.how.cluster.road.encrypted()},
      {"holds", runs_text(epochs_of(s), cut)},
      {"slices", std::int64_t{s.slices_held}},
      {"budget_want", std::int64_t{s.budget_want}},
      {"budget_largest", std::int64_t{s.budget_largest}},
      {"frozen_until_ms", to_ms(until)},
      {"counters", counters_of(s.count)},
  };
  write_facts(facts_of(s), o);
  if (cut)
    o["holds_cut"] = true;
  if (s.behind())
    o["behind"] = true;
  if (only_looks)
    o["only_looks"] = true;
  std::lock_guard guard{s.nodes_lock};
  if (!s.drains.empty()) {
    json::array names;
    for (auto& [name, until_asked] : s.drains)
      names.emplace_back(name);
    o["drain"] = std::move(names);
  }
  return {s.instance, s.address, json::serialize(o)};
}

json::object cluster_of(services& s) {
  auto now = s.now();
  auto mine = introduction(s);
  std::lock_guard guard{s.nodes_lock};
  auto nodes = s.nodes;
  std::vector<node_word> words;
  std::vector<std::string> draining;
  for (auto& n : nodes) {
    if (n.name == s.instance)
      n.details = mine.details;
    words.push_back(read_word(n.details, s.store.shards()));
    auto& d = words.back().drain;
    draining.insert(draining.end(), d.begin(), d.end());
  }
  owners who{s.store.shards()};
  json::array list;
  for (std::size_t i = 0; i < nodes.size(); ++i) {
    auto& n = nodes[i];
    who.add(words[i].holds, n.name);
    if (std::find(draining.begin(), draining.end(), n.name) != draining.end())
      words[i].state = states[2];
    auto heard = n.name == s.instance || i >= s.nodes_heard.size()
                     ? now.mono
                     : s.nodes_heard[i];
    list.push_back(node_page(
        words[i], n, std::chrono::duration_cast<milliseconds>(now.mono - heard),
        now.wall));
  }
  return {{"name", s.instance},       {"address", s.address},
          {"roads", roads_of(s)},     {"leases", s.leases_held.load()},
          {"nodes", std::move(list)}, {"shards", shards_page(who)}};
}

result<std::string> ask_to_drain(services& s, const std::string& name) {
  if (!s.clustered())
    return error{errc::conflict,
                 "there is no cluster: this store has one node; end it with "
                 "SIGTERM"};
  std::lock_guard guard{s.nodes_lock};
  std::vector<std::string> called;
  std::string everybody;
  for (auto& n : s.nodes) {
    auto given = read_word(n.details, s.store.shards()).node;
    everybody += (everybody.empty() ? "" : ", ") + n.name;
    if (n.name == name) {
      called = {name};
      break;
    }
    if (given == name)
      called.push_back(n.name);
  }
  if (called.empty())
    return error{errc::not_found, "no node is called " +
                                      name.substr(0, longest_text) +
                                      "; there are: " + everybody};
  if (called.size() > 1) {
    std::string which;
    for (auto& one : called)
      which += (which.empty() ? "" : ", ") + one;
    return error{errc::conflict,
                 "several nodes are called " + name + "; say which: " + which};
  }
  if (s.drains.size() >= most_drains && !s.drains.contains(called[0]))
    return error{errc::unavailable, "too many nodes are asked to drain"};
  s.drains[called[0]] = s.how.time->mono() + drain_asked_for;
  return called[0];
}

}  // namespace troupe::actors
