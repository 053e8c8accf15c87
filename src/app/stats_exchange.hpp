#pragma once

#include <atomic>
#include <string>
#include <string_view>
#include <utility>

#include "app/stats_pages.hpp"
#include "core/json.hpp"
#include "core/log.hpp"

/// What the files behind `stats_pages` share.
namespace troupe::app {

http::response json_page(unsigned status, const json::value& body);
/// `{"error": text}`.
http::response refusal(unsigned status, std::string_view text);
http::response refusal(const error& e);

/// One request on its way to its one answer.
struct stats_pages::exchange {
  exchange(reply to, opener stream)
      : done{std::move(to)}, open{std::move(stream)} {}
  void answer(http::response page) {
    if (answered.exchange(true))
      return;
    page.headers.add("Cache-Control", "no-store");
    page.headers.add("X-Content-Type-Options", "nosniff");
    page.body = log::redact(std::move(page.body));
    done(std::move(page));
  }
  void answer(const result<std::string>& text) {
    if (!text)
      return answer(refusal(text.error()));
    http::response page;
    page.body = *text;
    answer(std::move(page));
  }
  void method_not_allowed(const char* allowed) {
    http::response page = refusal(405, std::string{"use "} + allowed);
    page.headers.add("Allow", allowed);
    answer(std::move(page));
  }

  reply done;
  opener open;
  std::atomic<bool> answered{false};
};

}  // namespace troupe::app
