// Lists and texts in the memory of attribute structs, for code that knows fields by the schema alone. Both are a count,
// and then room for as many values as the schema says.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <span>
#include <string_view>
#include <vector>

#include "lockstep/op_schema.h"

namespace lockstep {

static_assert(offsetof(BoundedList<1>, values) == offsetof(IntList, values));
static_assert(offsetof(BoundedText<8>, text) == offsetof(IntList, values));

/// The bytes of a list or text behind its count.
inline std::size_t room_of(const AttrField& field) {
  return field.storage == AttrField::Storage::list ? field.capacity * sizeof(std::int64_t) : field.capacity;
}

/// The bytes of any field.
inline std::size_t bytes_of(const AttrField& field) { return sizeof(std::int64_t) + room_of(field); }

/// The count of a list or the size of a text, as it is stored: below 0 for a list that is missing or a choice.
inline std::int64_t count_at(const AttrField& field, const void* attrs) {
  std::int64_t count = 0;
  std::memcpy(&count, static_cast<const std::byte*>(attrs) + field.offset, sizeof count);
  return count;
}

/// The same, but 0 for what is stored below, and the capacity for what is above.
inline std::size_t length_at(const AttrField& field, const void* attrs) {
  return static_cast<std::size_t>(
      std::clamp<std::int64_t>(count_at(field, attrs), 0, static_cast<std::int64_t>(field.capacity)));
}

inline std::vector<std::int64_t> numbers_at(const AttrField& field, const void* attrs) {
  std::vector<std::int64_t> numbers(length_at(field, attrs));
  const std::byte* from = static_cast<const std::byte*>(attrs) + field.offset + offsetof(IntList, values);
  if (!numbers.empty()) std::memcpy(numbers.data(), from, numbers.size() * sizeof numbers[0]);
  return numbers;
}

/// Refers to the memory.
inline std::string_view text_at(const AttrField& field, const void* attrs) {
  const std::byte* from = static_cast<const std::byte*>(attrs) + field.offset + offsetof(IntList, values);
  return {reinterpret_cast<const char*>(from), length_at(field, attrs)};
}

/// Writes a count and values, which fit, and 0 behind them.
inline void put_values(const AttrField& field, void* attrs, std::int64_t count, const void* values, std::size_t bytes) {
  std::byte* at = static_cast<std::byte*>(attrs) + field.offset;
  std::memcpy(at, &count, sizeof count);
  at += offsetof(IntList, values);
  if (bytes > 0) std::memcpy(at, values, bytes);
  std::memset(at + bytes, 0, room_of(field) - bytes);
}
inline void put_numbers(const AttrField& field, void* attrs, std::span<const std::int64_t> numbers) {
  put_values(field, attrs, static_cast<std::int64_t>(numbers.size()), numbers.data(), numbers.size_bytes());
}
inline void put_text(const AttrField& field, void* attrs, std::string_view text) {
  put_values(field, attrs, static_cast<std::int64_t>(text.size()), text.data(), text.size());
}

}  // namespace lockstep
