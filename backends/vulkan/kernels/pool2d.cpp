// Pooling of dense NHWC images: one invocation per element of the result.
#include <limits>

#include "backends/vulkan/kernels/index_check.h"
#include "backends/vulkan/shaders.h"

namespace vulkan {
namespace {

// shaders/window.glsl
struct Params {
  VkDeviceAddress tensors[3];
  std::int64_t count;
  std::uint32_t channels;
  std::int32_t height, width, pooled_height, pooled_width;
  std::int32_t window_height, window_width, stride_height, stride_width, top, left;
};

constexpr std::int64_t group = 64;

// The number in 32 bits. At most half of the range is allowed, because shaders add two such numbers.
std::int32_t narrow(std::int64_t n) {
  if (n > std::numeric_limits<std::int32_t>::max() / 2) {
    raise(LKS_UNSUPPORTED, DRIVER_WHERE, "an extent of %lld is more than pooling can count", static_cast<long long>(n));
  }
  return static_cast<std::int32_t>(n);
}

// The parameters of a launch: those of the attributes, with extents and addresses filled in.
Params params_of(const lks_kernel& kernel, const lks_launch& launch, const Params& attrs, std::size_t image,
                 std::size_t pooled) {
  const std::int64_t* x = launch.bindings[image].dims;
  const std::int64_t* y = launch.bindings[pooled].dims;
  Params p = attrs;
  p.channels = static_cast<std::uint32_t>(narrow(x[3]));
  p.height = narrow(x[1]);
  p.width = narrow(x[2]);
  p.pooled_height = narrow(y[1]);
  p.pooled_width = narrow(y[2]);
  for (std::size_t i = 0; i < kernel.dtypes.size(); ++i) p.tensors[i] = kernel.tensor(launch, i).address;
  return p;
}

class PoolKernel : public lks_kernel {
 public:
  /// `image` and `pooled` are the numbers of those tensors. `first_output` is the number of the first output, which has
  /// one invocation per element.
  PoolKernel(const Pipeline& pipeline, const Params& attrs, std::size_t image, std::size_t pooled,
             std::size_t first_output)
      : pipeline_(pipeline), attrs_(attrs), image_(image), pooled_(pooled), first_output_(first_output) {}

  void plan(Plan& plan, const lks_launch& launch) const override {
    Params p = params_of(*this, launch, attrs_, image_, pooled_);
    p.count = tensor(launch, first_output_).count();
    Access accesses[3] = {};
    for (std::size_t i = 0; i < dtypes.size(); ++i) accesses[i] = tensor(launch, i).access(i >= first_output_);
    plan.dispatch(pipeline_, p, plan.groups_for(p.count, group), accesses);
  }

 private:
  const Pipeline& pipeline_;
  const Params attrs_;
  const std::size_t image_, pooled_, first_output_;
};

// shaders/check_taps.comp
struct CheckParams {
  Params window;
  CheckFields check;
};

class MaxGatherKernel : public lks_kernel {
 public:
  MaxGatherKernel(const Pipeline& check, const Pipeline& pipeline, const Params& attrs)
      : check_(check), pipeline_(pipeline), attrs_(attrs) {}

  void plan(Plan& plan, const lks_launch& launch) const override {
    const Tensor x = tensor(launch, 0), taps = tensor(launch, 1), y = tensor(launch, 2);
    Params p = params_of(*this, launch, attrs_, 0, 2);
    p.count = y.count();
    plan_check(plan, check_, CheckParams{p, {}}, &CheckParams::check, p.count, x.count(), 0, taps.access(false));
    const Access accesses[] = {x.access(false), taps.access(false), y.access(true)};
    plan.dispatch(pipeline_, p, plan.groups_for(p.count, group), accesses);
  }

