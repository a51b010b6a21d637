// Convolution and its two gradients. Sums have the order of lockstep mode, except that blocks do so in lockstep mode
// only, and matrices, which serve fast mode, never.
#include <array>
#include <bit>
#include <cstddef>

#include "backends/gpu/kernels/conv_trial.h"
#include "backends/vulkan/kernels/products.h"
#include "backends/vulkan/shaders.h"

namespace vulkan {
namespace {

using Pass = gpu::ConvPass;

// Indexed by Pass.
constexpr ProductShaders product_shaders[] = {
    {{shaders::conv_forward_lanes_16x16_f32},
     {shaders::conv_forward_lanes_16x8_f32},
     {shaders::conv_forward_blocks_128x128_f32, shaders::conv_forward_blocks_128x128_f64},
     {shaders::conv_forward_blocks_64x64_f32, shaders::conv_forward_blocks_64x64_f64},
     {shaders::conv_forward_blocks_128x32_f32, shaders::conv_forward_blocks_128x32_f64},
     {shaders::conv_forward_matrices_f32},
     {shaders::conv_forward_simple_f32, shaders::conv_forward_simple_f64},
     {shaders::conv_forward_join_f32, shaders::conv_forward_join_f64}},
    {{shaders::conv_input_lanes_16x16_f32},
     {shaders::conv_input_lanes_16x8_f32},
     {shaders::conv_input_blocks_128x128_f32, shaders::conv_input_blocks_128x128_f64},
     {shaders::conv_input_blocks_64x64_f32, shaders::conv_input_blocks_64x64_f64},
     {shaders::conv_input_blocks_128x32_f32, shaders::conv_input_blocks_128x32_f64},
     {shaders::conv_input_matrices_f32},
     {shaders::conv_input_simple_f32, shaders::conv_input_simple_f64},
     {shaders::conv_input_join_f32, shaders::conv_input_join_f64}},
    {{shaders::conv_filter_lanes_16x16_f32},
     {shaders::conv_filter_lanes_16x8_f32},
     {shaders::conv_filter_blocks_128x128_f32, shaders::conv_filter_blocks_128x128_f64},
     {shaders::conv_filter_blocks_64x64_f32, shaders::conv_filter_blocks_64x64_f64},
     {shaders::conv_filter_blocks_128x32_f32, shaders::conv_filter_blocks_128x32_f64},
     {shaders::conv_filter_matrices_f32},
     {shaders::conv_filter_simple_f32, shaders::conv_filter_simple_f64},
     {shaders::conv_filter_join_f32, shaders::conv_filter_join_f64},
     {},
     {},
     {},
     {shaders::conv_filter_depthwise_f32, shaders::conv_filter_depthwise_f64}}};

// shaders/conv_params.glsl
struct Params {
  VkDeviceAddress x, w, y, bias;
  gpu::ConvSizes sizes;
  std::int32_t has_bias;
  Tiling tiling;
};
static_assert(offsetof(Params, tiling) == 4 * sizeof(VkDeviceAddress) + sizeof(gpu::ConvSizes) + 4);

class Conv : public lks_kernel {
 public:
  Conv(Pass pass, const gpu::ConvWindow& window, bool has_bias) : pass_(pass), window_(window), has_bias_(has_bias) {}

 protected:
  std::size_t result() const { return dtypes.size() - 1; }

  // Those of the inputs, then that of the result.
  struct Accesses {
    std::array<Access, ProductDispatches::max_inputs + 1> each;
    std::size_t input_count;

    std::span<const Access> inputs() const { return std::span(each).first(input_count); }
    std::span<const Access> all() const { return std::span(each).first(input_count + 1); }
    const Access& output() const { return each[input_count]; }
  };
  Accesses accesses(const lks_launch& launch) const {
    Accesses of{{}, has_bias_ ? std::size_t{3} : std::size_t{2}};
    for (std::size_t i = 0; i < of.input_count; ++i) of.each[i] = tensor(launch, i).access(false);
    of.each[of.input_count] = tensor(launch, result()).access(true);
    return of;
  }

