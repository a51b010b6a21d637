// sum, mean, max, min and argmax over any axes of strided tensors.
#include <algorithm>
#include <bit>

#include "backends/gpu/kernels/strided.h"
#include "backends/vulkan/kernels/kernel.h"
#include "backends/vulkan/shaders.h"

namespace vulkan {
namespace {

enum class Op { sum, mean, max, min, argmax };

// The shaders of an op, by dtype. A mean is a sum with a divisor.
struct Shaders {
  Shader f32, f64, i32, i64;

  Shader of(lks_dtype t) const { return t == LKS_F32 ? f32 : t == LKS_F64 ? f64 : t == LKS_I32 ? i32 : i64; }
};
#define REDUCTION_SHADERS(form)                                                                                       \
  {                                                                                                                   \
    {shaders::sum_##form##_f32, shaders::sum_##form##_f64, shaders::sum_##form##_i32, shaders::sum_##form##_i64},     \
        {shaders::sum_##form##_f32, shaders::sum_##form##_f64, nullptr, nullptr},                                     \
        {shaders::max_##form##_f32, shaders::max_##form##_f64, shaders::max_##form##_i32, shaders::max_##form##_i64}, \
        {shaders::min_##form##_f32, shaders::min_##form##_f64, shaders::min_##form##_i32, shaders::min_##form##_i64}, \
        {shaders::argmax_##form##_f32, shaders::argmax_##form##_f64, shaders::argmax_##form##_i32,                    \
         shaders::argmax_##form##_i64},                                                                               \
  }
constexpr Shaders serial_shaders[] = REDUCTION_SHADERS(serial), tile_shaders[] = REDUCTION_SHADERS(tile),
                  join_shaders[] = REDUCTION_SHADERS(join);

// shaders/reduction.glsl
struct Params {
  VkDeviceAddress to, from, workspace;
  std::int64_t outputs, reduced;
  std::uint64_t divisor;
  std::uint32_t outer_rank, inner_rank;
  std::int64_t inner_step;
  std::uint32_t log_chunks_at_once, columns, segments, chunks_per_segment, wide;
  std::int64_t outer_dims[LKS_MAX_RANK], outer_from[LKS_MAX_RANK], outer_to[LKS_MAX_RANK];
  std::int64_t inner_dims[LKS_MAX_RANK], inner_from[LKS_MAX_RANK];
};

constexpr std::int64_t chunk = 1024, slots = 8, serial_group = 64;

// The parameters that depend only on extents and strides.
Params params_of(const std::int64_t* dims, const std::int64_t* from, const std::int64_t* to, int rank,
                 std::uint32_t axes, bool keep) {
  gpu::MergedDims<2> outer;
  gpu::MergedDims<1> inner;
  Params p{};
  p.outputs = p.reduced = 1;
  int o = 0;
  for (int d = 0; d < rank; ++d) {
    const bool is_reduced = axes >> d & 1u;
    (is_reduced ? p.reduced : p.outputs) *= dims[d];
    if (is_reduced) {
      inner.append(dims[d], {from[d]});
      o += keep;
    } else {
      outer.append(dims[d], {from[d], to[o++]});
    }
  }
  p.outer_rank = static_cast<std::uint32_t>(outer.rank);
  p.inner_rank = static_cast<std::uint32_t>(inner.rank);
  std::copy_n(outer.dims, LKS_MAX_RANK, p.outer_dims);
  std::copy_n(outer.strides[0], LKS_MAX_RANK, p.outer_from);
  std::copy_n(outer.strides[1], LKS_MAX_RANK, p.outer_to);
  std::copy_n(inner.dims, LKS_MAX_RANK, p.inner_dims);
  std::copy_n(inner.strides[0], LKS_MAX_RANK, p.inner_from);
  p.inner_step = inner.rank > 0 ? inner.strides[0][inner.rank - 1] : 0;
  return p;
}

// --------------------------------------------------------------------------------------------------------------- forms

bool is_columns(const Params& p) {
  if (p.outer_rank == 0 || p.inner_rank == 0) return false;
  return std::abs(p.outer_from[p.outer_rank - 1]) < std::abs(p.inner_from[p.inner_rank - 1]);
}

std::int64_t iterations_per_element(const Params& p) { return std::max(1u, p.inner_rank); }

bool fits_serial(const Params& p) {
  constexpr std::int64_t few = 64, many_outputs = 16384;
  if (p.reduced <= few) return true;
  return is_columns(p) && p.outputs >= many_outputs && p.reduced * iterations_per_element(p) <= max_iterations;
}

std::int64_t power_above(std::int64_t n) {
  return static_cast<std::int64_t>(std::bit_ceil(static_cast<std::uint64_t>(std::max<std::int64_t>(1, n))));
}

// Whether four adjacent elements can be read at once, provided that the tensor's first element is aligned.
bool is_wide(const Params& p, std::int64_t outputs_at_once) {
  const auto all_in_fours = [](const std::int64_t* strides, std::uint32_t rank) {
    return std::all_of(strides, strides + rank, [](std::int64_t s) { return s % 4 == 0; });
  };
  if (!p.columns) return p.inner_rank == 1 && p.inner_step == 1 && all_in_fours(p.outer_from, p.outer_rank);
  return outputs_at_once >= 4 && p.outputs % 4 == 0 && p.outer_rank == 1 && p.outer_from[0] == 1 &&
         all_in_fours(p.inner_from, p.inner_rank);
}

// Fills in how tiles cover the outputs and the reduced elements, and how these are split into segments.
void choose_tiling(Params& p, const DeviceProperties& properties) {
  const std::int64_t enough_groups = properties.is_like_cpu ? 256 : 2048;
  constexpr std::int64_t worth_joining = 4;  // rounds of a workgroup
  const std::int64_t chunks = ceil_div(p.reduced, chunk);
  p.columns = is_columns(p);
  const std::int64_t at_once =
      p.columns ? slots / std::min(slots, power_above(p.outputs)) : std::min(slots, power_above(chunks));
  p.log_chunks_at_once = static_cast<std::uint32_t>(std::countr_zero(static_cast<std::uint64_t>(at_once)));
  p.wide = is_wide(p, slots / at_once);
  const std::int64_t tiles = ceil_div(p.outputs, slots / at_once), rounds = ceil_div(chunks, at_once);
  const std::int64_t max_rounds =
      max_iterations / (chunk / 8 * iterations_per_element(p));  // if cells are read one by one
  std::int64_t segments = rounds < worth_joining ? 1 : std::clamp<std::int64_t>(enough_groups / tiles, 1, rounds);
  segments = std::max(segments, ceil_div(rounds, std::max<std::int64_t>(1, max_rounds / 2)));
  const std::int64_t each = at_once * power_above(ceil_div(rounds, segments));
  p.chunks_per_segment = static_cast<std::uint32_t>(each);
  p.segments = static_cast<std::uint32_t>(std::max<std::int64_t>(1, ceil_div(chunks, each)));
}

bool fits_tiles(const Params& p) { return p.segments == 1; }

struct Form {
  ReduceForm form;
  const char* variant;
  bool (*fits)(const Params&);
};
// The first form that fits is used.
constexpr Form forms[] = {{ReduceForm::serial, "serial", &fits_serial},
                          {ReduceForm::tiles, "tiles", &fits_tiles},
                          {ReduceForm::segments, "segments", [](const Params&) { return true; }}};

// ------------------------------------------------------------------------------------------------------------- kernels

// The number as bits of a float dtype.
std::uint64_t bits_of(std::int64_t n, lks_dtype t) {
  const auto number = static_cast<double>(n);
  return t == LKS_F32 ? std::bit_cast<std::uint32_t>(static_cast<float>(number)) : std::bit_cast<std::uint64_t>(number);
}

// `params` is complete except for the addresses.
class ReduceKernel : public lks_kernel {
 public:
  explicit ReduceKernel(const Params& params) : params_(params) {}

  void plan(Plan& plan, const lks_launch& launch) const override {
    const Tensor from = tensor(launch, 0), to = tensor(launch, 1);
    Params p = params_;
    p.from = from.address;
    p.to = to.address;
    plan_dispatches(plan, launch, p, from.access(false), to.access(true));
  }

 private:
  virtual void plan_dispatches(Plan& plan, const lks_launch& launch, Params& p, Access from, Access to) const = 0;

  const Params params_;
};

class SerialReduce : public ReduceKernel {
 public:
  SerialReduce(const Params& params, const Pipeline& serial) : ReduceKernel(params), serial_(serial) {}

 private:
  void plan_dispatches(Plan& plan, const lks_launch&, Params& p, Access from, Access to) const override {
    const Access accesses[] = {from, to};
    plan.dispatch(serial_, p, plan.groups_for(p.outputs, serial_group), accesses);
  }

  const Pipeline& serial_;
};

class TiledReduce : public ReduceKernel {
 public:
  TiledReduce(const Params& params, std::uint64_t workspace_bytes, const Pipeline& tile, const Pipeline& join)
      : ReduceKernel(params), workspace_bytes_(workspace_bytes), tile_(tile), join_(join) {}

 private:
  void plan_dispatches(Plan& plan, const lks_launch& launch, Params& p, Access from, Access to) const override {
    const std::int64_t outputs_at_once = slots >> p.log_chunks_at_once;
    p.wide = p.wide != 0 && p.from % 16 == 0;
    const Groups groups = plan.groups_for(ceil_div(p.outputs, outputs_at_once) * p.segments, 1);
    if (p.segments == 1) {
      const Access accesses[] = {from, to};
      return plan.dispatch(tile_, p, groups, accesses);
    }
    p.workspace = launch.workspace->address + launch.workspace_offset;
    const VkDeviceAddress end = p.workspace + workspace_bytes_;
    const Access to_parts[] = {from, {p.workspace, end, true}}, from_parts[] = {{p.workspace, end, false}, to};
    plan.dispatch(tile_, p, groups, to_parts);
    plan.dispatch(join_, p, plan.groups_for(p.outputs, 1), from_parts);
  }

  const std::uint64_t workspace_bytes_;
  const Pipeline &tile_, &join_;
};

std::uint32_t axes_of(const KernelRequest& r, Op op) {
  if (op == Op::argmax) return 1u << r.attrs<lks_argmax_attrs>().axis;
  std::uint32_t axes = 0;
  const lks_int_list& list = r.attrs<lks_reduce_attrs>().axes;
  for (std::int64_t a = 0; a < list.count; ++a) axes |= 1u << list.values[a];
  return axes;
}

lks_status check(const KernelRequest& r, Op op) {
  const lks_status s = op == Op::mean ? common::require_dtypes(r, {LKS_F32, LKS_F64})
                                      : common::require_dtypes(r, {LKS_F32, LKS_F64, LKS_I32, LKS_I64});
  return s == LKS_OK ? require_hardware(r) : s;
}

void describe(const KernelRequest& r, Op op, const Params& p) {
  if (op == Op::sum || op == Op::mean) {
    r.info.accumulate_dtype = r.input(0).dtype;
    r.info.order = LKS_ORDER_BLOCKED;
  }
  r.info.determinism = LKS_DETERMINISM_CROSS_DEVICE;
  const std::int64_t part = op == Op::argmax ? 16 : 8;
  if (p.segments > 1) r.info.workspace_bytes = static_cast<std::uint64_t>(p.outputs * p.segments * part);
  r.depends_on_layout(0);
  r.depends_on_layout(1);
}

lks_status make(const KernelRequest& r, Out out, Op op, ReduceForm form) {
  if (const lks_status s = check(r, op); s != LKS_OK) return s;
  const lks_tensor_desc &x = r.input(0), &y = r.output(0);
  const bool keep = op != Op::argmax && r.attrs<lks_reduce_attrs>().keep != 0;
  Params p = params_of(x.dims, x.strides, y.strides, x.rank, axes_of(r, op), keep);
  if (op == Op::mean) p.divisor = bits_of(p.reduced, x.dtype);
  if (!fits_serial(p)) choose_tiling(p, context_of(r).properties);
  const Form* fitting = forms;
  while (!fitting->fits(p)) ++fitting;
  if (fitting->form != form) {
    return common::refuse(r.diag, LKS_REASON_SIZE, 0, DRIVER_WHERE, "%s: the form `%s` serves for this size",
                          r.desc.op_name, fitting->variant);
  }
  describe(r, op, p);
  if (!out) return LKS_OK;
  lks_device& device = *context_of(r).device;
  const auto pipeline = [&](const Shaders(&shaders)[5]) -> const Pipeline& {
    const Shader shader = shaders[static_cast<int>(op)].of(x.dtype);
    return op == Op::mean ? device.pipelines.get(shader, device.arithmetic.constants()) : device.pipelines.get(shader);
  };
  if (form == ReduceForm::serial) {
    common::emplace<SerialReduce>(r, out, p, pipeline(serial_shaders));
  } else {
    common::emplace<TiledReduce>(r, out, p, r.info.workspace_bytes, pipeline(tile_shaders), pipeline(join_shaders));
  }
  return LKS_OK;
}

}  // namespace

template <ReduceForm form>
lks_status make_sum(const KernelRequest& r, Out out) {
  return make(r, out, Op::sum, form);
}
template <ReduceForm form>
lks_status make_mean(const KernelRequest& r, Out out) {
  return make(r, out, Op::mean, form);
}
template <ReduceForm form>
lks_status make_max(const KernelRequest& r, Out out) {
  return make(r, out, Op::max, form);
}
template <ReduceForm form>
lks_status make_min(const KernelRequest& r, Out out) {
  return make(r, out, Op::min, form);
}
template <ReduceForm form>
lks_status make_argmax(const KernelRequest& r, Out out) {
  return make(r, out, Op::argmax, form);
}

#define INSTANTIATE(form)                                         \
  template lks_status make_sum<form>(const KernelRequest&, Out);  \
  template lks_status make_mean<form>(const KernelRequest&, Out); \
  template lks_status make_max<form>(const KernelRequest&, Out);  \
  template lks_status make_min<form>(const KernelRequest&, Out);  \
  template lks_status make_argmax<form>(const KernelRequest&, Out);
INSTANTIATE(ReduceForm::serial)
INSTANTIATE(ReduceForm::tiles)
INSTANTIATE(ReduceForm::segments)

}  // namespace vulkan
