#include "http/exchange.hpp"

#include <string>
#include <utility>

namespace troupe::http {

namespace {

/// Runs `act` with the connection on its lane; not at all if it is gone.
template <class Act>
void with(const responder::exchange& x, Act act) {
  if (x.on->here()) {
    if (const auto conn = x.to.lock())
      act(*conn);
    return;
  }
  // Only the lane may hold the last reference.
  x.on->post([to = x.to, act = std::move(act)]() mutable {
    if (const auto conn = to.lock())
      act(*conn);
  });
}

}  // namespace

responder::exchange::~exchange() {
  switch (now.load(std::memory_order_acquire)) {
    case state::waiting: {
      response failed;
      failed.status = 500;
      failed.type.clear();
      with(*this, [serial = serial, failed](server_connection& c) mutable {
        c.answer(serial, std::move(failed));
      });
      break;
    }
    case state::streaming:
      with(*this, [serial = serial](server_connection& c) {
        c.abandon_stream(serial);
      });
      break;
    case state::starting:
    case state::ended: break;
  }
}

void responder::operator()(response answer) const {
  auto expected = exchange::state::waiting;
  if (!exchange_->now.compare_exchange_strong(expected, exchange::state::ended))
    return;
  with(*exchange_, [serial = exchange_->serial,
                    answer = std::move(answer)](server_connection& c) mutable {
    c.answer(serial, std::move(answer));
  });
}

void responder::drop() const {
  auto expected = exchange::state::waiting;
  if (!exchange_->now.compare_exchange_strong(expected, exchange::state::ended))
    return;
  with(*exchange_,
       [serial = exchange_->serial](server_connection& c) { c.drop(serial); });
}

void responder::start_stream(response header) const {
  auto flow = std::make_shared<stream_flow>();
  auto expected = exchange::state::waiting;
  if (!exchange_->now.compare_exchange_strong(expected,
                                              exchange::state::starting))
    return;
  exchange_->flow = flow;
  exchange_->now.store(exchange::state::streaming, std::memory_order_release);
  auto first = std::move(header.body);
  header.body.clear();
  with(*exchange_, [serial = exchange_->serial, header = std::move(header),
                    flow = std::move(flow)](server_connection& c) mutable {
    c.start_stream(serial, std::move(header), std::move(flow));
  });
  send_chunk(std::move(first));
}

bool responder::send_chunk(std::string data) const {
  if (exchange_->now.load(std::memory_order_acquire) !=
      exchange::state::streaming)
    return false;
  auto& flow = *exchange_->flow;
  if (flow.gone.load(std::memory_order_acquire))
    return false;
  if (data.empty())
    return true;
  const auto cost = stream_flow::cost(data.size());
  if (flow.unsent.fetch_add(cost, std::memory_order_relaxed) >
      stream_flow::limit) {
    flow.unsent.fetch_sub(cost, std::memory_order_relaxed);
    return false;
  }
  with(*exchange_, [serial = exchange_->serial,
                    data = std::move(data)](server_connection& c) mutable {
    c.send_chunk(serial, std::move(data));
  });
  return true;
}

void responder::end_stream() const {
  auto expected = exchange::state::streaming;
  if (!exchange_->now.compare_exchange_strong(expected, exchange::state::ended))
    return;
  with(*exchange_, [serial = exchange_->serial](server_connection& c) {
    c.end_stream(serial);
  });
}

}  // namespace troupe::http
