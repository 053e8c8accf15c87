#include "sim/event_log.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstring>
#include <utility>

namespace troupe::sim {

namespace {

constexpr std::size_t most_waiting = 64 << 20;
constexpr std::chrono::milliseconds period{100};

}  // namespace

result<std::unique_ptr<event_log>> event_log::open(const std::string& path) {
  auto file =
      ::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
  if (file < 0)
    return error{errc::unavailable,
                 "can't write the log " + path + ": " + std::strerror(errno)};
  return std::unique_ptr<event_log>{new event_log{file}};
}

event_log::event_log(int file) : file_{file} {
  buffer_.reserve(1 << 20);
  writer_ = std::thread{[this] { run(); }};
}

event_log::~event_log() {
  {
    std::lock_guard hold{mutex_};
    stop_ = true;
  }
  changed_.notify_all();
  writer_.join();
  ::close(file_);
}

void event_log::append(std::string_view line) {
  std::unique_lock hold{mutex_};
  if (buffer_.size() >= most_waiting) {
    hurry_ = true;
    changed_.notify_all();
    changed_.wait(hold, [this] { return buffer_.size() < most_waiting; });
  }
  buffer_ += line;
  appended_ += line.size();
}

void event_log::flush() {
  std::unique_lock hold{mutex_};
  auto target = appended_;
  hurry_ = true;
  changed_.notify_all();
  changed_.wait(hold, [&] { return written_ >= target; });
}

std::string event_log::trouble() const {
  std::lock_guard hold{mutex_};
  return trouble_;
}

void event_log::run() {
  std::string out;
  out.reserve(1 << 20);
  std::unique_lock hold{mutex_};
  while (true) {
    changed_.wait_for(hold, period, [this] { return hurry_ || stop_; });
    hurry_ = false;
    out.clear();
    std::swap(out, buffer_);
    bool last = stop_;
    hold.unlock();
    write_out(out);
    hold.lock();
    written_ += out.size();
    changed_.notify_all();
    if (last && buffer_.empty())
      return;
  }
}

void event_log::write_out(const std::string& data) {
  for (std::size_t done = 0; done < data.size();) {
    auto n = ::write(file_, data.data() + done, data.size() - done);
    if (n >= 0) {
      done += static_cast<std::size_t>(n);
      continue;
    }
    if (errno == EINTR)
      continue;
    std::lock_guard hold{mutex_};
    if (trouble_.empty())
      trouble_ = std::string{"the log is incomplete: "} + std::strerror(errno);
    return;
  }
}

}  // namespace troupe::sim
