#include "sim/update_queue.hpp"

#include <iterator>
#include <utility>

namespace troupe::sim {

using namespace std::chrono_literals;
using telegram::update_kind;

namespace {

constexpr std::size_t answer_bytes = 4 << 20;

// The server spreads its queues over one id space in steps of 2^33, which was
// above every user id once. Newer ids overlap; so do ours.
constexpr std::int64_t step(std::int64_t n) {
  return n * (std::int64_t{1} << 33);
}

}  // namespace

std::int64_t queue_of(update_kind kind, std::int64_t chat, std::int64_t user,
                      std::int64_t poll) noexcept {
  switch (kind) {
    case update_kind::poll:
    case update_kind::poll_answer: return poll;
    case update_kind::inline_query: return user + step(1);
    case update_kind::chosen_inline_result: return user + step(2);
    case update_kind::callback_query: return user + step(3);
    case update_kind::shipping_query:
    case update_kind::pre_checkout_query: return user + step(4);
    case update_kind::my_chat_member: return chat + step(5);
    case update_kind::chat_member:
    case update_kind::chat_join_request: return user + step(6);
    case update_kind::chat_boost:
    case update_kind::removed_chat_boost: return chat + step(7);
    case update_kind::message_reaction: return chat + step(8);
    case update_kind::message_reaction_count: return chat + step(9);
    case update_kind::business_connection: return user + step(10);
    case update_kind::business_message:
    case update_kind::edited_business_message:
    case update_kind::deleted_business_messages: return chat + step(11);
    case update_kind::guest_message: return chat + step(12);
    case update_kind::purchased_paid_media: return user + step(12);
    case update_kind::managed_bot: return user + step(13);
    case update_kind::message:
    case update_kind::edited_message:
    case update_kind::channel_post:
    case update_kind::edited_channel_post: return chat;
    case update_kind::unknown:
    case update_kind::none:
    case update_kind::stopped_message_generation:
    case update_kind::subscription: break;
  }
  return chat != 0 ? chat : user;
}

std::chrono::seconds life_of(update_kind kind) noexcept {
  switch (kind) {
    case update_kind::inline_query: return 30s;
    case update_kind::callback_query:
    case update_kind::shipping_query:
    case update_kind::pre_checkout_query: return 150s;
    case update_kind::chosen_inline_result: return 600s;
    default: return 86'400s;
  }
}

bool update_queue::push(queued_update u) {
  if (updates_.size() >= max_updates || u.body.size() > max_update_bytes ||
      bytes_ + u.body.size() > max_bytes || updates_.contains(u.id.value)) {
    ++dropped_;
    return false;
  }
  if (u.id >= next_)
    next_ = {u.id.value + 1};
  bytes_ += u.body.size();
  auto id = u.id.value;
  updates_.emplace_hint(updates_.end(), id, std::move(u));
  return true;
}

const queued_update* update_queue::find(update_id id) const {
  auto it = updates_.find(id.value);
  return it == updates_.end() ? nullptr : &it->second;
}

update_queue::map::iterator update_queue::erase(map::iterator it) {
  bytes_ -= it->second.body.size();
  return updates_.erase(it);
}

void update_queue::erase(update_id id) {
  auto it = updates_.find(id.value);
  if (it != updates_.end())
    erase(it);
}

void update_queue::clear() noexcept {
  updates_.clear();
  bytes_ = 0;
}

void update_queue::sweep(mono_time now) {
  for (auto it = updates_.begin(); it != updates_.end();) {
    if (it->second.expires > now) {
      ++it;
      continue;
    }
    ++expired_;
    it = erase(it);
  }
}

std::vector<update_id> update_queue::ids() const {
  std::vector<update_id> out;
  out.reserve(updates_.size());
  for (auto& [id, u] : updates_)
    out.push_back({id});
  return out;
}

update_queue::map::iterator update_queue::start_of(std::int64_t offset) {
  if (updates_.empty() || offset == 0)
    return updates_.begin();
  if (offset < 0) {
    auto keep = 0 - static_cast<std::uint64_t>(offset);
    if (keep >= updates_.size())
      return updates_.begin();
    return std::prev(updates_.end(), static_cast<std::ptrdiff_t>(keep));
  }
  auto head = updates_.begin()->first;
  if (offset > next_.value + 10 || offset < head - 100'000)
    return updates_.begin();
  return updates_.lower_bound(offset);
}

update_queue::confirmation update_queue::confirm(std::int64_t offset) {
  confirmation out;
  auto from = start_of(offset);
  while (updates_.begin() != from) {
    ++out.count;
    out.below = updates_.begin()->first + 1;
    erase(updates_.begin());
  }
  return out;
}

std::vector<const queued_update*> update_queue::read(std::int64_t offset,
                                                     std::size_t limit,
                                                     mono_time now) {
  std::vector<const queued_update*> out;
  std::size_t bytes = 0;
  for (auto it = start_of(offset);
       it != updates_.end() && out.size() < limit;) {
    if (it->second.expires <= now) {
      ++expired_;
      it = erase(it);
      continue;
    }
    bytes += it->second.body.size();
    if (bytes > answer_bytes && !out.empty())
      break;
    out.push_back(&it->second);
    ++it;
  }
  return out;
}

}  // namespace troupe::sim
