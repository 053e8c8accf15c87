#include "store/redis_open.hpp"

#include <charconv>
#include <future>
#include <string_view>
#include <utility>

#include "store/redis_parts.hpp"
#include "store/redis_script.hpp"
#include "store/redis_store.hpp"

namespace troupe::store::redis {

namespace {

/// The value of `name` in an answer of INFO; empty if it is not there.
std::string_view info_field(std::string_view info, std::string_view name) {
  std::size_t at = 0;
  while (at < info.size()) {
    const auto end = std::min(info.find('\n', at), info.size());
    auto line = info.substr(at, end - at);
    at = end + 1;
    if (!line.empty() && line.back() == '\r')
      line.remove_suffix(1);
    if (line.size() > name.size() && line.starts_with(name) &&
        line[name.size()] == ':')
      return line.substr(name.size() + 1);
  }
  return {};
}

/// A server that may lose what it answered is no place for a journal.
result<> check_server(const std::string& where, std::string_view info,
                      bool allow_volatile) {
  const auto version = info_field(info, "redis_version");
  unsigned major = 0;
  std::from_chars(version.data(), version.data() + version.size(), major);
  if (major < 7)
    return error{errc::incompatible, where + " has version " +
                                         std::string{version} +
                                         "; 7.0 or later is needed"};
  if (allow_volatile)
    return {};
  if (info_field(info, "aof_enabled") == "0")
    return error{
        errc::incompatible,
        where +
            " keeps no append-only file: a restart of it would lose updates. "
            "Set appendonly yes there, or store.volatile = \"allow\" here"};
  const auto policy = info_field(info, "maxmemory_policy");
  if (info_field(info, "maxmemory") != "0" && !policy.empty() &&
      policy != "noeviction")
    return error{
        errc::incompatible,
        where +
            " drops keys when its memory is full (maxmemory-"
            "policy " +
            std::string{policy} +
            "). Set noeviction there, or store.volatile = \"allow\" here"};
  return {};
}

template <class T, class Start>
result<T> wait_for(Start start) {
  auto done = std::make_shared<std::promise<result<T>>>();
  auto answer = done->get_future();
  start([done](result<T> r) { done->set_value(std::move(r)); });
  return answer.get();  // the client answers within its timeout
}

/// What the store was made with, or is made with now.
result<> check_format(client& on, const std::string& prefix,
                      std::uint16_t shards) {
  auto answer = wait_for<reply>([&](auto done) {
    on.eval(the_script(), {prefix + "}:m"},
            {"0", "open", "2", redis_format, shards}, {.repeatable = true},
            std::move(done));
  });
  if (!answer)
    return answer.error();
  if (answer->type != reply::kind::list || answer->items.size() != 1)
    return malformed("open");
  auto in = read_reply(answer->items[0], "open");
  if (!in)
    return in.error();
  const auto format = in->number();
  const auto made_with = in->number();
  if (!in->good())
    return malformed("open");
  if (format != redis_format)
    return error{errc::incompatible, "the store has format " +
                                         std::to_string(format) +
                                         ", this program knows format " +
                                         std::to_string(redis_format)};
  if (made_with != shards)
    return error{errc::incompatible, "the store was created with " +
                                         std::to_string(made_with) +
                                         " shards; set store.shards to that"};
  return {};
}

}  // namespace

void used_memory(client& of, callback<std::uint64_t> done) {
  of.run_on_all({"INFO", "memory"}, {.repeatable = true, .reads = true},
                [done = std::move(done)](result<std::vector<reply>> all) {
                  if (!all)
                    return done(all.error());
                  std::uint64_t sum = 0;
                  for (const auto& one : *all) {
                    const auto text = info_field(one.text, "used_memory");
                    std::uint64_t n = 0;
                    std::from_chars(text.data(), text.data() + text.size(), n);
                    sum += n;
                  }
                  done(sum);
                });
}

result<std::unique_ptr<backend>> open(const options& how) {
  auto where = parse_url(how.url);
  if (!where)
    return where.error();
  if (how.bot.empty())
    return error{errc::bad_input, "a Redis store needs a bot's id"};
  opened on;
  on.prefix = "troupe:{" + how.bot;
  on.loop = std::make_unique<net::loop>();
  client_options with;
  with.wait_replicas = how.wait_replicas;
  auto to = client::open(std::move(*where), with, *on.loop);
  if (!to)
    return to.error();
  on.to = std::move(*to);
  auto servers = wait_for<std::vector<reply>>([&](auto done) {
    on.to->run_on_all({"INFO"}, {.repeatable = true, .reads = true},
                      std::move(done));
  });
  if (!servers)
    return servers.error();
  for (const auto& s : *servers)
    if (auto ok = check_server(on.to->where(), s.text, how.allow_volatile); !ok)
      return ok.error();
  if (auto ok = check_format(*on.to, on.prefix, how.shards); !ok)
    return ok.error();
  return make_store(std::move(on), how.shards, *how.time);
}

}  // namespace troupe::store::redis
