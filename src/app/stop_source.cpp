#include "app/stop_source.hpp"

#include <poll.h>
#include <pthread.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <cstdint>
#include <system_error>

namespace troupe::app {
namespace {

class signals final : public stop_source {
 public:
  signals() {
    ::sigemptyset(&set_);
    ::sigaddset(&set_, SIGTERM);
    ::sigaddset(&set_, SIGINT);
    ::sigaddset(&set_, SIGHUP);
    ::pthread_sigmask(SIG_BLOCK, &set_, &before_);
    signal_fd_ = ::signalfd(-1, &set_, SFD_CLOEXEC | SFD_NONBLOCK);
    event_fd_ = ::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    // A log pipe whose reader is gone must not end the bot.
    std::signal(SIGPIPE, SIG_IGN);
  }
  ~signals() override {
    if (signal_fd_ >= 0)
      ::close(signal_fd_);
    if (event_fd_ >= 0)
      ::close(event_fd_);
    ::pthread_sigmask(SIG_SETMASK, &before_, nullptr);
  }
  bool usable() const noexcept { return signal_fd_ >= 0 && event_fd_ >= 0; }

  news wait(milliseconds at_most) override {
    std::array<pollfd, 2> both{
        {{signal_fd_, POLLIN, 0}, {event_fd_, POLLIN, 0}}};
    if (::poll(both.data(), both.size(), static_cast<int>(at_most.count())) <=
        0) {
      return news::nothing;  // out of time, or EINTR: the caller asks again
    }
    signalfd_siginfo what{};
    if (::read(signal_fd_, &what, sizeof what) == sizeof what) {
      return what.ssi_signo == SIGHUP ? news::reload : news::signal;
    }
    std::uint64_t count = 0;
    if (::read(event_fd_, &count, sizeof count) == sizeof count) {
      return news::interrupted;
    }
    return news::nothing;
  }

  void interrupt() override {
    const std::uint64_t one = 1;
    // Full means that it was interrupted already.
    const auto written = ::write(event_fd_, &one, sizeof one);
    TROUPE_CHECK(written == sizeof one || errno == EAGAIN);
  }

 private:
  sigset_t set_{};
  sigset_t before_{};
  int signal_fd_ = -1;
  int event_fd_ = -1;
};

}  // namespace

result<std::unique_ptr<stop_source>> process_signals() {
  auto out = std::make_unique<signals>();
  if (!out->usable()) {
    return error{errc::unavailable,
                 "signalfd: " + std::generic_category().message(errno)};
  }
  return std::unique_ptr<stop_source>{std::move(out)};
}

}  // namespace troupe::app
