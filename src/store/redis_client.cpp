#include "store/redis_client.hpp"

#include <algorithm>
#include <atomic>
#include <boost/asio/ssl/context.hpp>
#include <future>
#include <mutex>
#include <optional>
#include <utility>

#include "net/lane.hpp"
#include "net/tls.hpp"
#include "store/redis_hub.hpp"
#include "store/redis_slots.hpp"

namespace troupe::store::redis {

namespace {

/// How often deadlines are looked at.
constexpr milliseconds look_every{50};

error closed_error() {
  return {errc::cancelled, "the connection to Redis is closed"};
}

std::string describe(const target& where) {
  std::string out = where.tls ? "rediss" : "redis";
  if (where.kind == layout::sentinel)
    out += "+sentinel";
  else if (where.kind == layout::cluster)
    out += "+cluster";
  out += "://";
  for (std::size_t i = 0; i < where.hosts.size(); ++i)
    out += (i == 0 ? "" : ",") + to_string(where.hosts[i]);
  if (where.kind == layout::sentinel)
    out += "/" + where.master;
  if (where.db != 0)
    out += "/" + std::to_string(where.db);
  return out;
}

hub::parts parts_of(const target& where, const client_options& options,
                    std::shared_ptr<net::lane> on, net::asio::ssl::context* tls,
                    figure_cells& count) {
  node::settings how;
  how.line.cluster = where.kind == layout::cluster;
  how.line.most_answer_bytes = options.most_answer_bytes;
  how.line.patience = options.patience;
  how.line.wait_replicas = options.wait_replicas;
  how.line.wait_timeout = options.wait_timeout;
  how.line.scripts = options.scripts;
  how.wire.open = std::min(options.attempt_timeout, options.connect_timeout);
  how.wire.dead_after = options.patience * 3;
  how.hello.user = where.user;
  how.hello.password = where.password;
  how.hello.name = options.name;
  how.hello.db = where.db;
  return {std::move(on), tls, count, where, std::move(how)};
}

/// The answers of all primaries to one question.
struct gathering {
  async::callback<std::vector<reply>> done;
  std::size_t missing = 0;
  std::vector<reply> replies;
  result<> fine;

  void add(result<reply> one) {
    if (one)
      replies.push_back(std::move(*one));
    else if (fine)
      fine = one.error();
    if (--missing > 0)
      return;
    if (fine)
      done(std::move(replies));
    else
      done(fine.error());
  }
};

}  // namespace

/// What callers and the lane share.
struct client::impl : std::enable_shared_from_this<impl> {
  impl(target to, const client_options& options, net::loop& loop)
      : where{std::move(to)},
        name{describe(where)},
        default_timeout{options.command_timeout},
        waits{options.wait_replicas > 0},
        on{loop.self().next()} {}

  mono_time deadline(how terms) const {
    return mono_now() +
           (terms.timeout > milliseconds{0} ? terms.timeout : default_timeout);
  }
  void enqueue(command_ptr what, how terms);
  void ask_all(const std::shared_ptr<gathering>& to,
               const std::vector<std::string>& words, how terms,
               mono_time until);
  void take_inbox();
  void sweep();
  void shut();

  const target where;
  const std::string name;
  const milliseconds default_timeout;
  const bool waits;
  figure_cells count;
  std::optional<net::asio::ssl::context> tls;
  const std::shared_ptr<net::lane> on;
  std::shared_ptr<redis::hub> hub;  ///< the lane's

