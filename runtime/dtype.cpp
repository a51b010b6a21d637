#include "lockstep/dtype.h"

#include <array>
#include <bit>
#include <ostream>

#include "lockstep/error.h"

namespace lockstep {
namespace {

constexpr std::array<std::string_view, dtype_count> names = {"f32", "f64", "f16", "bf16", "i8",
                                                             "u8",  "i32", "i64", "bool"};
constexpr const char* all_names = "use one of f32, f64, f16, bf16, i8, u8, i32, i64, bool";

}  // namespace

std::string_view name_of(DType t) { return is_dtype(t) ? names[static_cast<std::size_t>(t)] : "no dtype"; }

void fail_dtype(int number) {
  ErrorBuilder(ErrorId::unknown_dtype, "dtype", std::to_string(number) + " is not a dtype").fix(all_names).raise();
}

DType parse_dtype(std::string_view name) {
  for (std::size_t i = 0; i < names.size(); ++i) {
    if (names[i] == name) return static_cast<DType>(i);
  }
  ErrorBuilder(ErrorId::unknown_dtype, "dtype", "no dtype is called \"" + std::string(name) + "\"")
      .fix(all_names)
      .raise();
}

std::ostream& operator<<(std::ostream& out, DType t) { return out << name_of(t); }

// The conversions below work on the bits of IEEE 754 binary16 and bfloat16, so that they do not depend on support by
// the compiler or the processor.
Half::Half(float value) {
  const std::uint32_t x = std::bit_cast<std::uint32_t>(value);
  const std::uint32_t sign = (x >> 16) & 0x8000u;
  const std::uint32_t magnitude = x & 0x7fffffffu;
  std::uint32_t result = 0;
  if (magnitude > 0x7f800000u) {
    result = 0x7e00u;  // canonical NaN
  } else if (magnitude >= 0x477ff000u) {
    result = 0x7c00u;  // rounds to 2^16 or more: infinity
  } else if (magnitude >= 0x38800000u) {
    const std::uint32_t rebased = magnitude - 0x38000000u;  // exponent bias 127 -> 15
    result = (rebased + 0xfffu + ((rebased >> 13) & 1u)) >> 13;
  } else {
    // Denormal: adding 0.5 aligns the mantissa, because 0.5 has an f32 ulp of 2^-24, and the addition rounds to even.
    const float aligned = std::bit_cast<float>(magnitude) + 0.5f;
    result = std::bit_cast<std::uint32_t>(aligned) - 0x3f000000u;
  }
  bits = static_cast<std::uint16_t>(sign | result);
}

Half::operator float() const {
  const std::uint32_t sign = (bits & 0x8000u) << 16;
  const std::uint32_t exponent = (bits >> 10) & 0x1fu;
  const std::uint32_t mantissa = bits & 0x3ffu;
  std::uint32_t result = 0;
  if (exponent == 0x1fu) {
    result = 0x7f800000u | (mantissa << 13);
  } else if (exponent != 0) {
    result = ((exponent + 112u) << 23) | (mantissa << 13);
  } else {
    result = std::bit_cast<std::uint32_t>(static_cast<float>(mantissa) * 0x1p-24f);
  }
  return std::bit_cast<float>(sign | result);
}

BFloat16::BFloat16(float value) {
  const std::uint32_t x = std::bit_cast<std::uint32_t>(value);
  if ((x & 0x7fffffffu) > 0x7f800000u) {
    bits = static_cast<std::uint16_t>(((x >> 16) & 0x8000u) | 0x7fc0u);
  } else {
    bits = static_cast<std::uint16_t>((x + 0x7fffu + ((x >> 16) & 1u)) >> 16);
  }
}

BFloat16::operator float() const { return std::bit_cast<float>(static_cast<std::uint32_t>(bits) << 16); }

}  // namespace lockstep
