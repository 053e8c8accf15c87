#include "store/redis_reply.hpp"

#include <hiredis/read.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <utility>

namespace troupe::store::redis {

namespace {

/// More than any script of ours returns: a peer that claims more is broken.
constexpr long long most_items = 1 << 20;
/// Room made at once for a list; more comes as its elements do.
constexpr std::size_t first_items = 1024;

/// Where the object of a task goes: the root, or the next element of its list,
/// which does not grow before that element is complete.
reply* place_for(const redisReadTask* task) {
  if (task->parent == nullptr)
    return new reply;
  return &static_cast<reply*>(task->parent->obj)->items.emplace_back();
}

void* make_text(const redisReadTask* task, char* bytes, std::size_t size) {
  auto* made = place_for(task);
  made->type = task->type == REDIS_REPLY_ERROR    ? reply::kind::error
               : task->type == REDIS_REPLY_STATUS ? reply::kind::status
                                                  : reply::kind::text;
  made->text.assign(bytes, size);
  return made;
}

/// hiredis 0.14 counts in int, 1.x in size_t.
template <class Count>
void* make_list(const redisReadTask* task, Count count) {
  if (static_cast<long long>(count) > most_items)
    return nullptr;
  auto* made = place_for(task);
  made->type = reply::kind::list;
  made->items.reserve(std::min(static_cast<std::size_t>(count), first_items));
  return made;
}

void* make_integer(const redisReadTask* task, long long n) {
  auto* made = place_for(task);
  made->type = reply::kind::integer;
  made->number = n;
  return made;
}

void* make_nil(const redisReadTask* task) {
  return place_for(task);
}

/// hiredis frees roots only.
void free_reply(void* root) {
  delete static_cast<reply*>(root);
}

/// What RESP3 adds (hiredis 1.x parses it) is refused, not left to null
/// pointers, for which hiredis would make up objects.
template <class Functions>
void refuse_resp3(Functions& table) {
  if constexpr (requires { table.createDouble; })
    table.createDouble = [](const redisReadTask*, double, char*,
                            std::size_t) -> void* { return nullptr; };
  if constexpr (requires { table.createBool; })
    table.createBool = [](const redisReadTask*, int) -> void* {
      return nullptr;
    };
}

redisReplyObjectFunctions make_functions() {
  redisReplyObjectFunctions table{};
  table.createString = make_text;
  table.createArray = make_list;
  table.createInteger = make_integer;
  table.createNil = make_nil;
  table.freeObject = free_reply;
  refuse_resp3(table);
  return table;
}

/// `SLOT HOST:PORT` after MOVED or ASK.
bool read_place(std::string_view text, verdict& out) {
  const auto space = text.find(' ');
  const auto colon = text.rfind(':');
  if (space == std::string_view::npos || colon == std::string_view::npos ||
      colon < space)
    return false;
  const auto number = [](std::string_view digits, std::uint16_t& n) {
    const auto [end, ec] =
        std::from_chars(digits.data(), digits.data() + digits.size(), n);
    return ec == std::errc{} && end == digits.data() + digits.size();
  };
  out.at.host = text.substr(space + 1, colon - space - 1);
  if (out.at.host == "?")
    out.at.host.clear();
  return number(text.substr(0, space), out.slot) && out.slot < 16384 &&
         number(text.substr(colon + 1), out.at.port) && out.at.port != 0;
}

struct word {
  std::string_view first;
  verdict::kind what;
  errc code;
};

constexpr std::array<word, 17> words{{
    {"NOSCRIPT", verdict::kind::no_script, errc::unavailable},
    {"LOADING", verdict::kind::pause, errc::unavailable},
    {"BUSY", verdict::kind::pause, errc::unavailable},
    {"CLUSTERDOWN", verdict::kind::relocate, errc::unavailable},
    {"MASTERDOWN", verdict::kind::relocate, errc::unavailable},
    {"READONLY", verdict::kind::relocate, errc::unavailable},
    {"TRYAGAIN", verdict::kind::try_again, errc::unavailable},
    {"MOVED", verdict::kind::moved, errc::unavailable},
    {"ASK", verdict::kind::ask, errc::unavailable},
    {"OOM", verdict::kind::final, errc::unavailable},
    {"MISCONF", verdict::kind::final, errc::unavailable},
    {"NOREPLICAS", verdict::kind::final, errc::unavailable},
    {"NOAUTH", verdict::kind::relocate, errc::unavailable},
    {"NOPERM", verdict::kind::final, errc::unavailable},
    {"WRONGPASS", verdict::kind::final, errc::unavailable},
    {"DENIED", verdict::kind::final, errc::unavailable},
    {"WRONGTYPE", verdict::kind::final, errc::corrupt},
}};

}  // namespace

struct reply_reader::impl {
  using handle = std::unique_ptr<redisReader, decltype(&redisReaderFree)>;

  explicit impl(std::size_t most) : most_bytes{most}, reader{fresh()} {}

  handle fresh() {
    handle made{redisReaderCreateWithFunctions(&functions), redisReaderFree};
    TROUPE_CHECK(made != nullptr);  // only without memory
    return made;
  }

  redisReplyObjectFunctions functions = make_functions();
  const std::size_t most_bytes;
  std::size_t incomplete = 0;  ///< bytes since the last complete reply
  handle reader;
};

reply_reader::reply_reader(std::size_t most_bytes)
    : impl_{std::make_unique<impl>(most_bytes)} {}

reply_reader::~reply_reader() = default;

void reply_reader::feed(std::string_view bytes) {
  // What goes wrong here is told by `next`.
  redisReaderFeed(impl_->reader.get(), bytes.data(), bytes.size());
  impl_->incomplete += bytes.size();
}

result<std::optional<reply>> reply_reader::next() {
  auto* reader = impl_->reader.get();
  void* got = nullptr;
  if (redisReaderGetReply(reader, &got) != REDIS_OK)
    return error{errc::unavailable,
                 std::string{"no valid answer: "} + reader->errstr};
  if (got == nullptr) {
    if (impl_->incomplete > impl_->most_bytes)
      return error{errc::too_large, "an answer of more than " +
                                        std::to_string(impl_->most_bytes) +
                                        " bytes"};
    return std::optional<reply>{};
  }
  const std::unique_ptr<reply> root{static_cast<reply*>(got)};
  impl_->incomplete = reader->len - reader->pos;
  return std::optional<reply>{std::move(*root)};
}

void reply_reader::reset() {
  impl_->reader = impl_->fresh();
  impl_->incomplete = 0;
}

verdict judge(std::string_view text) {
  verdict out;
  const auto space = std::min(text.find(' '), text.size());
  const auto first = text.substr(0, space);
  const auto it = std::find_if(words.begin(), words.end(),
                               [&](const word& w) { return w.first == first; });
  if (it == words.end())
    return out;
  out.what = it->what;
  out.code = it->code;
  if ((out.what == verdict::kind::moved || out.what == verdict::kind::ask) &&
      (space == text.size() || !read_place(text.substr(space + 1), out))) {
    // Nothing was done, wherever it points: like a cluster in disorder.
    out.what = verdict::kind::relocate;
    out.at = {};
  }
  return out;
}

}  // namespace troupe::store::redis
