#include "app/stats_server.hpp"

#include <utility>

namespace troupe::app {

result<std::unique_ptr<stats_server>> stats_server::listen(
    net::loop& on, http::server_options where, pages_options how,
    store::backend& store, metrics::registry& from) {
  std::unique_ptr<stats_server> out{new stats_server};
  out->pages_ = std::make_shared<stats_pages>(
      std::move(how), store, from,
      [&on](milliseconds delay, std::function<void()> fn) {
        on.after(delay, std::move(fn));
      });
  auto server = http::server::listen(
      on, std::move(where),
      [pages = out->pages_](http::request&& what, http::responder answer) {
        pages->take(
            what, [answer](http::response page) { answer(std::move(page)); },
            [answer](http::response head) {
              answer.start_stream(std::move(head));
              return stats_pages::listener{
                  [answer](std::string event) {
                    return answer.send_chunk(std::move(event));
                  },
                  [answer] { answer.end_stream(); }};
            });
      });
  if (!server)
    return server.error();
  out->server_ = std::move(*server);
  return out;
}

}  // namespace troupe::app
