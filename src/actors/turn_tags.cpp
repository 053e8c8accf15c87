#include <algorithm>
#include <stdexcept>
#include <string>

#include "actors/turn_context.hpp"
#include "store/kept.hpp"

// What a turn says of its chat for the audience.
namespace troupe {

namespace {

/// The turn's last word on a tag counts.
void say_tag(std::string_view name, std::vector<std::string>& in,
             std::vector<std::string>& not_in) {
  std::erase(not_in, name);
  if (std::ranges::find(in, name) != in.end())
    return;
  if (in.size() == store::most_tags)
    throw std::length_error{"a turn changes over 16 tags"};
  in.emplace_back(name);
}

void check_tag_of(const chat_base& chat, std::string_view name) {
  if (chat.id() == 0)
    throw std::logic_error{"tag: \"" + chat.key() + "\" is no chat"};
  if (!store::is_tag(name))
    throw std::invalid_argument{"\"" + std::string{name} +
                                "\" is no tag: 1 to 64 printable ASCII "
                                "characters, no blank and no comma"};
}

}  // namespace

void chat_base::tag(std::string_view name) {
  auto& turn = detail::turn_of(this, "tag");
  check_tag_of(*this, name);
  say_tag(name, turn.tagged, turn.untagged);
}

void chat_base::untag(std::string_view name) {
  auto& turn = detail::turn_of(this, "untag");
  check_tag_of(*this, name);
  say_tag(name, turn.untagged, turn.tagged);
}

}  // namespace troupe
