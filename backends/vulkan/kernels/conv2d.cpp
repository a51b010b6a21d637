// Convolution and its two gradients. Sums have the order of lockstep mode, except that blocks do so in lockstep mode
// only, and matrices, which serve fast mode, never.
#include <bit>
#include <limits>

#include "backends/vulkan/kernels/products.h"
#include "backends/vulkan/shaders.h"

namespace vulkan {
namespace {

enum class Pass { forward, backward_input, backward_filter };

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

// The attributes that the three ops share.
struct Window {
  std::int32_t strides[2], dilation[2], before[2], groups;
};

// shaders/conv_params.glsl
struct Params {
  VkDeviceAddress x, w, y, bias;
  std::int32_t batch, height, width, channels;
  std::int32_t filters, taps_high, taps_wide;
  std::int32_t out_height, out_width;
  std::int32_t channels_per_group, filters_per_group;
  std::int32_t strides[2], dilation[2], before[2];
  std::int32_t has_bias;
  Tiling tiling;
};

std::int32_t narrow(std::int64_t extent) { return static_cast<std::int32_t>(extent); }

// Which operands are the image, the filters and the output of the convolution.
struct Places {
  std::size_t x, w, y;

  Places(Pass pass, std::size_t result)
      : x(pass == Pass::backward_input ? result : 0),
        w(pass == Pass::backward_filter ? result : 1),
        y(pass == Pass::forward          ? result
          : pass == Pass::backward_input ? 0
                                         : 1) {}
};

class Conv : public lks_kernel {
 public:
  Conv(Pass pass, const Window& window, bool has_bias) : pass_(pass), window_(window), has_bias_(has_bias) {}

 protected:
  std::size_t result() const { return dtypes.size() - 1; }

  std::vector<Access> inputs(const lks_launch& launch) const {
    std::vector<Access> all = {tensor(launch, 0).access(false), tensor(launch, 1).access(false)};
    if (has_bias_) all.push_back(tensor(launch, 2).access(false));
    return all;
  }

  Params params(const lks_launch& launch) const {
    const Places at(pass_, result());
    const Tensor x = tensor(launch, at.x), w = tensor(launch, at.w), y = tensor(launch, at.y);
    Params p{};
    p.x = x.address, p.w = w.address, p.y = y.address;
    p.bias = has_bias_ ? tensor(launch, 2).address : 0;
    p.has_bias = has_bias_;
    p.batch = narrow(x.dims[0]), p.height = narrow(x.dims[1]), p.width = narrow(x.dims[2]);
    p.channels = narrow(x.dims[3]);
    p.filters = narrow(w.dims[0]), p.taps_high = narrow(w.dims[1]), p.taps_wide = narrow(w.dims[2]);
    p.out_height = narrow(y.dims[1]), p.out_width = narrow(y.dims[2]);
    p.channels_per_group = p.channels / window_.groups, p.filters_per_group = p.filters / window_.groups;
    for (int side = 0; side < 2; ++side) {
      p.strides[side] = window_.strides[side];
      p.dilation[side] = window_.dilation[side];
      p.before[side] = window_.before[side];
    }
    return p;
  }

 private:
  const Pass pass_;
  const Window window_;
  const bool has_bias_;
};

class ProductConv : public Conv {
 public:
  ProductConv(const ProductPartition& partition, const ProductPipelines& pipelines, Pass pass, const Window& window,
              bool has_bias)
      : Conv(pass, window, has_bias), partition_(partition), pipelines_(pipelines) {}

  void plan(Plan& plan, const lks_launch& launch) const override {
    const VkDeviceAddress workspace = partition_.ranges > 1 ? launch.workspace->address + launch.workspace_offset : 0;
    const std::vector<Access> read = inputs(launch);
    ProductDispatches(plan, partition_, pipelines_, workspace, read, tensor(launch, result()).access(true))
        .run(params(launch));
  }

 private:
  const ProductPartition partition_;
  const ProductPipelines pipelines_;
};

class DepthwiseConv : public Conv {
 public:
  DepthwiseConv(const Pipeline& pipeline, Pass pass, const Window& window, bool has_bias)
      : Conv(pass, window, has_bias), pipeline_(pipeline) {}

  void plan(Plan& plan, const lks_launch& launch) const override {
    const Tensor to = tensor(launch, result());
    std::vector<Access> accesses = inputs(launch);
    accesses.push_back(to.access(true));
    const std::int64_t strips = ceil_div(to.dims[2], strip);
    plan.dispatch(pipeline_, params(launch), plan.groups_for(to.dims[0] * to.dims[1] * strips * to.dims[3], group),
                  accesses);
  }

 private:
  static constexpr std::int64_t strip = 8, group = 64;  // shaders/conv_depthwise.comp

  const Pipeline& pipeline_;
};

template <class Attrs>
Window window_of(const KernelRequest& request) {
  const auto& a = request.attrs<Attrs>();
  Window window{};
  for (int side = 0; side < 2; ++side) {
    window.strides[side] = narrow(a.strides.values[side]);
    window.dilation[side] = narrow(a.dilation.values[side]);
    window.before[side] = narrow(a.padding.values[2 * side]);
  }
  window.groups = narrow(a.groups);
  return window;
}

// The dims of the image, the filters and the output.
struct Extents {
  const std::int64_t *x, *w, *y;

