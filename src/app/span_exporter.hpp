#pragma once

#include <condition_variable>
#include <deque>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "app/otlp.hpp"
#include "app/settings.hpp"
#include "core/metrics.hpp"
#include "http/client.hpp"
#include "net/loop.hpp"

namespace troupe::app {

struct exporter_options {
  http::origin to;
  std::vector<std::pair<std::string, std::string>> headers;
  otlp_resource resource;
  std::size_t most_waiting = 8192;  ///< spans; more are dropped
  std::size_t batch = 512;          ///< spans in one request
  milliseconds linger{1'000};       ///< a span waits for others, at most
  milliseconds timeout{10'000};     ///< of a request
  milliseconds retry_first{1'000};  ///< doubles up to `retry_most`, +-25 %
  milliseconds retry_most{30'000};
  milliseconds give_up{120'000};  ///< then a batch is dropped
};

/// What becomes of spans. On `/metrics` also while none are exported.
struct span_meters {
  explicit span_meters(metrics::registry& into);
  metrics::counter& exported;
  metrics::counter& full;         ///< no room: the collector is too slow
  metrics::counter& refused;      ///< by the collector, for good
  metrics::counter& unreachable;  ///< no answer, or "later", for too long
};

/// Takes spans and posts them to a collector (OTLP/HTTP, JSON), in batches, one
/// request at a time, on a thread of its own. Whatever the collector does,
/// who hands spans over only ever waits for a lock that is held for a move, and
/// no more than `most_waiting` and one batch are in memory.
class span_exporter final : public tracing::sink {
 public:
  static result<std::unique_ptr<span_exporter>> make(exporter_options how,
                                                     metrics::registry& into);
  ~span_exporter() override;

  void take(tracing::span what) noexcept override;

  /// The bot is called so, from the next batch on. **Threads**: any.
  void rename(std::string service);

  /// Sends what is left, each batch once, and gives up at `deadline`. Nothing
  /// is taken any more. Idempotent. **Threads**: one, not the exporter's own.
  void close(milliseconds deadline);

 private:
  span_exporter(exporter_options how, metrics::registry& into);
  void begin();
  void post();
  void ended(boost::system::result<http::response, http::failure> answer);
  void later(const std::string& why, milliseconds asked_for);
  void drop(metrics::counter& as, const std::string& why);
  void settle();
  milliseconds pause() const;

  const exporter_options how_;
  span_meters count_;
  std::mutex mutex_;
  std::condition_variable idle_;
  std::deque<tracing::span> waiting_;
  std::string service_;
  bool busy_ = false;     ///< a batch is taken out, or about to be
  bool closing_ = false;  ///< nothing is taken any more

  // Of the exporter's own thread.
  std::string body_;          ///< of the batch under way
  std::size_t in_batch_ = 0;  ///< its spans
  unsigned tries_ = 0;
  bool pausing_ = false;
  mono_time since_{};
  mono_time quiet_until_{};  ///< no line in the log before

  net::loop loop_;
  std::unique_ptr<http::client> client_;
};

/// The exporter that the settings ask for; null if they ask for none. Its
/// metrics are there in any case.
/// **Errors**: what `http::client::make` says.
result<std::unique_ptr<span_exporter>> exporter_of(const settings& from,
                                                   metrics::registry& into);

}  // namespace troupe::app
