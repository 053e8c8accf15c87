#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <vector>

#include "core/callback.hpp"
#include "core/clock.hpp"
#include "core/result.hpp"
#include "net/loop.hpp"
#include "store/redis_command.hpp"
#include "store/redis_figures.hpp"
#include "store/redis_reply.hpp"
#include "store/redis_url.hpp"

namespace troupe::store::redis {

struct client_options {
  /// For `open`. A URL's `timeout_ms` replaces this one and the next.
  milliseconds connect_timeout{5000};
  /// For commands whose `how` names none.
  milliseconds command_timeout{5000};
  /// For one attempt at a connection, from its name to its first answer.
  milliseconds attempt_timeout{3000};
  /// A server that owes an overdue answer and says nothing for so long is given
  /// up; TCP gives up a peer that acknowledges nothing for three times as long.
  milliseconds patience{1000};
  /// What writes is answered once so many replicas have it; 0: at once. A
  /// primary's `WAIT` is shared by all commands that leave together.
  unsigned wait_replicas = 0;
  milliseconds wait_timeout{1000};
  /// Taught to every server at once when one of them is wanted. (Others are
  /// taught when they are first wanted, which waits for those on their way.)
  std::vector<script> scripts = {};
  /// An answer that is larger ends its connection.
  std::size_t most_answer_bytes = 256 * 1024 * 1024;
  std::string name = "troupe";  ///< in CLIENT LIST
};

/// A Redis, whatever it consists of: one server, a primary that Sentinels watch
/// over, or a Redis Cluster. One connection per primary carries everything,
/// pipelined; it is made again by itself when it is lost.
///
/// **Threads**: any may call. Callbacks run one at a time on a thread of the
/// loop, or, once it is closed, on the caller's.
/// **Lifetime**: the loop outlives it.
///
/// **Order**: what one thread asks for with the same route is sent in that
/// order, also when it is sent again: after NOSCRIPT, after a lost connection,
/// to a slot's new place. (Not while the keys of one slot are halfway from one
/// node to another, nor across what was given up; and plain commands do not
/// wait for a script that the server forgot while it was on its way.)
///
/// **Errors** of a command:
/// - `unavailable`: nothing was done. No connection in time, or the server
///   refused (OOM, MISCONF, NOPERM, NOREPLICAS...).
/// - `unknown_outcome`: it was written, at least in part, and there was no
///   answer before its time was over or the connection lost; or too few
///   replicas confirmed it. A repeatable command is sent again first.
/// - `cancelled`: the client was closed. It may have been done.
/// - `internal`: the script failed, or the command is wrong; the text is the
///   server's after `host:port: `. `corrupt` for WRONGTYPE.
/// - `incompatible`: the server is a node of a Redis Cluster, the URL is not.
///
/// No text holds a password. **Limits**: an answer nests at most seven lists.
/// What waits is not bounded here: the caller bounds what it asks for.
class client {
 public:
  /// Connects to every primary. Blocks until that is done, or until it is clear
  /// that it can't be done, or is not done within `connect_timeout`.
  /// **Errors**: `bad_input` for a TLS file that can't be used; `unavailable`
  /// with what the server, the network or DNS said last.
  static result<std::unique_ptr<client>> open(target where,
                                              client_options options,
                                              net::loop& on);

  /// Closes. Not from a callback.
  ~client();
  client(const client&) = delete;
  client& operator=(const client&) = delete;

  /// Runs a script (EVALSHA; the text goes along when the server may not know
  /// it: EVAL if there is only one script, else MULTI and SCRIPT LOAD). Each is
  /// remembered for good: make it once. The first key routes it, so there is at
  /// least one; in a cluster all of them must be of one slot.
  /// **Cost**: one copy of each argument into the output buffer.
  void eval(const script& code, std::vector<std::string> keys,
            std::vector<arg> args, how terms, async::callback<reply> done);

  /// Runs a plain command. `route` is the key that routes it.
  void run(std::string_view route, std::vector<std::string> words, how terms,
           async::callback<reply> done);

  /// Runs a plain command on every primary. The answer has one reply of each,
  /// in no particular order, or the first error.
  void run_on_all(std::vector<std::string> words, how terms,
                  async::callback<std::vector<reply>> done);

  /// The primaries right now. More than one in a cluster only.
  std::size_t parts() const noexcept;
  /// Its commands wait for replicas (`client_options::wait_replicas`).
  bool waits() const noexcept;
  figures now() const noexcept;
  /// The target without its secrets, for people.
  const std::string& where() const noexcept;

  /// Ends everything: what has no answer gets `errc::cancelled`, and so does
  /// all that comes later. Blocks until no callback runs any more; idempotent.
  /// From a callback it does not block, and takes effect soon.
  void close();

 private:
  struct impl;
  explicit client(std::shared_ptr<impl> p);

  std::shared_ptr<impl> impl_;
};

}  // namespace troupe::store::redis
