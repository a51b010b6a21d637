#include "runtime/element.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <limits>

namespace lockstep {
namespace {

template <class T>
long double value(T x, DType dtype) {
  std::byte bytes[sizeof x];
  std::memcpy(bytes, &x, sizeof x);
  return element_value(bytes, dtype);
}

template <class T>
std::string bits(T x, DType dtype) {
  std::byte bytes[sizeof x];
  std::memcpy(bytes, &x, sizeof x);
  return element_bits(bytes, dtype);
}

TEST(Elements, AreReadByTheirDtype) {
  EXPECT_EQ(value(-1.5f, DType::f32), -1.5L);
  EXPECT_EQ(value(0x1p-1000, DType::f64), 0x1p-1000L);
  EXPECT_EQ(value(std::uint16_t{0xc000}, DType::f16), -2);
  EXPECT_EQ(value(std::uint16_t{0x3fc0}, DType::bf16), 1.5L);
  EXPECT_EQ(value(std::int8_t{-7}, DType::i8), -7);
  EXPECT_EQ(value(std::uint8_t{200}, DType::u8), 200);
  EXPECT_EQ(value(std::int32_t{-70000}, DType::i32), -70000);
  EXPECT_EQ(value(std::int64_t{-5'000'000'000}, DType::i64), -5'000'000'000);
  EXPECT_EQ(value(std::uint8_t{1}, DType::boolean), 1);
}

TEST(Elements, BitsBeginWithTheHighest) {
  EXPECT_EQ(bits(1.0f, DType::f32), "0x3f800000");
  EXPECT_EQ(bits(1.0, DType::f64), "0x3ff0000000000000");
  EXPECT_EQ(bits(std::uint16_t{0x12af}, DType::f16), "0x12af");
  EXPECT_EQ(bits(std::int8_t{-1}, DType::i8), "0xff");
}

TEST(Elements, UnitInTheLastPlace) {
  EXPECT_EQ(unit_in_last_place(1, DType::f32), std::numeric_limits<float>::epsilon());
  EXPECT_EQ(unit_in_last_place(-1.99L, DType::f64), std::numeric_limits<double>::epsilon());
  EXPECT_EQ(unit_in_last_place(2, DType::f16), 0x1p-9L);
  EXPECT_EQ(unit_in_last_place(0.5L, DType::bf16), 0x1p-8L);
  // The smallest number, for zero and denormals.
  for (long double x : {0.0L, 0x1p-1080L, INFINITY * 1.0L}) {
    EXPECT_EQ(unit_in_last_place(x, DType::f32), std::numeric_limits<float>::denorm_min());
    EXPECT_EQ(unit_in_last_place(x, DType::f64), std::numeric_limits<double>::denorm_min());
    EXPECT_EQ(unit_in_last_place(x, DType::f16), 0x1p-24L);
    EXPECT_EQ(unit_in_last_place(x, DType::bf16), 0x1p-133L);
  }
  EXPECT_EQ(unit_in_last_place(0x1p-126L, DType::f32), std::numeric_limits<float>::denorm_min());
  EXPECT_EQ(unit_in_last_place(1000, DType::i32), 1);
}

TEST(Elements, UnitRoundoffIsHalfOfThatAtOne) {
  EXPECT_EQ(unit_roundoff(DType::f32), 0x1p-24L);
  EXPECT_EQ(unit_roundoff(DType::f64), 0x1p-53L);
  EXPECT_EQ(unit_roundoff(DType::f16), 0x1p-11L);
  EXPECT_EQ(unit_roundoff(DType::bf16), 0x1p-8L);
  EXPECT_EQ(unit_roundoff(DType::i64), 0);
}

}  // namespace
}  // namespace lockstep
