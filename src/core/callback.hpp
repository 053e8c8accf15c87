#pragma once

#include <functional>

#include "core/result.hpp"

namespace troupe {

/// Not in `troupe` itself, where `callback` is the event of a pressed button;
/// each module that has asynchronous calls takes the name in below.
namespace async {

/// Called once with the answer of an asynchronous operation, on a thread of
/// the callee's choice: it must not block and must not throw.
template <class T = void>
using callback = std::function<void(result<T>)>;

}  // namespace async

namespace http {
using async::callback;
}
namespace store {
using async::callback;
}
namespace actors {
using async::callback;
}
namespace app {
using async::callback;
}

}  // namespace troupe
