#include <algorithm>
#include <chrono>
#include <cmath>
#include <future>
#include <vector>

#include "app/commands.hpp"
#include "app/node_link.hpp"
#include "core/clock.hpp"
#include "core/json.hpp"

namespace troupe::app {
namespace {

constexpr milliseconds look_again{200};
constexpr std::size_t named_at_most = 20;

/// The page may come from another version: what is not there is empty.
const json::array& list_in(const json::object& from, std::string_view name) {
  static const json::array none;
  const json::value* at = from.if_contains(name);
  return at != nullptr && at->is_array() ? at->get_array() : none;
}

const json::object& part_of(const json::object& from, std::string_view name) {
  static const json::object none;
  const json::value* at = from.if_contains(name);
  return at != nullptr && at->is_object() ? at->get_object() : none;
}

std::string numbers(const json::array& all) {
  std::string out;
  for (std::size_t i = 0; i < std::min(named_at_most, all.size()); ++i)
    out += ' ' + json::serialize(all[i]);
  return out + (all.size() > named_at_most ? " ..." : "");
}

/// What is wrong, a line each; none: the cluster is well.
std::vector<std::string> troubles(const json::object& cluster) {
  std::vector<std::string> out;
  const json::object& shards = part_of(cluster, "shards");
  if (const auto& none = list_in(shards, "unowned"); !none.empty())
    out.push_back(std::to_string(none.size()) +
                  " shards are owned by no node:" + numbers(none));
  if (const auto& twice = list_in(shards, "claimed_twice"); !twice.empty())
    out.push_back(std::to_string(twice.size()) +
                  " shards are owned twice:" + numbers(twice));
  for (const json::value& node : list_in(cluster, "nodes")) {
    if (!node.is_object())
      continue;
    const std::string state = text_of(node.get_object(), "state");
    if (state != "serving")
      out.push_back(text_of(node.get_object(), "name") + " is " +
                    (state.empty() ? "in no known state" : state));
  }
  return out;
}

std::string seconds(const json::object& from, std::string_view name,
                    double unit) {
  const json::value* at = from.if_contains(name);
  if (at == nullptr || !at->is_number())
    return "-";
  const double value = at->to_number<double>() / unit;
  const auto tenths = std::to_string(std::llround(value * 10));
  return tenths.size() == 1
             ? "0." + tenths
             : tenths.substr(0, tenths.size() - 1) + '.' + tenths.back();
}

void print_table(const json::object& cluster, console& talk) {
  talk.data(
      "NODE\tSTATE\tSHARDS\tSLICES\tTURNS\tTAKEN\tHANDED\tLOST\tFENCED"
      "\tUP_S\tHEARD_S\tVERSION\tSTATS");
  for (const json::value& one : list_in(cluster, "nodes")) {
    if (!one.is_object())
      continue;
    const json::object& node = one.get_object();
    const json::object& counts = part_of(node, "counters");
    std::string line = text_of(node, "name");
    for (auto name : {"state", "shards", "slices"})
      line += '\t' + text_of(node, name);
    for (auto name :
         {"turns", "shards_taken", "handovers", "shards_lost", "fenced"})
      line += '\t' + text_of(counts, name);
    line += '\t' + seconds(node, "uptime_s", 1) + '\t' +
            seconds(node, "word_age_ms", 1000);
    talk.data(line + '\t' + text_of(node, "version") + '\t' +
              text_of(node, "stats"));
  }
  const json::object& shards = part_of(cluster, "shards");
  talk.data("shards: " + text_of(shards, "total") +
            ", owned: " + std::to_string(list_in(shards, "owned").size()));
}

class cluster_desk {
 public:
  cluster_desk(node_link& node, const settings& with, const invocation& call,
               console& talk)
      : node_{node}, with_{with}, call_{call}, talk_{talk} {}

  int status() {
    const auto cluster = ask();
    if (!cluster)
      return failed(cluster.error());
    if (call_.json)
      talk_.data(json::serialize(*cluster));
    else
      print_table(*cluster, talk_);
    const auto wrong = troubles(*cluster);
    for (const std::string& text : wrong)
      talk_.say(text);
    return wrong.empty() ? exit_ok : exit_failed;
  }

  int drain() {
    const auto before = ask();
    if (!before)
      return failed(before.error());
    http::request what;
    what.method = "POST";
    what.target = "/admin/cluster/drain";
    what.headers.add("Content-Type", "application/json");
    what.body = json::serialize(json::object{{"node", call_.node}});
    const auto page = fetch(node_, std::move(what));
    if (!page)
      return failed(page.error());
    const std::string target = text_of(*page, "draining");
    if (call_.json)
      talk_.data(json::serialize(*page));
    else
      talk_.data("draining " + target);
    if (!call_.wait)
      return exit_ok;
    return wait_for(target, target == text_of(*before, "name"));
  }

 private:
  /// Until it is not among the nodes and its shards are others'.
  /// @param same who answers us is who drains: then no answer is an end, too
  int wait_for(const std::string& target, bool same) {
    const auto until =
        system_clock().mono() + std::chrono::seconds{with_.drain_seconds + 30};
    std::promise<void> never;
    auto pause = never.get_future();
    while (system_clock().mono() < until) {
      pause.wait_for(look_again);
      const auto now = ask();
      if (!now) {
        if (!same)
          return failed(now.error());
        talk_.say(target + " does not answer any more");
        return exit_ok;
      }
      const auto& nodes = list_in(*now, "nodes");
      const bool gone =
          std::none_of(nodes.begin(), nodes.end(), [&](const auto& n) {
            return n.is_object() && text_of(n.get_object(), "name") == target;
          });
      if (!same && gone &&
          list_in(part_of(*now, "shards"), "unowned").empty()) {
        talk_.say(target + " is gone, and its shards are others'");
        return exit_ok;
      }
    }
    talk_.say(target + " is not gone yet");
    return exit_failed;
  }

  result<json::object> ask() {
    http::request what;
    what.target = "/stats";
    auto page = fetch(node_, std::move(what));
    if (!page)
      return page.error();
    const json::value* cluster = page->if_contains("cluster");
    if (cluster == nullptr || !cluster->is_object())
      return error{errc::not_found,
                   "there is no cluster: the node has its store for itself "
                   "(several can share a Redis or a PostgreSQL)"};
    return cluster->get_object();
  }

  int failed(const error& e) {
    talk_.say("cluster: " + (e.context.empty() ? to_string(e) : e.context));
    return exit_failed;
  }

  node_link& node_;
  const settings& with_;
  const invocation& call_;
  console& talk_;
};

}  // namespace

int cluster(const settings& with, const invocation& call, console& talk) {
  const auto node = find_running(with);
  if (!node) {
    talk.say("cluster: " + node.error().context);
    return exit_failed;
  }
  cluster_desk todo{**node, with, call, talk};
  return call.what == command::cluster_status ? todo.status() : todo.drain();
}

}  // namespace troupe::app
