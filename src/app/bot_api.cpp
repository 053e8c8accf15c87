#include "app/bot_api.hpp"

#include <ctime>
#include <future>
#include <utility>

#include "core/json.hpp"

namespace troupe::app {
namespace {

/// What setWebhook and its like say of a success.
std::string description_of(const std::string& body) {
  const auto parsed = parse_json(body);
  const json::object* in = parsed ? parsed->if_object() : nullptr;
  const json::value* text = in ? in->if_contains("description") : nullptr;
  if (text == nullptr || !text->is_string())
    return {};
  return std::string{text->get_string()};
}

}  // namespace

boost::system::result<http::response, http::failure> ask(http::client& through,
                                                         http::request what,
                                                         milliseconds timeout) {
  using answer = boost::system::result<http::response, http::failure>;
  auto slot = std::make_shared<std::promise<answer>>();
  auto coming = slot->get_future();
  through.send(std::move(what), timeout,
               [slot](answer got) { slot->set_value(std::move(got)); });
  // The client keeps its own time; this only guards against its defects.
  const auto patience = timeout + milliseconds{15'000};
  if (coming.wait_for(patience) != std::future_status::ready) {
    return http::failure{{errc::timed_out, "no answer in time"}, true};
  }
  return coming.get();
}

std::string api_reply::text() const {
  std::string out = std::to_string(answer.code);
  if (!answer.description.empty())
    out += ": " + answer.description;
  return out;
}

result<api_reply> bot_api::call(std::string_view method, std::string body,
                                milliseconds timeout,
                                std::string content_type) const {
  http::request what;
  what.method = "POST";
  what.target = "/bot" + token_ + '/' + std::string{method};
  what.headers.add("Content-Type", std::move(content_type));
  what.body = std::move(body);
  const auto got = ask(client_, std::move(what), timeout);
  if (!got)
    return got.error().what;
  api_reply out;
  out.answer = telegram::read_answer(got->status, got->body,
                                     got->headers.find("Retry-After"));
  if (out.answer.code == 0)
    out.answer.code = static_cast<int>(got->status);
  out.result = telegram::result_of(got->body);
  if (out.sent() && out.answer.description.empty()) {
    out.answer.description = description_of(got->body);
  }
  out.server_time = parse_http_date(got->headers.find("Date"));
  return out;
}

std::optional<wall_time> parse_http_date(std::string_view text) {
  const std::string copy{text};
  std::tm parts{};
  // %a and %b follow LC_TIME, which nobody sets: it is "C".
  const char* end =
      ::strptime(copy.c_str(), "%a, %d %b %Y %H:%M:%S GMT", &parts);
  if (end == nullptr || *end != '\0')
    return std::nullopt;
  return from_ms(std::int64_t{::timegm(&parts)} * 1000);
}

}  // namespace troupe::app
