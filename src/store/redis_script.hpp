#pragma once

#include "store/redis_command.hpp"

namespace troupe::store::redis {

/// The files redis/*.lua, joined, which CMake puts into the program.
const script& the_script();

}  // namespace troupe::store::redis
