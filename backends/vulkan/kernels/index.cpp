// gather and scatter_add, of dense tensors.
#include "backends/vulkan/kernels/index_check.h"
#include "backends/vulkan/kernels/kernel.h"
#include "backends/vulkan/shaders.h"

namespace vulkan {
namespace {

std::int64_t product(const std::int64_t* dims, int begin, int end) {
  std::int64_t n = 1;
  for (int d = begin; d < end; ++d) n *= dims[d];
  return n;
}

// ------------------------------------------------------------------------------------------------------------- gather

// shaders/gather.comp
struct GatherParams {
  VkDeviceAddress to, from, indices;
  std::int64_t count, picked, extent, after;
};

// Slices move in the largest unit that divides them and the addresses.
struct Unit {
  std::int64_t bytes;
  Shader by_i32, by_i64;
};
constexpr Unit units[] = {{16, shaders::gather_quads_i32, shaders::gather_quads_i64},
                          {8, shaders::gather_longs_i32, shaders::gather_longs_i64},
                          {4, shaders::gather_words_i32, shaders::gather_words_i64},
                          {2, shaders::gather_halves_i32, shaders::gather_halves_i64},
                          {1, shaders::gather_bytes_i32, shaders::gather_bytes_i64}};
constexpr std::int64_t gather_group = 256;

class GatherKernel : public lks_kernel {
 public:
  GatherKernel(const Pipeline& check, int axis) : check_(check), axis_(axis) {}

  void plan(Plan& plan, const lks_launch& launch) const override {
    const Tensor x = tensor(launch, 0), indices = tensor(launch, 1), out = tensor(launch, 2);
    plan_index_check(plan, check_, indices, x.dims[axis_], axis_);
    GatherParams p{out.address,
                   x.address,
                   indices.address,
                   out.count(),
                   indices.count(),
                   x.dims[axis_],
                   product(x.dims, axis_ + 1, x.rank)};
    const std::int64_t size = size_of(x.dtype);
    const auto aligned_to = static_cast<VkDeviceAddress>(p.after * size) | p.to | p.from;
    const Unit* unit = units;
    while (aligned_to % static_cast<VkDeviceAddress>(unit->bytes) != 0) ++unit;
    p.count = p.count * size / unit->bytes;
    p.after = p.after * size / unit->bytes;
    const Pipeline& pipeline = plan.device().pipelines.get(indices.dtype == LKS_I32 ? unit->by_i32 : unit->by_i64);
    const Access accesses[] = {x.access(false), indices.access(false), out.access(true)};
    plan.dispatch(pipeline, p, plan.groups_for(p.count, gather_group), accesses);
  }

 private:
  const Pipeline& check_;
  const int axis_;
};

// -------------------------------------------------------------------------------------------------------- scatter_add

// shaders/scatter.glsl
struct ScatterParams {
  VkDeviceAddress to, from, indices, order;
  std::int64_t count, updates, extent, after;
};

constexpr std::int64_t scatter_group = 64;

struct ScatterShaders {
  lks_dtype dtype;
  Shader by_i32, by_i64;
};
constexpr ScatterShaders walks[] = {{LKS_F32, shaders::scatter_add_walk_f32_i32, shaders::scatter_add_walk_f32_i64},
                                    {LKS_F64, shaders::scatter_add_walk_f64_i32, shaders::scatter_add_walk_f64_i64},
                                    {LKS_I32, shaders::scatter_add_walk_i32_i32, shaders::scatter_add_walk_i32_i64},
                                    {LKS_I64, shaders::scatter_add_walk_i64_i32, shaders::scatter_add_walk_i64_i64}};

const Pipeline& pipeline_of(lks_device& device, std::span<const ScatterShaders> variants, lks_dtype t,
                            lks_dtype index) {
  const ScatterShaders* v = variants.data();
  while (v->dtype != t) ++v;
  return device.pipelines.get(index == LKS_I32 ? v->by_i32 : v->by_i64);
}

class ScatterAddWalk : public lks_kernel {
 public:
  ScatterAddWalk(const Pipeline& check, const Pipeline& walk, const lks_scatter_add_attrs& a)
      : check_(check), walk_(walk), axis_(static_cast<int>(a.axis)), extent_(a.extent) {}

  void plan(Plan& plan, const lks_launch& launch) const override {
    const Tensor updates = tensor(launch, 0), indices = tensor(launch, 1), out = tensor(launch, 2);
    plan_index_check(plan, check_, indices, extent_, axis_);
    const ScatterParams p{out.address, updates.address,     indices.address, 0,
                          out.count(), updates.dims[axis_], extent_,         product(out.dims, axis_ + 1, out.rank)};
    const Access accesses[] = {updates.access(false), indices.access(false), out.access(true)};
    plan.dispatch(walk_, p, plan.groups_for(p.count, scatter_group), accesses);
  }

 private:
  const Pipeline &check_, &walk_;
  const int axis_;
  const std::int64_t extent_;
};

}  // namespace

lks_status make_gather(const KernelRequest& r, Out out) {
  if (const lks_status s = require_dense(r); s != LKS_OK) return s;
  r.info.determinism = LKS_DETERMINISM_CROSS_DEVICE;
  if (!out) return LKS_OK;
  const Pipeline& check = index_check_pipeline(*context_of(r).device, r.input(1).dtype);
  host::emplace<GatherKernel>(r, out, check, static_cast<int>(r.attrs<lks_gather_attrs>().axis));
  return LKS_OK;
}

lks_status make_scatter_add(const KernelRequest& r, Out out) {
  lks_status s = host::require_dtypes(r, {LKS_F32, LKS_F64, LKS_I32, LKS_I64});
  if (s == LKS_OK) s = require_hardware(r);
  if (s == LKS_OK) s = require_dense(r);
  if (s != LKS_OK) return s;
  r.info.determinism = LKS_DETERMINISM_CROSS_DEVICE;
  if (!out) return LKS_OK;
  lks_device& device = *context_of(r).device;
  host::emplace<ScatterAddWalk>(r, out, index_check_pipeline(device, r.input(1).dtype),
                                pipeline_of(device, walks, r.input(0).dtype, r.input(1).dtype),
                                r.attrs<lks_scatter_add_attrs>());
  return LKS_OK;
}

}  // namespace vulkan
