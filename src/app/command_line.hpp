#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "core/result.hpp"

namespace troupe::app {

/// What every command ends with.
enum exit_code : int {
  exit_ok = 0,
  exit_failed = 1,
  exit_usage = 2,
  exit_config = 78,  ///< EX_CONFIG of sysexits.h
};

enum class command : std::uint8_t {
  run,
  check,
  webhook_set,
  webhook_info,
  webhook_delete,
  letters_list,
  letters_show,
  letters_retry,
  letters_drop,
  broadcast_start,
  broadcast_list,
  broadcast_show,
  broadcast_pause,
  broadcast_resume,
  broadcast_cancel,
  audience_count,
  audience_export,
  audience_tag,
  forget,
  stats,
  cluster_status,
  cluster_drain,
  reload,
  help,
  version,
};

/// A command line, taken apart.
struct invocation {
  command what = command::run;
  bool json = false;
  std::map<std::string, std::string> flags;  ///< by key name
  std::optional<std::string> config;
  bool print_config = false;       ///< check
  bool drop_pending = false;       ///< webhook set, delete
  std::string url;                 ///< webhook set
  std::vector<std::uint64_t> ids;  ///< dead-letters, broadcast
  bool all = false;                ///< dead-letters retry, drop
  std::uint64_t after = 0;         ///< dead-letters list
  std::uint64_t limit = 100;       ///< dead-letters list
  std::string node;                ///< cluster drain
  bool wait = false;               ///< cluster drain
  // broadcast start; `follow` also of show
  std::string text, file, name, at, request;
  std::string audience;  ///< also of audience count, export and tag
  std::uint64_t rate = 0;
  bool dry_run = false;  ///< also of forget
  bool repeat = false;
  bool follow = false;
  bool csv = false;      ///< audience export, the default
  bool add_tag = false;  ///< audience tag
  std::string tag;       ///< audience tag
  /// stats chat KEY (empty: the whole node), forget, audience tag
  std::string chat;
};

/// Reads the arguments after the program's name.
/// **Errors**: `errc::bad_input`: wrong usage; the text is for a person and
/// repeats nothing that looks like a token.
result<invocation> parse_command_line(const std::vector<std::string>& args);

/// What `--help` prints.
std::string help_text(const std::string& program);

}  // namespace troupe::app
