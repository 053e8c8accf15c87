// Requests per second and CPU time per request of each side: a server and a
// client, each on its own thread, 500-byte POSTs over loopback.

#include <benchmark/benchmark.h>
#include <ctime>

#include <cstdint>
#include <cstdlib>
#include <functional>
#include <future>
#include <memory>
#include <string>
#include <thread>

#include "http/client.hpp"
#include "http/server.hpp"
#include "net/loop.hpp"

namespace {

using namespace troupe;
using namespace troupe::http;
using namespace std::chrono_literals;

/// CPU time that the thread of `of` has used, in nanoseconds.
std::int64_t cpu_of(net::loop& of) {
  std::promise<std::int64_t> done;
  of.post([&] {
    timespec t{};
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    done.set_value(t.tv_sec * 1'000'000'000 + t.tv_nsec);
  });
  return done.get_future().get();
}

template <class T>
auto must(T made) {
  if (!made)
    std::abort();
  return std::move(*made);
}

/// `calls` calls, `width` of them at once.
class batch {
 public:
  batch(client& by, int calls, int width) : by_{by}, left_{calls} {
    running_ = width;
    for (int i = 0; i < width; ++i)
      next();
  }
  std::int64_t wait() {
    done_.get_future().wait();
    return failed_;
  }

 private:
  void next() {
    request what;
    what.method = "POST";
    what.target = "/webhook";
    what.headers.add("Content-Type", "application/json");
    what.body.assign(500, 'x');
    by_.send(std::move(what), 30s, [this](auto got) {
      if (!got)
        ++failed_;
      if (--left_ >= running_)
        return next();
      if (--running_ == 0)
        done_.set_value();
    });
  }

  client& by_;
  std::int64_t left_, running_ = 0, failed_ = 0;
  std::promise<void> done_;
};

enum class answering { inline_, other_thread };

void http_post(benchmark::State& state, answering how) {
  const auto width = static_cast<int>(state.range(0));
  constexpr int calls = 20'000;
  net::loop there, here, worker;
  auto server =
      must(server::listen(there, {}, [&](request&& what, responder answer) {
        benchmark::DoNotOptimize(what.body.data());
        response ok;
        ok.body = R"({"ok":true})";
        if (how == answering::inline_)
          return answer(std::move(ok));
        worker.post(
            [answer = std::move(answer), ok = std::move(ok)] { answer(ok); });
      }));
  origin to;
  to.host = "127.0.0.1";
  to.port = server->port();
  client_options options;
  options.max_connections = static_cast<std::size_t>(width);
  auto client = must(client::make(here, to, options));
  batch{*client, width * 10, width}.wait();

  std::int64_t failed = 0;
  const auto server_before = cpu_of(there), client_before = cpu_of(here);
  for ([[maybe_unused]] auto _ : state)
    failed += batch{*client, calls, width}.wait();
  const auto total = static_cast<double>(state.iterations()) * calls;
  state.counters["requests_per_s"] =
      benchmark::Counter{total, benchmark::Counter::kIsRate};
  state.counters["server_ns"] =
      static_cast<double>(cpu_of(there) - server_before) / total;
  state.counters["client_ns"] =
      static_cast<double>(cpu_of(here) - client_before) / total;
  state.counters["failed"] = static_cast<double>(failed);
  client->close();
  server->close();
}

BENCHMARK_CAPTURE(http_post, answered_at_once, answering::inline_)
    ->Arg(1)
    ->Arg(64)
    ->UseRealTime()
    ->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(http_post, answered_by_another_thread,
                  answering::other_thread)
    ->Arg(1)
    ->Arg(64)
    ->UseRealTime()
    ->Unit(benchmark::kMillisecond);

}  // namespace

BENCHMARK_MAIN();
