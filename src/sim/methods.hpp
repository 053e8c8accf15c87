#pragma once

#include <cstdint>
#include <string_view>

namespace troupe::sim {

/// How the simulator carries a method out.
enum class method_kind : std::uint8_t {
  send,          ///< makes a message, under the limits
  album,         ///< makes several
  edit,          ///< changes a message, under the same limits
  remove,        ///< deleteMessage
  answer_query,  ///< answerCallbackQuery: no limit
  who_am_i,      ///< getMe
  get_updates,
  set_webhook,
  delete_webhook,
  webhook_info,
  nod,  ///< answered `true`, nothing more
};

struct method {
  std::string_view name;  ///< as documented
  method_kind kind = method_kind::nod;
  /// The parameter that holds what the user reads, and its most code points.
  std::string_view text_param;
  std::uint32_t text_limit = 0;

  bool is_send() const noexcept {
    return kind == method_kind::send || kind == method_kind::album ||
           kind == method_kind::edit;
  }
};

/// The method of that name in any case, or null: 404.
const method* find_method(std::string_view name);

/// A parameter of a send or edit that must be there beside the text.
/// ASCII lower case: the Bot API takes method names in any.
std::string lowered(std::string_view text);

std::string_view required_of(const method& m) noexcept;

}  // namespace troupe::sim
