#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <functional>
#include <future>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "http/client.hpp"
#include "http/server.hpp"
#include "net/loop.hpp"
#include "tests/net/support.hpp"

namespace troupe::http::testing {

using namespace net::testing;

using outcome = boost::system::result<response, failure>;

/// Sends and waits for what comes of it.
inline outcome call(client& by, request what, milliseconds timeout = 30s) {
  auto done = std::make_shared<std::promise<outcome>>();
  auto come = done->get_future();
  by.send(std::move(what), timeout,
          [done](outcome o) { done->set_value(std::move(o)); });
  REQUIRE(come.wait_for(patience) == std::future_status::ready);
  return come.get();
}

inline request post(std::string target, std::string body) {
  request what;
  what.method = "POST";
  what.target = std::move(target);
  what.body = std::move(body);
  return what;
}

inline request get(std::string target) {
  request what;
  what.target = std::move(target);
  return what;
}

inline response text(std::string body, unsigned status = 200) {
  response answer;
  answer.status = status;
  answer.type = "text/plain";
  answer.body = std::move(body);
  return answer;
}

inline std::unique_ptr<server> serve(net::loop& on, handler take,
                                     server_options how = {}) {
  auto made = server::listen(on, std::move(how), std::move(take));
  if (!made)
    FAIL(to_string(made.error()));
  return std::move(*made);
}

inline std::unique_ptr<client> client_for(net::loop& on, std::uint16_t port,
                                          client_options how = {}) {
  origin to;
  to.host = "127.0.0.1";
  to.port = port;
  auto made = client::make(on, std::move(to), std::move(how));
  if (!made)
    FAIL(to_string(made.error()));
  return std::move(*made);
}

/// `METHOD target body`, back to the caller.
inline void echo(request&& what, const responder& answer) {
  answer(text(what.method + " " + what.target + " " + what.body));
}

/// The bytes of a `200` with this body.
inline std::string ok_answer(std::string_view body) {
  return "HTTP/1.1 200 OK\r\nContent-Length: " + std::to_string(body.size()) +
         "\r\n\r\n" + std::string{body};
}

/// Statuses that were given to on_reject.
class reject_log {
 public:
  std::function<void(unsigned)> hook() {
    return [this](unsigned status) {
      const std::lock_guard lock{mutex_};
      seen_.push_back(status);
    };
  }
  std::vector<unsigned> seen() const {
    const std::lock_guard lock{mutex_};
    return seen_;
  }

 private:
  mutable std::mutex mutex_;
  std::vector<unsigned> seen_;
};

}  // namespace troupe::http::testing
