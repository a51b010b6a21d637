// Tests that the comparison of devices finds the op that is wrong, and no other.
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>

#include "lockstep/lockstep.h"
#include "nn/compare/oracle.h"
#include "nn/compare/recorder.h"
#include "nn/compare/replay.h"

namespace lockstep {
namespace {

const Device reference("reference"), cpu("cpu");

std::vector<data::Batch> batches(std::size_t count, std::int64_t size = 3) {
  std::vector<data::Batch> all;
  for (std::size_t i = 0; i < count; ++i) {
    const DeviceScope scope(cpu);
    all.push_back({random_uniform({size, 8, 8, 1}, 0, 1, {.key = RandomKey{i}}),
                   Tensor(std::vector<std::uint8_t>(static_cast<std::size_t>(size), 2), {size})});
  }
  return all;
}

// A layer that applies a function of a tensor.
class Applied : public nn::Layer {
 public:
  Applied(std::string name, std::function<Tensor(const Tensor&)> f) : Layer(std::move(name)), f_(std::move(f)) {}
  Tensor call(const Tensor& x, const nn::Call&) const override { return f_(x); }

 private:
  std::function<Tensor(const Tensor&)> f_;
};

Tensor as_it_is(const Tensor& x) { return x; }

nn::Model model_on(Device device, std::function<Tensor(const Tensor&)> extra = &as_it_is) {
  nn::Model model(nn::Sequential(nn::Conv2d{.filters = 4, .kernel = 3}, nn::Relu{}, nn::Flatten{},
                                 nn::Dense{.units = 16}, Applied("extra", std::move(extra)), nn::Dense{.units = 10}));
  set_seed(1);
  model.build({8, 8, 1}, device);
  model.compile({.optimizer = optim::Adam{}, .loss = losses::SparseCategoricalCrossentropy{}});
  return model;
}

Comparison compare_with(std::function<Tensor(const Tensor&)> extra, const CompareOptions& options = {},
                        std::size_t steps = 1) {
  const std::vector<data::Batch> data = batches(steps);
  const Device devices[] = {cpu, reference};
  return compare([&](Device device) { return model_on(device, extra); }, data, devices, options).at(0);
}

// An op of this test whose kernel on `reference` differs from its definition.
Tensor call_op(const OpDef& op, const Tensor& x) { return invoke1(op, {Operand(x)}); }

const OpDef& tripled_wrongly_at(std::size_t wrong) {
  OpDef def = pointwise_op("compare_test::triple" + std::to_string(wrong), [](Expr x) { return x * 3.0; });
  def.kernels["reference"] = [wrong](const OpDef::HostKernelCall& c) {
    const float* in = static_cast<const float*>(c.inputs[0]);
    float* out = static_cast<float*>(c.outputs[0]);
    for (std::size_t i = 0; i < static_cast<std::size_t>(c.input_specs[0].shape.size()); ++i) {
      out[i] = in[i] * 3.0f;
      if (i == wrong) out[i] = std::nextafter(std::nextafter(std::nextafter(out[i], 100.0f), 100.0f), 100.0f);
    }
  };
  return register_op(std::move(def));
}

TEST(Compare, ADeviceWithItselfHasTheSameBits) {
  const std::vector<data::Batch> data = batches(2);
  const Device devices[] = {reference, reference};
  const Comparison r = compare([](Device device) { return model_on(device); }, data, devices).at(0);
  EXPECT_EQ(r.steps, 2);
  EXPECT_GT(r.calls, 40);
  EXPECT_GT(r.elements, 1000);
  EXPECT_EQ(r.identical, r.calls);
  EXPECT_EQ(r.unmatched, 0);
  EXPECT_FALSE(r.first_difference);
  EXPECT_FALSE(r.diverges());
  EXPECT_EQ(r.first_weights, r.second_weights);
  EXPECT_NE(describe(r).find("the same bits everywhere"), std::string::npos) << describe(r);
}

TEST(Compare, BothBeginWithTheSameWeightsAndDrawTheSameNumbers) {
  const auto make = [](Device device) {  // with different weights each time
    nn::Model model(nn::Sequential(nn::Flatten{}, nn::Dense{.units = 16}, nn::Dropout{0.5}, nn::Dense{.units = 10}));
    model.build({8, 8, 1}, device);
    model.compile({.optimizer = optim::Sgd{}, .loss = losses::SparseCategoricalCrossentropy{}});
    return model;
  };
  const std::vector<data::Batch> data = batches(3);
  const Device devices[] = {reference, reference, reference};
  for (const Comparison& r : compare(make, data, devices)) {
    EXPECT_EQ(r.steps, 3);
    EXPECT_EQ(r.identical, r.calls) << describe(r);
    EXPECT_EQ(r.first_weights, r.second_weights);
  }
}

TEST(Compare, RoundingIsNoDivergence) {
  const Comparison r = compare_with(&as_it_is, {}, 2);
  EXPECT_FALSE(r.diverges()) << describe(r);
  EXPECT_NEAR(r.first_loss, r.second_loss, 1e-4);
  EXPECT_NE(describe(r).find("no divergence"), std::string::npos) << describe(r);
}

TEST(Compare, NamesTheWrongOpAndItsElement) {
  static const OpDef& op = tripled_wrongly_at(21);
  const Comparison r = compare_with([](const Tensor& x) { return call_op(op, x); });
  ASSERT_TRUE(r.diverges()) << describe(r);
  const DivergingCall& c = r.culprits.front();
  EXPECT_EQ(r.culprits.size(), 1u) << "errors that spread are no culprits\n" << describe(r);
  EXPECT_EQ(c.op, op.name);
  EXPECT_EQ(c.part, "forward");
  EXPECT_EQ(c.scope, "model/extra");
  EXPECT_EQ(c.where.substr(0, 17), "compare_test.cpp:");
  EXPECT_EQ(c.shape, (Shape{3, 16}));
  EXPECT_EQ(c.differing, 1);
  EXPECT_EQ(c.elements, 48);
  EXPECT_EQ(c.worst.index, (std::vector<std::int64_t>{1, 5}));
  EXPECT_NEAR(c.worst.ulp, 3, 0.01);
  ASSERT_TRUE(c.worst.exact);
  EXPECT_LT(std::fabs(c.worst.first - *c.worst.exact), std::fabs(c.worst.second - *c.worst.exact));
  float value;
  const auto bits = static_cast<std::uint32_t>(std::stoul(c.worst.second_bits, nullptr, 16));
  std::memcpy(&value, &bits, sizeof value);
  EXPECT_EQ(static_cast<double>(value), c.worst.second);
  ASSERT_EQ(c.inputs.size(), 1u);
  EXPECT_NE(c.inputs[0].find("f32 (3, 16)"), std::string::npos) << c.inputs[0];
  const std::string text = describe(r);
  for (const std::string& part : {op.name, std::string("model/extra"), std::string("[1, 5]"), c.worst.first_bits,
                                  c.worst.second_bits, std::string("cpu:0"), std::string("reference:0")}) {
    EXPECT_NE(text.find(part), std::string::npos) << part << "\n" << text;
  }
}

TEST(Compare, AToleranceInUlpDecidesInstead) {
  static const OpDef& op = tripled_wrongly_at(7);
  const auto extra = [](const Tensor& x) { return call_op(op, x); };
  EXPECT_TRUE(compare_with(extra, {.tolerance_ulp = 0}).diverges());
  const Comparison loose = compare_with(extra, {.tolerance_ulp = 1e9});
  EXPECT_FALSE(loose.diverges()) << describe(loose);
  EXPECT_TRUE(loose.first_difference);
}

TEST(Compare, OfElementsThatAreEquallyWrongTheFirstIsShown) {
  OpDef def = pointwise_op("compare_test::negated", [](Expr x) { return -x; });
  def.kernels["reference"] = [](const OpDef::HostKernelCall& c) {
    for (std::int64_t i = 0; i < c.input_specs[0].shape.size(); ++i)
      static_cast<float*>(c.outputs[0])[i] =
          i == 5 || i == 20 || i == 40 ? NAN : -static_cast<const float*>(c.inputs[0])[i];
  };
  static const OpDef& op = register_op(std::move(def));
  const Comparison r = compare_with([](const Tensor& x) { return call_op(op, x); });
  ASSERT_TRUE(r.diverges());
  EXPECT_EQ(r.culprits.front().differing, 3);
  EXPECT_EQ(r.culprits.front().worst.index, (std::vector<std::int64_t>{0, 5}));
}

TEST(Compare, AnUnexpectedNaNIsADivergence) {
  OpDef def = pointwise_op("compare_test::plus_one", [](Expr x) { return x + 1.0; });
  def.kernels["reference"] = [](const OpDef::HostKernelCall& c) {
    float* out = static_cast<float*>(c.outputs[0]);
    for (std::int64_t i = 0; i < c.input_specs[0].shape.size(); ++i)
      out[i] = static_cast<const float*>(c.inputs[0])[i] + 1;
    out[3] = NAN;
  };
  static const OpDef& op = register_op(std::move(def));
  const Comparison r = compare_with([](const Tensor& x) { return call_op(op, x); });
  ASSERT_TRUE(r.diverges());
  EXPECT_EQ(r.culprits.front().op, "compare_test::plus_one");
  EXPECT_TRUE(std::isinf(r.culprits.front().worst.ulp));
}

// Rounds as a tensor core does with f32: operands keep 10 mantissa bits.
float short_of(float x) {
  std::uint32_t bits;
  std::memcpy(&bits, &x, sizeof bits);
  bits = (bits + 0x0fffu + (bits >> 13 & 1)) & ~0x1fffu;
  std::memcpy(&x, &bits, sizeof x);
  return x;
}

const OpDef& product_of_short_operands() {
  OpDef def = *find_op("matmul");
  def.name = "compare_test::matmul";
  def.id = 0;
  def.kernels["reference"] = [](const OpDef::HostKernelCall& c) {
    const Shape &a = c.input_specs[0].shape, &b = c.input_specs[1].shape;
    const auto *x = static_cast<const float*>(c.inputs[0]), *y = static_cast<const float*>(c.inputs[1]);
    for (std::int64_t i = 0; i < a[0]; ++i) {
      for (std::int64_t j = 0; j < b[1]; ++j) {
        double sum = 0;
        for (std::int64_t k = 0; k < a[1]; ++k)
          sum += static_cast<double>(short_of(x[i * a[1] + k])) * static_cast<double>(short_of(y[k * b[1] + j]));
        static_cast<float*>(c.outputs[0])[i * b[1] + j] = static_cast<float>(sum);
      }
    }
  };
  def.kernels["cpu"] = [](const OpDef::HostKernelCall& c) {
    const Shape &a = c.input_specs[0].shape, &b = c.input_specs[1].shape;
    const auto *x = static_cast<const float*>(c.inputs[0]), *y = static_cast<const float*>(c.inputs[1]);
    for (std::int64_t i = 0; i < a[0]; ++i) {
      for (std::int64_t j = 0; j < b[1]; ++j) {
        float sum = 0;
        for (std::int64_t k = 0; k < a[1]; ++k) sum += x[i * a[1] + k] * y[k * b[1] + j];
        static_cast<float*>(c.outputs[0])[i * b[1] + j] = sum;
      }
    }
  };
  return register_op(std::move(def));
}

TEST(Compare, ShortOperandsOfAProductAreNotExplainedByRounding) {
  static const OpDef& op = product_of_short_operands();
  const auto extra = [](const Tensor& x) {
    const Tensor square = random_normal({16, 16}, 0, 1, {.key = RandomKey{3}});
    return invoke1(op, {Operand(x), Operand(square)}, op.attrs.size ? op.attrs.defaults.data() : nullptr);
  };
  const Comparison strict = compare_with(extra);
  ASSERT_TRUE(strict.diverges()) << describe(strict);
  EXPECT_EQ(strict.culprits.front().op, "compare_test::matmul");
  ASSERT_TRUE(strict.culprits.front().worst.allowed);
  const Comparison fast = compare_with(extra, {.mode = MathMode::fast});
  EXPECT_FALSE(fast.diverges()) << "fast mode allows it\n" << describe(fast);
}

TEST(CompareErrors, SayWhatIsMissing) {
  const std::vector<data::Batch> data = batches(1);
  const Device two[] = {cpu, reference}, one[] = {cpu};
  const auto make = [](Device device) { return model_on(device); };
  EXPECT_THROW(compare(make, data, one), UsageError);
  EXPECT_THROW(compare(make, {}, two), UsageError);
  EXPECT_THROW(compare(make, data, two, {.tolerance_ulp = -1}), UsageError);
  EXPECT_THROW(compare(make, data, two, {.tolerance_ulp = NAN}), UsageError);
  const auto other = [](Device device) {
    nn::Model model(device == cpu
                        ? nn::Model(nn::Sequential(nn::Flatten{}, nn::Dense{.units = 10}))
                        : nn::Model(nn::Sequential(nn::Flatten{}, nn::Dense{.units = 4}, nn::Dense{.units = 10})));
    model.build({8, 8, 1}, device);
    model.compile({.optimizer = optim::Sgd{}, .loss = losses::SparseCategoricalCrossentropy{}});
    return model;
  };
  EXPECT_THROW(compare(other, data, two), IoError);
}

TEST(CallRecorder, SeesForwardBackwardAndUpdates) {
  nn::Model model = model_on(reference);
  const Variable kernel = model.variables().front();
  const std::vector<float> before = kernel.read().to_vector<float>();
  const data::Batch batch = batches(1)[0];
  const data::Batch here{batch.features.to(reference), batch.labels.to(reference)};
  CallRecorder recorder;
  model.train_step(here);
  recorder.stop();
  int forward = 0, backward = 0, updates = 0;
  for (const auto& call : recorder.calls) {
    forward += std::string(call->part) == "forward";
    backward += std::string(call->part) == "backward";
    if (std::string(call->part) != "update") continue;
    if (updates++ == 0) {
      EXPECT_EQ(call->op->name, "adam_update");
      EXPECT_EQ(Tensor::share(call->inputs[0].get()).to_vector<float>(), before);
      EXPECT_EQ(Tensor::share(call->outputs[0].get()).to_vector<float>(), kernel.read().to_vector<float>());
    }
  }
  EXPECT_GT(forward, 8);
  EXPECT_GT(backward, 8);
  EXPECT_EQ(updates, 6);
  EXPECT_NE(before, kernel.read().to_vector<float>());
}

TEST(Replay, GivesTheSameBitsFromEveryLayout) {
  const DeviceScope scope(reference);
  CallRecorder recorder;
  const Tensor x = random_normal({6, 10}, 0, 1, {.key = RandomKey{5}});
  const Tensor wide = slice(x, {Slice{1, 1, 10, 3}});  // (6, 3), strided, at an odd offset
  const Tensor back = slice(x, {Slice{0, -1, std::nullopt, -1}});
  const Tensor sum_of = add(transpose(wide), broadcast_to(Tensor(2.0f), {3, 6}));
  const Tensor product = matmul(sum_of, back);
  const Tensor clipped = clip(product, -1, 1);
  recorder.stop();
  std::size_t replayed = 0;
  for (const auto& call : recorder.calls) {
    const std::vector<TensorRef> again = replay(*call, reference);
    for (std::size_t o = 0; o < again.size(); ++o) {
      EXPECT_EQ(Tensor::share(again[o].get()).to_bytes(), Tensor::share(call->outputs[o].get()).to_bytes())
          << call->op->name;
    }
    ++replayed;
  }
  EXPECT_GE(replayed, 7u);
}

TEST(Expectations, OfASumCountItsTerms) {
  const DeviceScope scope(reference);
  CallRecorder recorder;
  matmul(ones({4, 300}), full({300, 2}, 0.1));
  recorder.stop();
  const RecordedCall& call = *recorder.calls.back();
  EXPECT_EQ(count_terms(call), 300);
  const Expectation e = expectation_of(call, MathMode::strict);
  EXPECT_NEAR(static_cast<double>(e.exact[0].values[0]), 30, 1e-5);
  const double worst_case = 301 * 30 * 0x1p-24;
  EXPECT_NEAR(static_cast<double>(e.allowed[0][0]), worst_case * 3 / std::sqrt(300), 1e-7);
  // In fast mode both operands of a product may be rounded to bf16: 2^-8 each, where f32 has 2^-24.
  const double fast = worst_case * (3 / std::sqrt(300) + 2 * 0x1p16 / 301);
  EXPECT_NEAR(static_cast<double>(expectation_of(call, MathMode::fast).allowed[0][0]), fast, 1e-5 * fast);
}

TEST(Expectations, DependOnTheKindOfOp) {
  const DeviceScope scope(reference);
  const auto allowed = [](const std::function<void()>& act) {
    CallRecorder recorder;
    act();
    recorder.stop();
    return static_cast<double>(expectation_of(*recorder.calls.back(), MathMode::strict).allowed[0][0]);
  };
  const Tensor one = ones({1});
  constexpr double unit = 0x1p-24, least = 0x1p-149;
  EXPECT_EQ(allowed([&] { neg(one); }), least) << "exact: nothing but the smallest number";
  EXPECT_EQ(allowed([&] { one + 2.0f; }), 3 * unit + least) << "one rounding";
  EXPECT_NEAR(allowed([&] { exp(one); }), 8 * std::exp(1.0) * unit, 1e-12) << "four units in the last place";
  OpDef def = pointwise_op("compare_test::composed", [](Expr x) { return x + 2.0; });
  def.error_class = ErrorClass::composed;
  static const OpDef& op = register_op(std::move(def));
  EXPECT_EQ(allowed([&] { call_op(op, one); }), 2 * 3 * unit + least) << "twice that";
  EXPECT_EQ(allowed([&] { Tensor({1, 2}) + 1; }), 0) << "integers are exact";
}

TEST(Expectations, TheElementWithTheMostTermsCounts) {
  const DeviceScope scope(reference);
  for (const std::vector<std::int64_t>& rows :
       {std::vector<std::int64_t>{0, 0, 0, 1, 2}, {0, 1, 1, 1, 2}, {0, 1, 2, 2, 2}}) {
    CallRecorder recorder;
    scatter_add(full({5}, 0.25), Tensor(rows, {5}), 3);
    recorder.stop();
    EXPECT_EQ(count_terms(*recorder.calls.back()), 3) << "three go to row " << rows[2];
  }
}

}  // namespace
}  // namespace lockstep
