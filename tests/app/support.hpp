#pragma once

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <memory>
#include <sstream>
#include <stdexcept>
#include <string>
#include <vector>

#include "app/program.hpp"

namespace troupe::app::test {

/// A fresh folder, removed at the end.
class temporary_folder {
 public:
  temporary_folder() {
    std::string name =
        (std::filesystem::temp_directory_path() / "troupe-app-XXXXXX").string();
    if (::mkdtemp(name.data()) == nullptr) {
      throw std::runtime_error{"mkdtemp failed"};
    }
    path_ = name;
  }
  ~temporary_folder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  temporary_folder(const temporary_folder&) = delete;
  temporary_folder& operator=(const temporary_folder&) = delete;

  std::string operator/(const std::string& name) const {
    return (path_ / name).string();
  }
  std::string write(const std::string& name, const std::string& text) const {
    std::ofstream{path_ / name} << text;
    return *this / name;
  }

 private:
  std::filesystem::path path_;
};

inline std::string read_file(const std::string& name) {
  std::ifstream in{name};
  std::ostringstream out;
  out << in.rdbuf();
  return out.str();
}

/// How a program ended and what it said.
struct ending {
  int code = -1;
  std::string out;
  std::string err;
};

inline bool has(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

/// Runs a bot's program in this process.
inline ending run_bot(std::vector<std::string> args,
                      std::map<std::string, std::string> environment,
                      std::shared_ptr<const detail::bot_base> bot = nullptr) {
  std::ostringstream out;
  std::ostringstream err;
  ending how;
  how.code = run_program(surroundings{"shopbot", std::move(args),
                                      std::move(environment), out, err},
                         std::move(bot));
  how.out = out.str();
  how.err = err.str();
  return how;
}

}  // namespace troupe::app::test
