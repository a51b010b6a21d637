// Pipelines that fuse products and sums are tried before they serve strict mode.
#include <cstdlib>

#include "backends/vulkan/driver_test.h"
#include "conformance/runtime/kernels.h"

namespace lockstep {
namespace {

using Dims = std::vector<std::int64_t>;

template <class... T>
lks_int_list list(T... values) {
  lks_int_list l{};
  for (const std::int64_t v : {static_cast<std::int64_t>(values)...}) l.values[l.count++] = v;
  return l;
}

KernelSample sample(std::uint32_t op, const char* name, const Dims& a, const Dims& b, const Dims& c, Bytes attrs) {
  KernelSample s;
  s.op = op;
  s.name = s.op_name = name;
  s.attrs = std::move(attrs);
  s.inputs = {{LKS_F32, a}, {LKS_F32, b}};
  if (op == LKS_OP_CONV2D) s.inputs.push_back({LKS_F32, {}, {}, true});
  s.outputs = {{LKS_F32, c}};
  return s;
}

template <class Attrs>
Attrs with_strides(std::int64_t stride) {
  Attrs attrs{};
  attrs.strides = list(stride, stride);
  attrs.padding = list(0, 0, 0, 0);
  attrs.dilation = list(1, 1);
  attrs.groups = 1;
  return attrs;
}

// Products of more than 64 rows and columns.
std::vector<KernelSample> samples_in_blocks() {
  std::vector<KernelSample> all;
  all.push_back(sample(LKS_OP_MATMUL, "matmul", {80, 50}, {50, 80}, {80, 80}, {}));
  const Dims filters{80, 3, 3, 80};
  for (const std::int64_t stride : {1, 2, 3}) {
    const std::int64_t out = (18 - 3) / stride + 1;
    const Dims image{1, 18, 18, 80}, result{1, out, out, 80};
    all.push_back(
        sample(LKS_OP_CONV2D, "conv2d", image, filters, result, attr_bytes(with_strides<lks_conv2d_attrs>(stride))));
    auto input = with_strides<lks_conv2d_backward_input_attrs>(stride);
    input.shape = list(1, 18, 18, 80);
    all.push_back(
        sample(LKS_OP_CONV2D_BACKWARD_INPUT, "conv2d_backward_input", result, filters, image, attr_bytes(input)));
    auto filter = with_strides<lks_conv2d_backward_filter_attrs>(stride);
    filter.shape = list(80, 3, 3, 80);
    all.push_back(
        sample(LKS_OP_CONV2D_BACKWARD_FILTER, "conv2d_backward_filter", image, result, filters, attr_bytes(filter)));
  }
  return all;
}

class FusedProducts : public VulkanDriver {
 protected:
  void SetUp() override {
    setenv("LOCKSTEP_VULKAN_KERNELS", "gpu", 1);
    VulkanDriver::SetUp();
  }
  void TearDown() override {
    unsetenv("LOCKSTEP_VULKAN_KERNELS");
    unsetenv("LOCKSTEP_VULKAN_HIDE");
  }
};

// What a trial finds wrong is logged.
TEST_F(FusedProducts, AreTriedOnceAndPassHere) {
  Session s(target);
  std::uint64_t trials = 0;
  for (const KernelSample& sample : samples_in_blocks()) {
    const std::uint64_t before = s.host.passed(LKS_FAULT_SUBMIT), lines = s.host.log_lines();
    { const Kernel kernel(s, sample); }
    const std::uint64_t after = s.host.passed(LKS_FAULT_SUBMIT);
    trials += after - before;
    EXPECT_LE(after - before, 1u) << sample.name;
    EXPECT_EQ(s.host.log_lines(), lines) << sample.name;
    const Kernel again(s, sample);
    EXPECT_EQ(std::string(again.info().variant).substr(0, 6), "blocks") << sample.name;
    EXPECT_EQ(s.host.passed(LKS_FAULT_SUBMIT), after) << sample.name;
  }
  EXPECT_GE(trials, 6u);
}

TEST_F(FusedProducts, AreNotTriedWhereNothingIsFused) {
  setenv("LOCKSTEP_VULKAN_HIDE", "fusedProducts", 1);
  Session s(target);
  const std::uint64_t before = s.host.passed(LKS_FAULT_SUBMIT);
  for (const KernelSample& sample : samples_in_blocks()) const Kernel kernel(s, sample);
  EXPECT_EQ(s.host.passed(LKS_FAULT_SUBMIT), before);
}

}  // namespace
}  // namespace lockstep
