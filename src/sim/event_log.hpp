#pragma once

#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>

#include "core/result.hpp"

namespace troupe::sim {

/// The simulator's log: one JSON object per line, gathered in memory and
/// written every 100 ms by a thread of its own, so that the disk does not
/// slow down what is measured.
/// **Threads**: any. **Cost**: a copy of the line. If the disk can't keep up,
/// 64 MiB wait at most, then `append` waits.
class event_log {
 public:
  /// **Errors**: `errc::unavailable` if the file can't be made.
  static result<std::unique_ptr<event_log>> open(const std::string& path);
  ~event_log();
  event_log(const event_log&) = delete;
  event_log& operator=(const event_log&) = delete;

  /// Appends a line, which must end with a newline.
  void append(std::string_view line);
  /// Returns once everything is with the operating system.
  void flush();
  /// Why the log is incomplete, if it is: the disk is full, say.
  std::string trouble() const;

 private:
  explicit event_log(int file);
  void run();
  void write_out(const std::string& data);

  int file_;
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::string buffer_;
  std::uint64_t appended_ = 0;
  std::uint64_t written_ = 0;
  bool hurry_ = false;
  bool stop_ = false;
  std::string trouble_;
  std::thread writer_;
};

}  // namespace troupe::sim
