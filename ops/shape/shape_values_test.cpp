// Ops that move elements: results written out by hand, oracles beside kernels, and gradients beside differences.
#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <vector>

#include "lockstep/lockstep.h"
#include "lockstep/op_def.h"
#include "ops/reference_call.h"
#include "runtime/element.h"

namespace lockstep {
namespace {

using Values = std::vector<float>;

class ShapeValues : public testing::Test {
 protected:
  DeviceScope scope{Device("reference")};
};

Tensor counted(const Shape& shape) { return reshape(arange(shape.size(), f32), shape); }
Values values(const Tensor& t) { return t.to_vector<float>(); }

TEST_F(ShapeValues, OfTransposedTensors) {
  const Tensor y = transpose(counted({2, 3, 2}), {2, 0, 1});
  EXPECT_EQ(y.shape(), (Shape{2, 2, 3}));
  EXPECT_EQ(values(y), (Values{0, 2, 4, 6, 8, 10, 1, 3, 5, 7, 9, 11}));
  EXPECT_EQ(values(transpose(counted({2, 3}))), (Values{0, 3, 1, 4, 2, 5})) << "in reverse";
  EXPECT_EQ(values(swap_axes(counted({2, 1, 3}), 0, -1)), (Values{0, 3, 1, 4, 2, 5}));
}

TEST_F(ShapeValues, OfSlicesOfSeveralAxes) {
  const Tensor y = slice(counted({3, 5}), {{0, 2, std::nullopt, -2}, {1, 1, 5, 3}});
  EXPECT_EQ(y.shape(), (Shape{2, 2}));
  EXPECT_EQ(values(y), (Values{11, 14, 1, 4}));
  EXPECT_EQ(values(select_index(counted({2, 3}), 1, -1)), (Values{2, 5}));
}

TEST_F(ShapeValues, OfGatheredAndScatteredSlices) {
  const Tensor table = reshape(Tensor({std::int64_t{2}, std::int64_t{0}, std::int64_t{0}, std::int64_t{1}}), {2, 2});
  const Tensor y = gather(counted({2, 3, 2}), table, 1);
  EXPECT_EQ(y.shape(), (Shape{2, 2, 2, 2}));
  EXPECT_EQ(values(y), (Values{4, 5, 0, 1, 0, 1, 2, 3, 10, 11, 6, 7, 6, 7, 8, 9}));
  EXPECT_EQ(values(scatter_add(counted({2, 3}), Tensor({2, 0, 2}), 4, 1)), (Values{1, 0, 2, 0, 4, 0, 8, 0}));
  EXPECT_EQ(values(one_hot(Tensor({1, -1, 3}), 3)), (Values{0, 1, 0, 0, 0, 0, 0, 0, 0}));
}

TEST_F(ShapeValues, OfJoinedAndPaddedTensors) {
  EXPECT_EQ(values(concat({counted({2, 1}), zeros({2, 0}), counted({2, 2}) + 10.0f}, -1)),
            (Values{0, 10, 11, 1, 12, 13}));
  EXPECT_EQ(values(pad(counted({2, 2}), {1, 0}, {0, 1}, 0.5)), (Values{0.5f, 0.5f, 0.5f, 0, 1, 0.5f, 2, 3, 0.5f}));
}

TEST_F(ShapeValues, OfReshapedViews) {
  const Tensor turned = transpose(counted({2, 3}));  // 0 3, 1 4, 2 5
  EXPECT_EQ(values(reshape(turned, {2, 3})), (Values{0, 3, 1, 4, 2, 5}));
  EXPECT_EQ(values(reshape(turned, {3, 1, 2, 1})), (Values{0, 3, 1, 4, 2, 5}));
  EXPECT_EQ(values(broadcast_to(counted({2, 1}), {2, 2, 3})), (Values{0, 0, 0, 1, 1, 1, 0, 0, 0, 1, 1, 1}));
  EXPECT_EQ(values(broadcast_to(transpose(counted({1, 2})), {2, 2})), (Values{0, 0, 1, 1}));
}

// ------------------------------------------------------------------------------------------------------------- oracles

std::vector<long double> elements_of(const Tensor& t) {
  const std::vector<std::byte> bytes = t.to_bytes();
  std::vector<long double> elements;
  for (std::size_t at = 0; at < bytes.size(); at += size_of(t.dtype())) {
    elements.push_back(element_value(bytes.data() + at, t.dtype()));
  }
  return elements;
}

// Small whole numbers, which every dtype holds and whose sums are exact.
Tensor operand_of(const CaseInput& input) {
  std::vector<double> numbers(static_cast<std::size_t>(input.shape.size()));
  const bool are_indices = input.values.kind == CaseValues::Kind::indices;
  const auto low = static_cast<std::int64_t>(input.values.low), high = static_cast<std::int64_t>(input.values.high);
  for (std::size_t i = 0; i < numbers.size(); ++i) {
    const auto n = static_cast<std::int64_t>(i);
    numbers[i] = static_cast<double>(are_indices ? low + (5 * n) % (high - low + 1) : (3 * n) % 7);
  }
  return cast(Tensor(numbers, input.shape), input.dtype);
}

TEST_F(ShapeValues, OfOraclesAreThoseOfTheDevice) {
  int compared = 0;
  for (const char* name :
       {"reshape", "transpose", "slice", "broadcast_to", "concat", "pad", "slice_backward", "gather", "scatter_add",
        "one_hot", "argsort", "copy", "split", "matches_position", "bitonic_partner", "bitonic_exchange"}) {
    const OpDef* op = find_op(name);
    ASSERT_NE(op, nullptr) << name;
    for (const OpCase& c : op->cases()) {
      if (c.error) continue;
      std::vector<Tensor> tensors;
      std::vector<RefArray> arrays;
      for (const CaseInput& input : c.inputs) {
        ASSERT_TRUE(!input.absent && !input.scalar) << name << " " << c.name;
        tensors.push_back(operand_of(input));
        arrays.push_back(RefArray::zeros(input.dtype, input.shape));
        arrays.back().values = elements_of(tensors.back());
      }
      const std::vector<Operand> operands(tensors.begin(), tensors.end());
      const void* attrs = c.attrs.empty() ? nullptr : c.attrs.data();
      const std::vector<Tensor> given = invoke(*op, operands, attrs, c.scalars);
      const std::vector<RefArray> expected =
          ReferenceCall({*op, operands, attrs, c.scalars, CallSite::current()}).answer(arrays);
      ASSERT_EQ(given.size(), expected.size()) << name << " " << c.name;
      for (std::size_t o = 0; o < given.size(); ++o) {
        EXPECT_EQ(given[o].shape(), expected[o].shape) << name << " " << c.name;
        EXPECT_EQ(elements_of(given[o]), expected[o].values) << name << " " << c.name;
        ++compared;
      }
    }
  }
  EXPECT_GT(compared, 200);
}

// ----------------------------------------------------------------------------------------------------------- gradients

TEST_F(ShapeValues, HaveTheGradientsOfTheirDifferences) {
  const auto drawn = [](const Shape& shape, std::uint64_t seed) {
    return random_normal(shape, 0, 1, {.dtype = f64, .key = RandomKey{seed}});
  };
  const Tensor cube = drawn({2, 3, 4}, 1), matrix = drawn({3, 4}, 2), narrow = drawn({3, 2}, 3);
  const Tensor table = reshape(Tensor({2, 0, 0, 1, 1, 0}), {3, 2}), places({2, 0, 2, 4});
  const auto check = [](const char* name, const std::function<Tensor(const std::vector<Tensor>&)>& f,
                        const std::vector<Tensor>& inputs) {
    const GradcheckResult result = gradcheck(f, inputs, {.second_order = false});
    EXPECT_TRUE(result.ok) << name << ": " << result.text;
  };
  using In = const std::vector<Tensor>&;
  check("transpose", [](In in) { return transpose(in[0], {2, 0, 1}); }, {cube});
  check("reshape", [](In in) { return reshape(transpose(in[0], {1, 2, 0}), {8, 3}); }, {cube});
  check("slice", [](In in) { return slice(in[0], {{0, 2, std::nullopt, -2}, {1, 1, 4, 2}}); }, {matrix});
  check("select_index", [](In in) { return select_index(in[0], 1, -2); }, {cube});
  check("broadcast_to", [](In in) { return broadcast_to(in[0], {2, 3, 4}); }, {drawn({3, 1}, 4)});
  check("concat", [](In in) { return concat({in[0], in[1], in[0]}, 1); }, {matrix, narrow});
  check("pad", [](In in) { return pad(in[0], {1, 0}, {0, 2}, 0.5); }, {matrix});
  check("gather", [&](In in) { return gather(in[0], table, 1); }, {cube});
  check("scatter_add", [&](In in) { return scatter_add(in[0], places, 5, 1); }, {matrix});
  check("split",
        [](In in) {
          const std::vector<Tensor> parts = split(in[0], Ints{1, 3}, 1);
          return concat({parts[1] * 2.0, parts[0]}, 1);
        },
        {matrix});
}

}  // namespace
}  // namespace lockstep
