#include "backends/vulkan/kernels/products.h"

#include <algorithm>
#include <bit>
#include <cstdio>
#include <limits>

namespace vulkan {
namespace {

constexpr std::int64_t any = std::numeric_limits<std::int64_t>::max();

// Tried in this order. Named after their tile sizes; for lanes, the size with subgroups of 8 lanes.
constexpr ProductVariant variants[] = {
    {"lanes 16x128", ProductAlgorithm::lanes, &ProductShaders::lanes_16x16, 16, 16, 3, 0, 65, 1, 16},
    {"lanes 32x64", ProductAlgorithm::lanes, &ProductShaders::lanes_16x16, 16, 16, 2, 0, 33, 1, any},
    {"lanes 64x32", ProductAlgorithm::lanes, &ProductShaders::lanes_16x16, 16, 16, 1, 0, 17, 1, any},
    {"lanes 128x16", ProductAlgorithm::lanes, &ProductShaders::lanes_16x16, 16, 16, 0, 0, 9, 1, any},
    {"lanes 128x8", ProductAlgorithm::lanes, &ProductShaders::lanes_16x8, 16, 8, 0, 0, 3, 1, any},
    {"blocks 128x128", ProductAlgorithm::blocks, &ProductShaders::blocks_128x128, 8, 8, 4, 16, 65, 65, any, 192},
    {"blocks 64x64", ProductAlgorithm::blocks, &ProductShaders::blocks_64x64, 8, 8, 3, 8, 33, 9, any},
    {"blocks 128x32", ProductAlgorithm::blocks, &ProductShaders::blocks_128x32, 8, 8, 2, 16, 9, 33, any},
    {"matrices 128x128", ProductAlgorithm::matrices, &ProductShaders::matrices, 16, 8, 4, 8, 17, 17, any, 96},
    {"subgroups 4x4", ProductAlgorithm::subgroups, &ProductShaders::subgroups_4x4, 4, 4, 0, 1, 2, 2, any},
    {"subgroups 1x4", ProductAlgorithm::subgroups, &ProductShaders::subgroups_1x4, 1, 4, 0, 1, 2, 1, 1},
    {"subgroups 4x1", ProductAlgorithm::subgroups, &ProductShaders::subgroups_4x1, 4, 1, 0, 1, 1, 1, any},
    {"depthwise", ProductAlgorithm::depthwise, &ProductShaders::depthwise, 9, 1, 0, 1, 1, 2, any},
    {"simple", ProductAlgorithm::element, &ProductShaders::element, 1, 1, 0, 0, 0, 0, any},
};

constexpr std::int64_t join_group = 64, element_group = 64;
// An invocation that computes one element takes at most 2^6 chunks: lavapipe ends loops after 65,535 iterations.
constexpr int max_slots = 6;
// How many subgroups keep a GPU busy, and the size of a workgroup. A range of one subgroup is at most 2^8 chunks,
// because subgroups on lavapipe have only 4 or 8 lanes.
constexpr std::int64_t wanted_subgroups = 4096, subgroup_group = 128;
constexpr int max_subgroup_slots = 8;
// For shorter sums, joining the lanes of a subgroup does not pay.
constexpr std::int64_t min_subgroup_depth = 128;
// Each slot holds a partial sum for every element of an invocation's block, in registers.
constexpr int max_block_slots = 5;

// How many invocations that compute one element each, and how many workgroups of blocks, keep the device busy.
std::int64_t wanted_invocations(const DeviceProperties& properties) { return properties.is_like_cpu ? 1024 : 262144; }
constexpr std::int64_t wanted_blocks = 256;

// Whether shared memory holds both operands' parts, as in shaders/product_blocks.glsl.
bool fits_shared_memory(const ProductVariant& v, lks_dtype dtype, const DeviceProperties& properties) {
  constexpr std::int64_t step = 8, gap = 4, guard_bytes = 12;
  const std::int64_t lines = v.rows * v.down + gap + (v.columns << v.log2_right) + gap;
  return step * lines * size_of(dtype) + guard_bytes <= properties.max_shared_bytes;
}

// The number of blocks if the depth is split into single chunks.
std::int64_t max_blocks(const ProductVariant& v, const ProductShape& shape) {
  return shape.batch * ceil_div(shape.rows, v.rows * v.down) * ceil_div(shape.columns, v.columns << v.log2_right) *
         std::max<std::int64_t>(1, ceil_div(shape.depth, gpu::product_chunk));
}

bool is_lockstep(const KernelRequest& request) { return request.desc.math_mode == LKS_MODE_LOCKSTEP; }

// Fusing needs no care for denormals in fast mode, which promises nothing; in f64, where GPUs keep them anyway; and on
// a device that also loses them in separate products and sums, where rounding products gains nothing.
bool need_not_keep_denormals(const KernelRequest& request) {
  const lks_device* device = context_of(request).device;
  return request.desc.math_mode == LKS_MODE_FAST || request.input(0).dtype != LKS_F32 ||
         (device && !device->arithmetic.keeps_denormals);
}

// Lockstep mode rounds each product. Strict mode may fuse, but must not lose a denormal f32 that rounding would keep.
ProductConstants::Fusing fusing_of(const KernelRequest& request) {
  const lks_device* device = context_of(request).device;  // null in a query, which makes no pipeline
  if (is_lockstep(request) || !device) return ProductConstants::rounds_products;
  const bool loses_none = need_not_keep_denormals(request) || device->arithmetic.fuses_denormals;
  return loses_none ? ProductConstants::fuses : ProductConstants::fuses_guarded;
}

// Whether the algorithm suits the device and the math mode.
bool serves(ProductAlgorithm algorithm, const KernelRequest& request) {
  const DeviceProperties& properties = context_of(request).properties;
  switch (algorithm) {
    case ProductAlgorithm::lanes: return properties.is_lavapipe && properties.is_like_cpu;
    case ProductAlgorithm::blocks: return !properties.is_like_cpu;
    case ProductAlgorithm::subgroups:
      return properties.has_subgroup_sums && !properties.is_like_cpu && request.desc.math_mode == LKS_MODE_FAST;
    case ProductAlgorithm::matrices: return properties.has_bfloat_matrices && request.desc.math_mode == LKS_MODE_FAST;
    default: return true;
  }
}

bool serves(const ProductVariant& v, lks_dtype dtype, const ProductShape& shape, const DeviceProperties& properties) {
  if (shape.columns < v.min_columns || shape.rows < v.min_rows || shape.rows > v.max_rows) return false;
  if (v.min_blocks > 0 && !properties.has_large_blocks && max_blocks(v, shape) < v.min_blocks) return false;
  switch (v.algorithm) {
    case ProductAlgorithm::lanes:
      return properties.subgroup_size >> v.log2_right != 0;  // there are only 4 lanes without AVX
    case ProductAlgorithm::blocks: return fits_shared_memory(v, dtype, properties);
    case ProductAlgorithm::subgroups:
      return shape.depth >= min_subgroup_depth && properties.subgroup_size <= subgroup_group;
    default: return true;
  }
}

}  // namespace

const ProductVariant* choose(const ProductShaders& shaders, ProductAlgorithm algorithm, const KernelRequest& request,
                             const ProductShape& shape) {
  if (!serves(algorithm, request)) return nullptr;
  const lks_dtype dtype = request.input(0).dtype;
  for (const ProductVariant& v : variants) {
    const bool is_there = v.algorithm == algorithm && (shaders.*v.shader).of(dtype);
    if (is_there && serves(v, dtype, shape, context_of(request).properties)) return &v;
  }
  return nullptr;
}

// What a variant and the device decide.
struct ProductPartition::Split {
  gpu::TileSize tile;
  gpu::RangeLimits ranges;
  std::int64_t items_per_group;

