#pragma once

#include <caf/behavior.hpp>

namespace troupe {

/// What a bot author returns: CAF's behaviour, a set of handlers chosen by
/// the type of the event. The one place where CAF shows in the public API.
using behavior = caf::behavior;

}  // namespace troupe
