#include "actors/chat_attempt.hpp"
#include "core/log.hpp"

// A turn whose SQL did not do what it must (docs/adr/0026).
namespace troupe::actors {

using namespace std::chrono_literals;

/// Nothing of the turn was done, by whatever attempt to commit it: the store
/// looks whether it was before it judges its SQL.
void chat_actor::on_sql_refused(const store::turn_receipt& receipt) {
  auto& turn = *now_;
  turn.commits = 0;
  have_record_ = false;  // what the chat has in memory is of that run
  const auto& answer = receipt.sql;
  if (!answer.unmet.empty()) {
    shared_->count.turns_denied.add();
    for (const auto i : answer.unmet)
      turn.unchanged.push_back(turn.result.wanted.sql.at(i).key);
    // Each run learns of at least one more, so this ends.
    if (turn.unchanged.size() > detail::most_sql)
      bury("over 64 statements of the turn changed nothing where they should");
    else
      run_again();
    return;
  }
  shared_->count.turns_threw.add();
  log::warn("turn_sql_failed", {{"chat", to_string(key_)},
                                {"update", turn.what.what.id.value},
                                {"try", turn.tries},
                                {"error", answer.error}});
  if (!answer.passing || turn.tries >= shared_->how.turns.attempts) {
    bury(answer.error);
    return;
  }
  turn.again = true;
  const auto tries = turn.tries++;  // it counts, unlike what nobody saw
  retry_later(tries, shared_->how.turns.backoff, 60s);
}

}  // namespace troupe::actors
