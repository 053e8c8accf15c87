#include "app/span_exporter.hpp"

#include <algorithm>
#include <charconv>
#include <random>

#include "app/derived.hpp"
#include "core/log.hpp"

namespace troupe::app {
namespace {

/// Kept of a text that waits. The encoder masks secrets first and shows less,
/// so that none is cut in two.
constexpr std::size_t longest_kept = 4096;
constexpr milliseconds between_lines{60'000};
constexpr unsigned ok_from = 200;
constexpr unsigned ok_below = 300;

void cut(std::string& text) {
  if (text.size() > longest_kept) {
    text.resize(longest_kept);
    text.shrink_to_fit();
  }
}

void cut(tracing::attributes& all) {
  for (auto& one : all)
    if (auto* text = std::get_if<std::string>(&one.value))
      cut(*text);
}

/// Of a header in seconds; a date is taken for none.
milliseconds retry_after(const http::response& answer) {
  const auto text = answer.headers.find("Retry-After");
  unsigned seconds = 0;
  const char* const end = text.data() + text.size();
  if (std::from_chars(text.data(), end, seconds).ptr != end)
    return milliseconds{0};
  return milliseconds{std::int64_t{seconds} * 1000};
}

metrics::counter& dropped(metrics::registry& into, const char* reason) {
  return into.add_counter("troupe_spans_dropped_total",
                          "Spans that no collector got.", {{"reason", reason}});
}

}  // namespace

span_meters::span_meters(metrics::registry& into)
    : exported{into.add_counter("troupe_spans_exported_total",
                                "Spans that the collector took.")},
      full{dropped(into, "full")},
      refused{dropped(into, "refused")},
      unreachable{dropped(into, "unreachable")} {}

span_exporter::span_exporter(exporter_options how, metrics::registry& into)
    : how_{std::move(how)}, count_{into}, service_{how_.resource.service} {}

result<std::unique_ptr<span_exporter>> span_exporter::make(
    exporter_options how, metrics::registry& into) {
  std::unique_ptr<span_exporter> out{new span_exporter{std::move(how), into}};
  http::client_options calls;
  calls.max_connections = 1;
  calls.max_body = 1 << 20;
  auto client = http::client::make(out->loop_, out->how_.to, std::move(calls));
  if (!client)
    return client.error();
  out->client_ = std::move(*client);
  return out;
}

span_exporter::~span_exporter() {
  close(milliseconds{0});
}

void span_exporter::take(tracing::span what) noexcept {
  cut(what.error);
  cut(what.with);
  for (auto& one : what.moments)
    cut(one.with);
  bool first = false;
  bool enough = false;
  {
    const std::lock_guard lock{mutex_};
    if (closing_ || waiting_.size() >= how_.most_waiting) {
      count_.full.add();
      return;
    }
    waiting_.push_back(std::move(what));
    first = waiting_.size() == 1 && !busy_;
    enough = waiting_.size() == how_.batch && !busy_;
  }
  if (enough)
    loop_.post([this] { begin(); });
  else if (first)
    loop_.after(how_.linger, [this] { begin(); });
}

void span_exporter::rename(std::string service) {
  const std::lock_guard lock{mutex_};
  service_ = std::move(service);
}

/// Takes a batch out, unless one is under way.
void span_exporter::begin() {
  std::vector<tracing::span> batch;
  auto of = how_.resource;
  {
    const std::lock_guard lock{mutex_};
    if (busy_ || waiting_.empty())
      return;
    busy_ = true;
    const auto n = std::min(how_.batch, waiting_.size());
    const auto end = waiting_.begin() + static_cast<std::ptrdiff_t>(n);
    batch.assign(std::move_iterator{waiting_.begin()}, std::move_iterator{end});
    waiting_.erase(waiting_.begin(), end);
    of.service = service_;
  }
  body_ = encode_otlp(of, batch);
  in_batch_ = batch.size();
  tries_ = 0;
  since_ = mono_now();
  post();
}

void span_exporter::post() {
  ++tries_;
  http::request what;
  what.method = "POST";
  what.target = "/v1/traces";
  what.headers.add("Content-Type", "application/json");
  for (const auto& [name, value] : how_.headers)
    what.headers.add(name, value);
  what.body = body_;
  client_->send(std::move(what), how_.timeout,
                [this](auto answer) { ended(std::move(answer)); });
}

void span_exporter::ended(
    boost::system::result<http::response, http::failure> answer) {
  if (!answer) {
    // Maybe it was taken: twice the same ids are one span to a collector.
    later(to_string(answer.error().what), milliseconds{0});
    return;
  }
  const auto status = answer->status;
  switch (status) {
    case 429:
    case 502:
    case 503:
    case 504:
      later("status " + std::to_string(status), retry_after(*answer));
      return;
    default: break;
  }
  if (status < ok_from || status >= ok_below) {
    drop(count_.refused, "status " + std::to_string(status));
    return;
  }
  const auto not_taken = read_otlp_answer(answer->body);
  const auto lost = std::min(
      static_cast<std::size_t>(std::max<std::int64_t>(not_taken.spans, 0)),
      in_batch_);
  count_.exported.add(in_batch_ - lost);
  in_batch_ = lost;
  if (lost != 0)
    drop(count_.refused, not_taken.why);
  else
    settle();
}

milliseconds span_exporter::pause() const {
  thread_local std::minstd_rand random{std::random_device{}()};
  const auto shift = std::min(tries_ - 1, 16U);
  const auto wait =
      std::min(how_.retry_first * (std::int64_t{1} << shift), how_.retry_most);
  return wait + milliseconds{std::uniform_int_distribution<std::int64_t>{
                    -wait.count() / 4, wait.count() / 4}(random)};
}

void span_exporter::later(const std::string& why, milliseconds asked_for) {
  const auto wait = std::max(pause(), asked_for);
  {
    const std::lock_guard lock{mutex_};
    pausing_ = !closing_ && mono_now() + wait - since_ <= how_.give_up;
  }
  if (!pausing_) {
    drop(count_.unreachable, why);
    return;
  }
  loop_.after(wait, [this] {
    if (std::exchange(pausing_, false))
      post();
  });
}

void span_exporter::drop(metrics::counter& as, const std::string& why) {
  as.add(in_batch_);
  if (const auto now = mono_now(); now >= quiet_until_) {
    quiet_until_ = now + between_lines;
    log::warn("spans_dropped", {{"spans", std::uint64_t{in_batch_}},
                                {"error", why},
                                {"do",
                                 "look at the collector at "
                                 "tracing.endpoint"}});
  }
  settle();
}

/// The batch is through.
void span_exporter::settle() {
  body_ = {};
  in_batch_ = 0;
  bool at_once = false;
  bool more = false;
  {
    const std::lock_guard lock{mutex_};
    busy_ = false;
    more = !waiting_.empty();
    at_once = closing_ || waiting_.size() >= how_.batch;
    if (!more)
      idle_.notify_all();
  }
  if (more)
    loop_.after(at_once ? milliseconds{0} : how_.linger, [this] { begin(); });
}

void span_exporter::close(milliseconds deadline) {
  if (client_ == nullptr)
    return;
  {
    std::unique_lock lock{mutex_};
    if (closing_)
      return;
    closing_ = true;
    loop_.post([this] {
      if (std::exchange(pausing_, false))
        post();
      else
        begin();
    });
    idle_.wait_for(lock, deadline,
                   [this] { return waiting_.empty() && !busy_; });
  }
  client_->close();
  loop_.stop();
  if (const auto left = waiting_.size() + in_batch_; left != 0) {
    count_.unreachable.add(left);
    log::warn("spans_dropped",
              {{"spans", std::uint64_t{left}}, {"error", "no time was left"}});
  }
}

result<std::unique_ptr<span_exporter>> exporter_of(const settings& from,
                                                   metrics::registry& into) {
  const span_meters shown{into};
  if (from.tracing_endpoint.empty())
    return std::unique_ptr<span_exporter>{};
  exporter_options how;
  // The settings were checked, so they parse.
  how.to = http::parse_origin(from.tracing_endpoint).value();
  how.headers = read_otlp_headers(from.tracing_headers).value();
  const auto node = node_options_of(from, {});
  how.resource = {"bot" + from.bot_token.substr(0, from.bot_token.find(':')),
                  node.name, node.version};
  return span_exporter::make(std::move(how), into);
}

}  // namespace troupe::app
