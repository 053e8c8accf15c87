#include "app/dashboard.hpp"

#include "app/dashboard_files.hpp"

namespace troupe::app {
namespace {

struct page_file {
  std::string_view path;
  std::string_view type;
  const std::string_view& text;
};

constexpr page_file page_files[] = {
    {"/", "text/html; charset=utf-8", dashboard::index_html},
    {"/dashboard/page.css", "text/css; charset=utf-8", dashboard::page_css},
    {"/dashboard/page.js", "text/javascript; charset=utf-8",
     dashboard::page_js},
    {"/dashboard/charts.js", "text/javascript; charset=utf-8",
     dashboard::charts_js},
    {"/dashboard/letters.js", "text/javascript; charset=utf-8",
     dashboard::letters_js},
    {"/dashboard/feed.js", "text/javascript; charset=utf-8",
     dashboard::feed_js},
};

/// Nothing but our own files and our own origin. Trusted types: what comes from
/// chats can't become markup even if a line of ours wanted it to.
constexpr const char* page_policy =
    "default-src 'none'; script-src 'self'; style-src 'self'; "
    "connect-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'; require-trusted-types-for 'script'";

}  // namespace

std::optional<http::response> dashboard_file(std::string_view path) {
  for (const page_file& one : page_files) {
    if (one.path != path)
      continue;
    http::response page;
    page.type = one.type;
    page.body = one.text;
    page.headers.add("Content-Security-Policy", page_policy);
    page.headers.add("Referrer-Policy", "no-referrer");
    page.headers.add("Cross-Origin-Opener-Policy", "same-origin");
    return page;
  }
  return std::nullopt;
}

}  // namespace troupe::app
