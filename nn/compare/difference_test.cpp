#include "nn/compare/difference.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <limits>

#include "lockstep/lockstep.h"

namespace lockstep {
namespace {

std::vector<std::byte> bytes_of(const std::vector<float>& values) {
  std::vector<std::byte> bytes(values.size() * sizeof(float));
  std::memcpy(bytes.data(), values.data(), bytes.size());
  return bytes;
}

Difference between(const std::vector<float>& a, const std::vector<float>& b) {
  return difference_of(DType::f32, bytes_of(a), bytes_of(b));
}

constexpr float above_one = 1 + std::numeric_limits<float>::epsilon(), inf = std::numeric_limits<float>::infinity();

TEST(Differences, CountElementsAndNameTheWorst) {
  const Difference d = between({1, 2, 1, 4, 1}, {1, 2, above_one, 4.5f, above_one});
  EXPECT_EQ(d.elements, 5);
  EXPECT_EQ(d.differing, 3);
  EXPECT_EQ(d.worst, 3u);
  EXPECT_EQ(d.ulp, 0.5 / (4 * 0x1p-23));
  EXPECT_EQ(d.relative, 0.5 / 4) << "of the largest number";
}

TEST(Differences, OfEqualOnesTheFirstIsTheWorst) {
  EXPECT_EQ(between({1, 1, 1, 1}, {1, above_one, 1, above_one}).worst, 1u);
  // Zeros of different sign have different bits, but their distance is 0.
  const Difference zeros = between({1, 1, 0, 1, -0.0f}, {1, 1, -0.0f, 1, 0});
  EXPECT_EQ(zeros.differing, 2);
  EXPECT_EQ(zeros.worst, 2u);
  EXPECT_EQ(zeros.ulp, 0);
  EXPECT_EQ(zeros.relative, 0);
  const Difference none = between({1, 2}, {1, 2});
  EXPECT_EQ(none.differing, 0);
  EXPECT_EQ(none.elements, 2);
}

TEST(Differences, WithInfinitiesAreInfinite) {
  const Difference d = between({1, inf, 2}, {1, 5, 2});
  EXPECT_EQ(d.ulp, inf);
  EXPECT_EQ(d.worst, 1u);
  EXPECT_EQ(d.relative, inf);
  EXPECT_EQ(between({0, 0}, {0, 1}).relative, inf) << "there is nothing that it is a part of";
}

TEST(Differences, InUnitsInTheLastPlaceOfTheLarger) {
  EXPECT_EQ(ulp_between(1, 1 + 0x1p-23L, DType::f32), 1);
  EXPECT_EQ(ulp_between(1 + 0x1p-23L, 1, DType::f32), 1);
  EXPECT_EQ(ulp_between(2, 2 - 0x1p-23L, DType::f32), 0.5);
  EXPECT_EQ(ulp_between(-1, 1, DType::f64), 0x1p53);
  EXPECT_EQ(ulp_between(3, 5, DType::i32), 2);
  EXPECT_EQ(ulp_between(NAN, NAN, DType::f32), 0);
  EXPECT_EQ(ulp_between(NAN, 1, DType::f32), inf);
  EXPECT_EQ(ulp_between(1, NAN, DType::f32), inf);
  EXPECT_EQ(ulp_between(inf, inf, DType::f32), 0);
  EXPECT_EQ(ulp_between(inf, -inf, DType::f32), inf);
}

TEST(Differences, ElementsHaveTheirPlaceValuesAndBits) {
  const Tensor x = zeros({2, 3});
  const DivergingElement e =
      element_at(*x.impl(), bytes_of({0, 0, 0, 0, 0, 1}), bytes_of({0, 0, 0, 0, 0, above_one}), 5);
  EXPECT_EQ(e.index, (std::vector<std::int64_t>{1, 2}));
  EXPECT_EQ(e.first, 1);
  EXPECT_EQ(e.second, static_cast<double>(above_one));
  EXPECT_EQ(e.first_bits, "0x3f800000");
  EXPECT_EQ(e.second_bits, "0x3f800001");
  EXPECT_EQ(e.ulp, 1);
  EXPECT_EQ(element_at(*x.impl(), bytes_of({0, 0, 0, 0, 0, 1}), bytes_of({0, 0, 0, 0, 0, 1}), 3).index,
            (std::vector<std::int64_t>{1, 0}));
}

}  // namespace
}  // namespace lockstep
