#include "app/campaign_pages.hpp"

#include <charconv>
#include <utility>

namespace troupe::app {

void campaign_page(const http::request& what, node_view& node,
                   callback<std::string> done) {
  std::string_view path = what.path();
  path.remove_prefix(campaigns_path.size());
  const bool posted = what.method == "POST";
  if (!posted && what.method != "GET")
    return done(error{errc::bad_input, "use GET or POST"});
  if (path.empty()) {
    if (posted)
      return node.start_campaign(what.body, std::move(done));
    return node.campaigns(0, std::move(done));
  }
  std::int64_t id = 0;
  path.remove_prefix(1);
  const char* const end = path.data() + path.size();
  const auto [stop, bad] = std::from_chars(path.data(), end, id);
  const std::string_view rest =
      path.substr(static_cast<std::size_t>(stop - path.data()));
  if (bad != std::errc{} || id < 1 || (!rest.empty() && rest[0] != '/'))
    return done(error{errc::not_found, "no such campaign"});
  if (rest.empty() && !posted)
    return node.campaigns(id, std::move(done));
  if (rest.empty() || !posted)
    return done(error{errc::bad_input,
                      "POST to /pause, /resume or /cancel of the campaign"});
  node.steer_campaign(id, std::string{rest.substr(1)}, std::move(done));
}

}  // namespace troupe::app
