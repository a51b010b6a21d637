// Tests the complete text of a comparison, because people read it line by line.
#include <gtest/gtest.h>

#include "lockstep/compare.h"

namespace lockstep {
namespace {

Comparison agreeing() {
  Comparison r;
  r.first = "cpu:0";
  r.second = "reference:0";
  r.steps = 1;
  r.calls = r.identical = 12;
  r.elements = 3456;
  r.first_loss = r.second_loss = 2.5;
  r.first_weights = r.second_weights = "0123456789abcdef0123";
  return r;
}

DivergingCall product() {
  DivergingCall c;
  c.step = 1;
  c.call = 7;
  c.op = "matmul";
  c.part = "forward";
  c.scope = "model/dense_1";
  c.where = "train.cpp:41";
  c.inputs = {"a  f32 (2, 3)  output of relu", "b  f32 (3, 4)"};
  c.output = "y";
  c.shape = {2, 4};
  c.elements = 8;
  c.differing = 3;
  c.worst = {.index = {1, 2},
             .first = 1.5,
             .second = -2,
             .first_bits = "0x3fc00000",
             .second_bits = "0xc0000000",
             .ulp = 1234.5,
             .exact = 1.25,
             .allowed = 0.125};
  return c;
}

DivergingCall update() {
  DivergingCall c = product();
  c.op = "sgd_update";
  c.part = "update";
  c.scope = c.where = "";
  c.inputs.clear();
  c.worst.exact = c.worst.allowed = std::nullopt;
  return c;
}

TEST(ComparisonText, OfDevicesThatAgreeInAllBits) {
  Comparison r = agreeing();
  r.mode = MathMode::lockstep;
  EXPECT_EQ(describe(r),
            " reference:0 beside cpu:0, lockstep: 12 op calls in 1 step, 12 of them with the same bits, 3456 numbers "
            "compared\n"
            "  no difference: the same bits everywhere\n"
            "  loss 2.5 and 2.5; weights the same, 0123456789abcdef0123\n");
}

TEST(ComparisonText, OfRoundingShowsWhereItBeginsAndGrows) {
  Comparison r = agreeing();
  r.steps = 2;
  r.identical = 11;
  r.first_difference = update();
  r.steepest = product();
  r.steepest_growth = 12.25;
  r.second_loss = 2.25;
  r.second_weights = "fedcba9876543210fedc";
  EXPECT_EQ(describe(r),
            " reference:0 beside cpu:0, strict: 12 op calls in 2 steps, 11 of them with the same bits, 3456 numbers "
            "compared\n"
            "  no divergence: every op, given equal inputs, agrees within what is allowed\n"
            "  the first difference of the two runs:\n"
            "    call 7 of step 2, update: sgd_update\n"
            "    y[1, 2] of f32 (2, 4), 1.23e+03 ulp apart; 3 of 8 elements differ\n"
            "      cpu:0        1.5  0x3fc00000\n"
            "      reference:0  -2  0xc0000000\n"
            "  where the difference grows most, 12.2-fold:\n"
            "    call 7 of step 2, forward: matmul in model/dense_1, train.cpp:41\n"
            "      a  f32 (2, 3)  output of relu\n"
            "      b  f32 (3, 4)\n"
            "  loss 2.5 and 2.25; weights 0123456789ab… and fedcba987654…\n");
}

TEST(ComparisonText, OfOneCulpritHasItsValuesBitsAndInputs) {
  Comparison r = agreeing();
  r.first = "a:0";
  r.second = "b:0";
  r.culprits = {product()};
  const std::string head =
      " b:0 beside a:0, strict: 12 op calls in 1 step, 12 of them with the same bits, 3456 numbers compared\n"
      "  1 call diverges given equal inputs. The first:\n"
      "    call 7 of step 2, forward: matmul in model/dense_1, train.cpp:41\n"
      "    y[1, 2] of f32 (2, 4), 1.23e+03 ulp apart; 3 of 8 elements differ\n"
      "      a:0    1.5  0x3fc00000   off by 0.25\n"
      "      b:0    -2  0xc0000000   off by 3.25\n"
      "      exact  1.25";
  const std::string tail =
      "\n"
      "      a  f32 (2, 3)  output of relu\n"
      "      b  f32 (3, 4)\n"
      "  loss 2.5 and 2.5; weights the same, 0123456789abcdef0123\n";
  EXPECT_EQ(describe(r), head + "   each may be off by 0.125" + tail);
  r.culprits[0].worst.allowed = std::nullopt;
  EXPECT_EQ(describe(r), head + tail);
}

TEST(ComparisonText, OfManyCulpritsListsSixAndCountsTheRest) {
  const auto listed = [](std::size_t count) {
    Comparison r = agreeing();
    r.culprits.assign(count, update());
    const std::string text = describe(r);
    return text.substr(text.find('\n') + 1);
  };
  const std::string loss = "  loss 2.5 and 2.5; weights the same, 0123456789abcdef0123\n";
  const std::string first =
      "The first:\n"
      "    call 7 of step 2, update: sgd_update\n"
      "    y[1, 2] of f32 (2, 4), 1.23e+03 ulp apart; 3 of 8 elements differ\n"
      "      cpu:0        1.5  0x3fc00000\n"
      "      reference:0  -2  0xc0000000\n";
  const std::string next = "    call 7 of step 2, update: sgd_update, 1.23e+03 ulp\n",
                    five = next + next + next + next + next;
  EXPECT_EQ(listed(2), "  2 calls diverge given equal inputs. " + first + "  then\n" + next + loss);
  EXPECT_EQ(listed(6), "  6 calls diverge given equal inputs. " + first + "  then\n" + five + loss);
  EXPECT_EQ(listed(8),
            "  8 calls diverge given equal inputs. " + first + "  then\n" + five + "    and 2 more\n" + loss);
}

}  // namespace
}  // namespace lockstep
