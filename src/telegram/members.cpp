#include "telegram/members.hpp"

#include <simdjson.h>

#include <charconv>
#include <cstring>
#include <string>
#include <vector>

namespace troupe::telegram {

namespace ondemand = simdjson::ondemand;

struct members::impl {
  ondemand::parser parser;
  std::string buffer;
  std::vector<member> list;

  bool read(std::string_view text);
  bool read_value(ondemand::value value, member& into);
};

namespace {

std::string_view trimmed(std::string_view raw) {
  auto last = raw.find_last_not_of(" \t\r\n");
  return last == std::string_view::npos ? std::string_view{}
                                        : raw.substr(0, last + 1);
}

}  // namespace

bool members::impl::read_value(ondemand::value value, member& into) {
  ondemand::json_type type;
  if (value.type().get(type))
    return false;
  if (type == ondemand::json_type::string) {
    into.is_string = true;
    return !value.get_string().get(into.value);
  }
  if (type == ondemand::json_type::object || type == ondemand::json_type::array)
    return !simdjson::to_json_string(value).get(into.value);
  into.value = trimmed(value.raw_json_token());
  if (type == ondemand::json_type::number) {
    // A number out of range is still a number; one like 1x is a fault.
    ondemand::number n;
    auto fault = value.get_number().get(n);
    return !fault || fault == simdjson::NUMBER_OUT_OF_RANGE;
  }
  bool b;
  return type == ondemand::json_type::boolean ? !value.get_bool().get(b)
                                              : trimmed(into.value) == "null";
}

bool members::impl::read(std::string_view text) {
  list.clear();
  if (buffer.size() < text.size() + simdjson::SIMDJSON_PADDING)
    buffer.resize(2 * text.size() + simdjson::SIMDJSON_PADDING);
  if (!text.empty())
    std::memcpy(buffer.data(), text.data(), text.size());
  std::memset(buffer.data() + text.size(), ' ', simdjson::SIMDJSON_PADDING);
  ondemand::document document;
  if (parser.iterate(buffer.data(), text.size(), buffer.size()).get(document))
    return false;
  ondemand::object object;
  if (document.get_object().get(object))
    return false;
  for (auto entry : object) {
    ondemand::field field;
    member next;
    if (std::move(entry).get(field) || field.unescaped_key().get(next.name) ||
        !read_value(field.value(), next))
      return false;
    list.push_back(next);
  }
  // Nothing but space may follow: then there is no location left to give.
  const char* rest;
  return document.current_location().get(rest) == simdjson::OUT_OF_BOUNDS;
}

members::members() : impl_{std::make_unique<impl>()} {}
members::~members() = default;

bool members::read(std::string_view text) {
  return impl_->read(text);
}

std::size_t members::size() const noexcept {
  return impl_->list.size();
}

const members::member* members::begin() const noexcept {
  return impl_->list.data();
}

const members::member* members::end() const noexcept {
  return begin() + size();
}

const members::member* members::find(std::string_view name) const noexcept {
  for (auto& m : *this)
    if (m.name == name)
      return &m;
  return nullptr;
}

std::string_view members::text(std::string_view name) const noexcept {
  auto m = find(name);
  return m ? m->value : std::string_view{};
}

std::int64_t members::number(std::string_view name,
                             std::int64_t otherwise) const noexcept {
  auto raw = text(name);
  std::int64_t n = 0;
  auto [end, fault] = std::from_chars(raw.data(), raw.data() + raw.size(), n);
  return fault == std::errc{} && end == raw.data() + raw.size() && !raw.empty()
             ? n
             : otherwise;
}

}  // namespace troupe::telegram
