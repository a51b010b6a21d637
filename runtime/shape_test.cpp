#include "lockstep/shape.h"

#include <gtest/gtest.h>

#include "lockstep/error.h"

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
}

TEST(Shape, EmptyExtentWinsOverOverflow) {
  const std::int64_t huge = std::int64_t{1} << 40;
  EXPECT_EQ((Shape{huge, huge, 0}.element_count()), Dim(0));
  EXPECT_THROW((Shape{huge, huge}.element_count()), ShapeError);
}

}  // namespace
}  // namespace lockstep
