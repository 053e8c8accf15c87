#pragma once

#include <map>
#include <string>

#include "app/settings.hpp"
#include "tests/app/support.hpp"
#include "tests/support/catch.hpp"

namespace troupe::app::test {

inline const std::string good_token =
    "110201543:AAHdqTcvCH1vGWJxfSeofSAs0K5PALDsaw";

/// Why these settings do not load.
inline std::string complaint(const sources& from) {
  const auto got = load_settings(from);
  REQUIRE_FALSE(got.has_value());
  CHECK(got.error().code == errc::bad_input);
  return got.error().context;
}

inline std::string complaint_about_file(const std::string& text) {
  const temporary_folder folder;
  sources from;
  from.file = folder.write("t.toml", text);
  std::string out = complaint(from);
  // The folder's name differs from run to run.
  for (std::size_t at = out.find(from.file); at != std::string::npos;
       at = out.find(from.file)) {
    out.replace(at, from.file.size(), "t.toml");
  }
  return out;
}

inline sources with_environment(std::map<std::string, std::string> variables) {
  sources out;
  out.environment = std::move(variables);
  return out;
}

}  // namespace troupe::app::test
