// The full texts of errors from invalid op calls: operands, place and fix.
#include "ops/call_error.h"

#include <gtest/gtest.h>

#include <cmath>

#include "lockstep/lockstep.h"
#include "runtime/expect_error.h"

namespace lockstep {
namespace {

Tensor abstract(DType dtype, const Shape& shape) { return Tensor::abstract({dtype, shape}); }

const Tensor wide = abstract(DType::f32, {2, 3}), four = abstract(DType::f32, {4}), one = abstract(DType::f32, {});
const std::string here = "\n  where  called at call_error_test.cpp:N\n  fix    ";

TEST(CallErrors, OfShapes) {
  const std::string a = "\n  a      Tensor f32 (2, 3) abstract", b = "\n  b      Tensor f32 (4) abstract";
  EXPECT_EQ(error_text([] { add(wide, four); }),
            "ShapeError[LS2001] add: shapes do not broadcast: b is (4), the others (2, 3)" + a + b + here +
                "extents must be equal or 1, counted from the last; check what each operand means");
  EXPECT_EQ(error_text([] {
              add(abstract(DType::f32, {3, 1}), four);
            }),
            "ShapeError[LS2002] add: shapes (3, 1) and (4) differ in rank and both would be expanded, to (3, 4)\n"
            "  a      Tensor f32 (3, 1) abstract" +
                b + here + "if that is meant, reshape one to the other's rank; if not, reshape it to the same shape");
  EXPECT_EQ(error_text([] { sum(wide, {{5}}); }),
            "ShapeError[LS2004] sum: axis 5 is outside a tensor of rank 2\n  x      Tensor f32 (2, 3) abstract" + here +
                "axes go from -2 to 1");
  EXPECT_EQ(error_text([] { softmax(one, 0); }),
            "ShapeError[LS2004] softmax: axis 0 is outside a tensor of rank 0\n  x      Tensor f32 () abstract" + here +
                "a tensor of rank 0 has no axes");
  EXPECT_EQ(error_text([] {
              transpose(wide, Ints{0, 1, 2, 3, 4, 5, 6, 7, 8});
            }),
            "ShapeError[LS2004] transpose: the order has 9 numbers, a tensor at most 8 axes\n"
            "  x      Tensor f32 (2, 3) abstract" +
                here + "give at most one number per axis of the tensor");
}

TEST(CallErrors, OfDtypes) {
  EXPECT_EQ(error_text([] {
              add(wide, abstract(DType::f64, {2, 3}));
            }),
            "DTypeError[LS2101] add: operands are f32 and f64, nothing is promoted silently\n"
            "  a      Tensor f32 (2, 3) abstract\n"
            "  b      Tensor f64 (2, 3) abstract" +
                here + "cast it: cast(b, lockstep::f32)");
  EXPECT_EQ(error_text([] { exp(abstract(DType::i32, {2})); }),
            "DTypeError[LS2102] exp: x is i32, the op takes f32, f64, f16, bf16\n"
            "  x      Tensor i32 (2) abstract" +
                here + "cast it: cast(x, lockstep::f32)");
  EXPECT_EQ(error_text([] { logical_not(wide); }),
            "DTypeError[LS2102] logical_not: x is f32, the op takes bool\n"
            "  x      Tensor f32 (2, 3) abstract" +
                here + "cast it: cast(x, lockstep::boolean)");
  EXPECT_EQ(error_text([] { one_hot(wide, 3); }),
            "DTypeError[LS2102] one_hot: labels is f32, the op takes i32, i64\n"
            "  labels Tensor f32 (2, 3) abstract" +
                here + "cast it: cast(labels, lockstep::i64)");
}

TEST(CallErrors, OfDevices) {
  const Tensor here_it_is = ones({2}).to(Device("reference")), there = ones({2}).to(Device("cpu"));
  const std::string text = error_text([&] { add(here_it_is, there); });
  EXPECT_TRUE(text.starts_with(
      "DeviceError[LS3002] add: operands lie on reference:0 and cpu:0\n  a      Tensor f32 (2) reference:0"))
      << text;
  EXPECT_TRUE(text.ends_with(here + "move one: tensor.to(Device(\"reference:0\"))")) << text;
  EXPECT_EQ(error_text([&] {
              concat({there, there, here_it_is});
            }).substr(0, 70),
            "DeviceError[LS3002] concat: operands lie on cpu:0 and reference:0\n  x0");
}

TEST(CallErrors, OfNumbers) {
  EXPECT_EQ(error_text([] { equal(abstract(DType::i8, {2}), 300); }),
            "ShapeError[LS2007] equal: the number 300 is outside the range of i8, -128 to 127\n"
            "  a      Tensor i8 (2) abstract\n"
            "  b      number 300" +
                here + "cast it: cast(a, lockstep::i64)");
  EXPECT_EQ(error_text([] { add(UINT64_MAX, abstract(DType::i32, {2})); }),
            "ShapeError[LS2007] add: the number 18446744073709551615 is outside the range of i32, "
            "-2147483648 to 2147483647\n"
            "  a      number 18446744073709551615\n"
            "  b      Tensor i32 (2) abstract" +
                here + "cast it: cast(b, lockstep::f64)");
  EXPECT_EQ(error_text([] { full({2}, 300, DType::u8); }),
            "ShapeError[LS2007] full: the number 300 is outside the range of u8, 0 to 255" + here +
                "use a dtype that holds it");
  EXPECT_EQ(error_text([] { cast(300, DType::i8); }),
            "ShapeError[LS2007] cast: the number 300 is outside the range of i8, -128 to 127\n  x      number 300" +
                here + "give it a dtype that holds it, such as full({}, 300, lockstep::i64)");
}

TEST(CallErrors, OfCallsMadeByHand) {
  const OpDef &sums = *find_op("add"), &shares = *find_op("softmax");
  EXPECT_EQ(error_text([&] { invoke1(sums, {Operand(wide)}); }),
            "ShapeError[LS2011] add: takes 2 inputs, not 1\n  a      Tensor f32 (2, 3) abstract" + here +
                "see the op's documentation for its inputs");
  EXPECT_EQ(error_text([&] { invoke1(shares, {Operand(wide)}); }),
            "ShapeError[LS2007] softmax: its attributes are not given\n  x      Tensor f32 (2, 3) abstract" + here +
                "see the op's documentation for its attributes and numbers");
}

TEST(CallErrors, OfInputsThatAreAbsent) {
  const std::string missing = "ShapeError[LS2011] operand: an input is missing" + here + "give it";
  EXPECT_EQ(error_text([] { Operand::absent().tensor(); }), missing);
  EXPECT_EQ(error_text([] { zeros_like(Operand::absent()); }), missing);
  EXPECT_EQ(error_text([] { to_device(Operand::absent(), Device("cpu")); }), missing);
  EXPECT_EQ(error_text([] { squeeze(Operand::absent(), 0); }), missing);
  EXPECT_EQ(error_text([] { add(wide, Operand::absent()); }),
            "ShapeError[LS2011] add: input b is missing\n  a      Tensor f32 (2, 3) abstract" + here + "give it");
}

TEST(CallErrors, ListAtMostEightOperands) {
  std::vector<Tensor> parts(9, wide);
  parts.push_back(four);
  std::string lines;
  for (int i = 0; i < 8; ++i) lines += "\n  x" + std::to_string(i) + "     Tensor f32 (2, 3) abstract";
  const std::string text = error_text([&] { concat(parts); });
  EXPECT_NE(text.find(lines + "\n  …    and 2 more\n"), std::string::npos) << text;
}

TEST(CallErrors, DescribeNumbers) {
  const auto text = [](const Operand& operand) { return describe(operand); };
  EXPECT_EQ(text(Operand(true)), "number true");
  EXPECT_EQ(text(Operand(false)), "number false");
  EXPECT_EQ(text(Operand(-3)), "number -3");
  EXPECT_EQ(text(Operand(UINT64_MAX)), "number 18446744073709551615");
  EXPECT_EQ(text(Operand(2.5)), "number 2.5");
  EXPECT_EQ(text(Operand(-NAN)), "number nan");
  EXPECT_EQ(text(Operand(four)), "Tensor f32 (4) abstract");
}

}  // namespace
}  // namespace lockstep
