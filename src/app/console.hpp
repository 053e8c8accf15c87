#pragma once

#include <algorithm>
#include <ostream>
#include <string>
#include <string_view>
#include <utility>

#include "app/settings.hpp"
#include "core/log.hpp"

namespace troupe::app {

/// Where a command's words go: data to stdout, talk to stderr. Nothing leaves
/// without its secrets masked.
class console {
 public:
  console(std::ostream& out, std::ostream& err, std::string program)
      : out_{out}, err_{err}, program_{std::move(program)} {}

  /// One piece of the answer; a newline is put behind it.
  void data(std::string text) {
    out_ << scrub(log::redact(std::move(text))) << '\n' << std::flush;
  }
  /// A remark or an error, every line with the program's name before it.
  void say(std::string text) {
    std::string clean = scrub(log::redact(std::move(text)));
    for (std::size_t at = 0; at <= clean.size();) {
      const std::size_t end = std::min(clean.find('\n', at), clean.size());
      err_ << program_ << ": " << clean.substr(at, end - at) << '\n';
      at = end + 1;
    }
    err_ << std::flush;
  }
  const std::string& program() const noexcept { return program_; }

 private:
  std::ostream& out_;
  std::ostream& err_;
  std::string program_;
};

}  // namespace troupe::app
