#include "actors/meters.hpp"

namespace troupe::actors {

namespace {

metrics::counter& turns(metrics::registry& r, const char* end) {
  return r.add_counter("troupe_turns_total", "Turns by how they ended.",
                       {{"end", end}});
}

metrics::counter& locks(metrics::registry& r, const char* end) {
  return r.add_counter("troupe_locks_total",
                       "Locks granted to a turn, denied at the end of the "
                       "wait, or lost to another chat during the turn.",
                       {{"end", end}});
}

metrics::counter& refused(metrics::registry& r, const char* why) {
  return r.add_counter("troupe_updates_refused_total",
                       "Updates answered with an error, by reason.",
                       {{"reason", why}});
}

metrics::counter& calls(metrics::registry& r, const char* outcome) {
  return r.add_counter("troupe_calls_total",
                       "Bot API calls settled, by outcome.",
                       {{"outcome", outcome}});
}

metrics::counter& errors(metrics::registry& r, const char* kind) {
  return r.add_counter("troupe_call_errors_total",
                       "Attempts at Bot API calls that failed, by class.",
                       {{"class", kind}});
}

metrics::counter& campaign_calls(metrics::registry& r, const char* outcome) {
  return r.add_counter("troupe_campaign_calls_total",
                       "Campaigns' calls settled, by outcome.",
                       {{"outcome", outcome}});
}

metrics::counter& hints(metrics::registry& r, const char* end) {
  return r.add_counter(
      "troupe_hints_total",
      "Journal entries told of between nodes: sent to their owner, taken from "
      "another node, lost on this one (the owner finds them later), or left in "
      "the store by their owner, this one, which has no room for them.",
      {{"end", end}});
}

}  // namespace

meters::meters(metrics::registry& r)
    : accepted{r.add_counter("troupe_updates_accepted_total",
                             "Updates that are durable in the journal.")},
      duplicates{r.add_counter("troupe_updates_duplicate_total",
                               "Redelivered updates, dropped.")},
      refused_overload{refused(r, "overload")},
      refused_store{refused(r, "store")},
      refused_bad{refused(r, "bad_request")},
      accept_seconds{r.add_histogram("troupe_accept_seconds",
                                     "From an update's arrival to durable.")},
      turns_done{turns(r, "done")},
      turns_unhandled{turns(r, "unhandled")},
      turns_stale{turns(r, "stale")},
      turns_repeated{turns(r, "repeated")},
      turns_threw{turns(r, "threw")},
      turns_denied{r.add_counter(
          "troupe_turns_denied_total",
          "Runs thrown away because a key of once, or a lock that ran out, was "
          "another's.")},
      locks_granted{locks(r, "granted")},
      locks_denied{locks(r, "denied")},
      locks_lost{locks(r, "lost")},
      lock_waits{r.add_counter(
          "troupe_lock_waits_total",
          "Tries to get a lock that another chat had, and that go on.")},
      dead_letters{r.add_counter("troupe_dead_letters_total",
                                 "Turns and calls given up as dead letters.")},
      turns_late{r.add_counter("troupe_turns_late_total",
                               "Handlers that ran past their deadline.")},
      turn_wait_seconds{r.add_histogram(
          "troupe_turn_wait_seconds", "From acceptance to the turn's start.")},
      turn_run_seconds{r.add_histogram("troupe_turn_run_seconds",
                                       "Time inside the behaviour.")},
      commit_seconds{r.add_histogram("troupe_commit_seconds",
                                     "From a turn's end to its commit.")},
      reply_seconds{r.add_histogram(
          "troupe_reply_seconds",
          "From an update's acceptance to a reply's answer by Telegram.")},
      calls_sent{calls(r, "sent")},
      calls_failed{calls(r, "failed")},
      calls_unknown{calls(r, "unknown")},
      calls_collapsed{calls(r, "collapsed")},
      answers_429{errors(r, "too_many_requests")},
      answers_5xx{errors(r, "server")},
      answers_refused{errors(r, "refused")},
      answers_gone{errors(r, "chat_gone")},
      network_failures{errors(r, "network")},
      unknown_outcomes{
          r.add_counter("troupe_unknown_outcomes_total",
                        "Attempts that may or may not have reached the chat.")},
      global_freezes{r.add_counter("troupe_global_freezes_total",
                                   "Times a 429 stopped the whole bot.")},
      call_seconds{r.add_histogram("troupe_call_seconds",
                                   "From a call's departure to its answer.")},
      campaign_sent{campaign_calls(r, "sent")},
      campaign_failed{campaign_calls(r, "failed")},
      campaign_blocked{campaign_calls(r, "blocked")},
      campaign_unknown{campaign_calls(r, "unknown")},
      campaign_pauses{r.add_counter(
          "troupe_campaign_pauses_total",
          "Campaigns that paused themselves, since nothing got through.")},
      store_errors{r.add_counter("troupe_store_errors_total",
                                 "Store operations that failed.")},
      fenced{r.add_counter("troupe_fenced_total",
                           "Commits refused because the lease was lost.")},
      held_back{r.add_counter(
          "troupe_held_back_total",
          "Commits and calls not sent since a lease was not renewed in time.")},
      shards_taken{r.add_counter("troupe_shards_taken_total",
                                 "Shards that this node claimed.")},
      leases_lost{r.add_counter("troupe_leases_lost_total",
                                "Shards that another node took from us.")},
      handovers{r.add_counter("troupe_handovers_total",
                              "Shards handed over to another node.")},
      gaps_healed{r.add_counter("troupe_gaps_healed_total",
                                "Journal gaps filled from the store.")},
      entries_healed{r.add_counter(
          "troupe_entries_healed_total",
          "Journal entries found in the store, since no hint told of them.")},
      hints_sent{hints(r, "sent")},
      hints_taken{hints(r, "taken")},
      hints_lost{hints(r, "lost")},
      hints_left{hints(r, "left")},
      polls{r.add_counter("troupe_polls_total", "getUpdates calls answered.")},
      poll_conflicts{r.add_counter("troupe_poll_conflicts_total",
                                   "getUpdates calls answered 409.")} {}

}  // namespace troupe::actors
