#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "http/server.hpp"
#include "net/loop.hpp"
#include "tests/support/catch.hpp"

namespace troupe::app::test {

/// A Bot API server that answers what it is told to, on loopback.
class fake_telegram {
 public:
  fake_telegram() {
    answer("getMe", 200,
           "{\"ok\":true,\"result\":{\"id\":5,\"is_bot\":true,"
           "\"first_name\":\"Shop\",\"username\":\"shopbot\"}}");
    answer("getWebhookInfo", 200,
           "{\"ok\":true,\"result\":{\"url\":\"\","
           "\"pending_update_count\":0}}");
    auto server = http::server::listen(
        loop_, {}, [this](http::request&& what, http::responder to) {
          to(take(std::move(what)));
        });
    REQUIRE(server.has_value());
    server_ = std::move(*server);
  }
  ~fake_telegram() { server_->close(); }

  std::uint16_t port() const { return server_->port(); }
  std::string root() const {
    return "http://127.0.0.1:" + std::to_string(port());
  }
  void answer(const std::string& method, unsigned status, std::string body) {
    const std::lock_guard lock{mutex_};
    answers_[method] = {status, std::move(body)};
  }
  /// The body of the latest call of a method; empty if there was none.
  std::string last(const std::string& method) const {
    const std::lock_guard lock{mutex_};
    const auto at = calls_.find(method);
    return at == calls_.end() ? std::string{} : at->second.back();
  }
  std::size_t count(const std::string& method) const {
    const std::lock_guard lock{mutex_};
    const auto at = calls_.find(method);
    return at == calls_.end() ? 0 : at->second.size();
  }

 private:
  http::response take(http::request&& what) {
    const std::string path{what.path()};
    const std::string method = path.substr(path.rfind('/') + 1);
    const std::lock_guard lock{mutex_};
    calls_[method].push_back(std::move(what.body));
    http::response out;
    out.body = "{\"ok\":true,\"result\":true}";
    if (const auto at = answers_.find(method); at != answers_.end()) {
      out.status = at->second.first;
      out.body = at->second.second;
    }
    return out;
  }

  mutable std::mutex mutex_;
  std::map<std::string, std::pair<unsigned, std::string>> answers_;
  std::map<std::string, std::vector<std::string>> calls_;
  net::loop loop_;
  std::unique_ptr<http::server> server_;
};

}  // namespace troupe::app::test
