// Copies between any two strided layouts.
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <optional>

#include "backends/gpu/kernels/strided.h"
#include "backends/vulkan/kernels/kernel.h"
#include "backends/vulkan/shaders.h"

namespace vulkan {
namespace {

constexpr int target = 0, source = 1;  // the tensors of a Walk
using Walk = gpu::MergedDims<2>;

// shaders/copy_strided.comp
struct StridedParams {
  VkDeviceAddress to, from;
  std::uint64_t count;
  std::int64_t rank;
  std::int64_t extents[LKS_MAX_RANK], to_strides[LKS_MAX_RANK], from_strides[LKS_MAX_RANK];
};

// shaders/copy_transposed.comp
struct TransposedParams {
  VkDeviceAddress to, from;
  std::uint64_t tiles;
  std::int64_t read_extent, written_extent;
  std::int64_t read_to_stride, written_from_stride, read_from_stride, written_to_stride;
  std::int64_t rank;
  std::int64_t extents[LKS_MAX_RANK], to_strides[LKS_MAX_RANK], from_strides[LKS_MAX_RANK];
};

struct Shaders {
  Shader strided, transposed;
};
Shaders shaders_for(std::uint32_t element_bytes) {
  switch (element_bytes) {
    case 1: return {shaders::copy_strided_bytes, shaders::copy_transposed_bytes};
    case 2: return {shaders::copy_strided_halves, shaders::copy_transposed_halves};
    case 4: return {shaders::copy_strided_words, shaders::copy_transposed_words};
    default: return {shaders::copy_strided_longs, shaders::copy_transposed_longs};
  }
}

constexpr std::int64_t tile_side = 32;

// The dimension along which the elements of a tensor of the walk are adjacent in memory, if it is long enough for
// tiles.
std::optional<int> dimension_beside(const Walk& walk, int tensor) {
  constexpr std::int64_t least = 8;
  for (int d = 0; d < walk.rank; ++d) {
    if (std::abs(walk.strides[tensor][d]) == 1 && walk.dims[d] >= least) return d;
  }
  return std::nullopt;
}

struct Dimensions {
  int read, written;  // along which the elements of the source, and of the target, are adjacent
};

std::optional<Dimensions> transposed(const Walk& walk) {
  const std::optional<int> read = dimension_beside(walk, source), written = dimension_beside(walk, target);
  if (!read || !written || *read == *written) return std::nullopt;
  return Dimensions{*read, *written};
}

class CopyKernel : public lks_kernel {
 public:
  /// `tiles` may be null: transposing copies then use `strided` too. Its pipeline is made when it is first needed.
  CopyKernel(const Pipeline& strided, Shader tiles) : strided_(strided), tiles_(tiles) {}

  void plan(Plan& plan, const lks_launch& launch) const override {
    const Tensor from = tensor(launch, 0), to = tensor(launch, 1);
    Walk walk;
    for (int d = 0; d < to.rank; ++d) walk.append(to.dims[d], {to.strides[d], from.strides[d]});
    const auto dimensions = tiles_ && to.count() > 0 ? transposed(walk) : std::nullopt;
    dimensions ? plan_tiles(plan, from, to, walk, *dimensions) : plan_elements(plan, from, to, walk);
  }

 private:
  void plan_elements(Plan& plan, const Tensor& from, const Tensor& to, const Walk& walk) const {
    StridedParams p{to.address, from.address, static_cast<std::uint64_t>(to.count()), walk.rank, {}, {}, {}};
    std::copy_n(walk.dims, LKS_MAX_RANK, p.extents);
    std::copy_n(walk.strides[target], LKS_MAX_RANK, p.to_strides);
    std::copy_n(walk.strides[source], LKS_MAX_RANK, p.from_strides);
    const Access accesses[] = {from.access(false), to.access(true)};
    plan.dispatch(strided_, p, plan.groups_for(to.count(), 256), accesses);
  }

  void plan_tiles(Plan& plan, const Tensor& from, const Tensor& to, const Walk& walk, Dimensions along) const {
    TransposedParams p{};
    p.to = to.address;
    p.from = from.address;
    p.read_extent = walk.dims[along.read];
    p.written_extent = walk.dims[along.written];
    p.read_from_stride = walk.strides[source][along.read];
    p.read_to_stride = walk.strides[target][along.read];
    p.written_from_stride = walk.strides[source][along.written];
    p.written_to_stride = walk.strides[target][along.written];
    std::int64_t tiles = ceil_div(p.read_extent, tile_side) * ceil_div(p.written_extent, tile_side);
    for (int d = 0; d < walk.rank; ++d) {
      if (d == along.read || d == along.written) continue;
      p.extents[p.rank] = walk.dims[d];
      p.to_strides[p.rank] = walk.strides[target][d];
      p.from_strides[p.rank++] = walk.strides[source][d];
      tiles *= walk.dims[d];
    }
    p.tiles = static_cast<std::uint64_t>(tiles);
    const Access accesses[] = {from.access(false), to.access(true)};
    plan.dispatch(plan.device().pipelines.get(tiles_), p, plan.groups_for(tiles, 1), accesses);
  }

  const Pipeline& strided_;
  const Shader tiles_;
};

}  // namespace

lks_status make_copy(const KernelRequest& r, Out out) {
  if (r.input(0).dtype != r.output(0).dtype) {
    return common::refuse(r.diag, LKS_REASON_DTYPE, 1, DRIVER_WHERE, "copy: the dtypes differ");
  }
  if (r.input(0).rank != r.output(0).rank) {
    return common::refuse(r.diag, LKS_REASON_RANK, 1, DRIVER_WHERE, "copy: the ranks differ");
  }
  const bool has_tiles = !context_of(r).properties.is_like_cpu;
  std::snprintf(r.info.variant, sizeof r.info.variant, has_tiles ? "strided tiles" : "strided");
  if (!out) return LKS_OK;
  lks_device& device = *context_of(r).device;
  const Shaders shaders = shaders_for(size_of(r.input(0).dtype));
  common::emplace<CopyKernel>(r, out, device.pipelines.get(shaders.strided), has_tiles ? shaders.transposed : nullptr);
  return LKS_OK;
}

}  // namespace vulkan
