#include "actors/sender_actor.hpp"

namespace troupe::actors {

sender_actor::sender_actor(caf::actor_config& config,
                           std::shared_ptr<services> shared)
    : actor_base{config},
      shared_{std::move(shared)},
      prefix_{"/bot" + shared_->how.bot_token + "/"} {}

caf::behavior sender_actor::make_behavior() {
  return {
      [this](send_call& m) {
        http::request r;
        r.method = "POST";
        r.target = prefix_ + m.mark.method;
        r.headers.add("Content-Type", "application/json");
        r.body = *m.body;
        shared_->telegram.send(
            std::move(r), shared_->how.sending.timeout,
            [lane = std::move(m.lane), id = m.id, from = m.from,
             labelled = m.labelled,
             mark = std::move(m.mark)](auto answer) mutable {
              caf::anon_send(lane,
                             lane_answer{id, from, labelled, std::move(mark),
                                         std::move(answer)});
            },
            m.begin_by);
      },
  };
}

}  // namespace troupe::actors
