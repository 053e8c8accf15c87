#pragma once

#include <initializer_list>
#include <string>
#include <string_view>
#include <vector>

namespace troupe {

/// One button under a message.
class button {
 public:
  /// A press arrives as a `callback` with `data`.
  /// **Errors**: std::invalid_argument if `text` is empty or `data` is not 1
  /// to 64 bytes (Telegram refuses those with BUTTON_DATA_INVALID).
  button(std::string text, std::string data);

  /// A button that opens a page instead.
  static button link(std::string text, std::string url);

  const std::string& text() const noexcept { return text_; }
  /// Empty for a link.
  const std::string& data() const noexcept { return data_; }
  /// Empty but for a link.
  const std::string& url() const noexcept { return url_; }

 private:
  button() = default;
  std::string text_;
  std::string data_;
  std::string url_;
};

/// An inline keyboard: rows of buttons.
///
/// ```cpp
/// ctx->reply("Sure?", buttons{{{"Yes", "yes"}, {"No", "no"}}});  // one row
/// ctx->reply("Which?", buttons{{{"A", "a"}}, {{"B", "b"}}});     // two rows
/// ```
class buttons {
 public:
  /// None: the message has no keyboard.
  buttons() = default;
  buttons(std::initializer_list<std::initializer_list<button>> rows);

  /// Adds a row at the bottom, for keyboards made at run time.
  buttons& row(std::vector<button> row);

  bool empty() const noexcept { return rows_.empty(); }
  const std::vector<std::vector<button>>& rows() const noexcept {
    return rows_;
  }
  /// Telegram's InlineKeyboardMarkup.
  std::string json() const;

 private:
  std::vector<std::vector<button>> rows_;
};

}  // namespace troupe
