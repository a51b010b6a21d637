// Ops that an application registers: by a body, by parts, or by a kernel for one driver.
#include <gtest/gtest.h>

#include <atomic>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "lockstep/lockstep.h"
#include "lockstep/support.h"
#include "lockstep/testing.h"
#include "ops/differentiate.h"
#include "runtime/device_state.h"
#include "runtime/expect_error.h"

namespace lockstep {
namespace {

TEST(UserOps, APointwiseBodyIsEnough) {
  const OpDef& swish =
      register_op(pointwise_op("test::swish", [](Expr x, Expr beta) { return x * sigmoid(beta * x); }));
  const Tensor x = random_normal({20}, 0, 1, {.dtype = f64});
  const auto call = [&](const std::vector<Tensor>& in) { return invoke1(swish, {in[0], in[1]}); };
  const GradcheckResult check = gradcheck(call, {x, full({}, 1.5, f64)});
  EXPECT_TRUE(check.ok) << check.text;
  EXPECT_THROW(register_op(pointwise_op("test::swish", [](Expr v) { return v; })), StateError);
}

// The reference driver has room on the stack for 256 values.
TEST(UserOps, ABodyMayHaveHundredsOfInstructions) {
  const OpDef& op = register_op(pointwise_op("test::times_401", [](Expr x) {
    Expr sum = x;
    for (int i = 0; i < 400; ++i) sum = sum + x;
    return sum;
  }));
  const DeviceScope scope(Device("reference"));
  EXPECT_EQ(invoke1(op, {Tensor({1.0f, -2.0f, 3.0f})}).to_vector<float>(), (std::vector<float>{401, -802, 1203}));
}

TEST(UserOps, ADecompositionDifferentiatesThroughItsParts) {
  OpDef def;
  def.name = "test::rms_norm";
  def.doc = "x over the root of its mean square.";
  def.inputs = {{"x"}};
  def.infer = [](InferContext& c) { c.set(0, c.dtype(0), c.shape(0)); };
  def.decompose = [](DecomposeContext& c) {
    const Tensor x = c.tensor(0);
    c.set(0, x * rsqrt(mean(square(x), {.axes = {-1}, .keep = true}) + 1e-5));
  };
  def.reference = [](RefContext& r) { r.outputs[0] = r.inputs[0]; };
  const OpDef& op = register_op(std::move(def));
  const GradcheckResult check = gradcheck([&](const std::vector<Tensor>& in) { return invoke1(op, {in[0]}); },
                                          {random_normal({3, 5}, 0, 1, {.dtype = f64})});
  EXPECT_TRUE(check.ok) << check.text;
}

// No driver has a kernel for the new name, so the decomposition of argsort runs. It pads five keys to eight.
TEST(UserOps, ASortInPartsTakesKeysOfAnySize) {
  const OpDef& whole = *find_op("argsort");
  OpDef def;
  def.name = "test::argsort_in_parts";
  def.inputs = whole.inputs;
  def.differentiable = false;
  def.infer = whole.infer;
  def.decompose = whole.decompose;
  def.reference = whole.reference;
  const OpDef& op = register_op(std::move(def));
  const Tensor keys(std::vector<std::int64_t>{std::int64_t{1} << 40, INT64_MIN, 5, INT64_MAX, std::int64_t{1} << 50},
                    Shape{5});
  EXPECT_EQ(invoke1(op, {keys}).to_vector<std::int64_t>(), (std::vector<std::int64_t>{1, 2, 0, 4, 3}));
}

TEST(UserOps, AKernelForOneDriver) {
  static std::atomic<int> calls{0};
  OpDef def;
  def.name = "test::twice";
  def.inputs = {{"x"}};
  def.infer = [](InferContext& c) { c.set(0, c.dtype(0), c.shape(0)); };
  def.reference = [](RefContext& r) { r.outputs[0] = r.inputs[0]; };
  def.kernels["reference"] = [](const OpDef::HostKernelCall& call) {
    ++calls;
    const auto* x = static_cast<const float*>(call.inputs[0]);
    auto* y = static_cast<float*>(call.outputs[0]);
    for (std::int64_t i = 0; i < call.output_specs[0].shape.size(); ++i) y[i] = 2 * x[i];
  };
  const OpDef& op = register_op(std::move(def));
  const DeviceScope scope(Device("reference"));
  EXPECT_EQ(invoke1(op, {transpose(reshape(arange(4, f32), {2, 2}))}).to_vector<float>(),
            (std::vector<float>{0, 4, 2, 6}));
  EXPECT_EQ(calls, 1);
}

TEST(UserOps, KernelsGetNoMemoryThatFailed) {
  OpDef def;
  def.name = "test::thrice";
  def.inputs = {{"x"}};
  def.infer = [](InferContext& c) { c.set(0, c.dtype(0), c.shape(0)); };
  def.reference = [](RefContext& r) { r.outputs[0] = r.inputs[0]; };
  def.kernels["reference"] = [](const OpDef::HostKernelCall& call) {
    for (std::size_t i = 0; i < 4; ++i)
      static_cast<float*>(call.outputs[0])[i] = 3 * static_cast<const float*>(call.inputs[0])[i];
  };
  const OpDef& op = register_op(std::move(def));
  const DeviceScope scope(Device("reference"));
  const Tensor x({1.0f, 2.0f, 3.0f, 4.0f});
  int failures = 0;
  for (std::uint64_t k = 1;; ++k) {
    std::optional<Tensor> y;
    bool fired = false;
    try {
      const FaultInjection fault(k);
      y = invoke1(op, {Operand(x)});
      fired = fault.fired();
    } catch (const Error& e) {
      ++failures;
      EXPECT_TRUE(e.id() == ErrorId::driver_failed || e.id() == ErrorId::out_of_memory) << e.what();
      EXPECT_NE(std::string(e.what()).find("thrice"), std::string::npos) << e.what();
    }
    if (!y) continue;
    EXPECT_EQ(y->to_vector<float>(), (std::vector<float>{3, 6, 9, 12}));
    if (!fired) break;
  }
  EXPECT_GE(failures, 3) << "memory for the result, and a view of it and of the operand";
}

TEST(UserOps, IncompleteDefinitionsAreRefused) {
  EXPECT_THROW(register_op(OpDef{}), StateError);
  OpDef no_infer;
  no_infer.name = "test::no_infer";
  EXPECT_NE(error_text([&] { register_op(no_infer); }).find("infer"), std::string::npos);
}

TEST(UserOps, ABodyGivesOneResultForEachOutput) {
  OpDef def = pointwise_op("test::two_outputs", [](Expr v) { return v + v; });
  def.outputs.push_back({"second"});
  def.infer = [](InferContext& c) {
    for (std::size_t o = 0; o < 2; ++o) c.set(o, DType::f32, c.shape(0));
  };
  def.differentiable = false;
  const OpDef& op = register_op(std::move(def));
  const std::string text = error_text([&] { invoke(op, {{ones({3})}}); });
  EXPECT_NE(text.find("its body gives 1 results for 2 outputs"), std::string::npos) << text;
  // The other ops are still listed.
  for (const OpSupport& s : op_support(default_device())) {
    if (s.op == &op) {
      EXPECT_EQ(s.kind, OpSupport::Kind::missing);
    }
  }
}

TEST(UserOps, RefusalsNameADtypeThatTheOpTakes) {
  for (DType only : {DType::u8, DType::f16, DType::boolean, DType::i64}) {
    const std::string name = "test::takes_" + std::string(name_of(only));
    OpDef def = pointwise_op(name, [](Expr v) { return v; }, {.types = types::of(only)});
    def.differentiable = false;
    const OpDef& op = register_op(std::move(def));
    expect_error_saying([&] { invoke1(op, {{ones({2})}}); }, ErrorId::dtype_not_accepted,
                        {"cast(x, lockstep::" + std::string(name_of(only) == "bool" ? "boolean" : name_of(only)) + ")"},
                        nullptr, true);
  }
}

TEST(UserOps, AnIndexNeedsAnAxisOfTheResult) {
  OpDef def = pointwise_op("test::second_index", [](Expr v) { return v + convert(v.builder().index(1), v.dtype()); });
  def.differentiable = false;
  const OpDef& op = register_op(std::move(def));
  EXPECT_EQ(sum(invoke1(op, {{zeros({2, 3})}})).item<float>(), 6.0f);
  const std::string text = error_text([&] { invoke(op, {{zeros({3})}}); });
  EXPECT_NE(text.find("the index along axis 1 of a result of rank 1"), std::string::npos) << text;
}

TEST(UserOps, ADefinitionInThePlaceOfAnotherIsNotMistakenForIt) {
  const Device device("reference");
  const DeviceScope scope(device);
  const KernelCache::Counters& counters = device.state().kernels().counters;
  std::optional<OpDef> op;
  const auto value_times = [&](double factor) {
    op.emplace(pointwise_op("test::times", [factor](Expr x) { return x * factor; }));
    complete_pointwise(*op);
    const Variable x(1.0f);
    GradientTape tape;
    const Tensor y = invoke1(*op, {x.read()});
    EXPECT_EQ(tape.gradient(y, x).item<float>(), static_cast<float>(factor));
    return y.item<float>();
  };
  EXPECT_EQ(value_times(2), 2.0f);
  EXPECT_EQ(value_times(3), 3.0f);
  const std::uint64_t prepared = counters.prepares;
  EXPECT_EQ(value_times(2), 2.0f);
  EXPECT_EQ(counters.prepares, prepared) << "equal contents share a kernel";
}

TEST(UserOps, WithoutAnyWayToRunTheyAreUnsupported) {
  OpDef def;
  def.name = "test::mystery";
  def.inputs = {{"x"}};
  def.infer = [](InferContext& c) { c.set(0, c.dtype(0), c.shape(0)); };
  def.reference = [](RefContext& r) { r.outputs[0] = r.inputs[0]; };
  const OpDef& op = register_op(std::move(def));
  EXPECT_THROW(invoke1(op, {zeros({2})}), UnsupportedError);
}

}  // namespace
}  // namespace lockstep
