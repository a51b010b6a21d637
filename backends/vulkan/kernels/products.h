// What matmul and the convolutions have in common: variants of the shaders that compute products, and their dispatches.
#pragma once

#include <array>
#include <initializer_list>

#include "backends/gpu/kernels/product_partition.h"
#include "backends/vulkan/kernels/kernel.h"
#include "backends/vulkan/kernels/trial.h"

namespace vulkan {

using gpu::ProductShape;
using gpu::Tiling;

/// A shader for each dtype; null if there is none.
struct TypedShader {
  Shader f32 = nullptr, f64 = nullptr, i32 = nullptr, i64 = nullptr;

  Shader of(lks_dtype t) const { return t == LKS_F64 ? f64 : t == LKS_I32 ? i32 : t == LKS_I64 ? i64 : f32; }
};

/// The shaders of an op.
struct ProductShaders {
  TypedShader lanes_16x16, lanes_16x8, blocks_128x128, blocks_64x64, blocks_128x32, matrices, element, join;
  TypedShader subgroups_4x4 = {}, subgroups_1x4 = {}, subgroups_4x1 = {};
  TypedShader depthwise = {};
};

/// One row of the table of variants (products.cpp).
struct ProductVariant {
  const char* name;  // begins with the variant of the kernel table's row
  ProductAlgorithm algorithm;
  TypedShader ProductShaders::*shader;
  std::int64_t rows, columns;  // elements that an invocation computes
  int log2_right, down;        // log2 of a workgroup's invocations in a row; those in a column (not used for lanes)
  std::int64_t min_columns, min_rows, max_rows;  // other results are left to the variants that follow
  std::int64_t min_blocks = 0;                   // and so are those with fewer blocks
};

/// The first variant that suits the request; null if none does.
const ProductVariant* choose(const ProductShaders& shaders, ProductAlgorithm algorithm, const KernelRequest& request,
                             const ProductShape& shape);

/// The specialisation constants of all product shaders, in the order of their ids. Each shader has those that it needs.
struct ProductConstants {
  /// Whether a product is rounded before it is added: shaders/product_fusing.glsl.
  enum Fusing : std::uint32_t { rounds_products, fuses, fuses_guarded };

  std::uint32_t group_size = 1;  // ProductAlgorithm::element: slots
  std::uint32_t may_lack_terms = 1;
  std::uint32_t right = 0;  // ProductAlgorithm::lanes: log2 of the lanes in a row
  std::uint32_t log2_strides[2] = {~0u, ~0u};
  std::uint32_t slots = 0, chunk = gpu::product_chunk;
  std::uint32_t fusing = rounds_products;
  std::uint32_t left_column_major = 0, right_row_major = 1;
  std::uint32_t loses_denormals = 0;  // in fused products; for tests

  std::span<const std::uint32_t> all() const { return {&group_size, sizeof *this / sizeof group_size}; }
};

/// How a product is split for the shaders of a variant.
struct ProductPartition : gpu::ProductPartition {
  ProductPartition(const KernelRequest& request, const ProductShape& shape, const ProductVariant& variant);

  std::int64_t items_per_group;
  ProductConstants constants;

  /// The same tile size for a product of one tile.
  ProductPartition of_one_tile(std::int64_t depth) const;

 private:
  struct Split;

  ProductPartition(const Split& split, const KernelRequest& request, const ProductShape& shape,
                   const ProductVariant& variant);
};

/// The pipelines of a variant: one computes tiles, the other joins their ranges.
struct ProductPipelines {
  const Pipeline* tiles;
  const Pipeline* join;
};

/// The pipelines of `variant`. If `partition` may fuse in strict mode, pipelines that fuse, that fuse with a guard and
/// that do not fuse are tried in this order, and the first to pass its trial is returned; the last needs none. Throws
/// Failure.
ProductPipelines pipelines_of(const KernelRequest& request, const ProductShaders& shaders,
                              const ProductVariant& variant, const ProductPartition& partition,
                              const std::function<TrialProduct()>& make_trial);

/// Refuses dtypes other than `allowed`, f64 if the device has none, and extents beyond the 31 bits in which the shaders
/// count.
lks_status require_product(const KernelRequest& request, std::initializer_list<lks_dtype> allowed);

/// Fills in the kernel's info: variant, workspace, and the order and determinism of its sums.
void describe_product(const KernelRequest& request, const ProductVariant& variant, const ProductPartition& partition);

/// Plans the dispatches of a product.
class ProductDispatches {
 public:
  static constexpr std::size_t max_inputs = 3;

  ProductDispatches(Plan& plan, const ProductPartition& partition, const ProductPipelines& pipelines,
                    VkDeviceAddress workspace, std::span<const Access> inputs, Access output)
      : plan_(plan),
        partition_(partition),
        pipelines_(pipelines),
        workspace_(workspace),
        inputs_(inputs),
        output_(output) {}

  /// `params` has a member `tiling`.
  template <class P>
  void run(P params) {
    for (std::int64_t first = 0; first < partition_.tiles(); first += partition_.tiles_at_once) {
      params.tiling = partition_.tiling(first, workspace_);
      plan_.dispatch(*pipelines_.tiles, params, tile_groups(params.tiling), tile_accesses(params.tiling));
      while (params.tiling.ranges > 1) {
        plan_.dispatch(*pipelines_.join, params, join_groups(params.tiling), join_accesses(params.tiling));
        partition_.to_next_join(params.tiling);
      }
    }
  }

 private:
  Groups tile_groups(const Tiling& t) const;
  Groups join_groups(const Tiling& t) const;
  std::span<const Access> tile_accesses(const Tiling& t);
  std::span<const Access> join_accesses(const Tiling& t);
  std::span<const Access> inputs_and(std::initializer_list<Access> others);

  Plan& plan_;
  const ProductPartition& partition_;
  const ProductPipelines pipelines_;
  const VkDeviceAddress workspace_;
  const std::span<const Access> inputs_;
  const Access output_;
  std::array<Access, max_inputs + 2> accesses_;
};

template <class P>
void plan_trial(const TrialRun& run, const P& params) {
  const Access operands[] = {{run.left, run.result, false}};
  const std::uint64_t bytes =
      static_cast<std::uint64_t>(run.partition.height * run.partition.width) * run.partition.element_bytes;
  ProductDispatches(run.plan, run.partition, {&run.pipeline, nullptr}, 0, operands,
                    {run.result, run.result + bytes, true})
      .run(params);
}

}  // namespace vulkan
