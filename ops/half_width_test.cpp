// f16 and bf16: every op computes in f32 and rounds once, whatever executes it.
#include <gtest/gtest.h>

#include <bit>
#include <cmath>

#include "lockstep/lockstep.h"
#include "lockstep/op_def.h"
#include "lockstep/support.h"
#include "runtime/device_state.h"
#include "runtime/test_devices.h"

namespace lockstep {
namespace {

std::uint16_t narrowed(float value, DType t) {
  const std::uint16_t bits = t == DType::f16 ? Half(value).bits : BFloat16(value).bits;
  const bool nan = t == DType::f16 ? (bits & 0x7fff) > 0x7c00 : (bits & 0x7fff) > 0x7f80;
  return nan ? 0xffff : bits;  // all NaNs are alike
}

// The bits of the elements, with one pattern for all NaNs.
std::vector<std::uint16_t> bits_of(const Tensor& t) {
  std::vector<std::uint16_t> bits;
  for (float v : cast(t, f32).to_vector<float>()) bits.push_back(narrowed(v, t.dtype()));
  return bits;
}

std::vector<std::uint16_t> rounded(const Tensor& wide, DType t) {
  std::vector<std::uint16_t> bits;
  for (float v : wide.to_vector<float>()) bits.push_back(narrowed(v, t));
  return bits;
}

// All values of a dtype.
Tensor every_value(DType t) {
  std::vector<std::uint16_t> bits(65536);
  for (std::size_t i = 0; i < bits.size(); ++i) bits[i] = static_cast<std::uint16_t>(i);
  return Tensor::from_bytes(bits.data(), bits.size() * 2, {t, Shape{65536}}, default_device());
}

Tensor random(const Shape& shape, DType t, std::uint64_t seed, double low = -2, double high = 2) {
  return cast(random_uniform(shape, low, high, {.key = RandomKey{seed, 7}}), t);
}

class HalfWidth : public testing::TestWithParam<std::string> {
 protected:
  Device device{GetParam()};
  DeviceScope scope{device};
  std::uint64_t decompositions() const { return device.state().counters.decompositions; }
};

// ------------------------------------------------------------------------------------------------------- pointwise ops

TEST_P(HalfWidth, FunctionsOfEveryValueAreThoseOfF32Rounded) {
  int tried = 0;
  for (const OpDef* op : registered_ops()) {
    const bool unary = op->pointwise() && op->inputs.size() == 1 && op->outputs.size() == 1 && op->scalars.empty() &&
                       op->attrs.size == 0 && op->inputs[0].group == 'T';
    if (!unary) continue;
    for (DType t : {f16, bf16}) {
      if (!op->inputs[0].types.has(t)) continue;
      const Tensor x = every_value(t), y = invoke1(*op, {x}), wide = invoke1(*op, {cast(x, f32)});
      ++tried;
      if (y.dtype() == boolean) {
        EXPECT_EQ(y.to_bools(), wide.to_bools()) << op->name;
        continue;
      }
      ASSERT_EQ(y.dtype(), t) << op->name;
      const std::vector<std::uint16_t> given = bits_of(y), expected = rounded(wide, t);
      for (std::size_t i = 0; i < given.size(); ++i) {
        ASSERT_EQ(given[i], expected[i]) << op->name << " of " << name_of(t) << " with the bits " << i;
      }
    }
  }
  EXPECT_GT(tried, 2 * 14);
}

TEST_P(HalfWidth, BinaryOpsRoundOnce) {
  for (DType t : {f16, bf16}) {
    const Tensor a = random({1031}, t, 1, 0.1, 3), b = random({1031}, t, 2, 0.1, 3);
    for (const char* name : {"add", "sub", "mul", "div", "pow", "minimum", "maximum"}) {
      const OpDef& op = *find_op(name);
      EXPECT_EQ(bits_of(invoke1(op, {a, b})), rounded(invoke1(op, {cast(a, f32), cast(b, f32)}), t)) << name;
    }
  }
}

TEST_P(HalfWidth, PointwiseOpsAreOneLaunch) {
  const Tensor x = random({9}, bf16, 3);
  const std::uint64_t before = decompositions();
  gelu(x * x + 1.0f);
  EXPECT_EQ(decompositions(), before);
}

TEST_P(HalfWidth, TheEndsOfTheRange) {
  const auto value = [](const Tensor& t) { return cast(t, f32).item<float>(); };
  const Tensor largest = full({}, 65504, f16), smallest = full({}, 0x1p-24, f16);
  EXPECT_EQ(value(largest + 15.9), 65504);
  EXPECT_EQ(value(largest + 16), INFINITY);  // a tie: rounds to even, which is infinity
  EXPECT_EQ(value(largest * -2), -INFINITY);
  EXPECT_EQ(value(square(full({}, 300, f16))), INFINITY);
  EXPECT_EQ(value(smallest * 0.5), 0);  // a tie: rounds to even
  EXPECT_EQ(value(smallest * 0.75), 0x1p-24f);
  EXPECT_EQ(value(smallest * 1.5), 0x1p-23f);
  EXPECT_TRUE(std::signbit(value(smallest * -0.25)));
  EXPECT_EQ(value(full({}, 0x1p-133, bf16) * 3), 3 * 0x1p-133f);
  EXPECT_EQ(value(full({}, 0x1.fep127, bf16) * 1.01), INFINITY);
  EXPECT_TRUE(std::isnan(value(full({}, NAN, bf16) + 1)));
  EXPECT_TRUE(std::isnan(value(largest * 2 - largest * 2)));
  EXPECT_TRUE(std::isnan(value(maximum(full({}, NAN, f16), 1.0))));
}

TEST_P(HalfWidth, NumbersAreNotRoundedBeforeTheyAreUsed) {
  const auto value = [](const Tensor& t) { return cast(t, f32).item<float>(); };
  const Tensor one = ones({}, bf16);
  EXPECT_EQ(value(one - 0.999), value(full({}, 1 - 0.999f, bf16)));  // 0.999 in bf16 is 1
  EXPECT_GT(value(one - 0.999), 0);
  EXPECT_EQ(value(full({}, 60000, f16) / 100000.0), value(full({}, 0.6, f16)));  // 100000 in f16 is infinity
  // Comparisons round nothing at the end, so the number is rounded to the tensor's dtype there.
  EXPECT_EQ(equal(full({2}, 0.1, f16), 0.1).to_bools(), (std::vector<std::uint8_t>{1, 1}));
  EXPECT_EQ((full({1}, 0.1, bf16) < 0.1).to_bools(), (std::vector<std::uint8_t>{0}));
  EXPECT_EQ(equal(clip(full({1}, 5, bf16), 0.0, 0.1), 0.1).to_bools(), (std::vector<std::uint8_t>{1}));
  EXPECT_EQ(equal(where(Tensor({false}), ones({1}, f16), 0.1), 0.1).to_bools(), (std::vector<std::uint8_t>{1}));
}

// --------------------------------------------------------------------------------------------------- ops with kernels

TEST_P(HalfWidth, OpsWithKernelsRoundOnce) {
  for (DType t : {f16, bf16}) {
    const Tensor x = random({6, 33}, t, 4), w = random({33, 5}, t, 5);
    const Tensor xf = cast(x, f32), wf = cast(w, f32);
    EXPECT_EQ(bits_of(sum(x, {.axes = {1}})), rounded(sum(xf, {.axes = {1}}), t));
    EXPECT_EQ(bits_of(mean(x, {.axes = {0}})), rounded(mean(xf, {.axes = {0}}), t));
    EXPECT_EQ(bits_of(max(x, {.axes = {1}})), rounded(max(xf, {.axes = {1}}), t));
    EXPECT_EQ(argmax(x).to_vector<std::int64_t>(), argmax(xf).to_vector<std::int64_t>());
    EXPECT_EQ(bits_of(matmul(x, w)), rounded(matmul(xf, wf), t));
    EXPECT_EQ(bits_of(softmax(x)), rounded(softmax(xf), t));
    EXPECT_EQ(bits_of(log_softmax(x)), rounded(log_softmax(xf), t));
    const Tensor labels = cast(arange(6), i32);
    EXPECT_EQ(bits_of(sparse_cross_entropy(x, labels)), rounded(sparse_cross_entropy(xf, labels), t));
    EXPECT_EQ(bits_of(scatter_add(x, cast(arange(6) / 4, i32), 3)),
              rounded(scatter_add(xf, cast(arange(6) / 4, i32), 3), t));
    const Tensor image = random({1, 6, 6, 2}, t, 6), filter = random({3, 3, 3, 2}, t, 7), bias = random({3}, t, 8);
    EXPECT_EQ(bits_of(conv2d(image, filter, bias)),
              rounded(conv2d(cast(image, f32), cast(filter, f32), cast(bias, f32)), t));
    EXPECT_EQ(bits_of(avg_pool2d(image)), rounded(avg_pool2d(cast(image, f32)), t));
  }
}

TEST_P(HalfWidth, NothingOverflowsOnTheWay) {
  const auto value = [](const Tensor& t) { return cast(t, f32).item<float>(); };
  const Tensor large = full({4096}, 60000, f16);
  EXPECT_EQ(value(mean(large)), value(full({}, 60000, f16)));
  EXPECT_EQ(value(sum(large)), INFINITY);
  EXPECT_EQ(value(sum(full({4096}, 1, bf16))), 4096);  // a running sum in bf16 would stop at 256
}

TEST_P(HalfWidth, OpsThatADriverHasInF32OnlyCountAsDecomposed) {
  const Tensor a = random({4, 4}, bf16, 9);
  const OpSupport::Kind kind = [&] {
    for (const OpSupport& s : op_support(device, bf16)) {
      if (s.op->name == "matmul") return s.kind;
    }
    return OpSupport::Kind::missing;
  }();
  ASSERT_NE(kind, OpSupport::Kind::missing);
  const std::uint64_t before = decompositions();
  matmul(a, a);
  EXPECT_EQ(decompositions(), before + (kind == OpSupport::Kind::decomposed ? 1 : 0));
}

TEST_P(HalfWidth, ATapeChangesNoResult) {
  for (DType t : {f16, bf16}) {
    const Tensor x = random({5, 7}, t, 10), labels = cast(arange(5), i32);
    const std::vector<std::uint16_t> alone = bits_of(sparse_cross_entropy(x, labels));
    GradientTape tape;
    tape.watch(x);
    EXPECT_EQ(bits_of(sparse_cross_entropy(x, labels)), alone);
  }
}

// ----------------------------------------------------------------------------------------------------------- gradients

// The largest difference relative to the largest expected value, in units of the unit roundoff.
double difference(const Tensor& given, const Tensor& expected) {
  const std::vector<float> g = cast(given, f32).to_vector<float>(), e = expected.to_vector<float>();
  double scale = 0, worst = 0;
  for (std::size_t i = 0; i < g.size(); ++i) {
    scale = std::max(scale, static_cast<double>(std::fabs(e[i])));
    worst = std::max(worst, static_cast<double>(std::fabs(g[i] - e[i])));
  }
  return worst / scale / (given.dtype() == f16 ? 0x1p-11 : 0x1p-8);
}

TEST_P(HalfWidth, GradientsAreThoseOfF32WithinARoundingPerOp) {
  const auto loss = [](const Tensor& x, const Tensor& w) {
    return sum(square(tanh(matmul(x, w))) * 0.5 + silu(matmul(x, w)));
  };
  for (DType t : {f16, bf16}) {
    const Tensor x = random({4, 6}, t, 11, -1, 1), w = random({6, 3}, t, 12, -1, 1);
    const auto gradients = [&](const Tensor& a, const Tensor& b) {
      GradientTape tape;
      tape.watch(a);
      tape.watch(b);
      return tape.gradient(loss(a, b), {Source(a), Source(b)});
    };
    const auto narrow = gradients(x, w), wide = gradients(cast(x, f32), cast(w, f32));
    for (std::size_t i = 0; i < 2; ++i) {
      EXPECT_EQ(narrow[i].dtype(), t);
      EXPECT_LT(difference(narrow[i], wide[i]), 8) << name_of(t) << " " << i;
    }
  }
}

TEST_P(HalfWidth, SecondOrderAsWell) {
  for (DType t : {f16, bf16}) {
    const Tensor x = random({17}, t, 13, 0.2, 1.5);
    const auto second = [](const Tensor& at) {
      GradientTape outer;
      outer.watch(at);
      const Tensor slope = [&] {
        GradientTape inner;
        inner.watch(at);
        return inner.gradient(sum(exp(at) * sigmoid(at) + pow(at, 2.5)), at);
      }();
      return outer.gradient(sum(slope), at);
    };
    EXPECT_LT(difference(second(x), second(cast(x, f32))), 8) << name_of(t);
  }
}

// ------------------------------------------------------------------------------------------------------------ user ops

TEST_P(HalfWidth, UserOpsComputeInF32WithoutKnowingOfIt) {
  static const OpDef& swish = register_op(
      pointwise_op("test::short_swish", [](Expr x, Expr beta) { return x * sigmoid(beta * x); }, {.doc = "Swish."}));
  for (DType t : {f16, bf16}) {
    const Tensor x = random({50}, t, 14);
    EXPECT_EQ(bits_of(invoke1(swish, {x, 1.7})), rounded(invoke1(swish, {cast(x, f32), 1.7}), t));
    GradientTape tape;
    tape.watch(x);
    EXPECT_EQ(tape.gradient(sum(invoke1(swish, {x, 1.7})), x).dtype(), t);
  }
}

TEST_P(HalfWidth, HostKernelsOfUsersSeeF32) {
  static const OpDef& op = []() -> const OpDef& {
    OpDef def;
    def.name = "test::short_twice";
    def.inputs = {{"x"}};
    def.infer = [](InferContext& c) { c.set(0, c.dtype(0), c.shape(0)); };
    def.reference = [](RefContext& r) { r.outputs[0] = r.inputs[0]; };
    for (const char* driver : {"reference", "cpu"}) {
      def.kernels[driver] = [](const OpDef::HostKernelCall& call) {
        ASSERT_EQ(call.input_specs[0].dtype, f32);
        const auto* x = static_cast<const float*>(call.inputs[0]);
        auto* y = static_cast<float*>(call.outputs[0]);
        for (std::int64_t i = 0; i < call.output_specs[0].shape.size(); ++i) y[i] = 2 * x[i];
      };
    }
    return register_op(std::move(def));
  }();
  const std::string driver = default_device().driver();
  if (!op.kernels.contains(driver)) GTEST_SKIP() << driver << " has no memory that host kernels could see";
  const Tensor x = random({5}, bf16, 15);
  EXPECT_EQ(bits_of(invoke1(op, {x})), bits_of(x * 2));
}

INSTANTIATE_TEST_SUITE_P(All, HalfWidth, testing::ValuesIn(available_devices()), &by_device);

}  // namespace
}  // namespace lockstep
