#pragma once

#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/clock.hpp"
#include "core/result.hpp"
#include "store/postgres_wire.hpp"

namespace troupe::store::postgres {

/// One time limit from which the others come: for connecting to a host, and for
/// the answers of an exchange. The server gives a statement up after three
/// quarters of it, and a transaction whose client is silent after half.
struct link_options {
  milliseconds patience{5'000};
};

/// What a server's refusal means to a caller.
struct refusal {
  error why;
  std::string state;  ///< SQLSTATE
  /// Another transaction was in the way (a deadlock): all was taken back, and
  /// may be tried again as it was.
  bool again = false;

  /// It is the statement that was refused, not the client or the moment: others
  /// may get through. So is one that somebody else's lock held up.
  bool of_statement() const noexcept;
  /// The server is in trouble: the same statement works later.
  bool of_server() const noexcept;
};

/// One connection to PostgreSQL. Statements go in pipelines: many, and one
/// wait for all their answers.
///
/// **Threads**: one at a time. Every call ends within its time limit.
class link {
 public:
  /// Connects. Nothing of the URL is in an error but what libpq says of hosts.
  static result<std::unique_ptr<link>> open(const std::string& url,
                                            const link_options& how);

  /// Where the store's tables are, and how this session behaves; prepares
  /// every statement.
  result<> enter(const std::string& schema, const link_options& how);

  /// Runs one text of SQL without parameters, outside of pipelines: the rows
  /// of its last statement, in text form. For opening only.
  result<table> tell(const std::string& text);

  /// Sends all, in order, and collects the answers. After an error the others
  /// up to the next `sync` are not done. The answers end where the connection
  /// broke.
  struct answer {
    table rows;
    std::optional<refusal> failed;
  };
  std::vector<answer> exchange(std::vector<request> all);

  /// What the search path was before `enter`: the author's.
  const std::string& path() const noexcept { return path_; }

  /// Why it is of no use any more; nothing while it is.
  const std::optional<error>& broken() const noexcept { return broken_; }

  int version() const noexcept { return PQserverVersion(of_.get()); }

 private:
  struct closer {
    void operator()(PGconn* c) const { PQfinish(c); }
  };
  struct work;

  explicit link(PGconn* c, milliseconds patience)
      : of_{c}, patience_{patience} {}

  bool send(const request& r);
  void collect(work& w);
  bool wait(std::chrono::steady_clock::time_point end, bool& writing);
  void give_up(std::string why);
  error said(const PGresult* r) const;

  std::unique_ptr<PGconn, closer> of_;
  milliseconds patience_;
  std::optional<error> broken_;
  std::string path_;
  bool exchanging_ = false;
};

/// The `connect_timeout` of a URL is the time limit, if it has one. Nothing if
/// libpq can't read the URL.
std::optional<link_options> options_of(const std::string& url);

}  // namespace troupe::store::postgres
