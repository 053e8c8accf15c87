#include "sim/methods.hpp"

#include <string>
#include <unordered_map>

namespace troupe::sim {

namespace {

using enum method_kind;

constexpr method table[] = {
    {"sendMessage", send, "text", 4096},
    {"editMessageText", edit, "text", 4096},
    {"editMessageCaption", edit, "caption", 1024},
    {"editMessageReplyMarkup", edit, "", 0},
    {"editMessageMedia", edit, "", 0},
    {"sendPhoto", send, "caption", 1024},
    {"sendAudio", send, "caption", 1024},
    {"sendDocument", send, "caption", 1024},
    {"sendVideo", send, "caption", 1024},
    {"sendAnimation", send, "caption", 1024},
    {"sendVoice", send, "caption", 1024},
    {"sendVideoNote", send, "", 0},
    {"sendSticker", send, "", 0},
    {"sendLocation", send, "", 0},
    {"sendVenue", send, "title", 255},
    {"sendContact", send, "first_name", 255},
    {"sendPoll", send, "question", 300},
    {"sendDice", send, "", 0},
    {"sendGame", send, "", 0},
    {"sendInvoice", send, "title", 32},
    {"copyMessage", send, "caption", 1024},
    {"forwardMessage", send, "", 0},
    {"sendMediaGroup", album, "", 0},
    {"deleteMessage", remove, "", 0},
    {"answerCallbackQuery", answer_query, "text", 200},
    {"getMe", who_am_i, "", 0},
    {"getUpdates", get_updates, "", 0},
    {"setWebhook", set_webhook, "", 0},
    {"deleteWebhook", delete_webhook, "", 0},
    {"getWebhookInfo", webhook_info, "", 0},
    {"answerInlineQuery", nod, "", 0},
    {"answerPreCheckoutQuery", nod, "", 0},
    {"answerShippingQuery", nod, "", 0},
    {"sendChatAction", nod, "", 0},
    {"deleteMessages", nod, "", 0},
    {"pinChatMessage", nod, "", 0},
    {"unpinChatMessage", nod, "", 0},
    {"unpinAllChatMessages", nod, "", 0},
    {"setMessageReaction", nod, "", 0},
    {"banChatMember", nod, "", 0},
    {"unbanChatMember", nod, "", 0},
    {"restrictChatMember", nod, "", 0},
    {"promoteChatMember", nod, "", 0},
    {"approveChatJoinRequest", nod, "", 0},
    {"declineChatJoinRequest", nod, "", 0},
    {"leaveChat", nod, "", 0},
    {"setChatTitle", nod, "", 0},
    {"setChatDescription", nod, "", 0},
    {"setChatPermissions", nod, "", 0},
    {"setChatMenuButton", nod, "", 0},
    {"setMyCommands", nod, "", 0},
    {"deleteMyCommands", nod, "", 0},
    {"setMyName", nod, "", 0},
    {"setMyDescription", nod, "", 0},
    {"setMyShortDescription", nod, "", 0},
    {"logOut", nod, "", 0},
    {"close", nod, "", 0},
};

}  // namespace

std::string lowered(std::string_view text) {
  std::string out{text};
  for (auto& c : out)
    if (c >= 'A' && c <= 'Z')
      c = static_cast<char>(c - 'A' + 'a');
  return out;
}

const method* find_method(std::string_view name) {
  static const auto by_name = [] {
    std::unordered_map<std::string, const method*> out;
    for (auto& m : table)
      out.emplace(lowered(m.name), &m);
    return out;
  }();
  auto it = by_name.find(lowered(name));
  return it == by_name.end() ? nullptr : it->second;
}

std::string_view required_of(const method& m) noexcept {
  if (m.kind == album)
    return "media";
  if (m.name == "sendPhoto")
    return "photo";
  if (m.name == "sendDocument")
    return "document";
  if (m.name == "sendSticker")
    return "sticker";
  return {};
}

}  // namespace troupe::sim
