#pragma once

#include <string>

#include "sim/verify.hpp"

namespace troupe::sim {

/// For people: a line per guarantee, then the figures.
std::string to_table(const verdict& v);
/// For programs: one flat object, snake_case keys; percentiles are objects.
std::string to_json(const verdict& v);

}  // namespace troupe::sim
