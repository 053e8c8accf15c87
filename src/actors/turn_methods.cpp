#include <algorithm>
#include <array>
#include <cctype>
#include <string>
#include <string_view>

#include "actors/turn_context.hpp"

namespace troupe::detail {

namespace {

// Methods whose `chat_id` is mandatory (Bot API 10.3), in lower case: method
// names are case-insensitive.
constexpr std::array<std::string_view, 90> own_chat{
    "approvechatjoinrequest",
    "approvesuggestedpost",
    "banchatmember",
    "banchatsenderchat",
    "closeforumtopic",
    "closegeneralforumtopic",
    "copymessage",
    "copymessages",
    "createchatinvitelink",
    "createchatsubscriptioninvitelink",
    "createforumtopic",
    "declinechatjoinrequest",
    "declinesuggestedpost",
    "deleteallmessagereactions",
    "deletechatphoto",
    "deletechatstickerset",
    "deleteephemeralmessage",
    "deleteforumtopic",
    "deletemessage",
    "deletemessagereaction",
    "deletemessages",
    "editchatinvitelink",
    "editchatsubscriptioninvitelink",
    "editephemeralmessagecaption",
    "editephemeralmessagemedia",
    "editephemeralmessagereplymarkup",
    "editephemeralmessagetext",
    "editforumtopic",
    "editgeneralforumtopic",
    "editmessagechecklist",
    "exportchatinvitelink",
    "forwardmessage",
    "forwardmessages",
    "getchat",
    "getchatadministrators",
    "getchatgifts",
    "getchatmember",
    "getchatmembercount",
    "getuserchatboosts",
    "hidegeneralforumtopic",
    "leavechat",
    "pinchatmessage",
    "promotechatmember",
    "readbusinessmessage",
    "removechatverification",
    "reopenforumtopic",
    "reopengeneralforumtopic",
    "restrictchatmember",
    "revokechatinvitelink",
    "sendanimation",
    "sendaudio",
    "sendchataction",
    "sendchecklist",
    "sendcontact",
    "senddice",
    "senddocument",
    "sendgame",
    "sendinvoice",
    "sendlivephoto",
    "sendlocation",
    "sendmediagroup",
    "sendmessage",
    "sendmessagedraft",
    "sendpaidmedia",
    "sendphoto",
    "sendpoll",
    "sendrichmessage",
    "sendrichmessagedraft",
    "sendsticker",
    "sendvenue",
    "sendvideo",
    "sendvideonote",
    "sendvoice",
    "setchatadministratorcustomtitle",
    "setchatdescription",
    "setchatmembertag",
    "setchatpermissions",
    "setchatphoto",
    "setchatstickerset",
    "setchattitle",
    "setmessagereaction",
    "stoppoll",
    "unbanchatmember",
    "unbanchatsenderchat",
    "unhidegeneralforumtopic",
    "unpinallchatmessages",
    "unpinallforumtopicmessages",
    "unpinallgeneralforumtopicmessages",
    "unpinchatmessage",
    "verifychat",
};
static_assert(std::ranges::is_sorted(own_chat));

// These name a message by chat and number, or else by `inline_message_id`.
constexpr std::array<std::string_view, 8> own_unless_inline{
    "editmessagecaption",     "editmessagelivelocation", "editmessagemedia",
    "editmessagereplymarkup", "editmessagetext",         "getgamehighscores",
    "setgamescore",           "stopmessagelivelocation",
};
static_assert(std::ranges::is_sorted(own_unless_inline));

}  // namespace

bool takes_own_chat(std::string_view method, bool inline_message) {
  std::string lower{method};
  for (auto& c : lower)
    c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  if (std::ranges::binary_search(own_chat, std::string_view{lower}))
    return true;
  return !inline_message &&
         std::ranges::binary_search(own_unless_inline, std::string_view{lower});
}

}  // namespace troupe::detail
