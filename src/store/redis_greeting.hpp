#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/result.hpp"
#include "store/redis_reply.hpp"

namespace troupe::store::redis {

/// The first words on a connection, all in one flight: who we are, which
/// database, and whether the server is one to talk to. Sans I/O.
class greeting {
 public:
  struct terms {
    std::string user;
    std::optional<std::string> password;
    std::string name;  ///< what CLIENT LIST shows of us
    unsigned db = 0;
    /// Any role will do: for questions to Sentinels and cluster nodes.
    bool any_role = false;
    /// One command more; its answer is the greeting's.
    std::vector<std::string> question;
  };
  /// Why it failed.
  struct failure {
    std::string why;
    bool lasting = false;  ///< trying again will not help
  };
  enum class status : std::uint8_t { more, done, failed };

  explicit greeting(terms what);

  /// What to send. **Note**: it holds the password.
  std::string bytes() const;
  status feed(std::string_view bytes);
  /// Of a failed greeting. Never holds the password, whatever the server says.
  const failure& reason() const noexcept { return failure_; }
  /// To the question.
  reply& answer() noexcept { return answer_; }

 private:
  enum class step : std::uint8_t { login, name, db, role, ping, question };

  bool take(step which, reply&& got);
  bool take_role(const reply& got);
  bool take_ping(const reply& got);
  bool refuse(const std::string& what, const std::string& text);

  terms what_;
  std::vector<step> steps_;
  std::size_t at_ = 0;
  reply_reader reader_;
  reply answer_;
  failure failure_;
};

}  // namespace troupe::store::redis