  static Split of(const KernelRequest& request, const ProductVariant& v) {
    const DeviceProperties& properties = context_of(request).properties;
    switch (v.algorithm) {
      case ProductAlgorithm::lanes:
        return {{v.rows * (properties.subgroup_size >> v.log2_right), v.columns << v.log2_right}, {0, 0}, 1};
      case ProductAlgorithm::subgroups:
        return {{v.rows, v.columns}, {wanted_subgroups, max_subgroup_slots}, subgroup_group / properties.subgroup_size};
      case ProductAlgorithm::blocks:
      case ProductAlgorithm::matrices:
        return {{v.rows * v.down, v.columns << v.log2_right},
                {wanted_blocks, is_lockstep(request) ? max_block_slots : 22},
                1};
      default: return {{v.rows, v.columns}, {wanted_invocations(properties), max_slots}, element_group};
    }
  }
};

ProductPartition::ProductPartition(const KernelRequest& request, const ProductShape& s, const ProductVariant& variant)
    : ProductPartition(Split::of(request, variant), request, s, variant) {}

ProductPartition::ProductPartition(const Split& split, const KernelRequest& request, const ProductShape& s,
                                   const ProductVariant& variant)
    : gpu::ProductPartition(s, split.tile, size_of(request.input(0).dtype), split.ranges),
      items_per_group(split.items_per_group) {
  switch (variant.algorithm) {
    case ProductAlgorithm::lanes:
      constants.group_size = context_of(request).properties.subgroup_size;
      constants.right = static_cast<std::uint32_t>(variant.log2_right);
      break;
    case ProductAlgorithm::subgroups: break;
    case ProductAlgorithm::blocks:
    case ProductAlgorithm::matrices: {
      constants.fusing = fusing_of(request);
      const lks_device* device = context_of(request).device;
      constants.loses_denormals =
          device && !need_not_keep_denormals(request) && option(device->host, "vulkan.hide") == "fusedDenormals";
      // Other modes add a whole range as one chain, without chunks.
      constants.slots = is_lockstep(request) ? static_cast<std::uint32_t>(slots) : 0;
      break;
    }
    default:
      constants.group_size = constants.slots = static_cast<std::uint32_t>(slots);
      is_batch_first = shape.batch > 1 && shape.columns == 1;
  }
}

ProductPartition ProductPartition::of_one_tile(std::int64_t depth) const {
  ProductPartition partition = *this;
  partition.limit_to_one_tile(depth);
  return partition;
}

Groups ProductDispatches::tile_groups(const Tiling& t) const {
  return plan_.groups_for(static_cast<std::int64_t>(t.tiles * t.ranges), partition_.items_per_group);
}

Groups ProductDispatches::join_groups(const Tiling& t) const {
  const std::int64_t items = static_cast<std::int64_t>(t.tiles) * t.height * t.width;
  return plan_.groups_for(items * ranges_after_join(t), join_group);
}

// The result is valid until the next call.
std::span<const Access> ProductDispatches::inputs_and(std::initializer_list<Access> others) {
  const auto end =
      std::copy(others.begin(), others.end(), std::copy(inputs_.begin(), inputs_.end(), accesses_.begin()));
  return {accesses_.begin(), end};
}

std::span<const Access> ProductDispatches::tile_accesses(const Tiling& t) {
  return inputs_and(
      {t.ranges == 1 ? output_ : Access{t.workspace, t.workspace + t.ranges * partition_.part_bytes(t), true}});
}

std::span<const Access> ProductDispatches::join_accesses(const Tiling& t) {
  const std::uint64_t batches = ranges_after_join(t);
  // The last join may read the inputs too: it adds the bias.
  return inputs_and({Access{t.workspace, t.workspace + t.ranges * partition_.part_bytes(t), false},
                     batches == 1 ? output_ : Access{t.joined, t.joined + batches * partition_.part_bytes(t), true}});
}

namespace {

void log_lost_denormals(const KernelRequest& request, const ProductVariant& variant, bool is_guarded) {
  char text[160];
  std::snprintf(text, sizeof text, "%s, %s: %s products lose denormal numbers", request.desc.op_name, variant.name,
                is_guarded ? "guarded fused" : "fused");
  const lks_host_api& host = context_of(request).device->host;
  host.log(host.host, LKS_LOG_INFO, "vulkan", text);
}

// Whether the pipeline, which fuses, passes its trial. The first call runs the trial.
bool keeps_denormals(const KernelRequest& request, const ProductVariant& variant, const Pipeline& pipeline,
                     const ProductPartition& partition, const std::function<TrialProduct()>& make_trial) {
  lks_device& device = *context_of(request).device;
  if (const std::optional<bool> known = device.trial_results.outcome(&pipeline)) return *known;
  const bool passed = passes_trial(device, pipeline, partition, make_trial());
  if (device.trial_results.note(&pipeline, passed) && !passed) {
    log_lost_denormals(request, variant, partition.constants.fusing == ProductConstants::fuses_guarded);
  }
  return passed;
}

}  // namespace

ProductPipelines pipelines_of(const KernelRequest& request, const ProductShaders& shaders,
                              const ProductVariant& variant, const ProductPartition& partition,
                              const std::function<TrialProduct()>& make_trial) {
  lks_device& device = *context_of(request).device;
  const lks_dtype dtype = request.input(0).dtype;
  const Shader tiles = (shaders.*variant.shader).of(dtype);
  const Pipeline* join = partition.ranges > 1 ? &device.pipelines.get(shaders.join.of(dtype)) : nullptr;
  ProductPartition tried = partition;
  while (true) {
    const Pipeline& pipeline = device.pipelines.get(tiles, tried.constants.all());
    std::uint32_t& fusing = tried.constants.fusing;
    if (fusing == ProductConstants::rounds_products || need_not_keep_denormals(request) ||
        keeps_denormals(request, variant, pipeline, tried, make_trial)) {
      return {&pipeline, join};
    }
    fusing = fusing == ProductConstants::fuses ? ProductConstants::fuses_guarded : ProductConstants::rounds_products;
  }
}

lks_status require_product(const KernelRequest& request, std::initializer_list<lks_dtype> allowed) {
  if (const lks_status status = common::require_dtypes(request, allowed); status != LKS_OK) return status;
  if (const lks_status status = require_hardware(request); status != LKS_OK) return status;
  for (std::uint32_t i = 0; i < request.tensor_count(); ++i) {
    const lks_tensor_desc& t = request.tensor(i);
    if (t.flags & LKS_TENSOR_OPTIONAL_ABSENT) continue;
    for (int d = 0; d < t.rank; ++d) {
      if (t.dims[d] <= std::numeric_limits<std::int32_t>::max()) continue;
      return common::refuse(request.diag, LKS_REASON_SIZE, static_cast<int>(i), DRIVER_WHERE,
                            "%s: dimension %d of operand %u has %lld elements, at most 2^31 - 1 are counted",
                            request.desc.op_name, d, i, static_cast<long long>(t.dims[d]));
    }
  }
  return LKS_OK;
}

void describe_product(const KernelRequest& request, const ProductVariant& variant, const ProductPartition& partition) {
  std::snprintf(request.info.variant, sizeof request.info.variant, "%s", variant.name);
  request.info.workspace_bytes = partition.workspace_bytes();
  request.info.accumulate_dtype = request.input(0).dtype;
  const bool is_shared = variant.algorithm == ProductAlgorithm::blocks ||
                         variant.algorithm == ProductAlgorithm::matrices ||
                         variant.algorithm == ProductAlgorithm::subgroups;
  const bool has_own_order = is_shared && !is_lockstep(request);
  request.info.order = has_own_order ? LKS_ORDER_UNSPECIFIED : LKS_ORDER_BLOCKED;
  request.info.determinism = has_own_order ? LKS_DETERMINISM_RUN_TO_RUN : LKS_DETERMINISM_CROSS_DEVICE;
  if (!request.info.deps) return;
  for (std::uint32_t i = 0; i < request.tensor_count(); ++i) {
    request.info.deps[i].dims = ~0u;
    request.info.deps[i].stride_classes = ~0u;
  }
}

}  // namespace vulkan
