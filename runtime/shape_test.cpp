#include "lockstep/shape.h"

#include <gtest/gtest.h>

#include "lockstep/error.h"
#include "runtime/expect_error.h"

namespace lockstep {
namespace {

TEST(Dim, SymbolsWithOneNameAreOneSize) {
  EXPECT_EQ(Dim::symbol("batch"), Dim::symbol("batch"));
  EXPECT_FALSE(Dim::symbol("batch") == Dim::symbol("time"));
  EXPECT_FALSE(Dim::symbol("batch").is_known());
}

TEST(Dim, PolynomialsAreCanonical) {
  const Dim b = Dim::symbol("batch"), t = Dim::symbol("time");
  EXPECT_EQ(b * 784, Dim(784) * b);
  EXPECT_EQ(b * t + b, b * (t + 1));
  EXPECT_EQ(floor_div(b * 784, 784), b);
  EXPECT_EQ(floor_div(b * t * 4, t * 2), b * 2);
  EXPECT_EQ((b + 3) - 3, b);
  EXPECT_EQ(b - b, Dim(0));
  EXPECT_EQ(b * 0, Dim(0));
}

TEST(Dim, QuotientsThatDoNotComeOutStaySymbolic) {
  const Dim h = Dim::symbol("h");
  const Dim pooled = floor_div(h - 2, 2) + 1;
  EXPECT_FALSE(pooled.is_known());
  EXPECT_EQ(pooled, floor_div(h - 2, 2) + 1);
  EXPECT_EQ(pooled.to_string(), "(h-2)/2+1");
}

TEST(Dim, MayEqualUnlessBothAreKnown) {
  EXPECT_TRUE(may_equal(Dim::symbol("n"), 3));
  EXPECT_TRUE(may_equal(Dim(3), Dim(3)));
  EXPECT_FALSE(may_equal(Dim(3), Dim(4)));
}

TEST(Dim, ErrorsAreTyped) {
  EXPECT_THROW(Dim(-1), ShapeError);
  EXPECT_THROW(Dim(3) - Dim(4), ShapeError);
  EXPECT_THROW(Dim(std::int64_t{1} << 40) * Dim(std::int64_t{1} << 40), ShapeError);
  EXPECT_THROW(Dim::symbol("batch").value(), TraceError);
}

TEST(Dim, ArithmeticIsCheckedAtTheEndsOf64Bits) {
  const Dim most = INT64_MAX, half = std::int64_t{1} << 62;
  EXPECT_EQ(most + 0, most);
  EXPECT_EQ(most - most, Dim(0));
  EXPECT_EQ(most * 1, most);
  EXPECT_EQ(half * 0, Dim(0));
  EXPECT_EQ((half - 1) + half, most);
  EXPECT_EQ(Dim(3037000499) * 3037000499, Dim(9223372030926249001));  // the largest square below 2^63
  EXPECT_THROW(most + 1, ShapeError);
  EXPECT_THROW(most + most, ShapeError);
  EXPECT_THROW(half + half, ShapeError);
  EXPECT_THROW(half * 2, ShapeError);
  EXPECT_THROW(Dim(3037000500) * 3037000500, ShapeError);
  EXPECT_THROW(most * most, ShapeError);
  EXPECT_THROW(floor_div(most, 0), ShapeError);
  EXPECT_EQ(checked_sub(INT64_MIN + 1, 1), INT64_MIN);
  EXPECT_THROW(checked_add(INT64_MIN, -1), ShapeError);
  EXPECT_THROW(checked_sub(INT64_MIN, 1), ShapeError);
  EXPECT_THROW(checked_mul(INT64_MIN, -1), ShapeError);
}

TEST(Dim, CoefficientsOfSymbolsAreCheckedToo) {
  const Dim n = Dim::symbol("n"), most = INT64_MAX, half = std::int64_t{1} << 62;
  EXPECT_EQ(floor_div(n * most, most), n);
  EXPECT_EQ((n * most).to_string(), "n*9223372036854775807");
  EXPECT_THROW(n * most + n, ShapeError);
  EXPECT_THROW(n * half * 2, ShapeError);
  EXPECT_THROW(n * half + n * half, ShapeError);
  EXPECT_THROW((n + most) + 1, ShapeError);
  EXPECT_THROW((n + half) * 2, ShapeError);
  EXPECT_THROW(floor_div(n, 0), ShapeError);
  const Dim least = (n - most) - n * most;  // the smallest coefficients whose negation fits
  EXPECT_EQ(least.to_string(), "-n*9223372036854775806-9223372036854775807");
  EXPECT_THROW(least - 1, ShapeError);
  EXPECT_THROW(least - n - n, ShapeError);
  EXPECT_THROW(Dim(0) - (n * half + n * half - n), ShapeError);
}

TEST(Dim, DifferencesThatComeOutNegativeAreRefused) {
  const Dim n = Dim::symbol("n");
  EXPECT_EQ((n + 5) - n, Dim(5));
  EXPECT_THROW((n - 5) - n, ShapeError);
}

TEST(Dim, HandlesOfNothingAreRefused) {
  const Dim n = Dim::symbol("n");
  EXPECT_EQ(Dim::from_raw(n.raw()), n);
  EXPECT_EQ(Dim::from_raw(7), Dim(7));
  EXPECT_THROW(Dim::from_raw(-1'000'000'000), ShapeError);
  EXPECT_THROW(Dim::from_raw(INT64_MIN), ShapeError);
}

TEST(Shape, SizesAreExactOrRefused) {
  const std::int64_t many = std::int64_t{1} << 32;
  EXPECT_THROW((Shape{many, many}.size()), ShapeError);  // wraps to 0 in 64 bits
  EXPECT_EQ((Shape{many, many, 0}.size()), 0);
  EXPECT_EQ((Shape{many, many / 2 - 1}.size()), many * (many / 2 - 1));
  EXPECT_THROW((TensorSpec{DType::f64, {many, many / 4}}.bytes()), ShapeError);
  EXPECT_FALSE((TensorSpec{DType::f64, {many, many / 16}}.is_countable()));
  EXPECT_TRUE((TensorSpec{DType::f64, {many, many / 32}}.is_countable()));
  EXPECT_FALSE((TensorSpec{DType::u8, {0, many, many}}.is_countable()));
}

TEST(Dim, IsWrittenWithSymbolsFirst) {
  const Dim a = Dim::symbol("a"), b = Dim::symbol("b");
  EXPECT_EQ((a * b * 3 + 2).to_string(), "a*b*3+2");
  EXPECT_EQ((b * 4 - 1).to_string(), "b*4-1");
  EXPECT_EQ((Dim(0) - b).to_string(), "-b");
  EXPECT_EQ((a - a).to_string(), "0");
  EXPECT_EQ((a + 1 - a), Dim(1));
  EXPECT_EQ(floor_div(a, a), Dim(1));
  EXPECT_EQ(floor_div(a + b, a + b), Dim(1)) << "though sums are not divided";
  EXPECT_EQ(floor_div(a * b * 6, b * 3), a * 2);
  EXPECT_EQ(floor_div(a * 5, a * 2).to_string(), "(a*5)/a*2");
  EXPECT_EQ(floor_div(a, b).to_string(), "(a)/b");
}

TEST(Shape, ErrorsHaveTheirPlaceAndAFix) {
  const std::string fix = "\n  fix    ", here = "\n  where  called at shape_test.cpp:N" + fix;
  EXPECT_EQ(error_text([] { Shape{-1}; }),
            "ShapeError[LS2005] shape: extent -1 is negative" + here + "extents are 0 or more");
  EXPECT_EQ(error_text([] { Shape{1, 1, 1, 1, 1, 1, 1, 1, 1}; }),
            "ShapeError[LS2005] shape: rank 9 exceeds the limit of 8" + here + "merge dimensions with reshape");
  EXPECT_EQ(error_text([] {
              Shape{2, 3}[2];
            }),
            "ShapeError[LS2004] shape: dimension 2 is outside the shape (2, 3)" + fix + "dimensions go from -2 to 1");
  EXPECT_EQ(error_text([] { Shape{}[0]; }), "ShapeError[LS2004] shape: dimension 0 is outside the shape ()" + fix +
                                                "a shape of rank 0 has no dimensions");
  EXPECT_EQ(error_text([] { Dim(INT64_MAX) + Dim(1); }),
            "ShapeError[LS2005] shape: a number would exceed 64 bits: 9223372036854775807 + 1" + fix +
                "check the extents that it is computed from");
  EXPECT_EQ(error_text([] { Dim(2) - Dim(3); }), "ShapeError[LS2005] shape: an extent would be negative: 2 - 3" + fix +
                                                     "check the extents that it is computed from");
  EXPECT_EQ(error_text([] { floor_div(Dim(2), Dim(0)); }),
            "ShapeError[LS2005] shape: an extent would be 2 / 0" + fix + "check the extents that it is computed from");
  EXPECT_EQ(error_text([] { (Dim::symbol("batch") + 1) - (Dim::symbol("batch") + 3); }),
            "ShapeError[LS2005] shape: extent -2 is negative" + fix + "extents are 0 or more")
      << "no line of the program is known";
  EXPECT_EQ(error_text([] { Dim::symbol("batch").value(); }),
            "TraceError[LS4101] shape: the extent `batch` is not known yet" + fix +
                "ask for extents inside ops, or build the model with a concrete shape");
}

TEST(Shape, PrintsAndIndexes) {
  const Shape s{Dim::symbol("batch"), 28, 1};
  EXPECT_EQ(s.to_string(), "(batch, 28, 1)");
  EXPECT_EQ(Shape{}.to_string(), "()");
  EXPECT_EQ(s[-1], 1);
  EXPECT_THROW(s[0], TraceError);
  EXPECT_EQ(s.element_count().to_string(), "batch*28");
}

TEST(Shape, RankIsLimited) {
  EXPECT_NO_THROW((Shape{1, 1, 1, 1, 1, 1, 1, 1}));
  EXPECT_THROW((Shape{1, 1, 1, 1, 1, 1, 1, 1, 1}), ShapeError);
  const std::vector<std::int64_t> nine(9, 1);
  const std::vector<Dim> nine_dims(9, 1);
  EXPECT_THROW(Shape(std::span<const std::int64_t>(nine)), ShapeError);
  EXPECT_THROW(Shape(std::span<const Dim>(nine_dims)), ShapeError);
  Shape grown(std::span<const std::int64_t>(nine).first(7));
  grown.append(5);
  EXPECT_EQ(grown.rank(), 8);
  EXPECT_THROW(grown.append(1), ShapeError);
}

TEST(Shape, EmptyExtentWinsOverOverflow) {
  const std::int64_t huge = std::int64_t{1} << 40;
  EXPECT_EQ((Shape{huge, huge, 0}.element_count()), Dim(0));
  EXPECT_THROW((Shape{huge, huge}.element_count()), ShapeError);
}

}  // namespace
}  // namespace lockstep
