// Launches of kept calls as a driver sees them: the numbers that it gets, how often it is asked for a kernel, and when
// a kernel is released. The driver is scripted and computes nothing.
#include <bit>
#include <optional>

#include "lockstep/driver_ops.h"
#include "lockstep/lockstep.h"
#include "ops/attrs.h"
#include "ops/built_in.h"
#include "ops/kept_call.h"
#include "runtime/counted_allocations.h"
#include "runtime/expect_error.h"
#include "runtime/kernel_script.h"

namespace lockstep {
namespace {

// The last launch. It has no containers, so that recording allocates nothing.
struct LastLaunch {
  int count = 0;
  std::uint32_t binding_count = 0, scalar_count = 0;
  std::uint64_t scalars[4] = {};
  std::int64_t offsets[4] = {};
  bool has_buffer[4] = {};
  bool has_workspace = false;
  std::uint64_t workspace_offset = 0;
};
LastLaunch last;
bool needs_workspace = false;

const lks_driver_api& table() {
  static const lks_driver_api api = [] {
    lks_driver_api t = kernel_script_table();
    t.kernel_prepare = [](lks_device* device, const lks_kernel_desc* desc, lks_kernel** out, lks_kernel_info* info,
                          lks_diag* diag) -> lks_status {
      const lks_status status = kernel_script_table().kernel_prepare(device, desc, out, info, diag);
      if (!needs_workspace) info->workspace_bytes = 0;
      return status;
    };
    t.buffer_alloc = [](lks_device*, std::uint32_t, std::uint64_t, lks_buffer** out, lks_diag*) -> lks_status {
      *out = any_handle<lks_buffer>();
      return LKS_OK;
    };
    t.buffer_free = [](lks_device*, lks_buffer*) {};
    t.timeline_query = [](lks_timeline*, std::uint64_t* reached, lks_diag*) -> lks_status {
      *reached = 0;  // launches of a queue that is not inline are in flight until somebody waits
      return LKS_OK;
    };
    t.timeline_wait = [](lks_timeline*, std::uint64_t, std::uint64_t, lks_diag*) -> lks_status { return LKS_OK; };
    t.queue_launch = [](lks_queue*, const lks_launch* launches, std::uint32_t count, std::uint64_t* value,
                        lks_diag*) -> lks_status {
      const lks_launch& launch = launches[count - 1];
      last.workspace_offset = launch.workspace_offset;
      last.count += static_cast<int>(count);
      *value = static_cast<std::uint64_t>(last.count);
      last.binding_count = launch.binding_count;
      last.scalar_count = launch.scalar_count;
      last.has_workspace = launch.workspace != nullptr;
      for (std::uint32_t i = 0; i < launch.scalar_count && i < 4; ++i) last.scalars[i] = launch.scalars[i];
      for (std::uint32_t i = 0; i < launch.binding_count && i < 4; ++i) {
        last.offsets[i] = launch.bindings[i].offset;
        last.has_buffer[i] = launch.bindings[i].buffer != nullptr;
      }
      return LKS_OK;
    };
    return t;
  }();
  return api;
}

std::uint64_t bits_of(float value) { return std::bit_cast<std::uint32_t>(value); }

const LaunchNumber rate = LaunchNumber::symbol("rate", NumberKind::real);

class KeptLaunches : public testing::Test {
 protected:
  KeptLaunches() {
    script = {};
    last = {};
    needs_workspace = false;
    set_option("kernel_cache.capacity", "1");
    open(LKS_CAP_INLINE_QUEUE);
  }
  ~KeptLaunches() override {
    script.during = nullptr;
    tensors_.clear();
    scripted_.reset();
    EXPECT_EQ(script.released, script.prepared) << "no kernel is leaked";
    set_option("kernel_cache.capacity", std::nullopt);
  }

  void open(std::uint64_t capabilities, std::uint64_t max_tensor_bytes = 0) {
    scripted_.reset();
    scripted_ = std::make_unique<ScriptedDevice>(table(), capabilities, 64, max_tensor_bytes);
  }
  DeviceState& device() { return scripted_->state(); }

  TensorImpl* tensor(const Shape& shape, DType dtype = f32) {
    return tensors_.emplace_back(make_tensor(device(), dtype, shape, {.label = "test"})).get();
  }
  // All elements but the first.
  TensorImpl* tail_of(const TensorImpl& whole) {
    TensorRef& view = tensors_.emplace_back(TensorRef::adopt(new TensorImpl));
    view->dtype = whole.dtype;
    view->id = next_tensor_id();
    view->device = whole.device;
    view->block = whole.block;
    view->offset = 1;
    view->shape = Shape{whole.shape[0] - 1};
    fill_dense_strides(view->shape, view->strides);
    return view.get();
  }

