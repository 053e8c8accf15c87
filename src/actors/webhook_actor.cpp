#include "actors/webhook_actor.hpp"

#include "actors/hints.hpp"
#include "actors/spans.hpp"
#include "actors/webhook_gate.hpp"
#include "core/log.hpp"

namespace troupe::actors {

namespace {

// Telegram waits this long before it repeats an update that the store could
// not take: far below the 30 s that an inline query lives.
constexpr unsigned store_pause_s = 2;

http::response accepted() {
  http::response r;
  r.type.clear();
  return r;
}

void trace_all(services& shared, const std::vector<web_arrival>& batch,
               const std::vector<store::arrival>& arrivals,
               const result<std::vector<store::receipt>>& receipts) {
  if (!shared.trace.on())
    return;
  const auto why = receipts ? error{} : receipts.error();
  for (std::size_t i = 0; i < batch.size(); ++i)
    trace_accept(shared, arrivals[i],
                 {true, shared.trace.ns(batch[i].since), batch[i].theirs},
                 receipts ? &(*receipts)[i] : nullptr,
                 receipts ? nullptr : &why);
}

void answer_all(services& shared, std::vector<web_arrival>& batch,
                std::vector<store::arrival>& arrivals,
                const result<std::vector<store::receipt>>& receipts) {
  auto& count = shared.count;
  trace_all(shared, batch, arrivals, receipts);
  if (!receipts) {
    shared.accepting -= std::int64_t(batch.size());
    shared.store_failed();
    count.store_errors.add();
    count.refused_store.add(batch.size());
    log::error("accept_failed", {{"updates", std::uint64_t{batch.size()}},
                                 {"error", to_string(receipts.error())}});
    for (auto& x : batch)
      x.answer(come_back(store_pause_s, "the store is not available"));
    return;
  }
  shared.store_down = false;
  hint_shards(shared, arrivals, *receipts);
  // Last: a drain must see them in one of the counts all the time.
  shared.accepting -= std::int64_t(batch.size());
  auto now = shared.how.time->mono();
  for (auto& x : batch) {
    count.accept_seconds.observe(
        std::chrono::duration<double>(now - x.since).count());
    x.answer(accepted());
  }
}

}  // namespace

webhook_actor::webhook_actor(caf::actor_config& config,
                             std::shared_ptr<services> shared)
    : actor_base{config}, shared_{std::move(shared)} {}

caf::behavior webhook_actor::make_behavior() {
  return {
      [this](web_arrival& m) {
        waiting_.push_back(std::move(m));
        if (flush_sent_)
          return;
        // Behind what is in the mailbox already: that makes one batch.
        flush_sent_ = true;
        send(this, tick_atom::value);
      },
      [this](tick_atom) {
        flush_sent_ = false;
        flush();
      },
  };
}

void webhook_actor::flush() {
  if (waiting_.empty())
    return;
  auto batch = std::make_shared<std::vector<web_arrival>>(std::move(waiting_));
  waiting_.clear();
  auto arrivals = std::make_shared<std::vector<store::arrival>>();
  arrivals->reserve(batch->size());
  for (auto& x : *batch)
    arrivals->push_back(std::move(x.what));
  shared_->store.accept(*arrivals,
                        [shared = shared_, batch, arrivals](auto receipts) {
                          answer_all(*shared, *batch, *arrivals, receipts);
                        });
}

}  // namespace troupe::actors
