// Tests of the oracle of pointwise programs: the value and the error bound of each instruction, derived by hand.
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <vector>

#include "lockstep/lockstep.h"
#include "lockstep/op_def.h"
#include "ops/reference_call.h"

namespace lockstep {
namespace {

using Numbers = std::vector<long double>;

// The oracle's answer of a body for one operand `values` of rank 1.
template <class F>
RefArray answer(DType dtype, const Numbers& values, F body) {
  const OpDef op = pointwise_op("program_oracle_test::body", body, {.types = types::any});
  const Shape shape{static_cast<std::int64_t>(values.size())};
  const Tensor x = Tensor::abstract({dtype, shape});
  const std::vector<Operand> operands = {x};
  RefArray array = RefArray::zeros(dtype, shape);
  array.values = values;
  return ReferenceCall({op, operands, nullptr, {}, CallSite::current()}).answer(std::span(&array, 1))[0];
}

template <class F>
Numbers values_of(DType dtype, const Numbers& values, F body) {
  return answer(dtype, values, body).values;
}

template <class F>
Numbers bounds_of(DType dtype, const Numbers& values, F body) {
  return answer(dtype, values, body).budget;
}

TEST(ProgramOracle, IntegersWrapAround) {
  EXPECT_EQ(values_of(DType::i8, {100, -100, 7}, [](Expr x) { return x + x; }), (Numbers{-56, 56, 14}));
  EXPECT_EQ(values_of(DType::i8, {100, -100, 7}, [](Expr x) { return x * 3; }), (Numbers{44, -44, 21}));
  EXPECT_EQ(values_of(DType::i8, {-128, 127, 5}, [](Expr x) { return x - 3; }), (Numbers{125, 124, 2}));
  EXPECT_EQ(values_of(DType::i8, {-128, 5, 0}, [](Expr x) { return -x; }), (Numbers{-128, -5, 0}));
  EXPECT_EQ(values_of(DType::i8, {-128, -5, 5}, [](Expr x) { return abs(x); }), (Numbers{-128, 5, 5}));
  EXPECT_EQ(values_of(DType::u8, {200, 1}, [](Expr x) { return x + x; }), (Numbers{144, 2}));
  EXPECT_EQ(values_of(DType::u8, {2, 200}, [](Expr x) { return x - 3; }), (Numbers{255, 197}));
  EXPECT_EQ(values_of(DType::u8, {1, 0}, [](Expr x) { return -x; }), (Numbers{255, 0}));
  EXPECT_EQ(values_of(DType::u8, {200, 3}, [](Expr x) { return abs(x); }), (Numbers{200, 3}));
  EXPECT_EQ(values_of(DType::i64, {INT64_MAX, 5}, [](Expr x) { return x + 1; }), (Numbers{INT64_MIN, 6}));
}

TEST(ProgramOracle, IntegersDivideTowardZero) {
  EXPECT_EQ(values_of(DType::i32, {-7, 7, 1}, [](Expr x) { return x / 2; }), (Numbers{-3, 3, 0}));
  EXPECT_EQ(values_of(DType::i32, {-7, 7, 0}, [](Expr x) { return x / 0; }), (Numbers{0, 0, 0}));
  EXPECT_EQ(values_of(DType::i32, {INT32_MIN, 7}, [](Expr x) { return x / -1; }), (Numbers{INT32_MIN, -7}));
  EXPECT_EQ(values_of(DType::u8, {200, 3}, [](Expr x) { return x / 3; }), (Numbers{66, 1}));
}

TEST(ProgramOracle, BitsOfIntegers) {
  EXPECT_EQ(values_of(DType::u8, {12}, [](Expr x) { return x & x.constant(10); }), (Numbers{8}));
  EXPECT_EQ(values_of(DType::u8, {12}, [](Expr x) { return x | x.constant(10); }), (Numbers{14}));
  EXPECT_EQ(values_of(DType::u8, {12}, [](Expr x) { return x ^ x.constant(10); }), (Numbers{6}));
  EXPECT_EQ(values_of(DType::u8, {12}, [](Expr x) { return ~x; }), (Numbers{243}));
  EXPECT_EQ(values_of(DType::u8, {200}, [](Expr x) { return x >> 1; }), (Numbers{100}));
  EXPECT_EQ(values_of(DType::i8, {-128}, [](Expr x) { return x >> 1; }), (Numbers{-64})) << "the sign is kept";
  EXPECT_EQ(values_of(DType::i8, {65}, [](Expr x) { return x << 1; }), (Numbers{-126}));
  EXPECT_EQ(values_of(DType::i8, {1}, [](Expr x) { return x << 9; }), (Numbers{2})) << "counts are taken modulo 8";
  const auto high = [](Expr x) {
    const Expr wide = convert(x, LKS_U32);
    return convert(mulhi(wide, wide), LKS_I64);
  };
  EXPECT_EQ(values_of(DType::i64, {0x80000000, 0x10000, 0xffff}, high), (Numbers{0x40000000, 1, 0}));
  EXPECT_EQ(values_of(DType::boolean, {0, 1}, [](Expr x) { return !x; }), (Numbers{1, 0}));
}

TEST(ProgramOracle, Comparisons) {
  const auto chosen = [](DType dtype, const Numbers& values, auto compare) {
    return values_of(dtype, values,
                     [compare](Expr x) { return select(compare(x, x.constant(2)), x.constant(1), x.constant(0)); });
  };
  const auto less = [](Expr a, Expr b) { return a < b; };
  const auto less_equal = [](Expr a, Expr b) { return a <= b; };
  const auto equal = [](Expr a, Expr b) { return a == b; };
  const auto other = [](Expr a, Expr b) { return a != b; };
  for (DType t : {DType::f32, DType::i8, DType::u8}) {
    EXPECT_EQ(chosen(t, {1, 2, 3}, less), (Numbers{1, 0, 0})) << name_of(t);
    EXPECT_EQ(chosen(t, {1, 2, 3}, less_equal), (Numbers{1, 1, 0})) << name_of(t);
    EXPECT_EQ(chosen(t, {1, 2, 3}, equal), (Numbers{0, 1, 0})) << name_of(t);
    EXPECT_EQ(chosen(t, {1, 2, 3}, other), (Numbers{1, 0, 1})) << name_of(t);
  }
  EXPECT_EQ(chosen(DType::i8, {-1}, less), (Numbers{1}));
  EXPECT_EQ(chosen(DType::u8, {200}, less), (Numbers{0}));
  EXPECT_EQ(chosen(DType::f32, {std::nanl("")}, other), (Numbers{1}));
  EXPECT_EQ(chosen(DType::f32, {std::nanl("")}, equal), (Numbers{0}));
}

TEST(ProgramOracle, Conversions) {
  const auto by_way_of = [](lks_dtype narrow) {
    return [narrow](Expr x) { return convert(convert(x, narrow), LKS_F64); };
  };
  const long double nan = std::nanl(""), infinity = std::numeric_limits<long double>::infinity();
  EXPECT_EQ(values_of(DType::f64, {2.9, -2.9, 300, -300, nan, infinity}, by_way_of(LKS_I8)),
            (Numbers{2, -2, 127, -128, 0, 127}));
  EXPECT_EQ(values_of(DType::f64, {2.9, -1, 300, 255}, by_way_of(LKS_U8)), (Numbers{2, 0, 255, 255}));
  EXPECT_EQ(values_of(DType::f64, {0, 0.5, nan}, by_way_of(LKS_BOOL)), (Numbers{0, 1, 1}));
  EXPECT_EQ(values_of(DType::f64, {0.1}, by_way_of(LKS_F32)), (Numbers{0.1f}));
  EXPECT_EQ(values_of(DType::f64, {1 + 0x1p-11 + 0x1p-40}, by_way_of(LKS_F16)), (Numbers{1 + 0x1p-10L})) << "once";
  EXPECT_EQ(values_of(DType::f64, {1 + 0x1p-8 + 0x1p-40}, by_way_of(LKS_BF16)), (Numbers{1 + 0x1p-7L}));
  EXPECT_EQ(values_of(DType::i32, {300, -1}, [](Expr x) { return convert(convert(x, LKS_I8), LKS_I32); }),
            (Numbers{44, -1}));
  EXPECT_EQ(values_of(DType::i32, {256, 0}, [](Expr x) { return convert(convert(x, LKS_BOOL), LKS_I32); }),
            (Numbers{1, 0}));
  EXPECT_EQ(values_of(DType::i64, {16777217}, [](Expr x) { return convert(convert(x, LKS_F32), LKS_I64); }),
            (Numbers{16777216}));
  EXPECT_EQ(values_of(DType::f32, {1}, [](Expr x) { return convert(bitcast(x, LKS_I32), LKS_F32); }),
            (Numbers{0x3f800000}));
  EXPECT_EQ(values_of(DType::i32, {0x3f800000}, [](Expr x) { return convert(bitcast(x, LKS_F32), LKS_I32); }),
            (Numbers{1}));
  EXPECT_EQ(values_of(DType::i64, {0x4000000000000000}, [](Expr x) { return convert(bitcast(x, LKS_F64), LKS_I64); }),
            (Numbers{2}));
}

TEST(ProgramOracle, FloatsAreExactToTheLastStep) {
  EXPECT_EQ(values_of(DType::f32, {0.5}, [](Expr x) { return x + 0x1p-40; }), (Numbers{0.5L + 0x1p-40L}))
      << "not rounded";
  EXPECT_EQ(values_of(DType::f32, {3}, [](Expr x) { return x - 5.0; }), (Numbers{-2}));
  EXPECT_EQ(values_of(DType::f32, {1}, [](Expr x) { return x / 3.0; }), (Numbers{1 / 3.0L}));
  EXPECT_EQ(values_of(DType::f32, {2}, [](Expr x) { return sqrt(x); }), (Numbers{std::sqrt(2.0L)}));
  EXPECT_EQ(values_of(DType::f32, {-2}, [](Expr x) { return abs(x); }), (Numbers{2}));
  volatile long double one = 1;  // so that the compiler does not compute the exponential
  EXPECT_EQ(values_of(DType::f32, {1}, [](Expr x) { return exp(x); }), (Numbers{std::exp(one + 0)}));
}

TEST(ProgramOracle, WhatIsTooLargeForTheFormatIsInfinite) {
  const long double infinity = std::numeric_limits<long double>::infinity();
  const long double f32_most = std::numeric_limits<float>::max(), f64_most = std::numeric_limits<double>::max();
  // Half a unit above the largest number rounds to infinity, and less does not.
  EXPECT_EQ(values_of(DType::f32, {f32_most}, [](Expr x) { return x + 0x1p102; }), (Numbers{f32_most + 0x1p102L}));
  const RefArray above = answer(DType::f32, {f32_most, -f32_most}, [](Expr x) { return x + x * 0x1p-20; });
  EXPECT_EQ(above.values, (Numbers{infinity, -infinity}));
  EXPECT_EQ(above.budget, (Numbers{0, 0})) << "infinity is exact";
  EXPECT_EQ(values_of(DType::f32, {f32_most}, [](Expr x) { return x + 0x1p103; }), (Numbers{infinity}));
  EXPECT_EQ(values_of(DType::f64, {f64_most}, [](Expr x) { return x + 0x1p969; }), (Numbers{f64_most + 0x1p969L}));
  EXPECT_EQ(values_of(DType::f64, {f64_most}, [](Expr x) { return x + 0x1p970; }), (Numbers{infinity}));
}

// In units of the unit roundoff: half of what the last bit of a number in [1, 2) is worth.
TEST(ProgramOracle, EachStepAddsItsRounding) {
  const auto f32 = DType::f32;
  EXPECT_EQ(bounds_of(f32, {1.5}, [](Expr x) { return x; }), (Numbers{0}));
  EXPECT_EQ(bounds_of(f32, {1.5, -1.5}, [](Expr x) { return x + 2.5; }), (Numbers{4, 1}));
  EXPECT_EQ(bounds_of(f32, {1.5}, [](Expr x) { return x - 2.5; }), (Numbers{1}));
  EXPECT_EQ(bounds_of(f32, {1.5, -2}, [](Expr x) { return x * x; }), (Numbers{2.25, 4}));
  EXPECT_EQ(bounds_of(f32, {3}, [](Expr x) { return x / 2.0; }), (Numbers{1.5}));
  EXPECT_EQ(bounds_of(f32, {4}, [](Expr x) { return sqrt(x); }), (Numbers{2}));
  EXPECT_EQ(bounds_of(f32, {3}, [](Expr x) { return -(x + 1.0); }), (Numbers{4}));
  EXPECT_EQ(bounds_of(f32, {-3}, [](Expr x) { return abs(x - 1.0); }), (Numbers{4}));
  EXPECT_EQ(bounds_of(f32, {1, -1}, [](Expr x) { return select(x > 0.0, x + 1.0, x); }), (Numbers{2, 0}));
}

TEST(ProgramOracle, ErrorsOfOperandsAreCarriedOn) {
  const auto f32 = DType::f32;
  const auto sum = [](Expr x) { return x + 1.0; };  // 4 for x of 3, with an error of 4
  EXPECT_EQ(bounds_of(f32, {3}, [&](Expr x) { return sum(x) + 1.0; }), (Numbers{4 + 5}));
  EXPECT_EQ(bounds_of(f32, {3}, [&](Expr x) { return 1.0 - sum(x) - 1.0; }), (Numbers{4 + 3 + 4}));
  EXPECT_EQ(bounds_of(f32, {3}, [&](Expr x) { return sum(x) * x; }), (Numbers{4 * 3 + 12}));
  EXPECT_EQ(bounds_of(f32, {3}, [&](Expr x) { return x * sum(x); }), (Numbers{3 * 4 + 12}));
  EXPECT_EQ(bounds_of(f32, {3}, [&](Expr x) { return sum(x) / 2.0; }), (Numbers{4 / 2 + 2}));
  EXPECT_EQ(bounds_of(f32, {3}, [&](Expr x) { return 8.0 / sum(x); }), (Numbers{2 * 4 / 4 + 2}));
  EXPECT_EQ(bounds_of(f32, {3}, [&](Expr x) { return sqrt(sum(x)); }), (Numbers{4 / 4 + 2}));
  EXPECT_EQ(bounds_of(f32, {-1}, [&](Expr x) { return sqrt(sum(x)); }), (Numbers{0})) << "of 0";
  // The larger one alone decides. The function's own error is at most 4 units in the last place: 8 times the result.
  EXPECT_EQ(bounds_of(f32, {3, -7}, [&](Expr x) { return maximum(sum(x), x.constant(0)); }), (Numbers{4 + 8 * 4, 0}));
}

TEST(ProgramOracle, RoundingIsInUnitsOfTheFormat) {
  EXPECT_EQ(bounds_of(DType::f32, {1e-30}, [](Expr x) { return x * 1e-15; }), (Numbers{0x1p-126L})) << "is subnormal";
  EXPECT_EQ(bounds_of(DType::f64, {0x1p-1000}, [](Expr x) { return x * 0x1p-50; }), (Numbers{0x1p-1022L}));
  EXPECT_EQ(bounds_of(DType::f32, {0}, [](Expr x) { return x * 3.0; }), (Numbers{0}));
  // An error of 2 units of f32 is 2^30 units of f64, and a rounding of 2 more; then the same back.
  const auto there_and_back = [](Expr x) { return convert(convert(x + 1.0, LKS_F64), LKS_F32); };
  EXPECT_EQ(bounds_of(DType::f32, {1}, there_and_back), (Numbers{2 + 2 * 0x1p-29L + 2}));
  EXPECT_EQ(bounds_of(DType::f32, {1}, [](Expr x) { return convert(convert(x, LKS_F64), LKS_F32); }), (Numbers{0}))
      << "what is exact stays exact";
}

TEST(ProgramOracle, HalfWidthIsNotRoundedYet) {
  for (DType t : {DType::f16, DType::bf16}) {
    const RefArray sum = answer(t, {1}, [](Expr x) { return x + 0x1p-12; });
    EXPECT_EQ(sum.values, (Numbers{1 + 0x1p-12L})) << name_of(t);
    EXPECT_EQ(sum.rounded_from, DType::f32) << name_of(t);
    EXPECT_EQ(sum.budget, (Numbers{1 + 0x1p-12L})) << name_of(t);
  }
  EXPECT_EQ(answer(DType::f32, {1}, [](Expr x) { return x + 1.0; }).rounded_from, std::nullopt);
  EXPECT_TRUE(answer(DType::i32, {1}, [](Expr x) { return x + 1; }).budget.empty());
}

TEST(ProgramOracle, PositionsAndBroadcasts) {
  const OpDef op = pointwise_op("program_oracle_test::positions", [](Expr a, Expr b) {
    ProgramBuilder& builder = a.builder();
    const auto number = [&](Expr position) { return convert(position, a.dtype()); };
    return a + b + number(builder.linear_index()) * 100.0 + number(builder.index(0)) * 1000.0 +
           number(builder.index(1)) * 10000.0;
  });
  const Tensor column = Tensor::abstract({DType::f64, {2, 1}}), row = Tensor::abstract({DType::f64, {1, 3}});
  const std::vector<Operand> operands = {column, row};
  RefArray arrays[] = {RefArray::zeros(DType::f64, {2, 1}), RefArray::zeros(DType::f64, {1, 3})};
  arrays[0].values = {10, 20};
  arrays[1].values = {1, 2, 3};
  const RefArray out = ReferenceCall({op, operands, nullptr, {}, CallSite::current()}).answer(arrays)[0];
  EXPECT_EQ(out.values, (Numbers{11, 10112, 20213, 1321, 11422, 21523}));
}

}  // namespace
}  // namespace lockstep
