#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "store/redis_link.hpp"

namespace troupe::store::redis {

/// Asks one server after the other the same question until one has an answer
/// that will do: Sentinels for the primary, cluster nodes for the slot map.
/// Each gets a connection of its own, closed after the answer.
/// **Threads**: its lane's.
class scout final : public std::enable_shared_from_this<scout>,
                    public link::owner {
 public:
  /// Looks at an answer. Empty: it will do; else why not.
  using inspector = std::function<std::string(reply& answer, const address&)>;
  /// How it ended: empty, or what all of them said. `lasting` if one refused
  /// for good (a wrong password, say) and none had an answer.
  using finish = std::function<void(const greeting::failure& why)>;

  scout(std::shared_ptr<net::lane> on, net::asio::ssl::context* tls,
        const link::limits& each);
  ~scout() { close(); }
  scout(const scout&) = delete;
  scout& operator=(const scout&) = delete;

  /// Asks `whom`, in that order. Neither function is called after `close`.
  void ask(std::vector<address> whom, greeting::terms how, inspector look,
           finish done);
  void close();
  /// Whom it waits for, and what for: for people.
  std::string standing() const { return link_ ? link_->standing() : ""; }

 private:
  void next();
  void said(const std::string& why, bool lasting);
  void link_opened(reply answer) override;
  void link_read(std::string_view) override {}
  void link_idle() override {}
  void link_lost(const greeting::failure& why) override;

  const std::shared_ptr<net::lane> on_;
  net::asio::ssl::context* const tls_;
  const link::limits limits_;
  std::vector<address> whom_;
  std::size_t at_ = 0;
  greeting::terms how_;
  inspector look_;
  finish done_;
  std::shared_ptr<link> link_;
  greeting::failure failure_;
};

}  // namespace troupe::store::redis