  Params params(const lks_launch& launch) const {
    const gpu::ConvOperands at(pass_, result());
    const Tensor x = tensor(launch, at.image), w = tensor(launch, at.filters), y = tensor(launch, at.output);
    Params p{};
    p.x = x.address, p.w = w.address, p.y = y.address;
    p.bias = has_bias_ ? tensor(launch, 2).address : 0;
    p.has_bias = has_bias_;
    p.sizes = gpu::conv_sizes(x.dims, w.dims, y.dims, window_);
    return p;
  }

 private:
  const Pass pass_;
  const gpu::ConvWindow window_;
  const bool has_bias_;
};

class ProductConv : public Conv {
 public:
  ProductConv(const ProductPartition& partition, const ProductPipelines& pipelines, Pass pass,
              const gpu::ConvWindow& window, bool has_bias)
      : Conv(pass, window, has_bias), partition_(partition), pipelines_(pipelines) {}

  void plan(Plan& plan, const lks_launch& launch) const override {
    const VkDeviceAddress workspace = partition_.ranges > 1 ? launch.workspace->address + launch.workspace_offset : 0;
    const Accesses of = accesses(launch);
    ProductDispatches(plan, partition_, pipelines_, workspace, of.inputs(), of.output()).run(params(launch));
  }

 private:
  const ProductPartition partition_;
  const ProductPipelines pipelines_;
};

class DepthwiseConv : public Conv {
 public:
  DepthwiseConv(const Pipeline& pipeline, Pass pass, const gpu::ConvWindow& window, bool has_bias)
      : Conv(pass, window, has_bias), pipeline_(pipeline) {}

  void plan(Plan& plan, const lks_launch& launch) const override {
    const Tensor to = tensor(launch, result());
    const std::int64_t strips = ceil_div(to.dims[2], strip);
    plan.dispatch(pipeline_, params(launch), plan.groups_for(to.dims[0] * to.dims[1] * strips * to.dims[3], group),
                  accesses(launch).all());
  }

 private:
  static constexpr std::int64_t strip = 8, group = 64;  // shaders/conv_depthwise.comp

