// Tests that the hash of weights covers exactly the bytes that docs/lockstep_mode.md lists.
#include <gtest/gtest.h>

#include <array>
#include <bit>

#include "lockstep/lockstep.h"

namespace lockstep {
namespace {

template <class Bits, std::size_t n>
Variable from_bits(DType dtype, const std::array<Bits, n>& bits, const std::string& name = "w") {
  const DeviceScope scope{Device("reference")};
  return Variable(Tensor::from_bytes(reinterpret_cast<const std::byte*>(bits.data()), sizeof bits,
                                     {dtype, Shape{static_cast<std::int64_t>(n)}}, Device("reference")),
                  name);
}

std::string hash_of(std::initializer_list<Variable> variables) {
  return weights_sha256(std::span(variables.begin(), variables.size()));
}

// The expected hashes are from Python's hashlib, for bytes written out by hand.
TEST(WeightsHash, CoversNameDtypeShapeAndBytes) {
  const DeviceScope scope{Device("reference")};
  const Variable kernel(Tensor(std::vector{1.0f, 2.0f, 3.0f, 4.0f, 5.0f, 6.0f}, {2, 3}), "dense/kernel");
  const Variable bias(Tensor({0.5f, -0.25f, 0.0f}), "dense/bias");
  EXPECT_EQ(hash_of({kernel, bias}), "1b6cfb69fa723001c411bcd83933ec8a115c044f988cbf76a6f51543c1f5f890");
  EXPECT_EQ(hash_of({bias, kernel}), hash_of({kernel, bias})) << "the order is that of the names";
  const Variable other(Tensor(std::vector{1.0f, 2.0f, 3.0f, 4.0f, 5.0f, 6.0f}, {3, 2}), "dense/kernel");
  EXPECT_NE(hash_of({other, bias}), hash_of({kernel, bias}));
}

TEST(WeightsHash, ValuesCountInLogicalOrder) {
  const DeviceScope scope{Device("reference")};
  const Tensor x(std::vector{1.0f, 4.0f, 2.0f, 5.0f, 3.0f, 6.0f}, {3, 2});
  const Variable dense(Tensor(std::vector{1.0f, 2.0f, 3.0f, 4.0f, 5.0f, 6.0f}, {2, 3}), "w"),
      strided(transpose(x), "w");
  EXPECT_EQ(hash_of({dense}), hash_of({strided}));
}

// Processors produce NaNs with any sign and payload. The hash treats all NaNs of a dtype as equal, and no other values.
TEST(WeightsHash, NansAreAlike) {
  const auto f32 = [](std::uint32_t bits) { return hash_of({from_bits(DType::f32, std::array{bits, 0x3f800000u})}); };
  EXPECT_EQ(f32(0xffc00000u), f32(0x7fc00000u));
  EXPECT_EQ(f32(0xff812345u), f32(0x7fc00000u));
  EXPECT_EQ(f32(0x7f800001u), f32(0x7fc00000u));
  EXPECT_NE(f32(0x7f800000u), f32(0x7fc00000u)) << "infinity is not a NaN";
  EXPECT_NE(f32(0x80000000u), f32(0x00000000u)) << "zeros have signs";
  const auto f64 = [](std::uint64_t bits) { return hash_of({from_bits(DType::f64, std::array{bits})}); };
  EXPECT_EQ(f64(0xfff8000000000000u), f64(0x7ff0000000000001u));
  EXPECT_NE(f64(0x7ff0000000000000u), f64(0x7ff8000000000000u));
  const auto f16 = [](std::uint16_t bits) { return hash_of({from_bits(DType::f16, std::array{bits})}); };
  EXPECT_EQ(f16(0xfe01), f16(0x7e00));
  EXPECT_NE(f16(0xfc00), f16(0x7e00));
  const auto bf16 = [](std::uint16_t bits) { return hash_of({from_bits(DType::bf16, std::array{bits})}); };
  EXPECT_EQ(bf16(0xff81), bf16(0x7fc0));
  EXPECT_NE(bf16(0x7f80), bf16(0x7fc0));
  const auto i32 = [](std::uint32_t bits) { return hash_of({from_bits(DType::i32, std::array{bits})}); };
  EXPECT_NE(i32(0xffc00000u), i32(0x7fc00000u)) << "integers have no NaN";
}

}  // namespace
}  // namespace lockstep
