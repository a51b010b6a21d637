// sum, mean, max, min, argmax: over any axes of strided tensors.
#include <algorithm>
#include <bit>

#include "backends/vulkan/kernels/kernel.h"
#include "backends/vulkan/kernels/strided.h"
#include "backends/vulkan/shaders.h"

namespace vulkan {
namespace {

enum class Op { sum, mean, max, min, argmax };

// The shaders of a form, by op and dtype. A mean is a sum with a divisor.
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
  std::int64_t outer_dims[LKS_MAX_RANK], outer_from[LKS_MAX_RANK], outer_to[LKS_MAX_RANK];
  std::int64_t inner_dims[LKS_MAX_RANK], inner_from[LKS_MAX_RANK];
  std::uint32_t log_chunks_at_once, columns, segments, chunks_per_segment;
};

constexpr std::int64_t chunk = 1024, slots = 8, serial_group = 64;

// What of the parameters extents and strides decide.
Params params_of(const std::int64_t* dims, const std::int64_t* from, const std::int64_t* to, int rank,
                 std::uint32_t axes, bool keep) {
  Walk<2> outer;
  Walk<1> inner;
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
  return p;
}

// The number as bits of a float dtype.
std::uint64_t bits_of(std::int64_t n, lks_dtype t) {
  const auto number = static_cast<double>(n);
  return t == LKS_F32 ? std::bit_cast<std::uint32_t>(static_cast<float>(number)) : std::bit_cast<std::uint64_t>(number);
}

class ReduceKernel : public lks_kernel {
 public:
  ReduceKernel(const Pipeline& serial, Op op, std::uint32_t axes, bool keep)
      : serial_(serial), op_(op), axes_(axes), keep_(keep) {}

  void plan(Plan& plan, const lks_launch& launch) const override {
    const Tensor from = tensor(launch, 0), to = tensor(launch, 1);
    Params p = params_of(from.dims, from.strides, to.strides, from.rank, axes_, keep_);
    p.from = from.address;
    p.to = to.address;
    if (op_ == Op::mean) p.divisor = bits_of(p.reduced, from.dtype);
    const Access accesses[] = {from.access(false), to.access(true)};
    plan.dispatch(serial_, p, plan.groups_for(p.outputs, serial_group), accesses);
  }

 private:
  const Pipeline& serial_;
  Op op_;
  std::uint32_t axes_;
  bool keep_;
};

std::uint32_t axes_of(const KernelRequest& r, Op op) {
  if (op == Op::argmax) return 1u << r.attrs<lks_argmax_attrs>().axis;
  std::uint32_t axes = 0;
  const lks_int_list& list = r.attrs<lks_reduce_attrs>().axes;
  for (std::int64_t a = 0; a < list.count; ++a) axes |= 1u << list.values[a];
  return axes;
}

lks_status make(const KernelRequest& r, Out out, Op op) {
  lks_status s = op == Op::mean ? host::require_dtypes(r, {LKS_F32, LKS_F64})
                                : host::require_dtypes(r, {LKS_F32, LKS_F64, LKS_I32, LKS_I64});
  if (s == LKS_OK) s = require_hardware(r);
  if (s != LKS_OK) return s;
  const lks_dtype t = r.input(0).dtype;
  if (op == Op::sum || op == Op::mean) {
    r.info.accumulate_dtype = t;
    r.info.order = LKS_ORDER_BLOCKED;
  }
  r.info.determinism = LKS_DETERMINISM_CROSS_DEVICE;
  if (!out) return LKS_OK;
  Pipelines& pipelines = context_of(r).device->pipelines;
  const bool keep = op != Op::argmax && r.attrs<lks_reduce_attrs>().keep != 0;
  host::emplace<ReduceKernel>(r, out, pipelines.get(serial_shaders[static_cast<int>(op)].of(t)), op, axes_of(r, op),
                              keep);
  return LKS_OK;
}

}  // namespace

lks_status make_sum(const KernelRequest& r, Out out) { return make(r, out, Op::sum); }
lks_status make_mean(const KernelRequest& r, Out out) { return make(r, out, Op::mean); }
lks_status make_max(const KernelRequest& r, Out out) { return make(r, out, Op::max); }
lks_status make_min(const KernelRequest& r, Out out) { return make(r, out, Op::min); }
lks_status make_argmax(const KernelRequest& r, Out out) { return make(r, out, Op::argmax); }

}  // namespace vulkan
