#include "store/redis_parts.hpp"

#include <algorithm>
#include <charconv>

#include "store/checks.hpp"

namespace troupe::store::redis {

std::optional<std::uint64_t> read_u64(std::string_view text) {
  std::uint64_t n = 0;
  const auto* end = text.data() + text.size();
  const auto [stopped, ec] = std::from_chars(text.data(), end, n);
  if (ec != std::errc{} || stopped != end || text.empty())
    return std::nullopt;
  return n;
}

part make_part(const char* op, std::optional<shard_id> shard, bool writes) {
  part p;
  p.op = op;
  p.shard = shard;
  p.writes = writes;
  return p;
}

part& part::add(std::string text) {
  bytes += text.size();
  args.emplace_back(std::move(text));
  return *this;
}

part& part::add(payload text) {
  bytes += text->size();
  args.emplace_back(std::move(text));
  return *this;
}

// -- replies ------------------------------------------------------------------

const reply* reading::next() {
  if (!good_ || at_ == items_->size()) {
    good_ = false;
    return nullptr;
  }
  return &(*items_)[at_++];
}

std::string reading::text() {
  const auto* r = next();
  if (!r)
    return {};
  switch (r->type) {
    case reply::kind::text:
    case reply::kind::status: return r->text;
    case reply::kind::integer: return std::to_string(r->number);
    default: good_ = false; return {};
  }
}

std::uint64_t reading::number() {
  const auto n = read_u64(text());
  good_ = good_ && n;
  return n.value_or(0);
}

std::optional<std::uint64_t> reading::number_or_nil() {
  if (good_ && at_ < items_->size() &&
      (*items_)[at_].type == reply::kind::nil) {
    ++at_;
    return std::nullopt;
  }
  return number();
}

const std::vector<reply>& reading::list() {
  static const std::vector<reply> none;
  const auto* r = next();
  if (!r || r->type != reply::kind::list) {
    good_ = false;
    return none;
  }
  return r->items;
}

error malformed(const char* op) {
  return {errc::corrupt,
          std::string{"redis: the answer of "} + op + " makes no sense"};
}

result<reading> read_reply(const reply& whole, const char* op) {
  if (whole.type != reply::kind::list)
    return malformed(op);
  reading in{whole.items};
  const auto verdict = in.text();
  if (verdict == "ok" && in.good())
    return in;
  const auto why = in.text();
  if (why == "fenced")
    return error{errc::fenced, "the shard's lease is another one now"};
  if (why == "version") {
    const auto key = in.text();
    const auto turned = in.text();
    return error{errc::corrupt, "chat " + key + ": turned on version " +
                                    turned + ", but the record has version " +
                                    in.text()};
  }
  if (why == "chat") {
    const auto key = in.text();
    const auto seq = in.text();
    return error{errc::corrupt, "chat " + key + " acknowledges sequence " +
                                    seq + ", which belongs to " + in.text()};
  }
  if (why == "call") {
    const auto id = read_call_id(in.text()).value_or(call_id{});
    return error{errc::corrupt,
                 "call " + std::to_string(id.value) + " is there already"};
  }
  if (why == "error")
    return error{errc::corrupt, std::string{"redis: "} + op + ": " + in.text()};
  return malformed(op);
}

// -- accept and ownership -----------------------------------------------------

namespace {

// Ids of a block fit a 16-bit set: 2 bytes each in Redis.
constexpr unsigned block_log2 = 15;

}  // namespace

part accept_part(shard_id shard, const std::vector<const arrival*>& sorted) {
  auto p = make_part("accept", shard, true);
  p.add_signed(milliseconds{dedup_window}.count()).add(sorted.size());
  for (const auto* a : sorted) {
    p.add_signed(a->id.value >> block_log2);
    p.add(static_cast<std::uint64_t>(a->id.value) &
          ((std::uint64_t{1} << block_log2) - 1));
    p.add(entry_head(entry_kind::update, a->key, a->id, a->at)).add(a->body);
  }
  return p;
}

result<std::vector<seq_no>> read_accept(reading in) {
  std::vector<seq_no> out;
  while (in.more())
    out.push_back({in.number()});
  if (!in.good())
    return malformed("accept");
  return out;
}

part parcels_part(shard_id shard) {
  return make_part("parcels", shard, false);
}

result<std::vector<kept_parcel>> read_parcels(reading in) {
  std::vector<kept_parcel> out;
  reading all{in.list()};
  while (all.more()) {
    const auto place = all.text();  // "<shard>:<id>"
    auto p = read_parcel(all.text());
    if (!p)
      return malformed("parcels");
    out.push_back({place.substr(place.find(':') + 1), std::move(*p)});
  }
  if (!in.good() || !all.good())
    return malformed("parcels");
  return out;
}

part claim_part(shard_id shard, const std::string& node, milliseconds ttl) {
  auto p = make_part("claim", shard, true);
  p.add(node).add_signed(ttl.count());
  return p;
}

result<claim_answer> read_claim(reading in, shard_id shard) {
  claim_answer out;
  const auto term = in.number();
  if (in.good() && term == 0)
    return out;
  out.held = lease{shard, {static_cast<std::uint32_t>(term)}, {in.number()}};
  auto left = read_parcels(in);
  if (!left)
    return left.error();
  out.parcels = std::move(*left);
  return out;
}

part renew_part(const lease& held, milliseconds ttl) {
  auto p = make_part("renew", held.shard, true);
  p.add(held.term.value).add_signed(ttl.count());
  return p;
}

result<std::optional<lease>> read_renew(reading in, const lease& held) {
  const auto tail = in.number_or_nil();
  if (!in.good())
    return malformed("renew");
  if (!tail)
    return std::optional<lease>{};
  return std::optional<lease>{lease{held.shard, held.term, {*tail}}};
}

part release_part(const lease& held) {
  auto p = make_part("release", held.shard, true);
  p.add(held.term.value);
  return p;
}

// -- nodes and named leases ---------------------------------------------------

part heartbeat_part(const node_info& me, milliseconds ttl) {
  auto p = make_part("heartbeat", std::nullopt, true);
  p.add(me.name).add(me.address + '\n' + me.details).add_signed(ttl.count());
  return p;
}

result<std::vector<node_info>> read_nodes(reading in) {
  std::vector<node_info> out;
  reading all{in.list()};
  while (all.more()) {
    node_info n;
    n.name = all.text();
    n.address = all.text();
    const auto end = n.address.find('\n');
    if (end == n.address.npos)
      return malformed("heartbeat");
    n.details = n.address.substr(end + 1);
    n.address.resize(end);
    out.push_back(std::move(n));
  }
  if (!in.good() || !all.good())
    return malformed("heartbeat");
  std::sort(out.begin(), out.end(),
            [](const auto& a, const auto& b) { return a.name < b.name; });
  return out;
}

part leave_part(const std::string& name) {
  auto p = make_part("leave", std::nullopt, true);
  p.add(name);
  return p;
}

part acquire_part(const std::string& name, const std::string& holder,
                  milliseconds ttl) {
  auto p = make_part("acquire", std::nullopt, true);
  p.add(name).add(holder).add_signed(ttl.count());
  return p;
}

result<std::optional<grant>> read_grant(reading in) {
  const auto token = in.number();
  if (!in.good())
    return malformed("acquire");
  if (token == 0)
    return std::optional<grant>{};
  return std::optional<grant>{grant{token}};
}

part relinquish_part(const std::string& name, const std::string& holder) {
  auto p = make_part("relinquish", std::nullopt, true);
  p.add(name).add(holder);
  return p;
}

}  // namespace troupe::store::redis
