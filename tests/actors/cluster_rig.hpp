#pragma once

#include <algorithm>
#include <set>

#include "store/faulty.hpp"
#include "tests/actors/rig.hpp"

/// Several nodes of one bot on one store, in one process.
namespace troupe::testing {

// So many that each of three nodes gets some, whatever their names are.
constexpr std::uint16_t cluster_shards = 32;

/// A node's own way to the store of that name, with a plan of what goes wrong.
inline std::unique_ptr<store::faulty> way_to(const std::string& name) {
  store::options o;
  o.url = "memory:" + name;
  o.shards = cluster_shards;
  return std::make_unique<store::faulty>(store::open(o).value());
}

/// Leases that no slow machine loses: for tests in which no node fails.
inline actors::node_options patient(const std::string& name) {
  auto how = fast();
  how.name = name;
  how.cluster.ttl = 60s;
  how.cluster.beat = 50ms;
  how.cluster.hand_over = 60s;
  return how;
}

/// Leases that are soon over: for tests in which a node fails. On a slow
/// machine a healthy node may lose one, too, and then repeat a call.
inline actors::node_options hasty(const std::string& name) {
  auto how = fast();
  how.name = name;
  how.cluster.ttl = 1'500ms;
  how.cluster.margin = 300ms;
  how.cluster.beat = 100ms;
  return how;
}

/// The shards that the node owns, with their epochs.
inline std::map<std::int64_t, std::int64_t> owned_by(rig& node) {
  std::map<std::int64_t, std::int64_t> out;
  const auto page = node.stats();
  for (auto& s : page.at("shards").as_array())
    if (!s.at("owner").as_string().empty())
      out[s.at("shard").as_int64()] = s.at("epoch").to_number<std::int64_t>();
  return out;
}

/// Until the nodes own all shards between them, each of them some.
inline bool settled(std::vector<rig*> nodes) {
  return eventually([&] {
    std::set<std::int64_t> all;
    std::size_t many = 0;
    for (auto* n : nodes) {
      auto mine = owned_by(*n);
      if (mine.empty())
        return false;
      many += mine.size();
      for (auto& [shard, term] : mine)
        all.insert(shard);
    }
    return many == cluster_shards && all.size() == cluster_shards;
  });
}

/// Texts without those that were seen before: a call whose outcome nobody
/// learned is made again (G5), but its turn is not.
inline std::vector<std::string> first_sights(
    const std::vector<std::string>& texts) {
  std::vector<std::string> out;
  for (auto& t : texts)
    if (std::find(out.begin(), out.end(), t) == out.end())
      out.push_back(t);
  return out;
}

/// Updates of several chats, each to the next node in turn; a chat's next one
/// only after its last was accepted, as Telegram does it.
class stream {
 public:
  explicit stream(std::int64_t chats) : chats_{chats} {}

  void round(const std::vector<rig*>& nodes) {
    for (std::int64_t chat = 1; chat <= chats_; ++chat) {
      const auto id = next_++;
      auto text = "u" + std::to_string(id);
      expected_[chat].push_back(text);
      nodes[std::size_t(id) % nodes.size()]->post(text_update(id, chat, text));
    }
    for (auto* n : nodes)
      REQUIRE(n->settle());
  }

  /// Waits until every update was replied to. True if each chat's replies came
  /// in order and once, but for calls that were repeated if `repeats`.
  bool complete(const telegram_double& telegram, bool repeats) const {
    auto seen = [&](std::int64_t chat) {
      auto texts = telegram.texts(chat);
      return repeats ? first_sights(texts) : texts;
    };
    bool all = eventually([&] {
      return std::all_of(expected_.begin(), expected_.end(), [&](auto& x) {
        return seen(x.first).size() >= x.second.size();
      });
    });
    for (auto& [chat, texts] : expected_)
      CHECK(seen(chat) == counted(texts));
    return all;
  }

 private:
  const std::int64_t chats_;
  std::int64_t next_ = 1;
  std::map<std::int64_t, std::vector<std::string>> expected_;
};

}  // namespace troupe::testing
