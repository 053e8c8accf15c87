#include <utility>

#include "actors/campaign_desk.hpp"
#include "actors/chat_attempt.hpp"
#include "core/log.hpp"

// A campaign is turned by the same actor as a chat, with the runtime's own code
// in the place of the bot's (docs/adr/0021).
namespace troupe::actors {

using namespace std::chrono_literals;

/// A command needs its record only; a tick asks the store first, at every
/// attempt.
void chat_actor::begin_campaign() {
  now_->result.kind = "campaign";
  // A tick that died and is retried stands in the journal.
  if (!now_->what.fired && now_->what.what.type != store::entry_kind::timer) {
    auto made = turn_campaign_entry(key_.id, *campaign_, now_->what.what,
                                    shared_->how.time->wall(),
                                    campaign_pace_of(*shared_));
    if (made)
      commit_campaign(std::move(*made));
    else
      bury(to_string(made.error()));
    return;
  }
  const auto now = campaign::read(*campaign_);
  if (!now) {
    bury(to_string(now.error()));
    return;
  }
  auto facts = std::make_shared<campaign_facts>();
  facts->now = shared_->how.time->wall();
  facts->asked = now->ask(facts->now);
  step_ = step::asking;
  state_->doing = "asking";
  auto tell = [me = caf::actor_cast<caf::actor>(this), number = now_->number,
               facts](std::optional<error> failed) {
    caf::anon_send(me, chat_event{campaign_read{number, facts, failed}});
  };
  auto members = [shared = shared_, facts, tell] {
    auto& asked = facts->asked;
    if (asked.members == 0) {
      tell({});
      return;
    }
    shared->store.audience(asked.after, asked.members,
                           [facts, tell](auto answer) {
                             if (!answer)
                               return tell(answer.error());
                             facts->page = std::move(*answer);
                             tell({});
                           });
  };
  if (!facts->asked.tally) {
    members();
    return;
  }
  shared_->store.tallies({static_cast<std::uint64_t>(key_.id)},
                         [facts, tell, members](auto answer) {
                           if (!answer)
                             return tell(answer.error());
                           facts->tally = answer->front();
                           members();
                         });
}

void chat_actor::on(campaign_read& m) {
  if (step_ != step::asking || !now_ || now_->number != m.attempt)
    return;
  if (m.failed) {
    shared_->count.store_errors.add();
    now_->tries -= 1;  // nothing was turned
    retry_later(++store_failures_, 50ms, 2s);
    return;
  }
  store_failures_ = 0;
  step_ = step::turning;
  state_->doing = "turning";
  turn_campaign(*m.facts);
}

void chat_actor::turn_campaign(const campaign_facts& facts) {
  auto now = campaign::read(*campaign_);
  if (now)
    commit_campaign(now->tick(key_.id, facts));
  else
    bury(to_string(now.error()));
}

/// The cursor, the counts, what it leaves to the recipients and the next tick:
/// one commit, so that whatever crashes no recipient is met twice or passed
/// over.
void chat_actor::commit_campaign(campaign_step made) {
  now_->commit = bare_commit(now_->subject(key_, version_, anew_));
  now_->commit.state = std::move(made.state);
  now_->commit.notices = std::move(made.notices);
  now_->commit.cancel.emplace_back(campaign_timer);
  now_->under_way = made.under_way;
  now_->stopped = std::move(made.stopped);
  if (made.next) {
    // Never the due time of the tick that sets it: when the answer to the
    // commit is lost, its repeat must find that the tick is gone.
    if (const auto& fired = now_->what.fired)
      made.next = std::max(*made.next, fired->due + 1ms);
    now_->commit.set.push_back(
        {key_, std::string{campaign_timer}, *made.next, {}});
  }
  commit();
}

void chat_actor::note_campaign(bool under_way) {
  if (under_way != campaign_here_)
    shared_->campaigns_here += under_way ? 1 : -1;
  campaign_here_ = under_way;
}

/// The turn is durable.
void chat_actor::campaign_applied() {
  const auto& turn = now_->commit;
  if (!turn.state)
    return;
  *campaign_ = *turn.state;
  note_campaign(now_->under_way);
  if (now_->stopped.empty())
    return;
  shared_->count.campaign_pauses.add();
  log::error("campaign_paused",
             {{"campaign", key_.id}, {"why", now_->stopped}});
}

}  // namespace troupe::actors
