// Tests of the parts that oracles share: sums with their bounds, and products with twice the mantissa.
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <vector>

#include "ops/scalar/oracles.h"
#include "ops/sum_oracle.h"

namespace lockstep {
namespace {

RefArray sum_of(DType dtype, const std::vector<long double>& terms) {
  RefArray out = RefArray::zeros(dtype, Shape{1});
  SumOracle sums(out);
  for (long double term : terms) sums.add(0, term);
  sums.finish();
  return out;
}

TEST(SumOracle, BoundsSumsBeyondTheFormat) {
  constexpr long double big = std::numeric_limits<double>::max(),
                        infinity = std::numeric_limits<long double>::infinity();
  // Every order overflows. The bound stays far below the distance to any finite f64.
  const RefArray two = sum_of(DType::f64, {big, big});
  EXPECT_EQ(two.values[0], 2 * big);
  EXPECT_EQ(two.budget[0], 3 * 2 * big);
  EXPECT_NE(sum_of(DType::f64, {big, big, infinity}).budget[0], unbounded_budget);
  // Some orders overflow, others do not.
  EXPECT_EQ(sum_of(DType::f64, {big, big, -big}).budget[0], unbounded_budget);
  // big + big is infinite, and infinity - infinity is NaN.
  EXPECT_EQ(sum_of(DType::f64, {big, big, -infinity}).budget[0], unbounded_budget);
  EXPECT_NE(sum_of(DType::f64, {big / 4, big / 4, -infinity}).budget[0], unbounded_budget);
}

TEST(SumOracle, AddsManyProductsAsItAddsOne) {
  const std::vector<long double> a = {3, -7, 0x1p20L, 0, -2, 11}, b = {-2, 9, 5};
  for (DType dtype : {DType::f32, DType::f64, DType::i32}) {
    RefArray one = RefArray::zeros(dtype, Shape{3}), many = one;
    SumOracle each(one), all(many);
    for (std::size_t i = 0; i < 3; ++i) each.add_product(0, a[2 * i], b[i]);
    all.add_products(0, a.data(), 2, b.data(), 1, 3);
    for (std::size_t i = 0; i < 2; ++i) each.add_product(1 + i, 5, a[i]);
    all.add_multiples(1, 5, a.data(), 2);
    each.finish();
    all.finish();
    EXPECT_EQ(one.values, many.values) << name_of(dtype);
    EXPECT_EQ(one.budget, many.budget) << name_of(dtype);
  }
}

TEST(Products, HaveTheErrorThatAnFmaGives) {
  const long double numbers[] = {0.0L,   1.0L,      -1.0L / 3, 0x1.fffffffffffffffep9L, 0.7071067811865476L,
                                 1e-30L, -215998.7L};
  for (long double a : numbers) {
    for (long double b : numbers) {
      const long double product = a * b;
      EXPECT_EQ(oracles::product_error(a, b, product), std::fma(a, b, -product)) << a << " * " << b;
    }
  }
}

}  // namespace
}  // namespace lockstep
