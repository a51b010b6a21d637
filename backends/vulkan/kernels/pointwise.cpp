// Pointwise programs: each becomes a shader of its own, compiled when the kernel is prepared.
#include <algorithm>

#include "backends/common/program.h"
#include "backends/gpu/kernels/strided.h"
#include "backends/vulkan/kernels/kernel.h"
#include "backends/vulkan/pointwise/compiled.h"

namespace vulkan {
namespace {

constexpr std::uint32_t max_tensors = 32;

class PointwiseKernel : public lks_kernel {
 public:
  PointwiseKernel(lks_device& device, std::vector<lks_instr> instrs, std::vector<std::uint32_t> outputs,
                  PointwiseShape shape)
      : instrs_(std::move(instrs)), outputs_(std::move(outputs)), shape_(std::move(shape)) {
    needs_axes_ = gpu::reads_index(instrs_);
    narrow_ = &pipeline(device, false);
  }

  void plan(Plan& plan, const lks_launch& launch) const override {
    const std::size_t inputs = dtypes.size() - outputs_.size();
    const Tensor shape = tensor(launch, inputs);  // all outputs have the same extents
    const std::int64_t count = shape.count();
    if (count == 0) return;
    auto& [words, accesses] = plan.arguments();
    words.push_back(static_cast<std::uint64_t>(count));
    bool wide = count >= max_narrow;
    for (std::size_t i = 0; i < dtypes.size(); ++i) {
      const Tensor t = tensor(launch, i);
      words.push_back(t.address);
      const Access access = t.access(i >= inputs);
      accesses.push_back(access);
      wide = wide || access.end - access.begin >= static_cast<std::uint64_t>(max_narrow);
    }
    words.insert(words.end(), launch.scalars, launch.scalars + shape_.scalars.size());
    const std::size_t pushed = pushes_operands(shape_) ? words.size() : 0;
    if (shape_.strided() || needs_axes_) append_walk(words, launch, shape);
    const std::span<const std::uint64_t> all = words;
    plan.dispatch_words(wide ? pipeline(plan.device(), true) : *narrow_, all.first(pushed), all.subspan(pushed),
                        plan.groups_for(count, gpu::pointwise_group * shape_.per_invocation), accesses);
  }

 private:
  static constexpr std::int64_t max_narrow = std::int64_t{1} << 31;

  const Pipeline& pipeline(lks_device& device, bool wide) const {
    PointwiseShape shape = shape_;
    shape.wide = wide;
    return compiled_pointwise(device, instrs_, outputs_, shape);
  }

  // Appends the extents, and the strides of the strided tensors. If the program reads indices, dimensions are not
  // merged.
  void append_walk(std::vector<std::uint64_t>& words, const lks_launch& launch, const Tensor& shape) const {
    gpu::MergedDims<static_cast<int>(max_tensors)> walk(static_cast<int>(dtypes.size()));
    for (int d = 0; d < shape.rank; ++d) {
      std::int64_t own[max_tensors] = {};
      for (std::size_t i = 0; i < dtypes.size(); ++i) {
        const Tensor t = tensor(launch, i);
        const int at = d - (shape.rank - t.rank);
        if (at >= 0 && t.dims[at] != 1) own[i] = t.strides[at];
      }
      needs_axes_ ? walk.append_apart(shape.dims[d], own) : walk.append(shape.dims[d], &own[0]);
    }
    words.push_back(static_cast<std::uint64_t>(walk.rank));
    words.insert(words.end(), std::begin(walk.dims), std::end(walk.dims));
    for (std::size_t i = 0; i < dtypes.size(); ++i) {
      if (shape_.walks[i] != gpu::Walk::strided) continue;
      words.insert(words.end(), std::begin(walk.strides[i]), std::end(walk.strides[i]));
    }
  }

  std::vector<lks_instr> instrs_;
  std::vector<std::uint32_t> outputs_;
  PointwiseShape shape_;
  bool needs_axes_ = false;
  const Pipeline* narrow_ = nullptr;
};

// On a GPU, enough to keep as many loads in flight as its memory bandwidth needs. Long programs are bound by
// arithmetic, not by memory, and would only take longer to compile.
unsigned elements_per_invocation(const DeviceProperties& properties, std::size_t instructions) {
  constexpr std::size_t long_program = 128;
  return properties.is_like_cpu || instructions >= long_program ? 1 : 4;
}

// Serves both rows of the kernel table, linear and strided.
lks_status make(const KernelRequest& r, Out out, bool strided) {
  if (r.tensor_count() > max_tensors) {
    return common::refuse(r.diag, LKS_REASON_SIZE, -1, DRIVER_WHERE, "more than %u tensors", max_tensors);
  }
  if (const lks_status status = require_hardware(r); status != LKS_OK) return status;
  const common::Program program(*r.desc.programs[0].program);
  std::vector<std::uint32_t> outputs;
  std::vector<lks_instr> instrs = common::inline_calls(program, nullptr, outputs);
  if (const std::string why = gpu::why_not_writable(instrs); !why.empty()) {
    return common::refuse(r.diag, LKS_REASON_DTYPE, -1, DRIVER_WHERE, "%s", why.c_str());
  }
  const bool f64 = std::any_of(instrs.begin(), instrs.end(), [](const lks_instr& i) { return i.dtype == LKS_F64; });
  if (f64 && !context_of(r).properties.has_f64) {
    return common::refuse(r.diag, LKS_REASON_HARDWARE, -1, DRIVER_WHERE, "the device has no f64 (shaderFloat64)");
  }
  PointwiseShape shape(r);
  shape.per_invocation = elements_per_invocation(context_of(r).properties, instrs.size());
  if (shape.strided() && !strided) {
    return common::refuse(r.diag, LKS_REASON_LAYOUT, -1, DRIVER_WHERE, "operands are strided or broadcast");
  }
  for (std::uint32_t i = 0; r.info.deps && i < r.tensor_count(); ++i) {
    r.info.deps[i].dense = 1;
    r.info.deps[i].stride_classes = ~0u;
  }
  r.info.determinism = LKS_DETERMINISM_CROSS_DEVICE;
  if (!out) return LKS_OK;
  lks_device& device = *context_of(r).device;
  common::emplace<PointwiseKernel>(r, out, device, std::move(instrs), std::move(outputs), std::move(shape));
  return LKS_OK;
}

}  // namespace

lks_status make_pointwise_linear(const KernelRequest& request, Out out) { return make(request, out, false); }
lks_status make_pointwise_strided(const KernelRequest& request, Out out) { return make(request, out, true); }

}  // namespace vulkan