  std::mutex mutex;
  std::vector<command_ptr> inbox;
  bool inbox_posted = false;
  bool closed = false;
};

void client::impl::enqueue(command_ptr what, how terms) {
  what->repeatable = terms.repeatable;
  what->reads = terms.reads;
  what->deadline = deadline(terms);
  {
    const std::lock_guard lock{mutex};
    if (!closed) {
      inbox.push_back(std::move(what));
      if (!std::exchange(inbox_posted, true))
        on->post([self = shared_from_this()] { self->take_inbox(); });
      return;
    }
  }
  if (what->done)
    what->done(closed_error());
}

void client::impl::take_inbox() {
  std::vector<command_ptr> taken;
  {
    const std::lock_guard lock{mutex};
    taken.swap(inbox);
    inbox_posted = false;
  }
  if (hub)
    return hub->take(std::move(taken));
  for (const auto& what : taken)
    if (what->done)
      what->done(closed_error());
}

void client::impl::ask_all(const std::shared_ptr<gathering>& to,
                           const std::vector<std::string>& words, how terms,
                           mono_time until) {
  if (!hub)
    return to->done(closed_error());
  const auto all = hub->primaries();
  to->missing = all.size();
  for (const auto& each : all) {
    auto what = std::make_unique<command>();
    what->words = words;
    what->deadline = until;
    what->repeatable = terms.repeatable;
    what->reads = terms.reads;
    what->pinned = true;
    what->done = [to](result<reply> one) { to->add(std::move(one)); };
    each->push(std::move(what));
  }
  for (const auto& each : all)
    each->flush();
}

void client::impl::sweep() {
  if (!hub)
    return;
  hub->sweep();
  on->after(look_every, [weak = weak_from_this()] {
    if (const auto self = weak.lock())
      self->sweep();
  });
}

void client::impl::shut() {
  {
    const std::lock_guard lock{mutex};
    closed = true;
  }
  if (const auto old = std::exchange(hub, nullptr))
    for (const auto& what : old->close())
      if (what->done)
        what->done(closed_error());
  take_inbox();
}

result<std::unique_ptr<client>> client::open(target where,
                                             client_options options,
                                             net::loop& on) {
  if (where.timeout)
    options.connect_timeout = options.command_timeout = *where.timeout;
  auto made = std::make_shared<impl>(std::move(where), options, on);
  if (made->where.tls) {
    const auto& t = made->where;
    auto tls =
        net::make_client_tls(t.ca_file, t.verify, t.cert_file, t.key_file);
    if (!tls)
      return tls.error();
    made->tls.emplace(std::move(*tls));
  }
  std::unique_ptr<client> out{new client{made}};
  auto opened = std::make_shared<std::promise<result<>>>();
  auto standing = opened->get_future();
  made->on->run_and_wait([&] {
    made->hub =
        hub::make(parts_of(made->where, options, made->on,
                           made->tls ? &*made->tls : nullptr, made->count));
    made->hub->start([opened](result<> how) { opened->set_value(how); });
    made->sweep();
  });
  if (standing.wait_for(options.connect_timeout) ==
      std::future_status::timeout) {
    std::string trouble;
    made->on->run_and_wait([&] { trouble = made->hub->trouble(); });
    return error{errc::unavailable, std::move(trouble)};
  }
  if (auto how = standing.get(); !how)
    return how.error();
  return out;
}

client::client(std::shared_ptr<impl> p) : impl_{std::move(p)} {}

client::~client() {
  TROUPE_CHECK(!impl_->on->here());
  close();
}

void client::eval(const script& code, std::vector<std::string> keys,
                  std::vector<arg> args, how terms,
                  async::callback<reply> done) {
  TROUPE_CHECK(!keys.empty());
  auto what = std::make_unique<command>();
  what->code = code;
  what->slot = slot_of(keys.front());
  what->words = std::move(keys);
  what->args = std::move(args);
  what->done = std::move(done);
  impl_->enqueue(std::move(what), terms);
}

void client::run(std::string_view route, std::vector<std::string> words,
                 how terms, async::callback<reply> done) {
  TROUPE_CHECK(!words.empty());
  auto what = std::make_unique<command>();
  what->slot = slot_of(route);
  what->words = std::move(words);
  what->done = std::move(done);
  impl_->enqueue(std::move(what), terms);
}

void client::run_on_all(std::vector<std::string> words, how terms,
                        async::callback<std::vector<reply>> done) {
  TROUPE_CHECK(!words.empty());
  auto to = std::make_shared<gathering>();
  to->done = std::move(done);
  const auto deadline = impl_->deadline(terms);
  {
    const std::lock_guard lock{impl_->mutex};
    if (!impl_->closed)
      return impl_->on->post(
          [home = impl_, to, words = std::move(words), terms, deadline] {
            home->ask_all(to, words, terms, deadline);
          });
  }
  to->done(closed_error());
}

std::size_t client::parts() const noexcept {
  return impl_->count.nodes.load(std::memory_order_relaxed);
}

bool client::waits() const noexcept {
  return impl_->waits;
}

figures client::now() const noexcept {
  return impl_->count.read();
}

const std::string& client::where() const noexcept {
  return impl_->name;
}

void client::close() {
  // From a callback: what runs below it is not to be taken away under it.
  if (impl_->on->here())
    return impl_->on->post([home = impl_] { home->shut(); });
  impl_->on->run_and_wait([home = impl_] { home->shut(); });
}

}  // namespace troupe::store::redis
