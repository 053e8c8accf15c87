#pragma once

#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "app/stats_pages.hpp"

namespace troupe::app {

/// `/stats` once a second to all who listen, as server-sent events:
///
/// | event | data |
/// |---|---|
/// | `history` | first of all, and with every fifth `stats`: its curves |
/// | `stats` | every second: `/stats` without `history` |
/// | `trouble` | instead of `stats`, if the node does not answer: its error |
///
/// The node is asked once for all of them, and not at all while nobody
/// listens. Who does not read what was sent is dropped: a listener holds what
/// its connection does (see `responder`).
/// **Threads**: any.
class stats_feed : public std::enable_shared_from_this<stats_feed> {
 public:
  using source = std::function<std::shared_ptr<node_view>()>;

  struct options {
    std::size_t most = 16;  ///< listeners
    milliseconds every{1'000};
  };

  /// @param node whom to ask; nobody: it is still starting, or gone
  stats_feed(source node, stats_pages::timer after, options how);

  /// True if there is room for one more.
  bool has_room() const;
  void add(stats_pages::listener who);
  std::size_t listeners() const;
  /// Ends what all of them hear. More may come.
  void end();

 private:
  struct ear {
    std::uint64_t id = 0;
    bool fresh = true;  ///< has not heard the history
    stats_pages::listener to;
  };

  void tick();
  void heard(const result<std::string>& page);
  void tell(const std::string& text, const std::string& history = {},
            bool to_all = false);

  const source node_;
  const stats_pages::timer after_;
  const options how_;
  mutable std::mutex mutex_;
  std::vector<ear> ears_;
  std::uint64_t next_id_ = 1;
  bool ticking_ = false;
  bool asking_ = false;  ///< the node has not answered yet
  std::uint64_t answers_ = 0;
};

}  // namespace troupe::app
