#include "store/redis_command.hpp"

#include <array>
#include <charconv>

#include "net/crypto.hpp"

namespace troupe::store::redis {

namespace {

std::size_t next_script_number() {
  static std::atomic<std::size_t> last{0};
  return last.fetch_add(1, std::memory_order_relaxed);
}

void append_number(std::string& out, char mark, std::size_t n) {
  std::array<char, 24> text;
  text[0] = mark;
  auto* end =
      std::to_chars(text.data() + 1, text.data() + text.size() - 2, n).ptr;
  *end++ = '\r';
  *end++ = '\n';
  out.append(text.data(), static_cast<std::size_t>(end - text.data()));
}

void append_bulk(std::string& out, std::string_view text) {
  append_number(out, '$', text.size());
  out.append(text).append("\r\n");
}

}  // namespace

script::script(std::string text) {
  auto sha = net::sha1_hex(text);
  data_ = std::make_shared<const data>(
      data{std::move(text), std::move(sha), next_script_number()});
}

void script_shelf::add(const script& code) {
  if (added_.size() <= code.number()) {
    added_.resize(code.number() + 1);
    taught_.resize(code.number() + 1);
  }
  if (added_[code.number()])
    return;
  added_[code.number()] = true;
  all_.push_back(code);
}

unsigned script_shelf::append_lesson(std::string& out) {
  append_words(out, {"MULTI"});
  taught_ = added_;
  for (const auto& each : all_)
    append_words(out, {"SCRIPT", "LOAD", each.text()});
  append_words(out, {"EXEC"});
  return static_cast<unsigned>(all_.size()) + 2;
}

unsigned append_command(std::string& out, const command& what, bool as_text) {
  if (what.asking)
    out.append("*1\r\n$6\r\nASKING\r\n");
  if (!what.code) {
    append_words(out, what.words);
    return what.asking ? 1 : 0;
  }
  append_number(out, '*', 3 + what.words.size() + what.args.size());
  append_bulk(out, as_text ? "EVAL" : "EVALSHA");
  append_bulk(out, as_text ? what.code->text() : what.code->sha());
  append_bulk(out, std::to_string(what.words.size()));
  for (const auto& key : what.words)
    append_bulk(out, key);
  for (const auto& one : what.args)
    append_bulk(out, one.view());
  return what.asking ? 1 : 0;
}

void append_words(std::string& out, const std::vector<std::string>& words) {
  append_number(out, '*', words.size());
  for (const auto& word : words)
    append_bulk(out, word);
}

}  // namespace troupe::store::redis
