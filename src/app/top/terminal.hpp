#pragma once

#include <termios.h>

#include <csignal>
#include <string>
#include <vector>

#include "app/top/frame.hpp"
#include "core/clock.hpp"

namespace troupe::app::top {

/// The terminal that a picture is drawn on again and again, and signals as
/// something to wait for. Made before any other thread; when it goes, the
/// terminal is as it was. Without a terminal it only waits.
/// **Threads**: one; `wake` any.
class terminal {
 public:
  enum class news { nothing, quit, resized, woken };

  /// @param once one picture, left standing, instead of a screen of its own
  explicit terminal(bool once);
  ~terminal();
  terminal(const terminal&) = delete;
  terminal& operator=(const terminal&) = delete;

  /// Without a screen there is no last row, and `draw` writes line by line.
  look size() const;
  /// False if nobody reads what is written any more.
  bool draw(const std::vector<std::string>& lines);
  /// Until a key (q), a signal, a `wake`, or the time is up.
  news wait(milliseconds at_most);
  void wake();

 private:
  bool write_all(const std::string& text) const;

  bool colour_ = false;
  bool screen_ = false;
  bool keys_ = false;
  termios before_{};
  sigset_t mask_before_{};
  int signals_ = -1;
  int wakes_ = -1;
  bool first_ = true;
};

}  // namespace troupe::app::top
