// split on every device, and other ops whose number of outputs depends on their attributes.
#include <gtest/gtest.h>

#include <array>
#include <cmath>

#include "lockstep/call_op.h"
#include "lockstep/lockstep.h"
#include "runtime/expect_error.h"
#include "runtime/test_devices.h"

namespace lockstep {
namespace {

using Values = std::vector<float>;

template <class F>
void expect_error(F&& f, ErrorId id, const std::initializer_list<std::string>& parts) {
  expect_error_saying(f, id, parts, "split_test.cpp:");
}

class Split : public testing::TestWithParam<std::string> {
 protected:
  Device device{GetParam()};
  DeviceScope scope{device};
};

Tensor counted(std::int64_t rows, std::int64_t columns) {
  return reshape(arange(rows * columns, f32), {rows, columns});
}

TEST_P(Split, GivesEqualParts) {
  const std::vector<Tensor> columns = split(counted(3, 4), 2, 1);
  ASSERT_EQ(columns.size(), 2u);
  EXPECT_EQ(columns[0].shape(), (Shape{3, 2}));
  EXPECT_EQ(columns[0].to_vector<float>(), (Values{0, 1, 4, 5, 8, 9}));
  EXPECT_EQ(columns[1].to_vector<float>(), (Values{2, 3, 6, 7, 10, 11}));
  const std::vector<Tensor> rows = split(counted(3, 2), 3);
  ASSERT_EQ(rows.size(), 3u);
  EXPECT_EQ(rows[2].shape(), (Shape{1, 2}));
  EXPECT_EQ(rows[2].to_vector<float>(), (Values{4, 5}));
}

TEST_P(Split, GivesPartsOfTheSizes) {
  const std::vector<Tensor> parts = split(counted(2, 6), Ints{1, 0, 3, 2}, -1);
  ASSERT_EQ(parts.size(), 4u);
  EXPECT_EQ(parts[0].to_vector<float>(), (Values{0, 6}));
  EXPECT_EQ(parts[1].shape(), (Shape{2, 0}));
  EXPECT_EQ(parts[2].to_vector<float>(), (Values{1, 2, 3, 7, 8, 9}));
  EXPECT_EQ(parts[3].to_vector<float>(), (Values{4, 5, 10, 11}));
  EXPECT_EQ(split(counted(2, 6), Ints{2}).size(), 1u) << "one size, the whole extent";
}

TEST_P(Split, TakesOperandsOfAnyStrides) {
  const Tensor turned = transpose(counted(2, 4));  // (4, 2): 0 4, 1 5, 2 6, 3 7
  const std::vector<Tensor> parts = split(turned, Ints{1, 3});
  EXPECT_EQ(parts[0].to_vector<float>(), (Values{0, 4}));
  EXPECT_EQ(parts[1].to_vector<float>(), (Values{1, 5, 2, 6, 3, 7}));
  const Tensor backwards = slice(arange(6, f32), {Slice{.axis = 0, .start = -1, .step = -1}});
  EXPECT_EQ(split(backwards, 3)[1].to_vector<float>(), (Values{3, 2}));
}

TEST_P(Split, CopiesNothing) {
  const Tensor x = counted(64, 64);
  const std::uint64_t live = memory_stats(device).live;
  const std::vector<Tensor> parts = split(x, 64);
  EXPECT_EQ(memory_stats(device).live, live);
  EXPECT_EQ(parts[63].to_vector<float>()[63], 4095.0f);
}

TEST_P(Split, TakesMoreSizesThanAListOfAxesHolds) {
  Ints sizes;
  std::int64_t total = 0;
  for (std::int64_t i = 0; i < 70; ++i) total += sizes.emplace_back(i % 3);
  const Tensor x = arange(total, f32);
  GradientTape tape;
  tape.watch(x);
  const std::vector<Tensor> parts = split(x, sizes);
  ASSERT_EQ(parts.size(), sizes.size());
  std::int64_t next = 0;
  for (std::size_t i = 0; i < parts.size(); ++i) {
    Values expected;
    for (std::int64_t k = 0; k < sizes[i]; ++k) expected.push_back(static_cast<float>(next++));
    EXPECT_EQ(parts[i].to_vector<float>(), expected) << i;
  }
  // The sizes are 0 1 2 0 1 2 … 2 0, so part 68 has the last two elements.
  const Values gradient = tape.gradient(sum(parts[68]) * 5, x).to_vector<float>();
  for (std::int64_t i = 0; i < total; ++i) {
    EXPECT_EQ(gradient[static_cast<std::size_t>(i)], i >= total - 2 ? 5.0f : 0.0f) << i;
  }
}

TEST_P(Split, JoinsGradients) {
  const Tensor x = counted(2, 3);
  GradientTape tape({.persistent = true});
  tape.watch(x);
  const std::vector<Tensor> parts = split(x, 3, 1);
  const Tensor used = sum(parts[0] * 2) + sum(parts[2] * parts[2]);
  EXPECT_EQ(tape.gradient(used, x).to_vector<float>(), (Values{2, 0, 4, 2, 0, 10}));
}

TEST_P(Split, HasGradientsOfSecondOrder) {
  const Tensor x(Values{1, 2, 3, 4}, Shape{4});
  GradientTape outer;
  outer.watch(x);
  GradientTape inner;
  inner.watch(x);
  const std::vector<Tensor> parts = split(x, 2);
  // x0 x2 + x1 x3: its gradient is (x2, x3, x0, x1), whose squares add up to the sum of all squares.
  const Tensor first = inner.gradient(sum(parts[0] * parts[1]), x);
  EXPECT_EQ(first.to_vector<float>(), (Values{3, 4, 1, 2}));
  EXPECT_EQ(outer.gradient(sum(first * first), x).to_vector<float>(), (Values{2, 4, 6, 8}));
}

TEST_P(Split, IsCalledByName) {
  const Tensor table = counted(2, 4);
  const std::array<Operand, 1> x{table};
  EXPECT_EQ(call_op("split", x, {{"parts", 2}, {"axis", -1}})[1].to_vector<float>(), (Values{2, 3, 6, 7}));
  EXPECT_EQ(call_op("split", x, {{"parts", 2}}).size(), 2u);
  const std::vector<Tensor> parts = call_op("split", x, {{"sizes", {3, 1}}, {"axis", 1}});
  ASSERT_EQ(parts.size(), 2u);
  EXPECT_EQ(parts[1].to_vector<float>(), (Values{3, 7}));
}

INSTANTIATE_TEST_SUITE_P(Devices, Split, testing::ValuesIn(available_devices()), by_device);

// ---------------------------------------------------------------------------------------------------------- refusals

TEST(SplitRefuses, WhatDoesNotFit) {
  const Tensor x = zeros({6, 2});
  expect_error([&] { split(x, 4); }, ErrorId::invalid_attribute, {"split: an extent of 6", "4 equal parts"});
  expect_error([&] { split(x, 0); }, ErrorId::invalid_attribute, {"split: the attributes ask for 0 results"});
  expect_error([&] { split(x, -6); }, ErrorId::invalid_attribute, {"-6 results"});
  expect_error([&] { split(zeros({2000}), 2000); }, ErrorId::invalid_attribute, {"2000 results"});
  expect_error([&] { split(x, Ints{}); }, ErrorId::invalid_attribute, {"0 results"});
  expect_error([&] { split(x, Ints{3, 2}); }, ErrorId::invalid_attribute, {"add up to 5, the extent is 6"});
  expect_error([&] { split(x, Ints{7, -1}); }, ErrorId::invalid_attribute, {"a part has the size -1"});
  expect_error([&] { split(x, Ints(9, INT64_MAX)); }, ErrorId::invalid_shape, {"split: "});
  expect_error([&] { split(x, 2, 2); }, ErrorId::axis_out_of_range, {"axis 2"});
  expect_error([&] { split(zeros({}), 1); }, ErrorId::axis_out_of_range, {"rank 0"});
}

TEST(SplitRefuses, CallsByNameWithoutOneOfPartsAndSizes) {
  const Tensor six = zeros({6});
  const std::array<Operand, 1> x{six};
  expect_error([&] { call_op("split", x); }, ErrorId::wrong_argument, {"neither"});
  expect_error([&] { call_op("split", x, {{"parts", 2}, {"sizes", {3, 3}}}); }, ErrorId::wrong_argument, {"both"});
}

TEST(SplitOfAbstractTensors, KeepsSymbolicExtents) {
  const Dim batch = Dim::symbol("batch");
  const Tensor x = Tensor::abstract({f32, Shape{batch, 6}});
  GradientTape tape;
  tape.watch(x);
  const std::vector<Tensor> parts = split(x, 3, 1);
  ASSERT_EQ(parts.size(), 3u);
  EXPECT_EQ(parts[1].spec(), (TensorSpec{f32, Shape{batch, 2}}));
  EXPECT_EQ(tape.gradient(sum(parts[2]), x).spec(), x.spec());
  EXPECT_EQ(split(x, Ints{1, 5}, 1)[1].shape(), (Shape{batch, 5}));
  expect_error([&] { split(x, 2); }, ErrorId::symbolic_value, {"split: ", "multiple of equal parts"});
}

// ---------------------------------------------------------------------------------------- other ops with many outputs

struct CountAttrs {
  std::int64_t count = 1;
};

std::int64_t count_of(const void* attrs) { return static_cast<const CountAttrs*>(attrs)->count; }

// x, x², x³ …: as many powers as the attribute says.
OpDef powers_of(std::string name) {
  OpDef op;
  op.name = std::move(name);
  op.inputs = {{"x"}};
  op.outputs = {{.name = "power", .variadic = true}};
  op.attrs = attr_schema<CountAttrs>("powers_attrs", attr("count", &CountAttrs::count, "how many powers"));
  op.error_class = ErrorClass::composed;
  op.count_outputs = &count_of;
  op.infer = [](InferContext& c) {
    for (std::size_t o = 0; o < c.output_count(); ++o) c.set(o, c.dtype(0), c.shape(0));
  };
  op.decompose = [](DecomposeContext& d) {
    const Tensor x = d.tensor(0);
    Tensor power = x;
    for (std::int64_t o = 0; o < d.attrs<CountAttrs>().count; ++o) {
      if (o > 0) power = power * x;
      d.set(static_cast<std::size_t>(o), power);
    }
  };
  op.reference = [](RefContext& r) {
    for (std::size_t o = 0; o < r.outputs.size(); ++o) {
      for (std::size_t i = 0; i < r.outputs[o].values.size(); ++i) {
        r.outputs[o].values[i] = std::pow(r.inputs[0].values[i], static_cast<long double>(o + 1));
      }
    }
  };
  return op;
}

class Powers : public testing::TestWithParam<std::string> {
 protected:
  Device device{GetParam()};
  DeviceScope scope{device};
};

const OpDef& powers() {
  static const OpDef& op = register_op(powers_of("split_test::powers"));
  return op;
}

std::vector<Tensor> powers(const Tensor& x, std::int64_t count) {
  const CountAttrs attrs{count};
  const Operand operand(x);
  return invoke(powers(), std::span(&operand, 1), &attrs);
}

TEST_P(Powers, AreAsManyAsTheAttributeSays) {
  const Tensor x(Values{1, 2, -1}, Shape{3});
  EXPECT_EQ(powers(x, 1).size(), 1u);
  const std::vector<Tensor> twelve = powers(x, 12);
  ASSERT_EQ(twelve.size(), 12u);
  EXPECT_EQ(twelve[2].to_vector<float>(), (Values{1, 8, -1}));
  EXPECT_EQ(twelve[11].to_vector<float>(), (Values{1, 4096, 1}));
  expect_error([&] { powers(x, 0); }, ErrorId::invalid_attribute, {"0 results"});
}

TEST_P(Powers, ArePromotedAsAWhole) {
  const std::vector<Tensor> halves = powers(cast(Tensor(Values{0.5f, 2}, Shape{2}), f16), 10);
  ASSERT_EQ(halves.size(), 10u);
  EXPECT_EQ(halves[9].dtype(), f16);
  EXPECT_EQ(cast(halves[9], f32).to_vector<float>(), (Values{0.0009765625f, 1024}));
}

TEST_P(Powers, AreDifferentiatedThroughTheirParts) {
  const Tensor x(Values{1, 2}, Shape{2});
  GradientTape tape;
  tape.watch(x);
  const std::vector<Tensor> all = powers(x, 9);
  EXPECT_EQ(tape.gradient(sum(all[0]) + sum(all[2]), x).to_vector<float>(), (Values{4, 13}));
}

INSTANTIATE_TEST_SUITE_P(Devices, Powers, testing::ValuesIn(available_devices()), by_device);

TEST(VariadicOutputs, AreDefinedCompletely) {
  const auto refused = [](OpDef op, const char* text) {
    expect_error_saying([&] { register_op(std::move(op)); }, ErrorId::invalid_op_definition, {text}, nullptr);
  };
  OpDef op = powers_of("split_test::without_count");
  op.count_outputs = nullptr;
  refused(op, "`count_outputs`");
  op = powers_of("split_test::without_mark");
  op.outputs[0].variadic = false;
  refused(op, "`count_outputs`");
  op = powers_of("split_test::first");
  op.outputs = {{.name = "a", .variadic = true}, {.name = "b", .variadic = true}};
  refused(op, "only the last output");
  op = powers_of("split_test::kernel");
  op.decompose = nullptr;
  refused(op, "`decompose` or `host`");
  op = powers_of("split_test::saved");
  op.saves = {{.outputs = 1}};
  refused(op, "cannot be saved");
}

TEST(VariadicOutputs, OfAWrongDefinitionAreRefused) {
  OpDef op = powers_of("split_test::one_too_many");
  op.infer = [](InferContext& c) {
    for (std::size_t o = 0; o <= c.output_count(); ++o) c.set(o, c.dtype(0), c.shape(0));
  };
  const OpDef& registered = register_op(std::move(op));
  const CountAttrs attrs{2};
  const Tensor zero = zeros({1});
  const Operand x(zero);
  expect_error([&] { invoke(registered, std::span(&x, 1), &attrs); }, ErrorId::invalid_op_definition,
               {"`infer` sets output 2 of a call that has 2"});
}

}  // namespace
}  // namespace lockstep
