// The reverse pass: which gradients arrive where, and what is refused. What is kept for them:
// gradient_memory_test.cpp.
#include <gtest/gtest.h>

#include <functional>
#include <optional>
#include <thread>

#include "lockstep/lockstep.h"
#include "runtime/test_devices.h"

namespace lockstep {
namespace {

float value(const Tensor& t) { return t.item<float>(); }

std::optional<Error> error_of(const std::function<void()>& f) {
  try {
    f();
  } catch (const Error& e) {
    return e;
  }
  return std::nullopt;
}

class ReversePass : public testing::TestWithParam<std::string> {
 protected:
  /// A device that is not the one under test.
  static Device other_device() { return Device(default_device() == Device("cpu") ? "reference" : "cpu"); }

  DeviceScope scope{Device(GetParam())};
};

INSTANTIATE_TEST_SUITE_P(Devices, ReversePass, testing::ValuesIn(available_devices()), &by_device);

// ----------------------------------------------------------------------------------------------------------- variables

TEST_P(ReversePass, EveryValueOfAVariableThatWasReadCounts) {
  Variable v(3.0f, "v");
  GradientTape tape;
  const Tensor first = v * v;
  v.assign(Tensor(5.0f));
  const Tensor second = v * v;
  v.assign(Tensor(7.0f));
  const Tensor third = 10.0f * v;
  EXPECT_EQ(value(tape.gradient(first + second + third, v)), 6.0f + 10.0f + 10.0f);
}

TEST_P(ReversePass, AValueThatTheTargetDoesNotUseCountsNothing) {
  Variable v(3.0f, "v");
  GradientTape tape({.persistent = true});
  const Tensor first = v * v;
  v.assign(Tensor(5.0f));
  const Tensor second = v * v;
  EXPECT_EQ(value(tape.gradient(first, v)), 6.0f);
  EXPECT_EQ(value(tape.gradient(second, v)), 10.0f);
}

TEST_P(ReversePass, UpdatesByAnOptimizerAreNewValuesToo) {
  Variable v(1.0f, "v");
  optim::Optimizer sgd = optim::Sgd{.learning_rate = 1};
  GradientTape tape;
  const Tensor first = v * 2.0f;
  const Tensor gradient(-4.0f);
  sgd.apply(std::span(&gradient, 1), std::span(&v, 1));
  const Tensor second = v * v;  // v is 5
  EXPECT_EQ(value(tape.gradient(first + second, v)), 2.0f + 10.0f);
}

TEST_P(ReversePass, AVariableWithTwoHandlesIsOne) {
  const std::vector<Variable> handles(2, Variable(3.0f, "v"));
  GradientTape tape;
  EXPECT_EQ(value(tape.gradient(handles[0] * handles[1], handles[1])), 6.0f);
}

TEST_P(ReversePass, AVariableThatWasOnlyReadHasAGradient) {
  const Variable v(2.0f, "v"), rows(ones({2, 3}), "rows"), frozen(2.0f, "frozen", false), other(1.0f, "other");
  {
    GradientTape tape;
    const Tensor y = v.read();
    EXPECT_EQ(value(tape.gradient(y, v)), 1.0f);
  }
  {
    GradientTape tape;
    EXPECT_EQ(value(tape.gradient(v.read(), v, {.upstream = Tensor(7.0f)})), 7.0f);
  }
  {
    GradientTape tape({.persistent = true});
    const Tensor upstream = reshape(arange(6, f32), {2, 3});
    EXPECT_EQ(tape.gradient(rows.read(), rows, {.upstream = upstream}).to_vector<float>(), upstream.to_vector<float>());
    EXPECT_EQ(error_of([&] { tape.gradient(rows.read(), rows); })->id(), ErrorId::target_not_scalar);
    EXPECT_EQ(error_of([&] { tape.gradient(v.read(), other); })->id(), ErrorId::unconnected);
    EXPECT_EQ(error_of([&] { tape.gradient(frozen.read(), frozen); })->id(), ErrorId::unconnected);
    tape.watch(frozen);
    EXPECT_EQ(value(tape.gradient(frozen.read(), frozen)), 1.0f);
    const auto both = tape.gradient(v.read(), {v, other}, {.unconnected = Unconnected::zero});
    EXPECT_EQ(value(both[0]), 1.0f);
    EXPECT_EQ(value(both[1]), 0.0f);
  }
  {
    const GradientTape::Options blind{.watch_trainable = false};
    GradientTape tape(blind);
    EXPECT_EQ(error_of([&] { tape.gradient(v.read(), v); })->id(), ErrorId::unconnected);
  }
}

// ------------------------------------------------------------------------------------------------------------- targets

TEST_P(ReversePass, ASourceOnTheWayHandsItsGradientOn) {
  const Variable x(3.0f, "x");
  GradientTape tape;
  const Tensor a = square(x), b = a * x;  // db/da = x, db/dx = 3 x²
  const std::vector<Tensor> g = tape.gradient(b, {a, x});
  EXPECT_EQ(value(g[0]), 3.0f);
  EXPECT_EQ(value(g[1]), 27.0f);
}

TEST_P(ReversePass, TheTargetItselfHasTheUpstream) {
  const Variable x(3.0f, "x");
  GradientTape tape({.persistent = true});
  const Tensor y = square(x);
  EXPECT_EQ(value(tape.gradient(y, y)), 1.0f);
  EXPECT_EQ(value(tape.gradient(y, y, {.upstream = Tensor(4.0f)})), 4.0f);
}

TEST_P(ReversePass, WhatComesAfterTheTargetCountsNothing) {
  const Variable x(3.0f, "x");
  GradientTape tape;
  const Tensor y = square(x);
  const Tensor later = exp(y) * x;
  EXPECT_EQ(value(tape.gradient(y, x)), 6.0f);
}

TEST_P(ReversePass, ATensorUsedTwiceInOneCallCountsTwice) {
  const Variable x(ones({2}), "x");
  GradientTape tape;
  const Tensor weights({1.0f, 2.0f, 3.0f, 4.0f});
  EXPECT_EQ(tape.gradient(sum(concat({x.read(), x.read()}) * weights), x).to_vector<float>(),
            (std::vector<float>{4, 6}));
}

TEST_P(ReversePass, TheUpstreamHasTheTargetsShapeAndDtype) {
  const Variable x(ones({3}), "x");
  GradientTape tape({.persistent = true});
  const Tensor y = x * 2.0f;
  for (DType dtype : {DType::f64, DType::f16, DType::i32}) {
    const auto error = error_of([&] { tape.gradient(y, x, {.upstream = ones({3}, dtype)}); });
    ASSERT_TRUE(error) << name_of(dtype);
    EXPECT_NE(std::string(error->what()).find("upstream"), std::string::npos) << error->what();
  }
  for (const Shape& shape : {Shape{}, {1}, {4}, {3, 1}, {1, 3}}) {
    const auto error = error_of([&] { tape.gradient(y, x, {.upstream = ones(shape)}); });
    ASSERT_TRUE(error) << shape.to_string();
    EXPECT_EQ(error->id(), ErrorId::shapes_differ) << error->what();
  }
  EXPECT_EQ(tape.gradient(y, x, {.upstream = Tensor({1.0f, 2.0f, 3.0f})}).to_vector<float>(),
            (std::vector<float>{2, 4, 6}))
      << "a refusal consumes nothing";
}

TEST_P(ReversePass, AnUpstreamElsewhereOrWithoutElementsIsRefusedAtTheCallOfGradient) {
  const Variable x(ones({3}), "x");
  GradientTape tape({.persistent = true});
  const Tensor y = square(x);
  const auto expect = [&](const Tensor& upstream, ErrorId id, const std::string& headline, const std::string& fix) {
    const std::string line = std::to_string(__LINE__ + 1);
    const auto error = error_of([&] { tape.gradient(y, x, {.upstream = upstream}); });
    ASSERT_TRUE(error);
    EXPECT_EQ(error->id(), id) << error->what();
    EXPECT_EQ(error->op(), "gradient");
    EXPECT_EQ(error->headline(), headline);
    EXPECT_EQ(error->hint(), fix);
    EXPECT_NE(std::string(error->what()).find("called at gradient_test.cpp:" + line), std::string::npos)
        << error->what();
  };
  expect(ones({3}).to(other_device()), ErrorId::devices_differ,
         "the upstream gradient and the target lie on different devices",
         "move it: upstream.to(Device(\"" + GetParam() + "\"))");
  expect(Tensor::abstract({f32, {3}}), ErrorId::symbolic_value, "the upstream gradient is abstract and has no elements",
         "give one with elements, as the target has");
  EXPECT_EQ(tape.gradient(y, x, {.upstream = ones({3})}).to_vector<float>(), (std::vector<float>{2, 2, 2}))
      << "a refusal consumes nothing";
  // An abstract tensor has abstract gradients, whether the upstream gradient has elements or not.
  const Tensor abstract = Tensor::abstract({f32, {3}});
  tape.watch(abstract);
  const Tensor squared = square(abstract);
  for (const Tensor& upstream : {abstract, ones({3})}) {
    EXPECT_EQ(tape.gradient(squared, abstract, {.upstream = upstream}).spec(), abstract.spec());
  }
}

TEST_P(ReversePass, AnUpstreamServesASingleElementToo) {
  const Variable x(ones({1, 1}), "x");
  GradientTape tape({.persistent = true});
  const Tensor y = x * 2.0f;
  EXPECT_EQ(tape.gradient(y, x).shape(), (Shape{1, 1})) << "one element of any rank needs none";
  EXPECT_EQ(tape.gradient(y, x, {.upstream = full({1, 1}, 5)}).to_vector<float>(), std::vector<float>{10});
}

TEST_P(ReversePass, IntegersAreNoTargets) {
  const Variable x(ones({3}), "x");
  GradientTape tape;
  const Tensor y = argmax(x);
  const auto error = error_of([&] { tape.gradient(y, x); });
  ASSERT_TRUE(error);
  EXPECT_EQ(error->id(), ErrorId::not_differentiable_dtype);
  EXPECT_EQ(tape.gradient(sum(x), x).to_vector<float>(), std::vector<float>(3, 1.0f)) << "the tape is not consumed";
}

// -------------------------------------------------------------------------------------------------------- broadcasting

TEST_P(ReversePass, SumsOverNewAndOverStretchedAxesAtOnce) {
  const Tensor x = ones({2, 3, 4}), row = ones({1, 4}), column = ones({3, 1}), one = ones({1, 1, 1});
  GradientTape tape;
  for (const Tensor& t : {row, column, one}) tape.watch(t);
  const std::vector<Tensor> g = tape.gradient(sum(x * row + x * column + x * one), {row, column, one});
  EXPECT_EQ(g[0].shape(), (Shape{1, 4}));
  EXPECT_EQ(g[0].to_vector<float>(), std::vector<float>(4, 6.0f));
  EXPECT_EQ(g[1].shape(), (Shape{3, 1}));
  EXPECT_EQ(g[1].to_vector<float>(), std::vector<float>(3, 8.0f));
  EXPECT_EQ(g[2].shape(), (Shape{1, 1, 1}));
  EXPECT_EQ(g[2].to_vector<float>(), std::vector<float>{24.0f});
}

TEST_P(ReversePass, ExtentsOfOneOnBothSidesStay) {
  const Tensor x = ones({2, 1}), y = full({2, 1}, 3);
  GradientTape tape;
  tape.watch(x);
  EXPECT_EQ(tape.gradient(sum(x * y), x).to_vector<float>(), std::vector<float>(2, 3.0f));
}

// ------------------------------------------------------------------------------------------------------------ watching

TEST_P(ReversePass, WatchingTwiceIsWatchingOnce) {
  const Tensor x(3.0f);
  const Variable v(2.0f, "v");
  GradientTape tape;
  tape.watch(x);
  tape.watch(x);
  tape.watch(v);
  tape.watch(v);
  const std::vector<Tensor> g = tape.gradient(x * x + v * v, {x, v});
  EXPECT_EQ(value(g[0]), 6.0f);
  EXPECT_EQ(value(g[1]), 4.0f);
}

TEST_P(ReversePass, OnlyWhatIsWatchedIsRecorded) {
  const Variable trainable(2.0f, "trainable"), frozen(2.0f, "frozen", false);
  const Variable counter(Tensor(1), "counter");
  GradientTape tape;
  const Tensor unwatched = Tensor(1.0f) * 2.0f + frozen;
  const Tensor integers = counter + 1;
  EXPECT_EQ(tape.size(), 0u);
  const Tensor y = trainable * 2.0f;
  EXPECT_EQ(tape.size(), 1u);
  GradientTape manual({.watch_trainable = false});
  const Tensor z = trainable * 2.0f;
  EXPECT_EQ(manual.size(), 0u);
  manual.watch(trainable);
  EXPECT_EQ(value(manual.gradient(trainable * 5.0f, trainable)), 5.0f);
}

TEST_P(ReversePass, WhatFollowsAConsumedTapeIsNotRecorded) {
  const Variable x(3.0f, "x");
  GradientTape tape;
  tape.gradient(square(x), x);
  EXPECT_EQ(tape.size(), 0u);
  const Tensor later = square(x);
  EXPECT_EQ(tape.size(), 0u);
  EXPECT_EQ(error_of([&] { tape.watch(later); })->id(), ErrorId::tape_consumed);
}

TEST_P(ReversePass, ATapeOfAnotherThreadIsRefused) {
  GradientTape tape;
  const Tensor x(3.0f);
  std::optional<Error> error;
  std::thread([&] { error = error_of([&] { tape.watch(x); }); }).join();
  ASSERT_TRUE(error);
  EXPECT_EQ(error->id(), ErrorId::wrong_nesting);
}

TEST_P(ReversePass, AssigningIsNotRecorded) {
  Variable v(ones({2}), "v");
  GradientTape tape;
  v.assign_add(ones({2}));
  v.assign(v.read());
  EXPECT_EQ(tape.size(), 0u);
}

TEST_P(ReversePass, NoGradientHidesFromOuterTapesOnly) {
  const Variable x(3.0f, "x");
  GradientTape outer;
  const Tensor inside = [&] {
    NoGradient pause;
    GradientTape inner;
    const Tensor slope = inner.gradient(x * x, x);
    return slope;
  }();
  EXPECT_EQ(value(inside), 6.0f);
  EXPECT_EQ(outer.size(), 0u);
  EXPECT_EQ(value(outer.gradient(x * inside, x)), 6.0f) << "it records again";
}

// ---------------------------------------------------------------------------------------------- where a recording ends

TEST_P(ReversePass, ATapeThatGoesOnAnotherThreadLeavesItsOwnUsable) {
  const Variable x(2.0f, "x");
  for (const bool persistent : {false, true}) {
    GradientTape below;
    auto tape = std::make_unique<GradientTape>(GradientTape::Options{.persistent = persistent});
    GradientTape above;
    const Tensor before = square(x);
    std::thread([&] { tape.reset(); }).join();
    const Tensor y = x * x * x;
    EXPECT_EQ(value(below.gradient(y, x)), 12.0f);
    EXPECT_EQ(value(above.gradient(y, x)), 12.0f);
    GradientTape next;
    EXPECT_EQ(value(next.gradient(square(x), x)), 4.0f);
  }
}

TEST_P(ReversePass, AStoppedTapeDifferentiatesWhatItHasRecorded) {
  const Variable x(3.0f, "x");
  GradientTape tape;
  const Tensor y = square(x);
  tape.stop();
  const std::size_t size = tape.size();
  const Tensor later = y * x;
  EXPECT_EQ(tape.size(), size);
  const auto error = error_of([&] { tape.gradient(later, x); });
  ASSERT_TRUE(error);
  EXPECT_EQ(error->id(), ErrorId::unconnected);
  EXPECT_NE(std::string(error->what()).find("it was stopped at gradient_test.cpp:"), std::string::npos)
      << error->what();
  tape.stop();
  EXPECT_EQ(value(tape.gradient(y, x)), 6.0f);
  EXPECT_NO_THROW(tape.stop());
  EXPECT_EQ(error_of([&] { tape.gradient(y, x); })->id(), ErrorId::tape_consumed);
}

// --------------------------------------------------------------------------------------------------------------- rules

// Two outputs: a + b and a - b.
OpDef sum_and_difference() {
  OpDef op;
  op.name = "gradient_test::sum_and_difference";
  op.inputs = {{"a"}, {"b"}};
  op.outputs = {{"sum"}, {"difference"}};
  op.error_class = ErrorClass::composed;
  op.infer = [](InferContext& c) {
    c.set(0, c.dtype(0), c.shape(0));
    c.set(1, c.dtype(0), c.shape(0));
  };
  op.decompose = [](DecomposeContext& c) {
    c.set(0, c.tensor(0) + c.tensor(1));
    c.set(1, c.tensor(0) - c.tensor(1));
  };
  op.reference = [](RefContext& r) {
    for (std::size_t i = 0; i < r.outputs[0].values.size(); ++i) {
      r.outputs[0].values[i] = r.inputs[0].values[i] + r.inputs[1].values[i];
      r.outputs[1].values[i] = r.inputs[0].values[i] - r.inputs[1].values[i];
    }
  };
  op.gradient = [](GradContext& g) {
    g.set(0, g.upstream(0) + g.upstream(1));
    if (g.needs(1)) g.set(1, g.upstream(0) - g.upstream(1));
  };
  return op;
}

TEST_P(ReversePass, OutputsWithoutAGradientCountAsZeros) {
  static const OpDef& op = register_op(sum_and_difference());
  const Tensor a({3.0f, 4.0f}), b({1.0f, 2.0f});
  GradientTape tape({.persistent = true});
  tape.watch(a);
  tape.watch(b);
  const std::vector<Tensor> y = invoke(op, std::vector<Operand>{a, b});
  const auto gradients = [&](const Tensor& target) { return tape.gradient(target, {a, b}); };
  EXPECT_EQ(gradients(sum(y[0]))[1].to_vector<float>(), (std::vector<float>{1, 1}));
  EXPECT_EQ(gradients(sum(y[1]))[1].to_vector<float>(), (std::vector<float>{-1, -1}));
  EXPECT_EQ(gradients(sum(y[1] * 2.0f + y[0]))[0].to_vector<float>(), (std::vector<float>{3, 3}));
  EXPECT_EQ(gradients(sum(y[1] * 2.0f + y[0]))[1].to_vector<float>(), (std::vector<float>{-1, -1}));
  // The rule gives the first input a gradient even if nobody asks for it.
  GradientTape of_second;
  of_second.watch(b);
  EXPECT_EQ(of_second.gradient(sum(invoke(op, std::vector<Operand>{a, b})[1]), b).to_vector<float>(),
            (std::vector<float>{-1, -1}));
}

TEST_P(ReversePass, ARuleThatReadsWhatItDoesNotSaveIsNamed) {
  const auto with_rule = [](const std::string& name, std::function<void(GradContext&)> rule) -> const OpDef& {
    OpDef op = pointwise_op(name, [](Expr x) { return x + x; });
    op.gradient = std::move(rule);
    op.saves = {Saves{0, 0}};
    return register_op(std::move(op));
  };
  static const OpDef& reads_input = with_rule("gradient_test::reads_input", [](GradContext& g) { g.input(0); });
  static const OpDef& reads_output = with_rule("gradient_test::reads_output", [](GradContext& g) { g.output(0); });
  for (const OpDef* op : {&reads_input, &reads_output}) {
    const Tensor x(2.0f);
    GradientTape tape;
    tape.watch(x);
    const Tensor y = [&] {
      const NameScope block("block");
      return invoke1(*op, {x});
    }();
    const auto error = error_of([&] { tape.gradient(y, x); });
    ASSERT_TRUE(error) << op->name;
    EXPECT_EQ(error->id(), ErrorId::invalid_op_definition) << error->what();
    EXPECT_TRUE(error->where().starts_with("block, "))
        << "that of the call, not of the reverse pass: " << error->what();
    EXPECT_NE(std::string(error->what()).find(op->name), std::string::npos) << error->what();
  }
}

TEST_P(ReversePass, RulesRunOnTheDeviceOfTheirTensors) {
  const Device other = other_device();
  const Tensor x = ones({2, 3}).to(other);
  GradientTape tape;
  tape.watch(x);
  const Tensor y = sum(select_index(x, 0, 1) * 2.0f);  // its rule makes zeros without inputs
  const Tensor g = tape.gradient(y, x);
  EXPECT_EQ(g.device(), other);
  EXPECT_EQ(g.to_vector<float>(), (std::vector<float>{0, 0, 0, 2, 2, 2}));
}

// -------------------------------------------------------------------------------------------------------------- zeros

TEST_P(ReversePass, ZerosOnRequestBesideRealGradients) {
  const Variable used(2.0f, "used"), unused(ones({2}), "unused");
  const Tensor plain = ones({3}, DType::f64);
  GradientTape tape;
  const std::vector<Tensor> g = tape.gradient(used * 3.0f, {used, unused, plain}, {.unconnected = Unconnected::zero});
  EXPECT_EQ(value(g[0]), 3.0f);
  EXPECT_EQ(g[1].to_vector<float>(), (std::vector<float>{0, 0}));
  EXPECT_EQ(g[2].to_vector<double>(), (std::vector<double>{0, 0, 0}));
}

// -------------------------------------------------------------------------------------------- why there is no gradient

void expect_reason(const std::string& reason, const std::string& fix, const std::function<void()>& act) {
  const auto error = error_of(act);
  ASSERT_TRUE(error) << reason;
  EXPECT_EQ(error->id(), ErrorId::unconnected) << error->what();
  EXPECT_NE(error->headline().find(reason), std::string::npos) << reason << " in " << error->what();
  EXPECT_NE(error->hint().find(fix), std::string::npos) << fix << " in " << error->what();
  for (const char* line : {"target ", "source ", "gradient_test.cpp:"})
    EXPECT_NE(std::string(error->what()).find(line), std::string::npos) << line << " in " << error->what();
}

TEST_P(ReversePass, EachReasonWhyThereIsNoGradientIsNamed) {
  const Variable x(ones({3}), "x"), other(ones({3}), "other");
  const Tensor before = other * 2.0f;
  GradientTape tape({.persistent = true});
  const Tensor of_x = x * 2.0f, of_other = other * 3.0f;
  expect_reason("no recorded op leads from the source to the target", "computed from the source",
                [&] { tape.gradient(sum(of_other), x); });
  expect_reason("does not come from anything that the tape watches", "after the tape is made",
                [&] { tape.gradient(sum(before), x); });
  const Tensor plain = ones({3});
  expect_reason("the tensor is not watched by this tape", "tape.watch(tensor)",
                [&] { tape.gradient(sum(of_x * plain), plain); });
  const Tensor count = argmax(of_x);
  expect_reason("ends at `argmax`, which is not differentiable, at gradient_test.cpp:", "Unconnected::zero",
                [&] { tape.gradient(sum(cast(count, f32) * other), x); });
  const Tensor larger = greater(plain, of_x);  // only one operand depends on the source
  expect_reason("ends at `greater`, which is not differentiable", "Unconnected::zero",
                [&] { tape.gradient(sum(cast(larger, f32) * other), x); });
  const Variable frozen(ones({3}), "frozen", false), unused(ones({3}), "unused");
  expect_reason("the variable is not trainable, and the tape was not told to watch it", "tape.watch(variable)",
                [&] { tape.gradient(sum(of_x * frozen), frozen); });
  expect_reason("the variable was not used while the tape recorded", "from this variable",
                [&] { tape.gradient(sum(of_x), unused); });
  const Tensor early = sum(before);
  const float number = sum(of_x).item<float>();
  expect_reason("if a number that was read is part of it: the path ends at ", "tensors alone",
                [&] { tape.gradient(sum(ones({3}) * number), x); });
  const auto error = error_of([&] { tape.gradient(early, x); });
  ASSERT_TRUE(error);
  EXPECT_EQ(error->headline().find("a number that was read"), std::string::npos) << "it was read later";
}

TEST_P(ReversePass, OfSeveralPathEndsTheFirstIsNamed) {
  const Variable x(ones({3}), "x");
  GradientTape tape({.persistent = true});
  const Tensor first = stop_gradient(x * 2.0f);
  const Tensor second = cast(argmax(first), f32);
  expect_reason("ends at `stop_gradient`", "Unconnected::zero", [&] { tape.gradient(sum(second + 1.0f), x); });
  expect_reason("ends at `argmax`", "Unconnected::zero",
                [&] { tape.gradient(sum(cast(argmax(x * 2.0f), f32) + 1.0f), x); });
}

}  // namespace
}  // namespace lockstep
