// Calls that are kept: a launch must do what the call itself does.
#include "ops/kept_call.h"

#include <gtest/gtest.h>

#include <cstring>
#include <numeric>
#include <thread>

#include "lockstep/driver_ops.h"
#include "lockstep/lockstep.h"
#include "ops/attrs.h"
#include "ops/built_in.h"
#include "runtime/expect_error.h"
#include "runtime/toy_device.h"

namespace lockstep {
namespace {

// A call on tensors, of which a kept call is made.
struct AbstractCall {
  AbstractCall(const char* name, const std::vector<Tensor>& tensors, const void* attributes = nullptr,
               std::vector<Scalar> own_numbers = {})
      : op(built_in(name)), attrs(attributes), numbers(std::move(own_numbers)) {
    abstract_tensors.reserve(tensors.size());
    for (const Tensor& t : tensors) {
      abstract_tensors.push_back(t.is_abstract() ? t : abstract_like(t));
      operands.emplace_back(abstract_tensors.back());
    }
  }
  AbstractCall(const AbstractCall&) = delete;

  OpCall call() const { return {op, operands, attrs, numbers, CallSite::current()}; }

  const OpDef& op;
  const void* attrs;
  std::vector<Scalar> numbers;
  std::vector<Tensor> abstract_tensors;
  std::vector<Operand> operands;
};

std::vector<TensorImpl*> impls_of(const std::vector<Tensor>& tensors) {
  std::vector<TensorImpl*> impls;
  for (const Tensor& t : tensors) impls.push_back(t.impl());
  return impls;
}

std::vector<Tensor> launched(const KeptCall& kept, const std::vector<Tensor>& inputs, const LaunchValues& values = {}) {
  std::vector<TensorRef> outputs(kept.output_specs().size());
  kept.launch(impls_of(inputs), outputs, values);
  std::vector<Tensor> results;
  for (const TensorRef& out : outputs) results.push_back(Tensor::share(out.get()));
  return results;
}

Tensor numbered(const Shape& shape, float first = 0.25f) {
  std::vector<float> values(static_cast<std::size_t>(shape.size()));
  float next = first;
  for (float& v : values) v = (next = next * -1.0625f + 0.125f);
  return Tensor(values, shape);
}

class KeptCalls : public testing::TestWithParam<std::string> {
 protected:
  KeptCalls() : home(device_named(GetParam())), device(home.state()), scope(home) {}

  std::shared_ptr<const KeptCall> keep(const AbstractCall& call) {
    KeepAnswer answer = keep_call(call.call(), device);
    EXPECT_EQ(answer.route, CallRoute::kernel) << call.op.name << ": " << answer.reason;
    if (!answer.call) throw std::runtime_error("not kept");
    return answer.call;
  }

  // Keeps a call like this one, and launches it twice; `inputs` makes the tensors anew each time, since the op may
  // update them.
  void expect_bits_of_the_call(const char* name, const std::function<std::vector<Tensor>(float first)>& inputs,
                               const void* attrs = nullptr, const std::vector<Scalar>& numbers = {}) {
    const AbstractCall call(name, inputs(1), attrs, numbers);
    const std::shared_ptr<const KeptCall> kept = keep(call);
    const std::uint64_t prepared = device.kernels().counters.prepares;
    for (const float first : {0.75f, -1.5f}) {
      const std::vector<Tensor> results = launched(*kept, inputs(first));
      const std::vector<Tensor> own = inputs(first);
      std::vector<Operand> operands;
      for (const Tensor& t : own) operands.emplace_back(t);
      const std::vector<Tensor> expected = invoke(call.op, operands, attrs, numbers);
      ASSERT_EQ(results.size(), expected.size());
      for (std::size_t o = 0; o < results.size(); ++o) {
        EXPECT_EQ(results[o].spec(), expected[o].spec()) << name;
        EXPECT_EQ(results[o].to_bytes(), expected[o].to_bytes()) << name << " output " << o;
      }
    }
    EXPECT_EQ(device.kernels().counters.prepares, prepared) << name << " is prepared once, for both";
  }

