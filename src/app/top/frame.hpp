#pragma once

#include <string>
#include <vector>

#include "core/json.hpp"

namespace troupe::app::top {

/// What a frame is drawn for.
struct look {
  std::size_t columns = 80;
  std::size_t rows = 0;  ///< lines at most; 0: as many as there are
  bool colour = false;
  bool unicode = false;  ///< curves as blocks; else as characters of ASCII
};

/// How it stands with the node.
struct link_state {
  std::string url;
  std::string clock;    ///< the time of day of the figures
  std::string trouble;  ///< why they are old, or not there; empty: they are new
};

/// One picture of a node, line by line, each of at most so many columns. Pure:
/// the same figures give the same lines.
/// @param stats what `/stats` said; what is not in it is left out. Texts in it
///   are anybody's: what a terminal might obey is not passed on.
std::vector<std::string> frame(const json::object& stats, const link_state& how,
                               const look& of);

}  // namespace troupe::app::top
