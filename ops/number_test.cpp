// Numbers as operands: the dtype that they take, on every device. Expected values are NumPy's unless stated otherwise,
// with weakly typed numbers as in its version 2.
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "lockstep/lockstep.h"
#include "lockstep/op_def.h"
#include "runtime/expect_error.h"
#include "runtime/test_devices.h"

namespace lockstep {
namespace {

template <class F>
void expect_refusal(F f, ErrorId id, const std::string& words) {
  expect_error_saying(f, id, {words}, "number_test.cpp:", true);
}

using Bools = std::vector<std::uint8_t>;

class Numbers : public testing::TestWithParam<std::string> {
 protected:
  DeviceScope scope{Device(GetParam())};
};

// ---------------------------------------------------------------------------------------------------------------- cast

TEST_P(Numbers, CastKeepsTheValue) {
  EXPECT_EQ(cast(2.5, f32).item<float>(), 2.5f);
  EXPECT_EQ(cast(7, i64).item<std::int64_t>(), 7);
  EXPECT_EQ(cast(0.1, f64).item<double>(), 0.1);
  EXPECT_EQ(cast(std::int64_t{9007199254740993}, i64).item<std::int64_t>(), 9007199254740993);
  EXPECT_EQ(cast(true, f32).item<float>(), 1.0f);
  EXPECT_EQ(cast(-3, i8).item<std::int8_t>(), -3);
  EXPECT_EQ(cast(0.5, boolean).to_bools(), Bools{1});
  EXPECT_EQ(cast(0, boolean).to_bools(), Bools{0});
  EXPECT_EQ(cast(2.9, i32).item<std::int32_t>(), 2);
  EXPECT_EQ(cast(-1e30, i64).item<std::int64_t>(), std::numeric_limits<std::int64_t>::min());
  EXPECT_EQ(cast(300.5, u8).item<std::uint8_t>(), 255);
  EXPECT_EQ(cast(std::nan(""), i32).item<std::int32_t>(), 0);
  EXPECT_EQ(cast(256.0, u8).item<std::uint8_t>(), 255);  // the first number beyond the range
  EXPECT_EQ(cast(-1.0, u8).item<std::uint8_t>(), 0);
  EXPECT_EQ(cast(128.0, i8).item<std::int8_t>(), 127);
  EXPECT_EQ(cast(-129.0, i8).item<std::int8_t>(), -128);
  EXPECT_EQ(cast(-2.9, i8).item<std::int8_t>(), -2);
  EXPECT_EQ(cast(0x1p63, i64).item<std::int64_t>(), std::numeric_limits<std::int64_t>::max());
  // Just above the midpoint of two f16 values; rounded to f32 it is the midpoint. Must be rounded once, not twice.
  EXPECT_EQ(cast(1 + 0x1p-11 + 0x1p-40, f16).item<Half>().bits, 0x3c01);
  expect_refusal([] { cast(300, u8); }, ErrorId::invalid_attribute, "the number 300 is outside the range of u8");
  expect_refusal([] { cast(2, boolean); }, ErrorId::invalid_attribute, "0 to 1");
}

TEST_P(Numbers, CastOfNumbersThroughInvoke) {
  const OpDef& op = *find_op("cast");
  for (const auto to : {f32, f64, i64}) {
    const std::int64_t attrs = static_cast<std::int64_t>(to);
    EXPECT_EQ(invoke1(op, {Operand(7)}, &attrs).dtype(), to);
    EXPECT_EQ(cast(invoke1(op, {Operand(7)}, &attrs), f64).item<double>(), 7) << name_of(to);
  }
  const std::int64_t wide = static_cast<std::int64_t>(f64);
  EXPECT_EQ(invoke1(op, {Operand(0.1)}, &wide).item<double>(), 0.1);
}

// --------------------------------------------------------------------------------------------------- kinds of numbers

// Each comparison has its own kernel for each kind of number. The second turn finds the same kernels in the cache.
TEST_P(Numbers, KernelsAreToldApartByTheKindOfNumber) {
  for (int turn = 0; turn < 2; ++turn) {
    EXPECT_EQ(less(1, 2).to_bools(), Bools{1});
    EXPECT_EQ(less(-1.5, -2.5).to_bools(), Bools{0});
    EXPECT_EQ(less(2.25, 2.75).to_bools(), Bools{1});
    EXPECT_EQ(less(false, true).to_bools(), Bools{1});
    EXPECT_EQ(less(1.5, 1).to_bools(), Bools{0});
    EXPECT_EQ(less(1, 1.5).to_bools(), Bools{1});
  }
  const Tensor mask(std::vector<std::uint8_t>{1, 0}, Shape{2});
  const Tensor condition = cast(mask, boolean);
  for (int turn = 0; turn < 2; ++turn) {
    EXPECT_EQ(where(condition, 3, 4).to_vector<std::int32_t>(), (std::vector<std::int32_t>{3, 4}));
    EXPECT_EQ(where(condition, 2.5, -0.5).to_vector<float>(), (std::vector<float>{2.5f, -0.5f}));
    EXPECT_EQ(where(condition, true, false).to_bools(), (Bools{1, 0}));
  }
}

TEST_P(Numbers, AloneTheyAreOfTheMostGeneralKind) {
  EXPECT_EQ(add(1, 2).dtype(), i32);
  EXPECT_EQ(add(1, 2).item<std::int32_t>(), 3);
  EXPECT_EQ(add(1, 2.5).item<float>(), 3.5f);
  EXPECT_EQ(add(2.5, 1).item<float>(), 3.5f);
  EXPECT_EQ(add(true, true).item<std::int32_t>(), 2);  // add does not take bool
  EXPECT_EQ(sqrt(9).item<float>(), 3.0f);              // sqrt does not take i32
  EXPECT_EQ(neg(7).item<std::int32_t>(), -7);
  EXPECT_EQ(maximum(-1, 2).dtype(), i32);
  EXPECT_EQ(clip(7, 0, 5).item<std::int32_t>(), 5);
  EXPECT_EQ(pow(2, 10).item<float>(), 1024.0f);
  EXPECT_EQ(equal(1, true).to_bools(), Bools{1});
  EXPECT_EQ(logical_and(true, false).to_bools(), Bools{0});
  EXPECT_EQ(relu(-2).item<std::int32_t>(), 0);
  EXPECT_EQ(reshape(2.5, {1, 1}).to_vector<float>(), std::vector<float>{2.5f});
  EXPECT_EQ(sum(4).item<std::int32_t>(), 4);
  // argsort takes only i64.
  expect_refusal([] { argsort(5); }, ErrorId::wrong_rank, "x      Tensor i64 ()");
  expect_refusal([] { logical_and(1, 0); }, ErrorId::dtype_not_accepted, "a is i32, the op takes bool");
  expect_refusal([] { add(std::int64_t{3000000000}, 1); }, ErrorId::invalid_attribute,
                 "full({}, 3000000000, lockstep::i64)");
}

TEST_P(Numbers, WhereKeepsIntegers) {
  const Tensor condition = cast(Tensor(std::vector<std::int32_t>{1, 0, 1}, Shape{3}), boolean);
  const Tensor chosen = where(condition, 16777217, 0);
  EXPECT_EQ(chosen.dtype(), i32);
  EXPECT_EQ(chosen.to_vector<std::int32_t>(), (std::vector<std::int32_t>{16777217, 0, 16777217}));
  EXPECT_EQ(where(condition, 1, 0).dtype(), i32);
  EXPECT_EQ(where(condition, 1, 0.5).to_vector<float>(), (std::vector<float>{1, 0.5f, 1}));
  EXPECT_EQ(where(true, 5, 6).item<std::int32_t>(), 5);
  EXPECT_EQ(where(condition, full({3}, 16777217, i64), 0).to_vector<std::int64_t>(),
            (std::vector<std::int64_t>{16777217, 0, 16777217}));
  expect_refusal([] { where(1, 2, 3); }, ErrorId::dtype_not_accepted, "condition is i32, the op takes bool");
}

TEST_P(Numbers, EachGroupHasItsOwnDtype) {
  const Tensor x(std::vector<float>{1, 2, 3, 4, 5, 6}, Shape{3, 2});
  EXPECT_EQ(gather(x, 1).to_vector<float>(), (std::vector<float>{3, 4}));
  EXPECT_EQ(gather(x, 1, 1).to_vector<float>(), (std::vector<float>{2, 4, 6}));
  EXPECT_EQ(gather(x, std::int64_t{2}).to_vector<float>(), (std::vector<float>{5, 6}));
  const Tensor logits(std::vector<float>{0, 0, 0, 0}, Shape{4});
  EXPECT_NEAR(sparse_cross_entropy(logits, 2).item<float>(), std::log(4.0), 1e-6);
  EXPECT_EQ(one_hot(2, 4).to_vector<float>(), (std::vector<float>{0, 0, 1, 0}));
  expect_refusal([&] { gather(x, 1.5); }, ErrorId::dtype_not_accepted, "indices is f32, the op takes i32, i64");
  expect_refusal([&] { gather(x, 7).to_vector<float>(); }, ErrorId::index_out_of_range, "7");
}

// ----------------------------------------------------------------------------------------------------- beside tensors

TEST_P(Numbers, FloatingNumbersMakeIntegersAndBoolsF32) {
  const Tensor mask = cast(Tensor(std::vector<std::int32_t>{1, 0}, Shape{2}), boolean);
  EXPECT_EQ(equal(mask, 2.5).to_bools(), (Bools{0, 0}));
  EXPECT_EQ((mask > -1.0).to_bools(), (Bools{1, 1}));
  EXPECT_EQ((mask < 0.5).to_bools(), (Bools{0, 1}));
  EXPECT_EQ(less(0.5, mask).to_bools(), (Bools{1, 0}));
  EXPECT_EQ(equal(mask, 1.0).to_bools(), (Bools{1, 0}));
  EXPECT_EQ(equal(mask, 1).to_bools(), (Bools{1, 0}));
  EXPECT_EQ(where(mask, mask, 0.5).to_vector<float>(), (std::vector<float>{1, 0.5f}));
  for (DType t : {i8, u8, i32, i64}) {
    const Tensor x = cast(Tensor(std::vector<std::int32_t>{1, 2, 3}, Shape{3}), t);
    EXPECT_EQ((x < 2.5).to_bools(), (Bools{1, 1, 0})) << name_of(t);
    EXPECT_EQ(equal(x, 2.0).to_bools(), (Bools{0, 1, 0})) << name_of(t);
    EXPECT_EQ(where(mask, slice(x, {{0, 0, 2}}), 0.5).to_vector<float>(), (std::vector<float>{1, 0.5f})) << name_of(t);
  }
  const Tensor whole(std::vector<std::int32_t>{7, -7}, Shape{2});
  EXPECT_EQ((whole / 2).to_vector<std::int32_t>(), (std::vector<std::int32_t>{3, -3}));
  EXPECT_EQ((whole / 2.0).to_vector<float>(), (std::vector<float>{3.5f, -3.5f}));
  EXPECT_EQ(clip(whole, -0.5, 3).to_vector<float>(), (std::vector<float>{3, -0.5f}));
  expect_refusal([&] { logical_or(mask, 0.5); }, ErrorId::dtype_not_accepted, "b is f32, the op takes bool");
  expect_refusal([&] { equal(mask, 2); }, ErrorId::invalid_attribute, "the number 2 is outside the range of bool");
  expect_refusal([&] { where(mask, whole, cast(whole, f32)); }, ErrorId::dtypes_differ, "i32 and f32");
  // The number does not hide that the tensors' dtypes differ.
  expect_refusal([&] { clip(whole, cast(whole, f32), 2.5); }, ErrorId::dtypes_differ, "i32 and f32");
}

TEST_P(Numbers, FloatingOnesFillIntegersIfTheyAreWholeAndInRange) {
  struct Ends {
    DType dtype;
    double least, most;
  };
  for (const Ends& t : {Ends{i8, -128, 127}, Ends{u8, 0, 255}, Ends{i32, -0x1p31, 0x1p31 - 1},
                        Ends{i64, -0x1p63, 0x1p63 - 1024}, Ends{boolean, 0, 1}}) {
    const std::string name(name_of(t.dtype));
    for (double v : {t.least, t.most, -0.0}) {
      EXPECT_EQ(cast(full({1}, v, t.dtype), f64).item<double>(), v) << name;
      const Tensor padded = pad(zeros({1}, t.dtype), {1}, {0}, v);
      EXPECT_EQ(cast(slice(padded, {{0, 0, 1}}), f64).item<double>(), v) << name;
    }
    const double above = t.dtype == i64 ? 0x1p63 : t.most + 1;
    const double below = t.dtype == i64 ? -0x1p63 - 2048 : t.least - 1;
    for (double v : {above, below, 0.5, 1e20, -1e20, static_cast<double>(NAN), static_cast<double>(INFINITY)}) {
      const ErrorId id = ErrorId::invalid_attribute;
      expect_refusal([&] { full({1}, v, t.dtype); }, id, "is not a value of " + name);
      expect_refusal([&] { pad(zeros({1}, t.dtype), {1}, {0}, v); }, id, "is not a value of " + name);
    }
  }
  expect_refusal([] { pad(Tensor(3), {}, {}, 2.5); }, ErrorId::invalid_attribute,
                 "pad: the number 2.5 is not a value of i32, -2147483648 to 2147483647");
  EXPECT_EQ(cast(2.5, i32).item<std::int32_t>(), 2) << "a cast asks for it";
}

TEST_P(Numbers, AsIndicesThatDoNotFitHaveAFixThatHelps) {
  const Tensor x({1.0f, 2.0f});
  expect_refusal([&] { gather(x, std::int64_t{1} << 40); }, ErrorId::invalid_attribute,
                 "check the number, or give it a dtype that holds it, such as full({}, 1099511627776, lockstep::i64)");
  expect_refusal([&] { gather(x, ~std::uint64_t{0}); }, ErrorId::invalid_attribute, "give a number in that range");
}

TEST_P(Numbers, HalfWidthTakesThemUnrounded) {
  for (DType t : {f16, bf16}) {
    const Tensor x = full({2}, 0.1, t);
    EXPECT_EQ(equal(x, 0.1).to_bools(), (Bools{1, 1})) << name_of(t);
    // Neither dtype can represent 1 + 2^-12. Times 2^12 it is 4097, which rounds to 4096.
    EXPECT_EQ(cast(full({1}, 4096, t) * (1 + 0x1p-12), f32).item<float>(), 4096.0f) << name_of(t);
    EXPECT_EQ(cast(full({1}, -1, t) + (1 + 0x1p-12), f32).item<float>(), 0x1p-12f) << name_of(t);
    // Integers too: 4097 in f16 is 4096, and in bf16 as well.
    EXPECT_EQ(cast(full({1}, -4096, t) + 4097, f32).item<float>(), 1.0f) << name_of(t);
    EXPECT_EQ((full({1}, 4096, t) < 4097).to_bools(), Bools{0}) << name_of(t);  // a comparison rounds it
    EXPECT_EQ(equal(full({1}, 4096, t), 4097).to_bools(), Bools{1}) << name_of(t);
  }
}

TEST_P(Numbers, IntegersBesideFloatsAreRoundedOnce) {
  const std::int64_t odd = (std::int64_t{1} << 54) + (std::int64_t{1} << 30) + 1;  // just above a midpoint of two f32
  EXPECT_EQ((zeros({1}) + odd).item<float>(), 0x1.000002p+54f);
  EXPECT_EQ((zeros({1}) + std::uint64_t{0xffffffffffffffff}).item<float>(), 0x1p64f);
  expect_refusal([] { zeros({1}, i64) + std::uint64_t{0xffffffffffffffff}; }, ErrorId::invalid_attribute,
                 "18446744073709551615");
}

// A host kernel gets a pointer for every input, including numbers. A body gets the literals of the program unchanged.
TEST_P(Numbers, ReachOpsOfTheUser) {
  static const OpDef& with_kernel = []() -> const OpDef& {
    OpDef op = pointwise_op("number_test::scaled", [](Expr x, Expr factor) { return x * factor; });
    for (const char* driver : {"cpu", "reference", "vulkan"}) {
      op.kernels[driver] = [](const OpDef::HostKernelCall& call) {
        const auto* x = static_cast<const float*>(call.inputs[0]);
        const auto* factor = static_cast<const float*>(call.inputs[1]);
        for (std::int64_t i = 0; i < call.output_specs[0].shape.size(); ++i)
          static_cast<float*>(call.outputs[0])[i] = x[i] * factor[call.input_specs[1].shape.rank() == 0 ? 0 : i];
      };
    }
    return register_op(std::move(op));
  }();
  const Tensor x(std::vector<float>{1, 2}, Shape{2});
  EXPECT_EQ(invoke1(with_kernel, {x, 2.5}).to_vector<float>(), (std::vector<float>{2.5f, 5}));

  static const OpDef& literal = register_op(
      pointwise_op("number_test::literal", [](Expr value) { return value + std::int64_t{9007199254740993}; },
                   {.types = types::of(i64)}));
  EXPECT_EQ(invoke1(literal, {zeros({1}, i64)}).item<std::int64_t>(), 9007199254740993);
}

TEST_P(Numbers, AreRefusedWhereAnOpWrites) {
  const OpDef& op = *find_op("sgd_update");
  const Scalar rate = 0.5;
  expect_refusal(
      [&] {
        invoke(op, std::vector<Operand>{2.5, 1.0}, nullptr, std::span(&rate, 1));
      },
      ErrorId::wrong_input_count, "input w is updated in place");
}

TEST_P(Numbers, GradientsPassThem) {
  const Tensor x(std::vector<float>{2, 3}, Shape{2});
  GradientTape tape({.persistent = true});
  tape.watch(x);
  EXPECT_EQ(tape.gradient(sum(mul(3, x)), x).to_vector<float>(), (std::vector<float>{3, 3}));
  EXPECT_EQ(tape.gradient(sum(12 / x), x).to_vector<float>(), (std::vector<float>{-3, -12.0f / 9}));
  EXPECT_EQ(tape.gradient(sum(where(x > 2.5, x, 7)), x).to_vector<float>(), (std::vector<float>{0, 1}));
  EXPECT_EQ(tape.gradient(sum(clip(x, 0, 2.5)), x).to_vector<float>(), (std::vector<float>{1, 0}));
}

INSTANTIATE_TEST_SUITE_P(Devices, Numbers, testing::ValuesIn(available_devices()), &by_device);

// ---------------------------------------------------------------------------------------------------- abstract tensors

TEST(NumbersOfAbstractCalls, AreInferredAlike) {
  const Tensor mask = Tensor::abstract({boolean, Shape{2}}), whole = Tensor::abstract({i32, Shape{2}});
  EXPECT_EQ(where(mask, 1, 0).dtype(), i32);
  EXPECT_EQ((whole * 2.5).dtype(), f32);
  EXPECT_EQ((whole * 2).dtype(), i32);
  EXPECT_EQ((mask > 0.5).dtype(), boolean);
  EXPECT_EQ(gather(Tensor::abstract({f32, Shape{3, 2}}), 1).shape(), (Shape{2}));
}

// Values computed from launch-time numbers alone must be computed on the host, which has f64. In a program they would
// be computed from numbers that are already rounded.
TEST(Programs, ComputeNothingFromNumbersAlone) {
  int looked_at = 0;
  for (const OpDef* op : registered_ops()) {
    if (!op->pointwise() || op->scalars.empty() || !op->cases) continue;
    ProgramBuilder builder;
    std::vector<Expr> values;
    for (const InputDef& in : op->inputs) {
      values.push_back(builder.input(in.types.has(f32) ? LKS_F32 : in.types.has(i32) ? LKS_I32 : LKS_I64));
    }
    for (std::uint32_t s = 0; s < op->scalars.size(); ++s) {
      const lks_dtype t = op->scalars[s].dtype;
      const bool follows = t == ScalarDef::of_inputs || t == ScalarDef::of_result;
      values.push_back(builder.scalar(s, follows ? LKS_F32 : t == ScalarDef::widest_of_result ? LKS_F64 : t));
    }
    const std::vector<Operand> none;
    const OpCall call{*op, none, op->attrs.defaults.data(), {}, {}};
    const std::vector<Expr> results = op->body(builder, call, values);
    const Program program = builder.finish(results);
    std::vector<bool> of_numbers;
    for (const lks_instr& instr : program.instrs()) {
      bool alone = instr.opcode == LKS_INSTR_SCALAR || instr.opcode == LKS_INSTR_CONST;
      const int args = arg_count(instr, program.functions());
      bool all = args > 0;
      for (int a = 0; a < args; ++a) all = all && of_numbers[instr.args[a]];
      EXPECT_FALSE(all) << op->name << ":\n" << program.to_string();
      of_numbers.push_back(alone || all);
    }
    ++looked_at;
  }
  EXPECT_GE(looked_at, 7);
}

}  // namespace
}  // namespace lockstep
