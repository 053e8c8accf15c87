#pragma once

#include <caf/event_based_actor.hpp>

#ifdef __SANITIZE_THREAD__
#include <sanitizer/tsan_interface.h>
#endif

namespace troupe::actors {

/// What every actor here derives from.
///
/// Debian's libcaf_core is built without ThreadSanitizer, so the atomics by
/// which it hands messages from thread to thread, and actors from worker to
/// worker, are invisible to it: every message would be a race. Under TSan this
/// tells it what CAF guarantees: what happened before an `enqueue` happened
/// before that message is consumed, and an actor runs on one thread at a time.
class actor_base : public caf::event_based_actor {
 public:
  explicit actor_base(caf::actor_config& config)
      : caf::event_based_actor{config} {}

#ifdef __SANITIZE_THREAD__
  using caf::event_based_actor::enqueue;
  void enqueue(caf::mailbox_element_ptr what,
               caf::execution_unit* on) override {
    __tsan_release(what.get());
    __tsan_release(this);
    caf::event_based_actor::enqueue(std::move(what), on);
  }
  void launch(caf::execution_unit* on, bool lazy, bool hide) override {
    __tsan_release(this);
    caf::event_based_actor::launch(on, lazy, hide);
  }
  void initialize() override {
    caf::event_based_actor::initialize();
    __tsan_release(this);
  }
  resume_result resume(caf::execution_unit* on, size_t most) override {
    __tsan_acquire(this);
    auto result = caf::event_based_actor::resume(on, most);
    __tsan_release(this);
    return result;
  }
  caf::invoke_message_result consume(caf::mailbox_element& what) override {
    __tsan_acquire(&what);
    auto result = caf::event_based_actor::consume(what);
    __tsan_release(this);  // another worker may go on before `resume` returns
    return result;
  }
  void on_destroy() override {
    __tsan_acquire(this);
    caf::event_based_actor::on_destroy();
  }
#endif
};

}  // namespace troupe::actors
