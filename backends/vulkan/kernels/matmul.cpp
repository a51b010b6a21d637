// Matrix products. Sums have the order of lockstep mode, except that blocks do so in lockstep mode only, and subgroups
// and matrices, which serve fast mode, never. Operands may be strided.
#include "backends/vulkan/kernels/products.h"
#include "backends/vulkan/shaders.h"

namespace vulkan {
namespace {

constexpr ProductShaders product_shaders = {
    {shaders::matmul_lanes_16x16_f32},
    {shaders::matmul_lanes_16x8_f32},
    {shaders::matmul_blocks_128x128_f32, shaders::matmul_blocks_128x128_f64},
    {shaders::matmul_blocks_64x64_f32, shaders::matmul_blocks_64x64_f64},
    {shaders::matmul_blocks_128x32_f32, shaders::matmul_blocks_128x32_f64},
    {shaders::matmul_matrices_f32},
    {shaders::matmul_simple_f32, shaders::matmul_simple_f64, shaders::matmul_simple_i32, shaders::matmul_simple_i64},
    {shaders::matmul_join_f32, shaders::matmul_join_f64, shaders::matmul_join_i32, shaders::matmul_join_i64},
    {shaders::matmul_subgroups_4x4_f32},
    {shaders::matmul_subgroups_1x4_f32},
    {shaders::matmul_subgroups_4x1_f32}};

constexpr int max_batch_dims = LKS_MAX_RANK - 2;

// shaders/matmul_operands.glsl
struct Params {
  VkDeviceAddress a, b, c;
  std::int64_t a_row, a_column, b_row, b_column, c_row, c_column;
  Tiling tiling;
  std::int64_t a_batch[max_batch_dims], b_batch[max_batch_dims], c_batch[max_batch_dims];
  std::int32_t batch_dims[max_batch_dims];
  std::int32_t batch_rank;
};

Params params_of(const Tensor& a, const Tensor& b, const Tensor& c) {
  Params p{};
  const int row = c.rank - 2, column = c.rank - 1;
  p.a = a.address, p.b = b.address, p.c = c.address;
  p.a_row = a.strides[row], p.a_column = a.strides[column];
  p.b_row = b.strides[row], p.b_column = b.strides[column];
  p.c_row = c.strides[row], p.c_column = c.strides[column];
  p.batch_rank = row;
  for (int d = 0; d < row; ++d) {
    p.batch_dims[d] = static_cast<std::int32_t>(c.dims[d]);
    p.a_batch[d] = a.strides[d], p.b_batch[d] = b.strides[d], p.c_batch[d] = c.strides[d];
  }
  return p;
}

class Matmul : public lks_kernel {
 public:
  Matmul(const ProductPartition& partition, const ProductPipelines& pipelines)
      : partition_(partition), pipelines_(pipelines) {}

  void plan(Plan& plan, const lks_launch& launch) const override {
    const Tensor a = tensor(launch, 0), b = tensor(launch, 1), c = tensor(launch, 2);
    const Access inputs[] = {a.access(false), b.access(false)};
    const VkDeviceAddress workspace = partition_.ranges > 1 ? launch.workspace->address + launch.workspace_offset : 0;
    ProductDispatches(plan, partition_, pipelines_, workspace, inputs, c.access(true)).run(params_of(a, b, c));
  }

 private:
  const ProductPartition partition_;
  const ProductPipelines pipelines_;
};

ProductShape shape_of(const KernelRequest& request) {
  const lks_tensor_desc &a = request.input(0), &c = request.output(0);
  ProductShape shape{1, c.dims[c.rank - 2], c.dims[c.rank - 1], a.dims[a.rank - 1]};
  for (int d = 0; d < c.rank - 2; ++d) shape.batch *= c.dims[d];
  return shape;
}

// Whether positions are adjacent in memory in the operand of which more is read.
bool positions_lie_beside(const lks_tensor_desc& a, const lks_tensor_desc& b, const ProductShape& shape) {
  return shape.rows >= shape.columns ? a.strides[a.rank - 1] == 1 : b.strides[b.rank - 2] == 1;
}

// A trial with dense matrices.
TrialProduct trial_of(const ProductPartition& partition) {
  const gpu::ProductStrides at{gpu::trial_depth, 1, partition.width, 1, partition.width, 1};
  return {at, [at](const TrialRun& run) {
            Params p{};
            p.a = run.left, p.b = run.right, p.c = run.result;
            p.a_row = at.left_row, p.a_column = at.left_position;
            p.b_row = at.right_position, p.b_column = at.right_column;
            p.c_row = at.result_row, p.c_column = at.result_column;
            plan_trial(run, p);
          }};
}

lks_status make(const KernelRequest& request, Out out, ProductAlgorithm algorithm) {
  if (const lks_status status = require_product(request, {LKS_F32, LKS_F64, LKS_I32, LKS_I64}); status != LKS_OK) {
    return status;
  }
  const ProductShape shape = shape_of(request);
  const ProductVariant* variant = choose(product_shaders, algorithm, request, shape);
  if (!variant) return common::refuse(request.diag, LKS_REASON_SIZE, -1, DRIVER_WHERE, "not for such a product");
  const lks_tensor_desc &a = request.input(0), &b = request.input(1);
  if (algorithm == ProductAlgorithm::subgroups && !positions_lie_beside(a, b, shape)) {
    return common::refuse(request.diag, LKS_REASON_SIZE, -1, DRIVER_WHERE, "positions do not lie beside each other");
  }
  ProductPartition partition(request, shape, *variant);
  partition.constants.left_column_major = a.strides[a.rank - 1] != 1;
  partition.constants.right_row_major = b.strides[b.rank - 1] == 1;
  describe_product(request, *variant, partition);
  if (!out) return LKS_OK;
  const ProductPipelines pipelines =
      pipelines_of(request, product_shaders, *variant, partition, [&] { return trial_of(partition); });
  common::emplace<Matmul>(request, out, partition, pipelines);
  return LKS_OK;
}

}  // namespace

template <ProductAlgorithm algorithm>
lks_status make_matmul(const KernelRequest& request, Out out) {
  return make(request, out, algorithm);
}

template lks_status make_matmul<ProductAlgorithm::lanes>(const KernelRequest&, Out);
template lks_status make_matmul<ProductAlgorithm::matrices>(const KernelRequest&, Out);
template lks_status make_matmul<ProductAlgorithm::blocks>(const KernelRequest&, Out);
template lks_status make_matmul<ProductAlgorithm::subgroups>(const KernelRequest&, Out);
template lks_status make_matmul<ProductAlgorithm::element>(const KernelRequest&, Out);

}  // namespace vulkan
