#include "app/top/terminal.hpp"

#include <poll.h>
#include <pthread.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdint>
#include <cstdlib>
#include <string_view>

namespace troupe::app::top {
namespace {

// A screen of its own, no cursor, and no line that runs on into the next.
constexpr std::string_view screen_on = "\x1b[?1049h\x1b[?25l\x1b[?7l";
constexpr std::string_view screen_off = "\x1b[?7h\x1b[?25h\x1b[?1049l";

/// Of the environment, what a person set; empty counts as unset.
std::string_view environment(const char* name) {
  const char* const value = std::getenv(name);
  return value == nullptr ? "" : value;
}

bool speaks_utf8() {
  for (const char* name : {"LC_ALL", "LC_CTYPE", "LANG"}) {
    const auto value = environment(name);
    if (!value.empty())
      return value.find("UTF-8") != value.npos ||
             value.find("utf8") != value.npos;
  }
  return false;
}

}  // namespace

terminal::terminal(bool once) {
  sigset_t set;
  ::sigemptyset(&set);
  for (const int one : {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGWINCH})
    ::sigaddset(&set, one);
  ::pthread_sigmask(SIG_BLOCK, &set, &mask_before_);
  std::signal(SIGPIPE, SIG_IGN);
  signals_ = ::signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
  wakes_ = ::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  const auto kind = environment("TERM");
  const bool able =
      ::isatty(STDOUT_FILENO) == 1 && !kind.empty() && kind != "dumb";
  colour_ = able && environment("NO_COLOR").empty();
  screen_ = able && !once;
  if (!screen_)
    return;
  if (::isatty(STDIN_FILENO) == 1 && ::tcgetattr(STDIN_FILENO, &before_) == 0) {
    termios raw = before_;
    raw.c_lflag &= ~tcflag_t(ICANON | ECHO);
    // A stopped job would leave its screen to the shell.
    raw.c_cc[VSUSP] = _POSIX_VDISABLE;
    keys_ = ::tcsetattr(STDIN_FILENO, TCSANOW, &raw) == 0;
  }
  write_all(std::string{screen_on});
}

terminal::~terminal() {
  if (screen_)
    write_all(std::string{screen_off});
  if (keys_)
    ::tcsetattr(STDIN_FILENO, TCSANOW, &before_);
  // A signal that came meanwhile was the wish to end, which we do.
  signalfd_siginfo seen{};
  while (signals_ >= 0 && ::read(signals_, &seen, sizeof seen) > 0) {
  }
  for (const int fd : {signals_, wakes_})
    if (fd >= 0)
      ::close(fd);
  ::pthread_sigmask(SIG_SETMASK, &mask_before_, nullptr);
}

look terminal::size() const {
  look out;
  out.unicode = speaks_utf8();
  out.colour = colour_;
  winsize is{};
  if (::ioctl(STDOUT_FILENO, TIOCGWINSZ, &is) == 0 && is.ws_col > 0 &&
      is.ws_row > 0) {
    out.columns = is.ws_col;
    out.rows = is.ws_row;
  } else {
    const int columns = std::atoi(std::string{environment("COLUMNS")}.c_str());
    if (columns >= 20 && columns <= 1'000)
      out.columns = std::size_t(columns);
    out.rows = 24;
  }
  if (!screen_)
    out.rows = 0;
  return out;
}

bool terminal::draw(const std::vector<std::string>& lines) {
  std::string out;
  if (screen_) {
    // Written over, not cleared first: a cleared screen flickers.
    out = "\x1b[H";
    for (std::size_t i = 0; i < lines.size(); ++i)
      out += (i > 0 ? "\r\n" : "") + lines[i] + "\x1b[K";
    out += "\x1b[J";
  } else {
    if (!first_)
      out += '\n';
    for (const auto& line : lines)
      out += line + '\n';
  }
  first_ = false;
  return write_all(out);
}

bool terminal::write_all(const std::string& text) const {
  for (std::size_t sent = 0; sent < text.size();) {
    const auto n =
        ::write(STDOUT_FILENO, text.data() + sent, text.size() - sent);
    if (n < 0 && errno == EINTR)
      continue;
    if (n <= 0)
      return false;
    sent += std::size_t(n);
  }
  return true;
}

terminal::news terminal::wait(milliseconds at_most) {
  std::array<pollfd, 3> all{{{signals_, POLLIN, 0},
                             {wakes_, POLLIN, 0},
                             {keys_ ? STDIN_FILENO : -1, POLLIN, 0}}};
  const auto limit = std::max<std::int64_t>(0, at_most.count());
  if (::poll(all.data(), all.size(), int(limit)) <= 0)
    return news::nothing;
  signalfd_siginfo what{};
  if (::read(signals_, &what, sizeof what) == sizeof what)
    return what.ssi_signo == SIGWINCH ? news::resized : news::quit;
  if (all[2].revents != 0) {
    char key = 0;
    const auto n = ::read(STDIN_FILENO, &key, 1);
    // No more keys will come: the terminal is gone.
    return n <= 0 || key == 'q' || key == 'Q' || key == 4 ? news::quit
                                                          : news::woken;
  }
  std::uint64_t count = 0;
  return ::read(wakes_, &count, sizeof count) == sizeof count ? news::woken
                                                              : news::nothing;
}

void terminal::wake() {
  const std::uint64_t one = 1;
  // Full means that it was woken already.
  const auto written = ::write(wakes_, &one, sizeof one);
  static_cast<void>(written);
}

}  // namespace troupe::app::top
