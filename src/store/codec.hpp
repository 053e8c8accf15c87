#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "store/store.hpp"

/// The small binary texts inside the sqlite format: little-endian numbers.
namespace troupe::store {

void put_u64(std::string& out, std::uint64_t n);

/// The `i`-th number; the caller has checked the size.
std::uint64_t u64_at(std::string_view text, std::size_t i) noexcept;

std::string encode_labels(const std::vector<label>& labels);

/// Nothing if the text is not one that `encode_labels` made.
std::optional<std::vector<label>> decode_labels(std::string_view text);

}  // namespace troupe::store