  Extents(const KernelRequest& request, Pass pass) {
    const Places at(pass, request.desc.input_count);
    const auto dims = [&](std::size_t i) { return request.tensor(static_cast<std::uint32_t>(i)).dims; };
    x = dims(at.x), w = dims(at.w), y = dims(at.y);
  }
};

// The convolution as a batched matrix product, with one batch element per group (shaders/conv_operands.glsl).
ProductShape shape_of(const Extents& extents, Pass pass, const Window& window) {
  const auto [x, w, y] = extents;
  const std::int64_t taps = w[1] * w[2], channels = x[3] / window.groups, filters = w[0] / window.groups;
  switch (pass) {
    case Pass::backward_input: return {window.groups, x[0] * x[1] * x[2], channels, taps * filters};
    case Pass::backward_filter: return {window.groups, taps * channels, filters, y[0] * y[1] * y[2]};
    default: return {window.groups, y[0] * y[1] * y[2], filters, taps * channels};
  }
}

// Whether some pixel has a tap without a term: outside the image or, in the gradient of the image, without an output.
bool may_lack_terms(const Extents& extents, Pass pass, const Window& window) {
  const auto [x, w, y] = extents;
  for (int side = 0; side < 2; ++side) {
    const std::int64_t reach = (w[1 + side] - 1) * window.dilation[side];
    const std::int64_t last = (y[1 + side] - 1) * window.strides[side] - window.before[side] + reach;
    if (window.before[side] > 0 || last >= x[1 + side]) return true;
    if (pass == Pass::backward_input && (reach > 0 || window.strides[side] > 1)) return true;
  }
  return false;
}

// Whether 31 bits suffice to count the elements of an image, of an output and of the filters, and the rows and
// positions of the product.
bool is_countable(const Extents& extents, const ProductShape& shape) {
  constexpr std::int64_t most = std::numeric_limits<std::int32_t>::max();
  const auto [x, w, y] = extents;
  return x[1] * x[2] * x[3] <= most && y[1] * y[2] * y[3] <= most && w[0] * w[1] * w[2] * w[3] <= most &&
         shape.rows <= most && shape.depth <= most;
}

// Sets the logarithms of those strides that are powers of two.
void set_strides(ProductConstants& constants, const Window& window) {
  for (int side = 0; side < 2; ++side) {
    const auto stride = static_cast<std::uint32_t>(window.strides[side]);
    if (std::has_single_bit(stride))
      constants.log2_strides[side] = static_cast<std::uint32_t>(std::countr_zero(stride));
  }
}

bool is_depthwise(const Extents& extents, Pass pass, const Window& window) {
  const auto [x, w, y] = extents;
  const bool one_filter = w[0] == window.groups || pass == Pass::forward;
  // The shader loads something even if there is no term, so nothing may be empty.
  const bool is_empty = x[1] == 0 || x[2] == 0 || y[1] == 0 || y[2] == 0;
  if (pass == Pass::backward_filter) return !is_empty && w[3] == 1;
  return !is_empty && w[3] == 1 && one_filter && w[1] * w[2] <= gpu::product_chunk;
}

lks_status make_depthwise(const KernelRequest& request, Out out, Pass pass, const Window& window) {
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

// A convolution of an image of width 1 with a single tap, so that the rows, positions and columns of the product are
// its pixels, channels and filters, in an order that depends on the pass. The strides are those that the shader may be
// specialised for: in the gradient of the image, only every stride-th row has an output.
TrialProduct trial_of(const ProductPartition& partition, Pass pass, const Window& window) {
  const std::int64_t rows = partition.height, columns = partition.width, depth = gpu::trial_depth;
  const std::int64_t stride = pass == Pass::backward_input ? window.strides[0] : 1;
  Params p{};
  p.batch = p.width = p.out_width = p.taps_high = p.taps_wide = p.dilation[0] = p.dilation[1] = 1;
  p.strides[0] = narrow(stride), p.strides[1] = stride > 1 ? window.strides[1] : 1;
  p.height = narrow(pass == Pass::backward_filter ? depth : rows);
  p.out_height = narrow(ceil_div(p.height, stride));
  p.channels = p.channels_per_group = narrow(pass == Pass::forward          ? depth
                                             : pass == Pass::backward_input ? columns
                                                                            : rows);
  p.filters = p.filters_per_group = narrow(pass == Pass::backward_input ? depth : columns);
  const gpu::ProductStrides strides[] = {
      {depth, 1, 1, depth, columns, 1}, {depth, 1, columns, 1, columns, 1, stride}, {1, rows, columns, 1, 1, rows}};
  return {strides[static_cast<int>(pass)], [p, pass](const TrialRun& run) {
            const VkDeviceAddress operands[] = {run.left, run.right, run.result};
            const Places at(pass, 2);
            Params with_addresses = p;
            with_addresses.x = operands[at.x], with_addresses.w = operands[at.w], with_addresses.y = operands[at.y];
            plan_trial(run, with_addresses);
          }};
}

lks_status make(const KernelRequest& request, Out out, ProductAlgorithm algorithm, Pass pass, const Window& window) {
  if (const lks_status status = require_product(request, {LKS_F32, LKS_F64}); status != LKS_OK) return status;
  if (const lks_status status = require_dense(request); status != LKS_OK) return status;
  const Extents extents(request, pass);
  const ProductShape shape = shape_of(extents, pass, window);
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
  return make(request, out, algorithm, Pass::forward, window_of<lks_conv2d_attrs>(request));
}
template <ProductAlgorithm algorithm>
lks_status make_conv2d_backward_input(const KernelRequest& request, Out out) {
  return make(request, out, algorithm, Pass::backward_input, window_of<lks_conv2d_backward_input_attrs>(request));
}
template <ProductAlgorithm algorithm>
lks_status make_conv2d_backward_filter(const KernelRequest& request, Out out) {
  return make(request, out, algorithm, Pass::backward_filter, window_of<lks_conv2d_backward_filter_attrs>(request));
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
