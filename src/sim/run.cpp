#include "sim/run.hpp"

#include <poll.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <string>

namespace troupe::sim {

namespace {

// SIGINT and SIGTERM as something to poll. Made before any thread starts, so
// that all of them have the signals blocked.
class signal_reader {
 public:
  signal_reader() {
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGTERM);
    pthread_sigmask(SIG_BLOCK, &set, &before_);
    pipe_before_ = std::signal(SIGPIPE, SIG_IGN);
    fd_ = ::signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
  }
  ~signal_reader() {
    // One that is still pending would end us once it is let through.
    signalfd_siginfo seen;
    while (fd_ >= 0 && ::read(fd_, &seen, sizeof seen) > 0) {
    }
    if (fd_ >= 0)
      ::close(fd_);
    std::signal(SIGPIPE, pipe_before_);
    pthread_sigmask(SIG_SETMASK, &before_, nullptr);
  }
  signal_reader(const signal_reader&) = delete;
  signal_reader& operator=(const signal_reader&) = delete;

  int fd() const noexcept { return fd_; }

 private:
  sigset_t before_{};
  void (*pipe_before_)(int) = SIG_DFL;
  int fd_ = -1;
};

void say(const std::string& line) {
  std::fputs((line + '\n').c_str(), stdout);
  std::fflush(stdout);
}

void say_done(phase p) {
  say(R"({"done":")" + std::string{to_string(p)} + R"("})");
}

bool is_over(phase p) {
  return p == phase::settled || p == phase::unsettled || p == phase::no_bot;
}

class progress_line {
 public:
  progress_line() : terminal_{::isatty(STDERR_FILENO) == 1} {}

  void show(const sim_state& s, double seconds) {
    char text[256];
    std::snprintf(text, sizeof text,
                  "%5.0f s  %-8s  updates %llu  delivered %llu  waiting %zu  "
                  "replies %llu (%.0f/s)  unanswered %llu  429 %llu",
                  seconds, std::string{to_string(s.now)}.c_str(),
                  ull(s.updates), ull(s.delivered), s.pending, ull(s.sent),
                  seconds > last_ ? static_cast<double>(s.sent - last_sent_) /
                                        (seconds - last_)
                                  : 0.0,
                  ull(s.unanswered), ull(s.refused_429));
    std::fprintf(stderr, terminal_ ? "\r\033[K%s" : "%s\n", text);
    std::fflush(stderr);
    last_sent_ = s.sent;
    last_ = seconds;
    open_ = terminal_;
  }

  void end() {
    if (open_)
      std::fputc('\n', stderr);
    open_ = false;
  }

 private:
  static unsigned long long ull(std::uint64_t n) { return n; }

  bool terminal_;
  bool open_ = false;
  std::uint64_t last_sent_ = 0;
  double last_ = 0;
};

// True if it said already how the users' part ended.
bool show_progress(simulator& sim, int signals) {
  bool said = false;
  progress_line line;
  auto start = std::chrono::steady_clock::now();
  auto next = start;
  while (true) {
    next += std::chrono::seconds{1};
    pollfd what[] = {{signals, POLLIN, 0}, {sim.done_fd(), POLLIN, 0}};
    while (true) {
      auto left = std::chrono::ceil<milliseconds>(
          next - std::chrono::steady_clock::now());
      if (left.count() <= 0)
        break;
      auto n = ::poll(what, 2, static_cast<int>(left.count()));
      if (n < 0 && errno != EINTR) {
        std::fprintf(stderr, "troupe sim: poll: %s\n", std::strerror(errno));
        return said;
      }
      if (n > 0) {
        line.end();
        return said;
      }
    }
    auto s = sim.state();
    if (!said && is_over(s.now)) {
      line.end();
      say_done(s.now);
      said = true;
    }
    if (s.now != phase::serving || s.calls > 0)
      line.show(s, std::chrono::duration<double>(next - start).count());
  }
}

}  // namespace

int run(sim_options how) {
  signal_reader signals;
  if (signals.fd() < 0) {
    std::fprintf(stderr, "troupe sim: signalfd: %s\n", std::strerror(errno));
    return 1;
  }
  auto host = how.host;
  auto started = simulator::start(std::move(how));
  if (!started) {
    std::fprintf(stderr, "troupe sim: %s\n", started.error().context.c_str());
    return started.error().code == errc::bad_input ? 2 : 1;
  }
  auto& sim = **started;
  auto shown = host.find(':') == std::string::npos ? host : '[' + host + ']';
  say(R"({"listening":")" + shown + ':' + std::to_string(sim.port()) + R"("})");
  bool said = show_progress(sim, signals.fd());
  auto last = sim.state();
  sim.stop();
  auto end = is_over(last.now) ? last.now : phase::stopped;
  if (!said)
    say_done(end);
  auto trouble = sim.log_trouble();
  if (!trouble.empty())
    std::fprintf(stderr, "troupe sim: %s\n", trouble.c_str());
  if (end == phase::no_bot)
    std::fprintf(stderr,
                 "troupe sim: no bot answered at the webhook or called "
                 "getUpdates in time (--wait)\n");
  return end == phase::no_bot || !trouble.empty() ? 1 : 0;
}

}  // namespace troupe::sim
