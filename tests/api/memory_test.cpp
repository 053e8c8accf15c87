// What a living chat costs, by the allocator's own count.

#include <cstddef>
#include <iostream>
#include <memory>
#include <string>
#include <vector>

#include "examples/cart/cart.hpp"
#include "tests/support/catch.hpp"

#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define TROUPE_SANITIZED
#endif
#elif defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define TROUPE_SANITIZED
#endif

#ifdef TROUPE_SANITIZED
// Of sanitizer/allocator_interface.h, which g++ alone does not bring.
extern "C" std::size_t __sanitizer_get_current_allocated_bytes();
static std::size_t allocated() {
  return __sanitizer_get_current_allocated_bytes();
}
#else
#include <malloc.h>
static std::size_t allocated() {
  return mallinfo2().uordblks;
}
#endif

TEST_CASE("a living chat costs at most 1 KB beyond its state") {
  constexpr int chats = 1'000;
  auto shared = bot<cart>{shop}.share();
  detail::turn_event start;
  start.body = std::make_shared<const std::string>(
      R"({"update_id":5,"message":{"message_id":7,"date":1,"chat":{"id":42,)"
      R"("type":"private"},"text":"/start","entities":[{"type":)"
      R"("bot_command","offset":0,"length":6}]}})");
  std::vector<std::unique_ptr<detail::live_chat>> all;
  all.reserve(chats);
  // The first one fills caches and thread-local buffers.
  auto first = shared->spawn("1", 1);
  first->load("", "", "", 0);
  REQUIRE(first->run(start, {}).how == detail::turn_result::end::done);
  auto before = allocated();
  for (int i = 0; i < chats; ++i) {
    all.push_back(
        shared->spawn(std::to_string(1'000'000'000 + i), 1'000'000'000 + i));
    all.back()->load("", "", "", 0);
    all.back()->run(start, {});
  }
  auto each = (allocated() - before) / chats - sizeof(cart);
  std::cout << "a living cart: " << each << " bytes beyond its state\n";
  CHECK(each > 0);
  CHECK(each <= 1'024);
}
