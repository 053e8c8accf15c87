#pragma once

#include <string_view>

/// Written by CMake from the files of `dashboard/`.
namespace troupe::app::dashboard {

extern const std::string_view index_html;
extern const std::string_view page_css;
extern const std::string_view page_js;
extern const std::string_view charts_js;
extern const std::string_view letters_js;
extern const std::string_view feed_js;

}  // namespace troupe::app::dashboard
