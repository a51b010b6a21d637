// Gradients on abstract tensors: tensors with a dtype and a shape whose extents may be symbols, and no elements.
// conformance/abstract_gradients_test.cpp does the same for every op.
#include <gtest/gtest.h>

#include <functional>

#include "lockstep/lockstep.h"
#include "lockstep/op_def.h"

namespace lockstep {
namespace {

const Dim batch = Dim::symbol("batch");

Tensor abstract(const Shape& shape, DType dtype = f32) { return Tensor::abstract({dtype, shape}); }

// The spec of the gradient of f(x), which is a single element, by x; and that of the sum of its squares.
struct Both {
  TensorSpec first, second;
};

Both gradients(const Tensor& x, const std::function<Tensor(const Tensor&)>& f) {
  GradientTape outer;
  outer.watch(x);
  GradientTape inner;
  inner.watch(x);
  const Tensor first = inner.gradient(f(x), x);
  EXPECT_TRUE(first.is_abstract());
  const Tensor second = outer.gradient(sum(square(first)), x, {.unconnected = Unconnected::zero});
  EXPECT_TRUE(second.is_abstract());
  return {first.spec(), second.spec()};
}

void expect_own_spec(const Tensor& x, const std::function<Tensor(const Tensor&)>& f) {
  const Both both = gradients(x, f);
  EXPECT_EQ(both.first, x.spec()) << both.first.shape;
  EXPECT_EQ(both.second, x.spec()) << both.second.shape;
}

std::string error_text(const std::function<void()>& f) {
  try {
    f();
  } catch (const Error& e) {
    return e.what();
  }
  return "no error";
}

class AbstractGradients : public testing::Test {
 protected:
  AbstractGradients() : live_(memory_stats(default_device()).live) {}
  ~AbstractGradients() override {
    EXPECT_EQ(memory_stats(default_device()).live, live_) << "abstract tensors need no memory";
  }