  const Device home;
  DeviceState& device;
  const DeviceScope scope;
};
INSTANTIATE_TEST_SUITE_P(Devices, KeptCalls, testing::ValuesIn(devices_and_toy()), &by_device);

// --------------------------------------------------------------------------------------------------------------
// results

TEST_P(KeptCalls, HaveTheBitsOfTheCall) {
  expect_bits_of_the_call("add", [](float f) { return std::vector{numbered({3, 5}, f), numbered({5}, f + 1)}; });
  expect_bits_of_the_call("matmul", [](float f) { return std::vector{numbered({17, 9}, f), numbered({9, 4}, f)}; });
  const lks_conv2d_attrs window{{2, {1, 1}}, {4, {0, 0, 0, 0}}, {2, {1, 1}}, 1};
  expect_bits_of_the_call(
      "conv2d",
      [](float f) {
        return std::vector{numbered({2, 6, 5, 3}, f), numbered({4, 3, 3, 3}, f)};
      },
      &window);
}

TEST_P(KeptCalls, LeaveOutAnOptionalOperand) {
  const lks_conv2d_attrs window{{2, {1, 1}}, {4, {0, 0, 0, 0}}, {2, {1, 1}}, 1};
  const Tensor x = numbered({2, 6, 5, 3}), w = numbered({4, 3, 3, 3}), bias = numbered({4});
  AbstractCall call("conv2d", {x, w}, &window);
  call.operands.push_back(Operand::absent());
  const auto kept = keep(call);
  const std::vector<Operand> two = {x, w}, three = {x, w, bias};
  EXPECT_EQ(launched(*kept, {x, w})[0].to_bytes(), invoke(call.op, two, &window)[0].to_bytes());
  expect_error_saying(
      [&] {
        launched(*kept, {x, w, bias});
      },
      ErrorId::wrong_input_count, {"conv2d: takes 2 tensors, not 3"}, "kept_call_test.cpp:", true);
  const AbstractCall with_bias("conv2d", {x, w, bias}, &window);
  const KeepAnswer added = keep_call(with_bias.call(), device);
  if (!added.call) return;  // another op adds the bias
  EXPECT_EQ(launched(*added.call, {x, w, bias})[0].to_bytes(), invoke(call.op, three, &window)[0].to_bytes());
}

TEST_P(KeptCalls, UpdateInPlaceAsTheCallDoes) {
  const auto tensors = [](float f) {
    return std::vector{numbered({7}, f), numbered({7}, f / 2), square(numbered({7}, f)), numbered({7}, 2 * f)};
  };
  const std::vector<Scalar> numbers = {0.01, 0.9, 0.999, 0.1, 0.001, 10.0, 1000.0, 1e-7, 0.0};
  expect_bits_of_the_call("adam_update", tensors, nullptr, numbers);
  // The inputs themselves have the results.
  const AbstractCall call("adam_update", tensors(1), nullptr, numbers);
  const std::vector<Tensor> given = tensors(2);
  const std::vector<Tensor> results = launched(*keep(call), given);
  for (std::size_t o = 0; o < results.size(); ++o) EXPECT_EQ(results[o].to_bytes(), given[o].to_bytes()) << o;
}

TEST_P(KeptCalls, WriteIntoGivenTensors) {
  const AbstractCall call("add", {numbered({4}), numbered({4})});
  const auto kept = keep(call);
  const std::vector<Tensor> inputs = {Tensor({1.0f, 2.0f, 3.0f, 4.0f}), Tensor({0.5f, 0.5f, 0.5f, 0.5f})};
  const Tensor target = zeros({4});
  std::vector<TensorRef> outputs = {TensorRef::share(target.impl())};
  kept->launch(impls_of(inputs), outputs);
  EXPECT_EQ(outputs[0].get(), target.impl());
  EXPECT_EQ(target.to_vector<float>(), (std::vector<float>{1.5f, 2.5f, 3.5f, 4.5f}));
}

TEST_P(KeptCalls, TakeTheLayoutOfTheAbstractTensor) {
  const Tensor table({1.0f, 2.0f, 3.0f, 4.0f, 5.0f, 6.0f});
  const Tensor turned = transpose(reshape(table, {2, 3}));
  const AbstractCall call("add", {turned, turned});
  const KeepAnswer answer = keep_call(call.call(), device);
  if (answer.route == CallRoute::copied_operand) GTEST_SKIP() << "the driver takes dense operands only";
  ASSERT_TRUE(answer.call) << answer.reason;
  EXPECT_EQ(launched(*answer.call, {turned, turned})[0].to_vector<float>(), (std::vector<float>{2, 8, 4, 10, 6, 12}));
  const Tensor dense = numbered({3, 2});
  expect_error_saying(
      [&] {
        launched(*answer.call, {turned, dense});
      },
      ErrorId::layout_differs, {"b has another layout", "f32 (3, 2)"}, "kept_call_test.cpp:", true);
}

TEST_P(KeptCalls, TakeAnyStrideOfASingleElement) {
  const AbstractCall call("add", {numbered({1, 3}), numbered({1, 3})});
  const auto kept = keep(call);
  const Tensor column = reshape(Tensor({1.0f, 2.0f, 3.0f}), {3, 1}), turned = transpose(column);
  ASSERT_NE(turned.impl()->strides[0], 3) << "the stride in a new tensor";
  EXPECT_EQ(launched(*kept, {turned, turned})[0].to_vector<float>(), (std::vector<float>{2, 4, 6}));
}

TEST_P(KeptCalls, AreSubmittedTogether) {
  const AbstractCall call("add", {numbered({2}), numbered({2})});
  const auto kept = keep(call);
  const Tensor x({1.0f, 2.0f}), y({5.0f, 7.0f}), sum = zeros({2}), total = zeros({2});
  const std::vector<TensorImpl*> first = impls_of({x, x}), second = impls_of({x, y});
  const TensorRef into_sum = TensorRef::share(sum.impl()), into_total = TensorRef::share(total.impl());
  const CallSite where = CallSite::current();
  const LaunchValues none;
  KeptLaunch one(*kept, first, std::span(&into_sum, 1), none, where);
  KeptLaunch two(*kept, second, std::span(&into_total, 1), none, where);
  EXPECT_EQ(sum.to_vector<float>(), std::vector<float>(2, 0)) << "nothing is written before the unit is submitted";
  KeptLaunch* const unit[] = {&one, &two};
  KeptLaunch::submit(unit);
  EXPECT_EQ(sum.to_vector<float>(), (std::vector<float>{2, 4}));
  EXPECT_EQ(total.to_vector<float>(), (std::vector<float>{6, 9}));
  KeptLaunch::submit({});
}

TEST_P(KeptCalls, OutliveTheCache) {
  const AbstractCall call("add", {numbered({4}), numbered({4})});
  const auto kept = keep(call);
  device.kernels().clear();
  const std::vector<Tensor> inputs = {Tensor({1.0f, 2.0f, 3.0f, 4.0f}), Tensor({1.0f, 1.0f, 1.0f, 1.0f})};
  EXPECT_EQ(launched(*kept, inputs)[0].to_vector<float>(), (std::vector<float>{2, 3, 4, 5}));
}

TEST_P(KeptCalls, AreLaunchedByTwoThreadsAtOnce) {
  const AbstractCall call("mul", {numbered({1000}), numbered({1000})});
  const auto kept = keep(call);
  const auto work = [&](float factor) {
    const DeviceScope here(home);
    for (int i = 0; i < 50; ++i) {
      const Tensor x = full({1000}, i), y = full({1000}, factor);
      EXPECT_EQ(launched(*kept, {x, y})[0].to_vector<float>(),
                std::vector<float>(1000, static_cast<float>(i) * factor));
    }
  };
  std::thread other([&] { work(3); });
  work(5);
  other.join();
}

// --------------------------------------------------------------------------------------------------------------
// numbers

TEST_P(KeptCalls, ComputeTheirNumbersAtEachLaunch) {
  const LaunchNumber batch = LaunchNumber::of(Dim::symbol("batch"));
  AbstractCall call("mul", {numbered({3})});
  call.operands.emplace_back((1 / batch).scalar());
  const auto kept = keep(call);
  ASSERT_EQ(kept->symbols().size(), 1u);
  EXPECT_EQ(kept->symbols()[0].to_string(), "batch");
  const Tensor x({1.0f, -3.0f, 0.7f});
  for (const std::int64_t size : {3, 7, 64}) {
    LaunchValues values;
    values.set(Dim::symbol("batch"), size);
    EXPECT_EQ(launched(*kept, {x}, values)[0].to_bytes(), mul(x, 1.0 / static_cast<double>(size)).to_bytes()) << size;
  }
  expect_error_saying([&] { launched(*kept, {x}); }, ErrorId::symbolic_value, {"mul: the number `batch` has no value"},
                      "kept_call_test.cpp:", true);
}

TEST_P(KeptCalls, RoundTheirNumbersOnce) {
  const LaunchNumber n = LaunchNumber::symbol("n", NumberKind::integer);
  AbstractCall call("add", {zeros({1})});
  call.operands.emplace_back(n.scalar());
  const auto kept = keep(call);
  LaunchValues values;
  // Above the midpoint of two f32 numbers by 1; by way of f64 it would become the midpoint, and round down to even.
  values.set(n, (std::int64_t{1} << 60) + (std::int64_t{1} << 36) + 1);
  EXPECT_EQ(launched(*kept, {zeros({1})}, values)[0].to_vector<float>()[0], 0x1p60f + 0x1p37f);
}

TEST_P(KeptCalls, RefuseNumbersThatTheDtypeCannotHold) {
  const LaunchNumber n = LaunchNumber::symbol("n", NumberKind::integer);
  const Tensor x(std::vector<std::int32_t>{1, 2}, Shape{2});
  AbstractCall call("add", {x});
  call.operands.emplace_back(n.scalar());
  const auto kept = keep(call);
  LaunchValues values;
  values.set(n, 40);
  EXPECT_EQ(launched(*kept, {x}, values)[0].to_vector<std::int32_t>(), (std::vector<std::int32_t>{41, 42}));
  values.set(n, std::int64_t{1} << 31);
  expect_error_saying([&] { launched(*kept, {x}, values); }, ErrorId::invalid_attribute,
                      {"add: the number 2147483648 is outside the range of i32"}, "kept_call_test.cpp:", true);
}

TEST_P(KeptCalls, DrawWithAKeyThatMoves) {
  const LaunchNumber position = LaunchNumber::symbol("position", NumberKind::counter);
  const LaunchNumber stream = position + 2;
  const lks_random_bits_attrs attrs{{1, {11}}, static_cast<std::int64_t>(i32)};
  const AbstractCall call("random_bits", {}, &attrs, {7, 0, low_word(stream), high_word(stream)});
  const auto kept = keep(call);
  for (const std::uint64_t at : {std::uint64_t{0}, std::uint64_t{1}, std::uint64_t{0xffffffff}, ~std::uint64_t{0}}) {
    LaunchValues values;
    values.set(position, at);
    EXPECT_EQ(launched(*kept, {}, values)[0].to_bytes(), random_bits({11}, i32, RandomKey{7, at + 2}).to_bytes()) << at;
  }
}

// -------------------------------------------------------------------------------------------------------------
// refusals

TEST_P(KeptCalls, RefuseTensorsThatDoNotFit) {
  const AbstractCall call("add", {numbered({2, 3}), numbered({2, 3})});
  const auto kept = keep(call);
  const Tensor x = numbered({2, 3});
  const auto refused = [&](std::vector<Tensor> inputs, ErrorId id, const std::string& words) {
    expect_error_saying([&] { launched(*kept, inputs); }, id, {words}, "kept_call_test.cpp:", true);
  };
  refused({x}, ErrorId::wrong_input_count, "add: takes 2 tensors, not 1");
  refused({x, x, x}, ErrorId::wrong_input_count, "not 3");
  refused({x, numbered({3, 2})}, ErrorId::shapes_differ, "b has another shape than the call was kept for");
  refused({cast(x, i32), x}, ErrorId::dtypes_differ, "a has another dtype");
  refused({x, Tensor::abstract({f32, {2, 3}})}, ErrorId::symbolic_value, "add");
  if (GetParam() != "reference:0") {
    refused({x, numbered({2, 3}).to(Device("reference"))}, ErrorId::devices_differ, "b has another device");
  }
  std::vector<TensorRef> two(2);
  expect_error_saying(
      [&] {
        kept->launch(impls_of({x, x}), two);
      },
      ErrorId::wrong_input_count, {"has 1 outputs, not 2"}, "kept_call_test.cpp:", true);
  const Tensor target = zeros({3, 2});
  std::vector<TensorRef> other = {TensorRef::share(target.impl())};
  expect_error_saying(
      [&] {
        kept->launch(impls_of({x, x}), other);
      },
      ErrorId::shapes_differ, {"y has another shape"}, "kept_call_test.cpp:", true);
}

TEST_P(KeptCalls, UpdateOnlyTheirInput) {
  const AbstractCall call("sgd_update", {numbered({3}), numbered({3})}, nullptr, {0.5});
  const auto kept = keep(call);
  const Tensor w = ones({3}), g = ones({3}), elsewhere = zeros({3});
  std::vector<TensorRef> outputs = {TensorRef::share(elsewhere.impl())};
  expect_error_saying(
      [&] {
        kept->launch(impls_of({w, g}), outputs);
      },
      ErrorId::invalid_use, {"w is updated in place, and lies elsewhere"}, "kept_call_test.cpp:", true);
  outputs[0] = TensorRef::share(w.impl());
  kept->launch(impls_of({w, g}), outputs);
  EXPECT_EQ(w.to_vector<float>(), std::vector<float>(3, 0.5f));
}

TEST_P(KeptCalls, UpdateTheirInputOnlyWhereItLies) {
  const AbstractCall call("sgd_update", {numbered({1024}), numbered({1024})}, nullptr, {0.5});
  const auto kept = keep(call);
  const Tensor both = ones({2048}), g = ones({1024});
  const Tensor w = slice(both, {{0, 0, 1024}}), other = slice(both, {{0, 1024, 2048}});
  ASSERT_EQ(w.impl()->block.get(), other.impl()->block.get());
  std::vector<TensorRef> outputs = {TensorRef::share(other.impl())};
  expect_error_saying(
      [&] {
        kept->launch(impls_of({w, g}), outputs);
      },
      ErrorId::invalid_use, {"w is updated in place, and lies elsewhere"}, "kept_call_test.cpp:", true);
  EXPECT_EQ(both.to_vector<float>(), std::vector<float>(2048, 1.0f));
}

TEST_P(KeptCalls, RefuseCallsThatCannotBeMade) {
  const Device other(GetParam() == "reference:0" ? "cpu" : "reference");
  const Tensor x = numbered({2, 3}), elsewhere = numbered({2, 3}).to(other);
  const std::vector<Operand> operands = {x, elsewhere};
  expect_error_saying(
      [&] {
        keep_call({built_in("add"), operands, nullptr, {}, CallSite::current()}, device);
      },
      ErrorId::devices_differ, {"an operand lies on " + other.name(), "is kept for " + home.name()},
      "kept_call_test.cpp:", true);
  // As in the call itself, extents beside 0 count.
  const lks_reduce_attrs last_two{{2, {1, 2}}, 0};
  constexpr std::int64_t two_32 = std::int64_t{1} << 32;
  const AbstractCall empty("sum", {Tensor::abstract({f32, {0, two_32, two_32}})}, &last_two);
  expect_error_saying([&] { keep_call(empty.call(), device); }, ErrorId::invalid_shape, {"sum: ", "besides 0"},
                      "kept_call_test.cpp:", true);
}

TEST_P(KeptCalls, OtherRoutesAreNamed) {
  const auto route = [&](const AbstractCall& call) {
    const KeepAnswer answer = keep_call(call.call(), device);
    EXPECT_EQ(answer.call, nullptr);
    return answer.route;
  };
  const lks_reduce_attrs rows{{1, {1}}, 0};
  const ShapeAttrs six{{6}};
  EXPECT_EQ(route(AbstractCall("reshape", {numbered({2, 3})}, &six)), CallRoute::view);
  const struct {
    std::int64_t axis, parts;
    IntList sizes;
  } halves{0, 2, {}};
  EXPECT_EQ(route(AbstractCall("split", {numbered({4, 3})}, &halves)), CallRoute::view);
  EXPECT_EQ(route(AbstractCall("add", {zeros({0, 2}), zeros({0, 2})})), CallRoute::empty);
  const struct {
    IntList shape;
    std::int64_t dtype;
  } filled{{3}, static_cast<std::int64_t>(f32)};
  EXPECT_EQ(route(AbstractCall("full", {}, &filled, {1.0})), CallRoute::copies);
  const struct { std::int64_t device; } first{0};
  EXPECT_EQ(route(AbstractCall("to_device", {numbered({3})}, &first)), CallRoute::host_function);
  AbstractCall promotes("add", {Tensor::abstract({i32, {2}})});
  promotes.operands.emplace_back(2.5);
  EXPECT_EQ(route(promotes), CallRoute::rewritten);
  AbstractCall number("sum", {}, &rows);
  number.operands.emplace_back(2.5);
  EXPECT_EQ(route(number), CallRoute::rewritten);
  const AbstractCall symbolic("add", {Tensor::abstract({f32, {Dim::symbol("n")}}), Tensor::abstract({f32, {1}})});
  expect_error_saying([&] { keep_call(symbolic.call(), device); }, ErrorId::symbolic_value, {"not known yet"},
                      "kept_call_test.cpp:", true);
}

TEST_P(KeptCalls, KernelsOfTheHostAreNotKept) {
  static const OpDef& op = [&]() -> const OpDef& {
    OpDef def;
    def.name = "kept_call_test::same";
    def.inputs = {{"x"}};
    def.infer = [](InferContext& c) { c.set(0, c.dtype(0), c.shape(0)); };
    def.reference = [](RefContext& r) { r.outputs[0] = r.inputs[0]; };
    for (const char* driver : {"cpu", "reference"}) {
      def.kernels[driver] = [](const OpDef::HostKernelCall& c) {
        std::memcpy(c.outputs[0], c.inputs[0], static_cast<std::size_t>(c.output_specs[0].bytes()));
      };
    }
    return register_op(std::move(def));
  }();
  const Tensor x = Tensor::abstract({f32, {3}});
  const std::vector<Operand> operands = {x};
  const KeepAnswer answer = keep_call({op, operands, nullptr, {}, CallSite::current()}, device);
  EXPECT_EQ(answer.call, nullptr);
  EXPECT_EQ(answer.route == CallRoute::host_kernel, op.kernels.contains(device.driver_name()));
}

// ------------------------------------------------------------------------------------------------------------- layouts

TEST(KeptLayouts, AreThoseOfTheAbstractTensor) {
  const Tensor table = zeros({8});
  const auto abstract = [&](std::int64_t first) { return abstract_like(slice(table, {{0, first, 8}})); };
  const auto alignment = [](const Tensor& x) { return alignment_of(kernel_tensor(*x.impl()), 64); };
  EXPECT_EQ(abstract(1).shape(), Shape{7});
  EXPECT_EQ(alignment(abstract(1)), 4u);
  EXPECT_EQ(alignment(abstract(4)), 16u);
  EXPECT_EQ(alignment(abstract(0)), 64u);
}

TEST(KeptLayouts, AreThoseOfNewTensorsUnlessGiven) {
  const Tensor x = laid_out({f32, {2, 3}}, std::vector<std::int64_t>{1, 2}, 4);
  EXPECT_TRUE(x.is_abstract());
  EXPECT_FALSE(x.impl()->dense);
  EXPECT_EQ(alignment_of(kernel_tensor(*x.impl()), 64), 4u);
  EXPECT_EQ(alignment_of(kernel_tensor(*laid_out({f64, {2}}, std::vector<std::int64_t>{1}, 32).impl()), 64), 32u);
  const Tensor dense = laid_out({f32, {2, 3}}, std::vector<std::int64_t>{3, 1});
  EXPECT_TRUE(dense.impl()->dense);
  EXPECT_EQ(alignment_of(kernel_tensor(*dense.impl()), 64), 64u);
}

}  // namespace
}  // namespace lockstep
