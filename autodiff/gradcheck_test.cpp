// gradcheck: what it detects, and what its options do.
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "lockstep/lockstep.h"

namespace lockstep {
namespace {

class Gradcheck : public testing::Test {
 protected:
  static Tensor cubed(const std::vector<Tensor>& in) { return in[0] * in[0] * in[0]; }
  DeviceScope scope{Device("reference")};
  const Tensor x = random_uniform({3}, 0.5, 2, {.dtype = DType::f64, .key = RandomKey{1, 1}});
};

TEST_F(Gradcheck, SeesAWrongSecondDerivative) {
  // The value of the gradient is right, but a tape sees no dependence on x.
  OpDef op = pointwise_op("gradient_test::square_once", [](Expr a) { return a * a; });
  op.saves = {Saves{1, 0}};
  op.gradient = [](GradContext& g) { g.set(0, g.upstream() * (2.0 * stop_gradient(g.input(0)))); };
  static const OpDef& once = register_op(std::move(op));
  const auto f = [](const std::vector<Tensor>& in) { return invoke1(once, {in[0]}); };
  const GradcheckResult both = gradcheck(f, {x});
  EXPECT_FALSE(both.ok);
  EXPECT_NE(both.text.find("second order, input 0, element 0"), std::string::npos) << both.text;
  EXPECT_GT(both.worst, 1);
  const GradcheckResult first = gradcheck(f, {x}, {.second_order = false});
  EXPECT_TRUE(first.ok) << first.text;
  EXPECT_LE(first.worst, 1);
  EXPECT_EQ(first.text, "");
}

TEST_F(Gradcheck, NamesTheFirstWrongElementAndTheWorstDifference) {
  // Right for the first input. For the second input, wrong in the last element only.
  OpDef op = pointwise_op("gradient_test::wrong_at_the_end", [](Expr a, Expr b) { return a * b; });
  op.saves = {Saves{3, 0}};
  op.gradient = [](GradContext& g) {
    g.set(0, g.upstream() * g.input(1));
    g.set(1, g.upstream() * g.input(0) * Tensor({1.0, 1.0, 1.5}));
  };
  static const OpDef& wrong = register_op(std::move(op));
  const GradcheckResult result = gradcheck(
      [](const std::vector<Tensor>& in) {
        return invoke1(wrong, {in[0], in[1]});
      },
      {x, x + 1.0}, {.second_order = false});
  EXPECT_FALSE(result.ok);
  EXPECT_NE(result.text.find("first order, input 1, element 2: the tape gives"), std::string::npos) << result.text;
  EXPECT_GT(result.worst, 1e4) << "a third, where 1e-5 is allowed";
}

TEST_F(Gradcheck, TolerancesAndStepAreItsOptions) {
  EXPECT_TRUE(gradcheck(&cubed, {x}).ok);
  // A step of 0.1 has a truncation error of 0.01, from the third derivative.
  EXPECT_FALSE(gradcheck(&cubed, {x}, {.step = 0.1, .second_order = false}).ok);
  EXPECT_TRUE(gradcheck(&cubed, {x}, {.step = 0.1, .relative = 0.1, .second_order = false}).ok);
  EXPECT_TRUE(gradcheck(&cubed, {x}, {.step = 0.1, .relative = 0, .absolute = 0.2, .second_order = false}).ok);
  EXPECT_FALSE(gradcheck(&cubed, {x}, {.relative = 0, .absolute = 0, .second_order = false}).ok);
}

TEST_F(Gradcheck, TheStepGrowsWithLargeNumbersAndDoesNotShrinkWithSmallOnes) {
  const auto f = [](const std::vector<Tensor>& in) { return cubed({in[0] + 1.0}); };
  for (double value : {1e-9, -1e-9, 0.0, 1e9}) {
    const GradcheckResult result = gradcheck(f, {full({2}, value, DType::f64)});
    EXPECT_TRUE(result.ok) << value << ": " << result.text;
  }
}

TEST_F(Gradcheck, AnErrorIsWhatIsAboveTheTolerance) {
  OpDef op = pointwise_op("gradient_test::too_steep", [](Expr a) { return a * 3.0; });
  op.gradient = [](GradContext& g) { g.set(0, g.upstream() * (3.0 * 1.18)); };
  static const OpDef& steep = register_op(std::move(op));
  const auto f = [](const std::vector<Tensor>& in) { return invoke1(steep, {in[0]}); };
  const double error = 0.18 / 1.18;  // relative to the larger of the two
  const GradcheckResult strict = gradcheck(f, {x}, {.relative = 0.1, .absolute = 0, .second_order = false});
  EXPECT_FALSE(strict.ok);
  EXPECT_NEAR(strict.worst, error / 0.1, 1e-4);
  EXPECT_NE(strict.text, "");
  const GradcheckResult loose = gradcheck(f, {x}, {.relative = 0.2, .absolute = 0, .second_order = false});
  EXPECT_TRUE(loose.ok) << loose.text;
  EXPECT_NEAR(loose.worst, error / 0.2, 1e-4);
}

TEST_F(Gradcheck, NanIsWrong) {
  const GradcheckResult result = gradcheck([](const std::vector<Tensor>& in) { return in[0] * std::nan(""); }, {x});
  EXPECT_FALSE(result.ok);
  EXPECT_EQ(result.worst, std::numeric_limits<double>::infinity());
}

}  // namespace
}  // namespace lockstep