 private:
  DeviceScope scope_{Device("reference")};
  std::uint64_t live_;
};

TEST_F(AbstractGradients, GradientsHaveTheShapesOfTheirSources) {
  for (DType dtype : {f32, f64, f16, bf16}) {
    const Tensor x = abstract({batch, 10}, dtype);
    expect_own_spec(x, [](const Tensor& t) { return sum(softmax(t)); });
    expect_own_spec(x, [](const Tensor& t) { return sum(log_softmax(t, 0)); });
    expect_own_spec(x, [](const Tensor& t) { return mean(square(t)); });
    expect_own_spec(x, [](const Tensor& t) { return sum(square(mean(t, {.axes = {0}}))); });
    expect_own_spec(x, [](const Tensor& t) { return sum(square(max(t, {.axes = {0}, .keep = true}))); });
    const Tensor labels = abstract({batch}, i64), targets = abstract({batch, 10}, dtype);
    expect_own_spec(x, [&](const Tensor& t) { return mean(sparse_cross_entropy(t, labels)); });
    expect_own_spec(x, [&](const Tensor& t) { return mean(cross_entropy(t, targets)); });
  }
}

TEST_F(AbstractGradients, ExtentsMayHaveDifferentNames) {
  const Tensor logits = abstract({batch, 10}), labels = abstract({Dim::symbol("labels")}, i32);
  expect_own_spec(logits, [&](const Tensor& t) { return mean(sparse_cross_entropy(t, labels)); });
  expect_own_spec(logits, [&](const Tensor& t) { return sum(square(t * abstract({Dim::symbol("rows"), 10}))); });
  const Dim classes = Dim::symbol("classes");
  expect_own_spec(abstract({batch, classes}), [&](const Tensor& t) { return sum(sparse_cross_entropy(t, labels)); });
}

TEST_F(AbstractGradients, AnExtentMayBeTheSumOfOthers) {
  const Tensor x = abstract({batch, 3}), y = abstract({4, 3}), z = abstract({Dim::symbol("more"), 3});
  for (const Tensor& each : {x, y, z}) {
    expect_own_spec(each, [&](const Tensor& t) { return sum(square(concat({t, y, z, x, t}))); });
  }
  expect_own_spec(x, [](const Tensor& t) { return sum(square(pad(t, {1, 0}, {2, 1}))); });
}

TEST_F(AbstractGradients, IndicesMayBeOfAnyNumber) {
  const Tensor table = abstract({batch, 5}), rows = abstract({Dim::symbol("n"), Dim::symbol("m")}, i32);
  for (int axis : {0, 1}) {
    expect_own_spec(table, [&](const Tensor& t) { return sum(square(gather(t, rows, axis))); });
  }
}

TEST_F(AbstractGradients, AbsentGradientsAreAbstractToo) {
  const Tensor x = abstract({batch, 4}), y = abstract({batch, 4});
  GradientTape tape;
  tape.watch(x);
  tape.watch(y);
  const std::vector<Tensor> g = tape.gradient(sum(x), {x, y}, {.unconnected = Unconnected::zero});
  for (const Tensor& each : g) {
    EXPECT_TRUE(each.is_abstract());
    EXPECT_EQ(each.spec(), x.spec());
  }
  EXPECT_TRUE(ones_like(x).is_abstract());
  EXPECT_TRUE(zeros_like(abstract({3})).is_abstract());
}

TEST_F(AbstractGradients, AnUpstreamGradientMayBeGiven) {
  const Tensor x = abstract({batch, 4});
  GradientTape tape({.persistent = true});
  tape.watch(x);
  const Tensor y = softmax(x);
  EXPECT_EQ(tape.gradient(y, x, {.upstream = abstract({batch, 4})}).spec(), x.spec());
  const std::string text = error_text([&] { tape.gradient(y, x, {.upstream = abstract({3, 4})}); });
  EXPECT_NE(text.find("LS2010"), std::string::npos) << text;
  EXPECT_NE(error_text([&] { tape.gradient(y, x); }).find("the target has batch*4 elements"), std::string::npos);
}

TEST_F(AbstractGradients, AnUpstreamGradientWithElementsGivesAbstractOnesToo) {
  const Tensor x = abstract({2, 4}), upstream = ones({2, 4});
  GradientTape outer;
  outer.watch(upstream);
  GradientTape tape({.persistent = true});
  tape.watch(x);
  for (const Tensor& y : {x, x * 2.0f, softmax(x)}) {
    const Tensor g = tape.gradient(y, x, {.upstream = upstream});
    EXPECT_TRUE(g.is_abstract());
    EXPECT_EQ(g.spec(), x.spec());
  }
  const Tensor g = tape.gradient(x * 2.0f, x, {.upstream = upstream});
  const Tensor by_upstream = outer.gradient(sum(g), upstream);
  EXPECT_TRUE(by_upstream.is_abstract());
  EXPECT_EQ(by_upstream.spec(), upstream.spec());
}

TEST_F(AbstractGradients, TensorsOnNoDeviceStayThere) {
  expect_own_spec(abstract({batch, 4}), [](const Tensor& t) { return sum(square(t.to(Device("reference")))); });
}

TEST(VariablesInAbstractCalls, GetAbstractGradients) {
  DeviceScope scope(Device("reference"));
  const Variable filters(random_normal({8, 3, 3, 1}), "filters"), weights(random_normal({1352, 10}), "weights"),
      bias(zeros({10}), "bias");
  const Tensor images = abstract({batch, 28, 28, 1}), labels = abstract({batch}, i64);
  GradientTape tape;
  const Tensor hidden = dropout(flatten(max_pool2d(relu(conv2d(images, filters)))), 0.5);
  const Tensor loss = mean(sparse_cross_entropy(matmul(hidden, weights) + bias, labels));
  const std::vector<Variable> variables = {filters, weights, bias};
  const std::vector<Tensor> g = tape.gradient(loss, variables);
  for (std::size_t i = 0; i < g.size(); ++i) {
    EXPECT_TRUE(g[i].is_abstract());
    EXPECT_EQ(g[i].spec(), variables[i].read().spec());
  }
}

// ------------------------------------------------------------------------------------------------------------ user ops

OpDef same_shape(const char* name) {
  OpDef def;
  def.name = name;
  def.inputs = {{"x"}};
  def.infer = [](InferContext& c) { c.set(0, c.dtype(0), c.shape(0)); };
  def.reference = [](RefContext& r) { r.outputs[0] = r.inputs[0]; };
  return def;
}

TEST(UserOpsOnAbstractTensors, AreDifferentiatedThroughTheirParts) {
  OpDef def = same_shape("abstract::rms_norm");
  def.decompose = [](DecomposeContext& c) {
    const Tensor x = c.tensor(0);
    c.set(0, x * rsqrt(mean(square(x), {.axes = {0}, .keep = true}) + 1e-5));
  };
  const OpDef& op = register_op(std::move(def));
  for (DType dtype : {f32, f16}) {
    expect_own_spec(abstract({batch, 4}, dtype), [&](const Tensor& t) { return sum(square(invoke1(op, {t}))); });
  }
}

TEST(UserOpsOnAbstractTensors, WithoutPartsOrRuleCutThePath) {
  OpDef def = same_shape("abstract::reads_extent");
  def.decompose = [](DecomposeContext& c) {
    const Tensor x = c.tensor(0);
    c.set(0, x / static_cast<float>(x.shape()[0]));
  };
  const OpDef& op = register_op(std::move(def));
  expect_own_spec(abstract({3, 4}), [&](const Tensor& t) { return sum(square(invoke1(op, {t}))); });

  const Tensor x = abstract({batch, 4});
  GradientTape tape;
  tape.watch(x);
  const Tensor y = invoke1(op, {x});
  const int line = __LINE__ - 1;
  EXPECT_EQ(y.spec(), x.spec()) << "its shape is known all the same";
  const std::string text = error_text([&] { tape.gradient(sum(y), x); });
  for (const std::string& part :
       {std::string("GradientError[LS4001]"),
        "the path ends at `abstract::reads_extent`, whose decomposition needs elements or extents that an "
        "abstract tensor does not have, at abstract_gradient_test.cpp:" +
            std::to_string(line),
        std::string("give it known extents, or a gradient rule")}) {
    EXPECT_NE(text.find(part), std::string::npos) << part << "\n" << text;
  }
}

TEST(UserOpsOnAbstractTensors, WhoseRuleReadsAnExtentAreNamed) {
  OpDef def = same_shape("abstract::rule_reads_extent");
  def.decompose = [](DecomposeContext& c) { c.set(0, c.tensor(0) * 1.0f); };
  def.gradient = [](GradContext& g) { g.set(0, g.upstream() * static_cast<float>(g.input_shape(0)[0])); };
  const OpDef& op = register_op(std::move(def));
  const Tensor x = abstract({batch, 4});
  GradientTape tape;
  tape.watch(x);
  const Tensor y = invoke1(op, {x});
  const int line = __LINE__ - 1;
  const std::string text = error_text([&] { tape.gradient(sum(y), x); });
  for (const std::string& part :
       {std::string(
            "TraceError[LS4101] abstract::rule_reads_extent: the gradient rule needs what an abstract tensor does "
            "not have: the extent `batch` is not known yet"),
        std::string("f32 (batch, 4)"), "abstract_gradient_test.cpp:" + std::to_string(line),
        std::string("give it known extents, or correct the rule")}) {
    EXPECT_NE(text.find(part), std::string::npos) << part << "\n" << text;
  }
}

// -------------------------------------------------------------------------------------------------------- empty
// batches

TEST(EmptyBatches, HaveGradientsThroughTheParts) {
  DeviceScope scope(Device("reference"));
  const Tensor x = zeros({0, 10});
  GradientTape tape;
  tape.watch(x);
  EXPECT_EQ(tape.gradient(sum(sparse_cross_entropy(x, zeros({0}, i64))), x).shape(), (Shape{0, 10}));
}

}  // namespace
}  // namespace lockstep
