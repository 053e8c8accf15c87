#pragma once

#include "core/metrics.hpp"

namespace troupe::actors {

/// What the actors count. One object per node; names as on `/metrics`.
struct meters {
  explicit meters(metrics::registry& into);

  // Updates on their way in.
  metrics::counter& accepted;
  metrics::counter& duplicates;
  metrics::counter& refused_overload;
  metrics::counter& refused_store;
  metrics::counter& refused_bad;
  metrics::histogram& accept_seconds;

  // Turns, by how they ended.
  metrics::counter& turns_done;
  metrics::counter& turns_unhandled;
  metrics::counter& turns_stale;
  metrics::counter& turns_repeated;
  metrics::counter& turns_threw;
  metrics::counter& turns_denied;
  metrics::counter& locks_granted;
  metrics::counter& locks_denied;
  metrics::counter& locks_lost;
  metrics::counter& lock_waits;
  metrics::counter& dead_letters;
  metrics::counter& turns_late;
  metrics::histogram& turn_wait_seconds;
  metrics::histogram& turn_run_seconds;
  metrics::histogram& commit_seconds;
  metrics::histogram& reply_seconds;

  // Calls, by outcome and by class of trouble.
  metrics::counter& calls_sent;
  metrics::counter& calls_failed;
  metrics::counter& calls_unknown;
  metrics::counter& calls_collapsed;
  metrics::counter& answers_429;
  metrics::counter& answers_5xx;
  metrics::counter& answers_refused;
  metrics::counter& answers_gone;
  metrics::counter& network_failures;
  metrics::counter& unknown_outcomes;
  metrics::counter& global_freezes;
  metrics::histogram& call_seconds;

  // Of those, campaigns' calls, by outcome.
  metrics::counter& campaign_sent;
  metrics::counter& campaign_failed;
  metrics::counter& campaign_blocked;
  metrics::counter& campaign_unknown;
  metrics::counter& campaign_pauses;

  metrics::counter& store_errors;
  metrics::counter& fenced;
  metrics::counter& held_back;
  metrics::counter& shards_taken;
  metrics::counter& leases_lost;
  metrics::counter& handovers;
  metrics::counter& gaps_healed;
  metrics::counter& entries_healed;
  metrics::counter& hints_sent;
  metrics::counter& hints_taken;
  metrics::counter& hints_lost;
  metrics::counter& hints_left;
  metrics::counter& polls;
  metrics::counter& poll_conflicts;
};

}  // namespace troupe::actors
