// gather and scatter_add, of dense tensors.
#include <algorithm>
#include <bit>

#include "backends/vulkan/kernels/index_check.h"
#include "backends/vulkan/kernels/sort.h"
#include "backends/vulkan/queue/transfer.h"
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

// Slices are copied in the largest unit that divides their size and the addresses.
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
  std::int64_t count, updates, extent, after, first, end;
  std::uint32_t wide;
};

constexpr std::int64_t scatter_group = 64;
// The updates that one dispatch adds. The next dispatch continues from its sums.
constexpr std::int64_t max_updates = max_iterations;

struct ScatterShaders {
  lks_dtype dtype;
  Shader by_i32, by_i64;
};
#define SCATTER_SHADERS(form)                                                                    \
  {                                                                                              \
    {LKS_F32, shaders::scatter_add_##form##_f32_i32, shaders::scatter_add_##form##_f32_i64},     \
        {LKS_F64, shaders::scatter_add_##form##_f64_i32, shaders::scatter_add_##form##_f64_i64}, \
        {LKS_I32, shaders::scatter_add_##form##_i32_i32, shaders::scatter_add_##form##_i32_i64}, \
        {LKS_I64, shaders::scatter_add_##form##_i64_i32, shaders::scatter_add_##form##_i64_i64}, \
  }
constexpr ScatterShaders walk_shaders[] = SCATTER_SHADERS(walk), sorted_shaders[] = SCATTER_SHADERS(sorted);

const Pipeline& pipeline_of(const KernelRequest& r, std::span<const ScatterShaders> variants) {
  const ScatterShaders* v = variants.data();
  while (v->dtype != r.input(0).dtype) ++v;
  return context_of(r).device->pipelines.get(r.input(1).dtype == LKS_I32 ? v->by_i32 : v->by_i64);
}

class ScatterAdd : public lks_kernel {
 public:
  ScatterAdd(const Pipeline& check, const Pipeline& adding, const lks_scatter_add_attrs& a)
      : check_(check), adding_(adding), axis_(static_cast<int>(a.axis)), extent_(a.extent) {}

 protected:
  ScatterParams check(Plan& plan, const lks_launch& launch) const {
    const Tensor updates = tensor(launch, 0), indices = tensor(launch, 1), out = tensor(launch, 2);
    plan_index_check(plan, check_, indices, extent_, axis_);
    return {out.address, updates.address,     indices.address, 0,
            0,           updates.dims[axis_], extent_,         product(out.dims, axis_ + 1, out.rank)};
  }

  // Plans as many dispatches as needed; count(updates) returns the number of invocations for that many updates.
  template <class Count>
  void add(Plan& plan, const lks_launch& launch, ScatterParams p, Access order, Count&& count) const {
    const Access accesses[] = {tensor(launch, 0).access(false), tensor(launch, 1).access(false), order,
                               tensor(launch, 2).access(true)};
    do {
      p.end = std::min(p.first + max_updates, p.updates);
      p.count = count(p.end - p.first);
      plan.dispatch(adding_, p, plan.groups_for(p.count, scatter_group), accesses);
      p.first = p.end;
    } while (p.first < p.updates);
  }

  std::int64_t extent() const { return extent_; }

 private:
  const Pipeline &check_, &adding_;
  const int axis_;
  const std::int64_t extent_;
};

class ScatterAddWalk : public ScatterAdd {
 public:
  using ScatterAdd::ScatterAdd;

  void plan(Plan& plan, const lks_launch& launch) const override {
    const std::int64_t outputs = tensor(launch, 2).count();
    add(plan, launch, check(plan, launch), {}, [&](std::int64_t) { return outputs; });
  }
};

class ScatterAddSorted : public ScatterAdd {
 public:
  ScatterAddSorted(const Pipeline& check, const Pipeline& adding, const lks_scatter_add_attrs& a, const Sort& sort)
      : ScatterAdd(check, adding, a), sort_(sort) {}

  void plan(Plan& plan, const lks_launch& launch) const override {
    const Tensor out = tensor(launch, 2);
    if (out.count() == 0) return static_cast<void>(check(plan, launch));
    ScatterParams p = check(plan, launch);
    plan_zeros(plan, out.address, static_cast<std::uint64_t>(out.count()) * size_of(out.dtype));
    const int bits = std::bit_width(static_cast<std::uint64_t>(extent() - 1));
    p.order = sort_.plan(plan, tensor(launch, 1), bits, launch.workspace->address + launch.workspace_offset, nullptr);
    const Access order{p.order, p.order + static_cast<VkDeviceAddress>(p.updates) * sizeof(std::uint32_t), false};
    p.wide = p.after % 4 == 0 && (p.to | p.from) % 16 == 0;
    if (p.wide) p.after /= 4;
    const std::int64_t slices = out.count() / extent() / (p.wide ? 4 : 1);
    add(plan, launch, p, order, [&](std::int64_t updates) { return updates * slices; });
  }

 private:
  const Sort sort_;
};

lks_status check_scatter(const KernelRequest& r) {
  lks_status s = common::require_dtypes(r, {LKS_F32, LKS_F64, LKS_I32, LKS_I64});
  if (s == LKS_OK) s = require_hardware(r);
  return s == LKS_OK ? require_dense(r) : s;
}

// A linear scan over few updates is faster than sorting them.
bool worth_sorting(std::int64_t updates, std::int64_t extent) {
  constexpr std::int64_t few_updates = 64, few_rows = 16;
  return updates > few_updates && extent > few_rows && updates <= max_sorted;
}

}  // namespace

lks_status make_gather(const KernelRequest& r, Out out) {
  if (const lks_status s = require_dense(r); s != LKS_OK) return s;
  r.info.determinism = LKS_DETERMINISM_CROSS_DEVICE;
  if (!out) return LKS_OK;
  const Pipeline& check = index_check_pipeline(*context_of(r).device, r.input(1).dtype);
  common::emplace<GatherKernel>(r, out, check, static_cast<int>(r.attrs<lks_gather_attrs>().axis));
  return LKS_OK;
}

lks_status make_scatter_add_walk(const KernelRequest& r, Out out) {
  if (const lks_status s = check_scatter(r); s != LKS_OK) return s;
  const auto& a = r.attrs<lks_scatter_add_attrs>();
  if (worth_sorting(r.input(1).dims[0], a.extent)) {
    return common::refuse(r.diag, LKS_REASON_SIZE, 1, DRIVER_WHERE, "scatter_add: so many updates are sorted");
  }
  r.info.determinism = LKS_DETERMINISM_CROSS_DEVICE;
  if (r.info.deps) r.info.deps[1].dims = 1;
  if (!out) return LKS_OK;
  common::emplace<ScatterAddWalk>(r, out, index_check_pipeline(*context_of(r).device, r.input(1).dtype),
                                  pipeline_of(r, walk_shaders), a);
  return LKS_OK;
}

lks_status make_scatter_add_sorted(const KernelRequest& r, Out out) {
  if (const lks_status s = check_scatter(r); s != LKS_OK) return s;
  r.info.determinism = LKS_DETERMINISM_CROSS_DEVICE;
  r.info.workspace_bytes = sort_workspace_bytes(r.input(1).dims[0]);
  if (r.info.deps) r.info.deps[1].dims = 1;
  if (!out) return LKS_OK;
  lks_device& device = *context_of(r).device;
  common::emplace<ScatterAddSorted>(r, out, index_check_pipeline(device, r.input(1).dtype),
                                    pipeline_of(r, sorted_shaders), r.attrs<lks_scatter_add_attrs>(),
                                    Sort(device, r.input(1).dtype));
  return LKS_OK;
}

}  // namespace vulkan