  // The call has as many tensors as this, results included.
  KeepAnswer ask(const char* op, std::span<const Operand> operands, std::size_t tensors, const void* attrs = nullptr,
                 std::span<const Scalar> numbers = {}) {
    script.deps.assign(tensors, {});
    if (tensors > 1) script.deps[0].dims = 1;  // so that the thread's own table has no reference
    return keep_call({built_in(op), operands, attrs, numbers, CallSite::current()}, device());
  }
  std::shared_ptr<const KeptCall> keep(const char* op, std::span<const Operand> operands, std::size_t tensors,
                                       const void* attrs = nullptr, std::span<const Scalar> numbers = {}) {
    KeepAnswer answer = ask(op, operands, tensors, attrs, numbers);
    EXPECT_EQ(answer.route, CallRoute::kernel) << answer.reason;
    return answer.call;
  }
  std::shared_ptr<const KeptCall> keep_binary(const char* op, std::int64_t extent) {
    const Tensor x = Tensor::abstract({f32, {extent}});
    const std::vector<Operand> operands = {x, x};
    return keep(op, operands, 3);
  }

 private:
  std::unique_ptr<ScriptedDevice> scripted_;
  std::vector<TensorRef> tensors_;
};

TEST_F(KeptLaunches, AskForNoKernel) {
  const auto kept = keep_binary("add", 4);
  script.during = [](const lks_kernel_desc&) { ADD_FAILURE() << "the driver is asked again"; };
  device().kernels().clear();
  TensorImpl* const inputs[] = {tensor({4}), tensor({4})};
  std::vector<TensorRef> outputs(1);
  for (int i = 0; i < 3; ++i) kept->launch(inputs, outputs);
  EXPECT_EQ(last.count, 3);
  EXPECT_EQ(last.binding_count, 3u);
  EXPECT_EQ(last.scalar_count, 0u);
  EXPECT_FALSE(last.has_workspace);
  EXPECT_EQ(script.prepared, 1);
  ASSERT_TRUE(outputs[0]);
  EXPECT_EQ(outputs[0]->device, &device());
}

TEST_F(KeptLaunches, HoldTheirKernelAfterItsEviction) {
  auto kept = keep_binary("add", 4);
  keep_binary("sub", 4).reset();
  EXPECT_EQ(device().kernels().counters.evictions, 1u);
  EXPECT_EQ(script.released, 0) << "the kept call holds it";
  EXPECT_EQ(kept->kernel().variant(), "plain");
  TensorImpl* const inputs[] = {tensor({4}), tensor({4})};
  std::vector<TensorRef> outputs(1);
  kept->launch(inputs, outputs);
  EXPECT_EQ(last.count, 1);
  kept.reset();
  EXPECT_EQ(script.released, 1);
}

TEST_F(KeptLaunches, AllocateNothing) {
  const auto plain = keep_binary("add", 4);
  const Tensor x = Tensor::abstract({f32, {4}});
  const std::vector<Operand> operands = {x, Operand((rate * 0.5 + 1).scalar())};
  const auto numbered = keep("mul", operands, 2);
  TensorImpl* const two[] = {tensor({4}), tensor({4})};
  TensorImpl* const one[] = {two[0]};
  std::vector<TensorRef> outputs = {TensorRef::share(tensor({4}))};
  LaunchValues values;
  values.set(rate, 0.25);
  const auto launch_both = [&] {
    plain->launch(two, outputs);
    numbered->launch(one, outputs, values);
  };
  launch_both();
  const long before = allocations();
  for (int i = 0; i < 10; ++i) launch_both();
  EXPECT_EQ(allocations(), before);
  EXPECT_EQ(last.count, 22);
}

TEST_F(KeptLaunches, HaveAWorkspaceOfTheirOwn) {
  needs_workspace = true;
  const auto kept = keep_binary("add", 4);
  TensorImpl* const inputs[] = {tensor({4}), tensor({4})};
  std::vector<TensorRef> outputs(1);
  kept->launch(inputs, outputs);
  EXPECT_TRUE(last.has_workspace);
}

// The memory is freed while the launch is in flight on the stream that submitted it.
TEST_F(KeptLaunches, HaveTheWorkspaceOnTheStreamThatSubmits) {
  open(0);
  needs_workspace = true;
  const auto kept = keep_binary("add", 4);
  TensorImpl* const inputs[] = {tensor({4}), tensor({4})};
  const Stream a = Stream::create(device().device()), b = Stream::create(device().device());
  {
    std::optional<KeptLaunch> launch;
    {
      const StreamScope in(a);
      launch.emplace(*kept, inputs, std::span<const TensorRef>(), LaunchValues(), CallSite::current());
    }
    const StreamScope in(b);
    KeptLaunch* const one[] = {&*launch};
    KeptLaunch::submit(one);
  }
  ASSERT_TRUE(last.has_workspace);
  const StreamScope in(a);
  std::vector<BlockRef> others;
  for (int i = 0; i < 4; ++i) {
    others.push_back(device().allocator().allocate(48, {}));
    EXPECT_NE(others.back()->offset, last.workspace_offset) << "the other stream still uses it";
  }
}

TEST_F(KeptLaunches, GetNumbersInTheDtypeOfTheKernel) {
  const Tensor x = Tensor::abstract({f32, {4}});
  const LaunchNumber batch = LaunchNumber::of(Dim::symbol("batch"));
  const std::vector<Operand> operands = {x, Operand((1 / batch).scalar())};
  const auto kept = keep("mul", operands, 2);
  TensorImpl* const inputs[] = {tensor({4})};
  std::vector<TensorRef> outputs(1);
  for (const std::int64_t size : {3, 10}) {
    LaunchValues values;
    values.set(Dim::symbol("batch"), size);
    kept->launch(inputs, outputs, values);
    ASSERT_EQ(last.scalar_count, 1u);
    EXPECT_EQ(last.scalars[0], bits_of(static_cast<float>(1.0 / static_cast<double>(size)))) << size;
  }
  EXPECT_EQ(script.prepared, 1);
}

TEST_F(KeptLaunches, GetAnOpsOwnNumbersToo) {
  const Tensor x = Tensor::abstract({f64, {4}});
  const std::vector<Operand> operands = {x, x, x};
  const std::vector<Scalar> numbers = {rate * 2, 0.9, 1, rate};
  const auto kept = keep("momentum_update", operands, 5, nullptr, numbers);
  EXPECT_EQ(kept->symbols().size(), 1u) << "two numbers have the same symbol";
  TensorImpl* const inputs[] = {tensor({4}, f64), tensor({4}, f64), tensor({4}, f64)};
  std::vector<TensorRef> outputs(2);
  for (const double value : {0.1, 0.3}) {
    LaunchValues values;
    values.set(rate, value);
    kept->launch(inputs, outputs, values);
    ASSERT_EQ(last.scalar_count, 4u);
    const double expected[] = {value * 2, 0.9, 1, value};
    for (int i = 0; i < 4; ++i) EXPECT_EQ(last.scalars[i], std::bit_cast<std::uint64_t>(expected[i])) << i;
  }
  EXPECT_EQ(outputs[0]->block.get(), inputs[0]->block.get()) << "in place";
  EXPECT_EQ(outputs[1]->block.get(), inputs[1]->block.get());
}

TEST_F(KeptLaunches, GetAKeyInFourWords) {
  const LaunchNumber position = LaunchNumber::symbol("position", NumberKind::counter);
  const std::vector<Scalar> key = {7, 8, low_word(position + 1), high_word(position + 1)};
  const lks_random_bits_attrs attrs{{1, {5}}, static_cast<std::int64_t>(i32)};
  const auto kept = keep("random_bits", {}, 1, &attrs, key);
  std::vector<TensorRef> outputs(1);
  LaunchValues values;
  values.set(position, std::uint64_t{0xffffffff});
  kept->launch({}, outputs, values);
  const std::uint64_t expected[] = {7, 8, 0, 1};
  for (int i = 0; i < 4; ++i) EXPECT_EQ(last.scalars[i], expected[i]) << i;
}

TEST_F(KeptLaunches, TakeTensorsThatAreAlignedAsDescribedOrMore) {
  TensorImpl* const whole = tensor({5});
  TensorImpl* const tail = tail_of(*whole);
  const auto aligned = keep_binary("add", 4);
  TensorImpl* const unaligned_input[] = {tensor({4}), tail};
  std::vector<TensorRef> outputs(1);
  expect_error_saying([&] { aligned->launch(unaligned_input, outputs); }, ErrorId::layout_differs,
                      {"b has another alignment"}, "kept_launch_test.cpp:", true);
  EXPECT_EQ(last.count, 0);
  EXPECT_FALSE(outputs[0]);
  const std::int64_t strides[] = {1};
  const Tensor x = Tensor::abstract({f32, {4}}), anywhere = laid_out({f32, {4}}, strides, 4);
  const std::vector<Operand> operands = {x, anywhere};
  const auto unaligned = keep("add", operands, 3);
  unaligned->launch(unaligned_input, outputs);
  EXPECT_EQ(last.offsets[1] - last.offsets[0], (static_cast<std::int64_t>(tail->block->offset) -
                                                static_cast<std::int64_t>(unaligned_input[0]->block->offset)) /
                                                       4 +
                                                   1);
  TensorImpl* const aligned_input[] = {tensor({4}), tensor({4})};
  unaligned->launch(aligned_input, outputs);
  EXPECT_EQ(last.count, 2);
}

TEST_F(KeptLaunches, LeaveOutWhatTheCallLeavesOut) {
  const Tensor x = Tensor::abstract({f32, {2, 4}}), row = Tensor::abstract({f32, {4}});
  const std::vector<Operand> operands = {x, Operand::absent(), row};
  const Scalar epsilon = 1e-5;
  const auto kept = keep("layer_norm", operands, 4, nullptr, std::span(&epsilon, 1));
  TensorImpl* const inputs[] = {tensor({2, 4}), tensor({4}), tensor({4})};
  std::vector<TensorRef> outputs(1);
  kept->launch(std::span(inputs, 2), outputs);
  ASSERT_EQ(last.binding_count, 4u);
  for (int i = 0; i < 4; ++i) EXPECT_EQ(last.has_buffer[i], i != 1) << i;
  expect_error_saying([&] { kept->launch(inputs, outputs); }, ErrorId::wrong_input_count,
                      {"layer_norm: takes 2 tensors, not 3"}, "kept_launch_test.cpp:", true);
}

TEST_F(KeptLaunches, OfWhatTheDeviceCannotHaveAreNotKept) {
  const Tensor x = Tensor::abstract({f32, {5}});
  const std::vector<Operand> operands = {x, x};
  {
    const MathModeScope mode(MathMode::lockstep);
    expect_error_saying([&] { ask("add", operands, 3); }, ErrorId::math_mode,
                        {"add: scripted:0 does not offer the math mode lockstep"}, "kept_launch_test.cpp:", true);
  }
  open(LKS_CAP_INLINE_QUEUE, 19);
  expect_error_saying([&] { ask("add", operands, 3); }, ErrorId::impossible_size, {"add", "f32 (5) needs 20 B,"},
                      "kept_launch_test.cpp:", true);
  EXPECT_EQ(script.prepared, 0) << "the driver is not asked";
  EXPECT_NE(keep_binary("add", 4), nullptr);
}

TEST_F(KeptLaunches, RefusalsOfTheDriverNameTheRoute) {
  const std::int64_t turned[] = {1, 2};
  const Tensor dense = Tensor::abstract({f32, {3, 2}}), strided = laid_out({f32, {2, 2}}, turned),
               square = Tensor::abstract({f32, {2, 2}}), half = Tensor::abstract({f16, {2, 2}});
  script.refusal = LKS_REASON_LAYOUT;  // of operand 1
  std::vector<Operand> operands = {square, strided};
  KeepAnswer answer = ask("add", operands, 3);
  EXPECT_EQ(answer.call, nullptr);
  EXPECT_EQ(answer.route, CallRoute::copied_operand);
  EXPECT_EQ(answer.operand, 1);
  EXPECT_EQ(answer.reason, "not like this");
  const Tensor mask = Tensor::abstract({boolean, {2, 2}});
  operands = {mask, Operand(1.0), strided};
  answer = ask("where", operands, 3);
  EXPECT_EQ(answer.route, CallRoute::copied_operand);
  EXPECT_EQ(answer.operand, 2) << "the driver counts tensors alone";
  operands = {square, square};
  answer = ask("add", operands, 3);
  EXPECT_EQ(answer.route, CallRoute::none) << "it is dense already";
  EXPECT_EQ(answer.operand, -1);
  script.refused_operand = 0;
  operands = {strided};
  EXPECT_EQ(ask("copy", operands, 2).route, CallRoute::none) << "a copy is no help for a copy";
  script.refused_operand = 2;
  operands = {strided, square};
  const Scalar learning_rate = 0.5;
  answer = ask("sgd_update", operands, 3, nullptr, std::span(&learning_rate, 1));
  EXPECT_NE(answer.route, CallRoute::copied_operand) << "an output is refused, not the input in whose place it is";
  EXPECT_EQ(answer.operand, -1);
  script.refusal = LKS_REASON_DTYPE;
  operands = {half, half};
  EXPECT_EQ(ask("matmul", operands, 3).route, CallRoute::promoted);
  const AxisAttrs last_axis{1};
  operands = {dense};
  EXPECT_EQ(ask("softmax", operands, 2, &last_axis).route, CallRoute::decomposed);
  script.failure = LKS_OUT_OF_MEMORY;
  operands = {dense, dense};
  EXPECT_THROW(ask("mul", operands, 3), OutOfMemoryError);
}

}  // namespace
}  // namespace lockstep
