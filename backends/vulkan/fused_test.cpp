// Tests that pipelines that fuse products and sums are tried before strict mode uses them.
#include <cstdlib>

#include "backends/vulkan/driver_test.h"
#include "conformance/runtime/kernels.h"

namespace lockstep {
namespace {

using Dims = std::vector<std::int64_t>;

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
  attrs.strides = int_list({stride, stride});
  attrs.padding = int_list({0, 0, 0, 0});
  attrs.dilation = int_list({1, 1});
  attrs.groups = 1;
  return attrs;
}

// Products that are computed in blocks and whose sums are not split into ranges.
std::vector<KernelSample> samples_in_blocks() {
  std::vector<KernelSample> all;
  all.push_back(sample(LKS_OP_MATMUL, "matmul", {80, 50}, {50, 80}, {80, 80}, {}));
  const Dims filters{60, 2, 2, 60};
  for (const std::int64_t stride : {1, 2, 3}) {
    const std::int64_t out = (16 - 2) / stride + 1;
    const Dims image{1, 16, 16, 60}, result{1, out, out, 60};
    all.push_back(
        sample(LKS_OP_CONV2D, "conv2d", image, filters, result, attr_bytes(with_strides<lks_conv2d_attrs>(stride))));
    auto input = with_strides<lks_conv2d_backward_input_attrs>(stride);
    input.shape = int_list({1, 16, 16, 60});
    all.push_back(
        sample(LKS_OP_CONV2D_BACKWARD_INPUT, "conv2d_backward_input", result, filters, image, attr_bytes(input)));
    auto filter = with_strides<lks_conv2d_backward_filter_attrs>(stride);
    filter.shape = int_list({60, 2, 2, 60});
    all.push_back(
        sample(LKS_OP_CONV2D_BACKWARD_FILTER, "conv2d_backward_filter", image, result, filters, attr_bytes(filter)));
  }
  return all;
}

class FusedProducts : public VulkanDriver {
 protected:
  void SetUp() override {
    VulkanDriver::SetUp();
    const std::vector<DeviceInfo> all = devices();
    const bool is_lavapipe = std::any_of(all.begin(), all.end(), [](const DeviceInfo& d) {
      return d.id == "vulkan:0" && d.name.find("llvmpipe") != std::string::npos;
    });
    if (!is_lavapipe) GTEST_SKIP() << "vulkan:0 is not lavapipe, which keeps denormal numbers";
    setenv("LOCKSTEP_VULKAN_KERNELS", "gpu", 1);
  }
  void TearDown() override {
    unsetenv("LOCKSTEP_VULKAN_KERNELS");
    unsetenv("LOCKSTEP_VULKAN_HIDE");
  }
};

// The number of submissions, compiled pipelines and log lines that preparing a kernel took, and its variant.
struct Effort {
  std::uint64_t submissions, pipelines, log_lines;
  std::string variant = "";
};

Effort prepare(Session& s, const KernelSample& sample) {
  const std::uint64_t submissions = s.host.passed(LKS_FAULT_SUBMIT), pipelines = s.host.passed(LKS_FAULT_COMPILE),
                      lines = s.host.log_lines();
  const Kernel kernel(s, sample);
  return {s.host.passed(LKS_FAULT_SUBMIT) - submissions, s.host.passed(LKS_FAULT_COMPILE) - pipelines,
          s.host.log_lines() - lines, kernel.info().variant};
}

// Prepares every sample twice. Each pipeline that has not been tried yet takes `each`; one that has been takes nothing.
void expect_effort(Session& s, const Effort& each) {
  std::uint64_t trials = 0;
  for (const KernelSample& sample : samples_in_blocks()) {
    const Effort first = prepare(s, sample), second = prepare(s, sample);
    trials += first.submissions;
    EXPECT_EQ(first.variant.substr(0, 6), "blocks") << sample.name;
    EXPECT_EQ(first.pipelines * each.submissions, first.submissions * each.pipelines) << sample.name;
    EXPECT_EQ(first.log_lines * each.submissions, first.submissions * each.log_lines) << sample.name;
    EXPECT_EQ(second.submissions + second.pipelines + second.log_lines, 0u) << sample.name;
  }
  EXPECT_GE(trials, 4 * each.submissions);  // for each op at least
}

TEST_F(FusedProducts, AreTriedOnceAndPassHere) {
  Session s(target);
  expect_effort(s, {.submissions = 1, .pipelines = 1, .log_lines = 0});
}

// The trials expect losses, so correct pipelines fail: first one that fuses, then one that fuses with a guard. The
// third pipeline does not fuse, and so has no trial.
TEST_F(FusedProducts, AreReplacedWhereTheyFail) {
  setenv("LOCKSTEP_VULKAN_HIDE", "fusedProducts", 1);
  Session s(target);
  expect_effort(s, {.submissions = 2, .pipelines = 3, .log_lines = 2});
}

// With an Fma that loses denormal numbers, as NVIDIA's does, fusing fails and fusing with a guard passes.
TEST_F(FusedProducts, AreGuardedWhereTheyLoseDenormals) {
  setenv("LOCKSTEP_VULKAN_HIDE", "fusedDenormals", 1);
  Session s(target);
  expect_effort(s, {.submissions = 2, .pipelines = 2, .log_lines = 1});
}

TEST_F(FusedProducts, AreTriedAgainAfterAFault) {
  Session s(target);
  const KernelSample sample = samples_in_blocks()[0];
  int faults = 0;
  for (;; ++faults) {
    ASSERT_LT(faults, 100);
    s.host.fail_at(static_cast<std::uint64_t>(faults) + 1);
    try {
      const Kernel kernel(s, sample);
      break;
    } catch (const DriverFailure& e) {
      EXPECT_EQ(e.status, s.host.injected()) << e.what();
    }
  }
  s.host.disarm();
  EXPECT_GE(faults, 2);  // at least the pipeline and the submission
  const Effort later = prepare(s, sample);
  EXPECT_EQ(later.submissions + later.pipelines + later.log_lines, 0u);
}

}  // namespace
}  // namespace lockstep
