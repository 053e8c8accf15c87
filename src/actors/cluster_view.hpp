#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "actors/handshake.hpp"
#include "actors/services.hpp"
#include "core/json.hpp"
#include "core/result.hpp"

/// What nodes say of themselves in their heartbeats (`node_info::details`), and
/// what each shows of all of them.
namespace troupe::actors {

/// Where a node is in its life, as it says. Not in order: a node that leaves is
/// out of the heartbeats at once.
inline constexpr std::string_view states[] = {"joining", "serving", "draining"};

/// Shards next to each other, held in one epoch.
struct held_run {
  std::uint16_t first = 0;
  std::uint16_t last = 0;
  std::uint32_t epoch = 0;
};

/// A node's details as another reads them. They may come from another version,
/// or be broken: what is odd in them is as if it were not there.
struct node_word {
  std::string node;     ///< its given name
  std::string version;  ///< of Troupe
  std::string state;    ///< one of `states`; empty: it did not say
  std::string stats;    ///< HOST:PORT of its stats listener
  std::int64_t started_ms = 0;
  std::int64_t slices = 0;
  std::int64_t budget_want = 1;
  std::int64_t budget_largest = 1;
  std::int64_t frozen_until_ms = 0;  ///< not checked against any clock
  std::vector<held_run> holds;
  bool holds_cut = false;   ///< there were more than its details had room for
  bool encrypted = false;   ///< its road wants certificates
  bool behind = false;      ///< more is accepted for it than it turns
  bool only_looks = false;  ///< whether it fits: it may go again at once
  json::object counters;    ///< numbers only
  std::vector<std::string> drain;  ///< instances that are asked to drain
};

/// Pure. **Cost**: reads at most 64 KiB, more is as if nothing was said.
node_word read_word(const std::string& details, std::uint16_t shards);

/// `0-3:7 9:2`: shards with their epochs; 0 is one that is not held.
/// @param cut set if they were too many for the text
std::string runs_text(const std::vector<std::uint32_t>& epochs, bool& cut);

/// What this node has in common with the others of its store.
node_facts facts_of(const services& shared);

/// Whether this node can be one of those.
/// **Errors**: `errc::conflict`: with whom it can't, and why.
result<void> agree(const services& shared,
                   const std::vector<store::node_info>& alive);

/// What the node says of itself.
store::node_info introduction(services& shared, bool only_looks = false);

/// `cluster` in `/stats`: nodes, the owners of all shards, and what each node
/// counts. Of this node as it is now, of others as they last said.
json::object cluster_of(services& shared);

/// Has the node of that name, ours or another, drain and end as if it had got
/// SIGTERM: it hears it with the next heartbeats.
/// @param name an instance, or a given name that only one alive has
/// @returns the instance
/// **Errors**: `errc::not_found` or `errc::conflict`, with who there is.
result<std::string> ask_to_drain(services& shared, const std::string& name);

}  // namespace troupe::actors