 private:
  const Pipeline &check_, &pipeline_;
  const Params attrs_;
};

struct Variants {
  Shader f32, f64;
};

template <class Attrs>
Params window_of(const KernelRequest& r) {
  const auto& a = r.attrs<Attrs>();
  Params p{};
  p.window_height = narrow(a.window.values[0]);
  p.window_width = narrow(a.window.values[1]);
  p.stride_height = narrow(a.strides.values[0]);
  p.stride_width = narrow(a.strides.values[1]);
  p.top = narrow(a.padding.values[0]);
  p.left = narrow(a.padding.values[2]);
  return p;
}

// Refuses nested loops that lavapipe would end too early: `turns_high` iterations with `turns_wide` in each.
lks_status require_iterations(const KernelRequest& r, std::int64_t turns_high, std::int64_t turns_wide) {
  if (!context_of(r).properties.is_lavapipe || turns_high * turns_wide <= max_iterations) return LKS_OK;
  return common::refuse(r.diag, LKS_REASON_SIZE, 0, DRIVER_WHERE,
                        "%s: llvmpipe takes no more than %lld elements at a time", r.desc.op_name,
                        static_cast<long long>(max_iterations));
}

template <class Attrs>
lks_status make(const KernelRequest& r, Out out, const Variants& variants, std::size_t image, std::size_t pooled) {
  lks_status s = common::require_dtypes(r, {LKS_F32, LKS_F64, LKS_I32});  // taps are i32
  if (s == LKS_OK) s = require_hardware(r);
  if (s == LKS_OK) s = require_dense(r);
  if (s != LKS_OK) return s;
  const Params attrs = window_of<Attrs>(r);
  // Pooling loops over the taps of a window; its gradients loop over the windows that contain a pixel.
  const bool over_taps = image < r.desc.input_count;
  const auto turns = [&](std::int64_t window, std::int64_t stride) {
    return over_taps ? window : (window + stride - 1) / stride;
  };
  s = require_iterations(r, turns(attrs.window_height, attrs.stride_height),
                         turns(attrs.window_width, attrs.stride_width));
  if (s != LKS_OK) return s;
  r.info.determinism = LKS_DETERMINISM_CROSS_DEVICE;
  if (!out) return LKS_OK;
  lks_device& device = *context_of(r).device;
  const Shader shader = r.input(0).dtype == LKS_F64 ? variants.f64 : variants.f32;
  const Pipeline& pipeline = device.pipelines.get(shader, device.arithmetic.constants());
  common::emplace<PoolKernel>(r, out, pipeline, attrs, image, pooled, std::size_t{r.desc.input_count});
  return LKS_OK;
}

}  // namespace

lks_status make_max_pool2d(const KernelRequest& r, Out out) {
  return make<lks_max_pool2d_attrs>(r, out, {shaders::max_pool2d_f32, shaders::max_pool2d_f64}, 0, 1);
}
lks_status make_max_pool2d_backward(const KernelRequest& r, Out out) {
  return make<lks_max_pool2d_backward_attrs>(
      r, out, {shaders::max_pool2d_backward_f32, shaders::max_pool2d_backward_f64}, 2, 0);
}
lks_status make_avg_pool2d(const KernelRequest& r, Out out) {
  return make<lks_avg_pool2d_attrs>(r, out, {shaders::avg_pool2d_f32, shaders::avg_pool2d_f64}, 0, 1);
}
lks_status make_avg_pool2d_backward(const KernelRequest& r, Out out) {
  return make<lks_avg_pool2d_backward_attrs>(
      r, out, {shaders::avg_pool2d_backward_f32, shaders::avg_pool2d_backward_f64}, 1, 0);
}

lks_status make_max_pool2d_gather(const KernelRequest& r, Out out) {
  lks_status s = common::require_dtypes(r, {LKS_F32, LKS_F64, LKS_I32});
  if (s == LKS_OK) s = require_hardware(r);
  if (s == LKS_OK) s = require_dense(r);
  if (s != LKS_OK) return s;
  r.info.determinism = LKS_DETERMINISM_CROSS_DEVICE;
  if (!out) return LKS_OK;
  Pipelines& pipelines = context_of(r).device->pipelines;
  const bool wide = r.input(0).dtype == LKS_F64;
  common::emplace<MaxGatherKernel>(
      r, out, pipelines.get(shaders::check_taps),
      pipelines.get(wide ? shaders::max_pool2d_gather_longs : shaders::max_pool2d_gather_words),
      window_of<lks_max_pool2d_gather_attrs>(r));
  return LKS_OK;
}

}  // namespace vulkan
