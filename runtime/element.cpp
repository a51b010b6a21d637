#include "runtime/element.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>

#include "lockstep/error.h"

namespace lockstep {
namespace {

template <class T>
T read(const std::byte* at) {
  T value;
  std::memcpy(&value, at, sizeof value);
  return value;
}

struct Format {
  int mantissa;  // bits after the point
  int lowest;    // exponent of the smallest normal number
};

Format format_of(DType t) {
  switch (t) {
    case DType::f64: return {52, -1022};
    case DType::f16: return {10, -14};
    case DType::bf16: return {7, -126};
    default: return {23, -126};
  }
}

}  // namespace

long double element_value(const std::byte* at, DType dtype) {
  switch (dtype) {
    case DType::f32: return read<float>(at);
    case DType::f64: return read<double>(at);
    case DType::f16: return static_cast<float>(read<Half>(at));
    case DType::bf16: return static_cast<float>(read<BFloat16>(at));
    case DType::i8: return read<std::int8_t>(at);
    case DType::u8: return read<std::uint8_t>(at);
    case DType::i32: return read<std::int32_t>(at);
    case DType::i64: return static_cast<long double>(read<std::int64_t>(at));
    case DType::boolean: return read<std::uint8_t>(at);
  }
  return 0;
}

std::string element_bits(const std::byte* at, DType dtype) {
  constexpr char digits[] = "0123456789abcdef";
  std::string text = "0x";
  for (std::size_t i = size_of(dtype); i-- > 0;) {  // the highest byte first
    const auto byte = std::to_integer<unsigned>(at[i]);
    text += digits[byte >> 4];
    text += digits[byte & 15];
  }
  return text;
}

bool are_booleans(const std::byte* first, std::int64_t count, std::int64_t stride) {
  for (std::int64_t i = 0; i < count; ++i) {
    if (first[i * stride] > std::byte{1}) return false;
  }
  return true;
}

void check_booleans(const void* elements, const TensorSpec& spec, const char* op, CallSite where) {
  if (spec.dtype != DType::boolean || are_booleans(static_cast<const std::byte*>(elements), spec.bytes())) return;
  raise(ErrorId::invalid_foreign_array, op, "there are booleans that are neither 0 nor 1",
        "give the bytes 0 and 1, or give u8 elements and cast them to bool", where);
}

long double unit_in_last_place(long double x, DType dtype) {
  if (!is_floating(dtype)) return 1;
  const Format f = format_of(dtype);
  const int exponent = x == 0 || !std::isfinite(x) ? f.lowest : std::max(std::ilogb(x), f.lowest);
  return std::ldexp(1.0L, exponent - f.mantissa);
}

long double unit_roundoff(DType dtype) {
  return is_floating(dtype) ? std::ldexp(1.0L, -format_of(dtype).mantissa - 1) : 0;
}

}  // namespace lockstep
