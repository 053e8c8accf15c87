#pragma once

#include <functional>

#include "core/result.hpp"

namespace troupe {

/// Called once with the answer of an asynchronous operation, on a thread of
/// the callee's choice: it must not block and must not throw.
template <class T = void>
using callback = std::function<void(result<T>)>;

}  // namespace troupe
