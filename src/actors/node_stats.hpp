#pragma once

#include <memory>
#include <string>

#include "actors/history.hpp"
#include "actors/services.hpp"
#include "core/callback.hpp"

namespace troupe::actors {

/// Asks shards, budget and store, and puts `/stats` together. Answers within
/// two seconds; what did not answer by then is listed as missing.
void collect_stats(const std::shared_ptr<services>& shared,
                   const std::shared_ptr<const history>& past,
                   callback<std::string> done);

/// Takes a sample into `past` every second, for as long as both live.
void keep_history(const std::shared_ptr<services>& of,
                  const std::shared_ptr<history>& past);

/// As /readyz says: it is not draining, its store answers, and it has had the
/// shards that should be its own.
bool is_ready(const services& s) noexcept;

/// `/stats/chats/<key>`.
void collect_chat_stats(const std::shared_ptr<services>& shared, chat_key key,
                        callback<std::string> done);

/// The gauges: depths of journal and outbox, what is under way, readiness. They
/// read 0 once the node is gone.
void add_probes(metrics::registry& into, std::weak_ptr<services> of);

}  // namespace troupe::actors
