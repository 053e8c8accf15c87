#include "tests/system/chaos.hpp"

#include <algorithm>
#include <charconv>
#include <cstdio>
#include <map>
#include <random>
#include <set>
#include <utility>

#include "core/ids.hpp"
#include "core/json.hpp"

namespace troupe::system_test {

namespace {

using namespace std::chrono_literals;

// What a node gets to come back in, before it counts as one that is left.
constexpr milliseconds to_start = 5s;
constexpr milliseconds to_recover = 3s;

/// Draws that every standard library makes alike.
class dice {
 public:
  explicit dice(std::uint64_t seed) : random_{seed} {}
  std::size_t below(std::size_t n) { return random_() % n; }
  milliseconds between(milliseconds least, milliseconds most) {
    const auto span = static_cast<std::size_t>((most - least).count()) + 1;
    return least + milliseconds{static_cast<std::int64_t>(below(span))};
  }

 private:
  std::mt19937_64 random_;
};

milliseconds length_of(trouble what, dice& with) {
  switch (what) {
    case trouble::kill: return with.between(0s, 4s);
    case trouble::stop: return with.between(1s, 10s);
    case trouble::road: return with.between(500ms, 6s);
    case trouble::reset: return 0ms;
    case trouble::cut: return with.between(500ms, 6s);
    case trouble::restart: return with.between(0s, 2'500ms);
  }
  return 0ms;
}

/// Nodes and ways that are in trouble already, and until when.
struct occupied {
  explicit occupied(std::size_t nodes) : node(nodes), road(nodes) {}

  /// A node for this fault, if there is one now.
  std::optional<std::size_t> choose(const fault& of, dice& with) const {
    // Nobody dials the first (its name): a cut there would be none.
    const std::size_t first = of.what == trouble::road ? 1 : 0;
    std::vector<std::size_t> may;
    for (std::size_t i = first; i < node.size(); ++i) {
      const auto& until = of.what == trouble::road ? road : node;
      if (of.what == trouble::reset || until[i] <= of.at)
        may.push_back(i);
    }
    if (may.size() < (of.takes_a_node() ? 2U : 1U))
      return std::nullopt;
    return may[with.below(may.size())];
  }

  void take(const fault& by) {
    const auto end = by.at + by.length;
    if (by.takes_a_node())
      node[by.node] = end + (by.what == trouble::kill ? to_start : to_recover);
    else if (by.what == trouble::road)
      road[by.node] = end;
    else if (by.what == trouble::restart)
      redis = end;
  }

  std::vector<milliseconds> node, road;
  milliseconds redis{0};
};

std::optional<json::object> parsed(const std::string& line) {
  auto value = parse_json(line);
  if (!value || !value->is_object())
    return std::nullopt;
  return std::move(value->get_object());
}

std::int64_t number_in(const json::object& from, const char* name) {
  const json::value* at = from.if_contains(name);
  return at != nullptr && at->is_number() ? at->to_number<std::int64_t>() : 0;
}

/// From `2026-11-26T03:28:53.123Z`.
std::int64_t wall_ms_of(const std::string& text) {
  int year = 0;
  unsigned month = 0, day = 0, hour = 0, minute = 0, second = 0, ms = 0;
  if (std::sscanf(text.c_str(), "%d-%u-%uT%u:%u:%u.%uZ", &year, &month, &day,
                  &hour, &minute, &second, &ms) != 7)
    return 0;
  const std::chrono::sys_days date = std::chrono::year{year} /
                                     std::chrono::month{month} /
                                     std::chrono::day{day};
  const auto of_day = ((hour * 60 + minute) * 60 + second) * std::int64_t{1000};
  return std::chrono::duration_cast<milliseconds>(date.time_since_epoch())
             .count() +
         of_day + ms;
}

/// One owner's time with a shard, by what its node logged.
struct ownership {
  std::int64_t followed_ms = 0;  ///< 0: it never came so far
  bool given = false;            ///< handed over, with nothing left under way
};

}  // namespace

const char* to_text(trouble what) {
  switch (what) {
    case trouble::kill: return "kill -9";
    case trouble::stop: return "SIGSTOP";
    case trouble::road: return "road cut";
    case trouble::reset: return "store reset";
    case trouble::cut: return "store cut";
    case trouble::restart: return "store restart";
  }
  return "";
}

std::string to_text(const fault& what) {
  char text[120];
  std::snprintf(text, sizeof text, "%6.1f s  %-13s",
                static_cast<double>(what.at.count()) / 1000,
                to_text(what.what));
  std::string out = text;
  out += what.what == trouble::restart ? "   "
                                       : " n" + std::to_string(what.node + 1);
  if (what.length > 0ms)
    out += "  for " + std::to_string(what.length.count()) + " ms";
  if (what.what == trouble::road || what.what == trouble::cut)
    out += what.silent ? ", swallowed" : ", refused";
  return out;
}

std::vector<fault> plan(std::uint64_t seed, milliseconds span,
                        std::size_t nodes) {
  using enum trouble;
  // Each kind once in the first round, however short the span is.
  const std::vector<trouble> each{kill, stop, road, reset, cut, restart};
  const std::vector<trouble> deck{kill, kill,  stop,  stop, stop, road,
                                  road, reset, reset, cut,  cut,  restart};
  dice with{seed};
  occupied now{nodes};
  std::vector<fault> out;
  std::vector<trouble> cards;
  for (milliseconds at = with.between(1s, 3s); at < span;
       at += with.between(700ms, 3'500ms)) {
    if (cards.empty()) {
      cards = out.empty() ? each : deck;
      for (std::size_t i = cards.size() - 1; i > 0; --i)
        std::swap(cards[i], cards[with.below(i + 1)]);
    }
    fault next;
    next.what = cards.back();
    next.at = at;
    next.length = length_of(next.what, with);
    next.silent = with.below(2) == 1;
    if (next.what == restart && now.redis > at)
      continue;
    if (next.what != restart) {
      const auto node = now.choose(next, with);
      if (!node) {
        // Its turn comes once there is a node for it; now for another one.
        std::rotate(cards.begin(), cards.end() - 1, cards.end());
        continue;
      }
      next.node = *node;
    }
    cards.pop_back();
    now.take(next);
    out.push_back(next);
  }
  return out;
}

std::vector<takeover> takeovers(const std::vector<std::string>& log_lines) {
  // A shard that is handed over late is given up with things under way.
  constexpr std::int64_t late_ms = 5'000;
  std::map<unsigned, std::map<std::int64_t, ownership>> shards;
  for (const std::string& line : log_lines) {
    const bool followed = has(line, "\"event\":\"shard_followed\"");
    if (!followed && !has(line, "\"event\":\"shard_given\""))
      continue;
    const auto one = parsed(line);
    if (!one)
      continue;
    ownership& of = shards[static_cast<unsigned>(number_in(*one, "shard"))]
                          [number_in(*one, "epoch")];
    if (followed)
      of.followed_ms = wall_ms_of(std::string{one->at("t").get_string()});
    else
      of.given = number_in(*one, "ended_ms") < late_ms;
  }
  std::vector<takeover> out;
  for (const auto& [shard, epochs] : shards) {
    bool had_owner = false, was_given = false;
    for (const auto& [epoch, of] : epochs) {
      if (of.followed_ms == 0)
        continue;
      if (had_owner && !was_given)
        out.push_back({shard, of.followed_ms});
      had_owner = true;
      was_given = of.given;
    }
  }
  return out;
}

repeats repeats_in(const stage& on, std::vector<takeover> taken,
                   std::uint16_t shards, const std::string& log) {
  const std::int64_t zero = on.sim_time(0);
  for (takeover& each : taken)
    each.at = zero + each.at * 1'000;
  return find_repeats(on.calls(log), taken, shards);
}

std::optional<std::int64_t> count_in(const std::string& reply) {
  std::int64_t n = 0;
  const char* end = reply.data() + reply.size();
  if (!reply.starts_with("n=") ||
      std::from_chars(reply.data() + 2, end, n).ec != std::errc{})
    return std::nullopt;
  return n;
}

repeats find_repeats(const std::vector<logged_call>& calls,
                     const std::vector<takeover>& taken, std::uint16_t shards) {
  std::map<unsigned, std::vector<std::int64_t>> by_shard;
  for (const takeover& each : taken)
    by_shard[each.shard].push_back(each.at);
  for (auto& [shard, times] : by_shard)
    std::sort(times.begin(), times.end());
  std::map<std::int64_t, std::vector<const logged_call*>> chats;
  for (const logged_call& each : calls)
    if (each.recorded && each.method == "sendMessage" && count_in(each.text))
      chats[each.chat].push_back(&each);
  repeats out;
  for (auto& [chat, replies] : chats) {
    std::stable_sort(replies.begin(), replies.end(),
                     [](auto* a, auto* b) { return a->arrived < b->arrived; });
    // Each takeover explains one step back: what is used up is gone.
    auto left = by_shard[shard_of(chat_key::chat(chat), shards).value];
    std::set<std::int64_t> seen;
    std::size_t at_once = 0;
    const logged_call* before = nullptr;
    for (const logged_call* now : replies) {
      const std::int64_t n = *count_in(now->text);
      if (before != nullptr && n <= *count_in(before->text)) {
        ++out.steps_back;
        at_once = 0;
        const auto why =
            std::find_if(left.begin(), left.end(), [&](std::int64_t at) {
              return before->arrived - slack_us <= at &&
                     at <= now->arrived + slack_us;
            });
        if (why == left.end())
          out.unexplained.push_back(
              "chat " + std::to_string(chat) + ": " + now->text + " at " +
              std::to_string(now->arrived / 1000) + " ms, after " +
              before->text + " at " + std::to_string(before->arrived / 1000));
        else
          left.erase(left.begin(), why + 1);
      }
      if (!seen.insert(n).second) {
        ++out.copies;
        out.most_at_once = std::max(out.most_at_once, ++at_once);
      }
      before = now;
    }
  }
  return out;
}

}  // namespace troupe::system_test