  const Pipeline& pipeline_;
};

// Sets the logarithms of those strides that are powers of two.
void set_strides(ProductConstants& constants, const gpu::ConvWindow& window) {
  for (int side = 0; side < 2; ++side) {
    const auto stride = static_cast<std::uint32_t>(window.strides[side]);
    if (std::has_single_bit(stride))
      constants.log2_strides[side] = static_cast<std::uint32_t>(std::countr_zero(stride));
  }
}

bool is_depthwise(const gpu::ConvExtents& extents, Pass pass, const gpu::ConvWindow& window) {
  const auto [x, w, y] = extents;
  const bool one_filter = w[0] == window.groups || pass == Pass::forward;
  // The shader loads something even if there is no term, so nothing may be empty.
  const bool is_empty = x[1] == 0 || x[2] == 0 || y[1] == 0 || y[2] == 0;
  if (pass == Pass::backward_filter) return !is_empty && w[3] == 1;
  return !is_empty && w[3] == 1 && one_filter && w[1] * w[2] <= gpu::product_chunk;
}

lks_status make_depthwise(const KernelRequest& request, Out out, Pass pass, const gpu::ConvWindow& window) {
  request.info.accumulate_dtype = request.input(0).dtype;
  request.info.order = LKS_ORDER_BLOCKED;
  request.info.determinism = LKS_DETERMINISM_CROSS_DEVICE;
  for (std::uint32_t i = 0; i < request.tensor_count(); ++i) request.depends_on_layout(i);
  if (!out) return LKS_OK;
  constexpr TypedShader shaders[] = {{shaders::conv_forward_depthwise_f32, shaders::conv_forward_depthwise_f64},
                                     {shaders::conv_input_depthwise_f32, shaders::conv_input_depthwise_f64}};
  ProductConstants constants;
  set_strides(constants, window);
  const Shader shader = shaders[pass == Pass::forward ? 0 : 1].of(request.input(0).dtype);
  common::emplace<DepthwiseConv>(request, out, context_of(request).device->pipelines.get(shader, constants.all()), pass,
                                 window, pass == Pass::forward && request.has_input(2));
  return LKS_OK;
}

TrialProduct trial_of(const ProductPartition& partition, Pass pass, const gpu::ConvWindow& window) {
  const gpu::ConvTrial trial = gpu::conv_trial(partition.height, partition.width, pass, window);
  return {trial.strides, [sizes = trial.sizes, pass](const TrialRun& run) {
            const VkDeviceAddress operands[] = {run.left, run.right, run.result};
            const gpu::ConvOperands at(pass, 2);
            Params p{};
            p.x = operands[at.image], p.w = operands[at.filters], p.y = operands[at.output];
            p.sizes = sizes;
            plan_trial(run, p);
          }};
}

lks_status make(const KernelRequest& request, Out out, ProductAlgorithm algorithm, Pass pass) {
  if (const lks_status status = require_product(request, {LKS_F32, LKS_F64}); status != LKS_OK) return status;
  if (const lks_status status = require_dense(request); status != LKS_OK) return status;
  const gpu::ConvWindow window(request, pass);
  const gpu::ConvExtents extents(request, pass);
  const ProductShape shape = gpu::product_shape(extents, pass, window);
  if (!is_countable(extents, shape)) {
    return common::refuse(request.diag, LKS_REASON_SIZE, -1, DRIVER_WHERE,
                          "an image, the filters or the sums have more than 2^31 - 1 elements");
  }
  if (algorithm == ProductAlgorithm::depthwise && !is_depthwise(extents, pass, window)) {
    return common::refuse(request.diag, LKS_REASON_SIZE, -1, DRIVER_WHERE,
                          "not one channel for each group, or many taps");
  }
  if (algorithm == ProductAlgorithm::depthwise && pass != Pass::backward_filter) {
    return make_depthwise(request, out, pass, window);
  }
  const ProductShaders& shaders = product_shaders[static_cast<int>(pass)];
  const ProductVariant* variant = choose(shaders, algorithm, request, shape);
  if (!variant) return common::refuse(request.diag, LKS_REASON_SIZE, -1, DRIVER_WHERE, "not for such a convolution");
  ProductPartition partition(request, shape, *variant);
  partition.constants.may_lack_terms = may_lack_terms(extents, pass, window);
  set_strides(partition.constants, window);
  partition.constants.left_column_major = pass == Pass::backward_filter;
  partition.constants.right_row_major = pass != Pass::forward;
  describe_product(request, *variant, partition);
  if (!out) return LKS_OK;
  const ProductPipelines pipelines =
      pipelines_of(request, shaders, *variant, partition, [&] { return trial_of(partition, pass, window); });
  common::emplace<ProductConv>(request, out, partition, pipelines, pass, window,
                               pass == Pass::forward && request.has_input(2));
  return LKS_OK;
}

}  // namespace

template <ProductAlgorithm algorithm>
lks_status make_conv2d(const KernelRequest& request, Out out) {
  return make(request, out, algorithm, Pass::forward);
}
template <ProductAlgorithm algorithm>
lks_status make_conv2d_backward_input(const KernelRequest& request, Out out) {
  return make(request, out, algorithm, Pass::backward_input);
}
template <ProductAlgorithm algorithm>
lks_status make_conv2d_backward_filter(const KernelRequest& request, Out out) {
  return make(request, out, algorithm, Pass::backward_filter);
}

#define INSTANTIATE(algorithm)                                                          \
  template lks_status make_conv2d<algorithm>(const KernelRequest&, Out);                \
  template lks_status make_conv2d_backward_input<algorithm>(const KernelRequest&, Out); \
  template lks_status make_conv2d_backward_filter<algorithm>(const KernelRequest&, Out);
INSTANTIATE(ProductAlgorithm::lanes)
INSTANTIATE(ProductAlgorithm::matrices)
INSTANTIATE(ProductAlgorithm::blocks)
INSTANTIATE(ProductAlgorithm::depthwise)
INSTANTIATE(ProductAlgorithm::element)

}  // namespace vulkan
