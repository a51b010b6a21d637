// Convolution and its two gradients, in the order of lockstep mode (in blocks: only in that mode).
#include <bit>
#include <limits>

#include "backends/vulkan/kernels/products.h"
#include "backends/vulkan/shaders.h"

namespace vulkan {
namespace {

enum class Pass { forward, backward_input, backward_filter };

// By pass.
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
     {shaders::conv_filter_join_f32, shaders::conv_filter_join_f64}}};

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

// Which operands are image, filters and output of the convolution.
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
  Conv(const Cut& cut, const ProductPipelines& pipelines, Pass pass, const Window& window, bool has_bias)
      : cut_(cut), pipelines_(pipelines), pass_(pass), window_(window), has_bias_(has_bias) {}

  void plan(Plan& plan, const lks_launch& launch) const override {
    const std::size_t result = dtypes.size() - 1;
    std::vector<Access> inputs = {tensor(launch, 0).access(false), tensor(launch, 1).access(false)};
    if (has_bias_) inputs.push_back(tensor(launch, 2).access(false));
    const VkDeviceAddress workspace = cut_.ranges > 1 ? launch.workspace->address + launch.workspace_offset : 0;
    ProductDispatches(plan, cut_, pipelines_, workspace, inputs, tensor(launch, result).access(true))
        .run(params(launch, Places(pass_, result)));
  }

 private:
  Params params(const lks_launch& launch, const Places& at) const {
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

  const Cut cut_;
  const ProductPipelines pipelines_;
  const Pass pass_;
  const Window window_;
  const bool has_bias_;
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

// Of image, filters and output.
struct Extents {
  const std::int64_t *x, *w, *y;

  Extents(const KernelRequest& request, Pass pass) {
    const Places at(pass, request.desc.input_count);
    const auto dims = [&](std::size_t i) { return request.tensor(static_cast<std::uint32_t>(i)).dims; };
    x = dims(at.x), w = dims(at.w), y = dims(at.y);
  }
};

// The convolution as a product of matrices, a batch of one for each group (shaders/conv_operands.glsl).
ProductShape shape_of(const Extents& extents, Pass pass, const Window& window) {
  const auto [x, w, y] = extents;
  const std::int64_t taps = w[1] * w[2], channels = x[3] / window.groups, filters = w[0] / window.groups;
  switch (pass) {
    case Pass::backward_input: return {window.groups, x[0] * x[1] * x[2], channels, taps * filters};
    case Pass::backward_filter: return {window.groups, taps * channels, filters, y[0] * y[1] * y[2]};
    default: return {window.groups, y[0] * y[1] * y[2], filters, taps * channels};
  }
}

// Whether some tap of some pixel meets nothing.
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

// Whether 31 bits count the elements of an image, an output and the filters, and the rows and positions of the product.
bool is_countable(const Extents& extents, const ProductShape& shape) {
  constexpr std::int64_t most = std::numeric_limits<std::int32_t>::max();
  const auto [x, w, y] = extents;
  return x[1] * x[2] * x[3] <= most && y[1] * y[2] * y[3] <= most && w[0] * w[1] * w[2] * w[3] <= most &&
         shape.rows <= most && shape.depth <= most;
}

lks_status make(const KernelRequest& request, Out out, Way way, Pass pass, const Window& window) {
  if (const lks_status status = require_product(request, {LKS_F32, LKS_F64}); status != LKS_OK) return status;
  if (const lks_status status = require_dense(request); status != LKS_OK) return status;
  const lks_dtype dtype = request.input(0).dtype;
  const Extents extents(request, pass);
  const ProductShape shape = shape_of(extents, pass, window);
  if (!is_countable(extents, shape)) {
    return host::refuse(request.diag, LKS_REASON_SIZE, -1, HOST_WHERE,
                        "an image, the filters or the sums have more than 2^31 - 1 elements");
  }
  const ProductShaders& shaders = product_shaders[static_cast<int>(pass)];
  const ProductVariant* variant = choose(shaders, way, request, shape);
  if (!variant) return host::refuse(request.diag, LKS_REASON_SIZE, -1, HOST_WHERE, "not for such a convolution");
  Cut cut(request, shape, *variant);
  cut.constants.may_lack_terms = may_lack_terms(extents, pass, window);
  for (int side = 0; side < 2; ++side) {
    const auto stride = static_cast<std::uint32_t>(window.strides[side]);
    if (std::has_single_bit(stride))
      cut.constants.log2_strides[side] = static_cast<std::uint32_t>(std::countr_zero(stride));
  }
  cut.constants.left_runs_down = pass == Pass::backward_filter;
  cut.constants.right_runs_along = pass != Pass::forward;
  describe_product(request, *variant, cut);
  if (!out) return LKS_OK;
  Pipelines& pipelines = context_of(request).device->pipelines;
  const ProductPipelines both{&pipelines.get((shaders.*variant->shader).of(dtype), cut.constants.all()),
                              cut.ranges > 1 ? &pipelines.get(shaders.join.of(dtype)) : nullptr};
  host::emplace<Conv>(request, out, cut, both, pass, window, pass == Pass::forward && request.has_input(2));
  return LKS_OK;
}

template <Way way>
lks_status make_forward(const KernelRequest& request, Out out) {
  return make(request, out, way, Pass::forward, window_of<lks_conv2d_attrs>(request));
}
template <Way way>
lks_status make_backward_input(const KernelRequest& request, Out out) {
  return make(request, out, way, Pass::backward_input, window_of<lks_conv2d_backward_input_attrs>(request));
}
template <Way way>
lks_status make_backward_filter(const KernelRequest& request, Out out) {
  return make(request, out, way, Pass::backward_filter, window_of<lks_conv2d_backward_filter_attrs>(request));
}

}  // namespace

lks_status make_conv2d_lanes(const KernelRequest& request, Out out) { return make_forward<Way::lanes>(request, out); }
lks_status make_conv2d_matrices(const KernelRequest& request, Out out) {
  return make_forward<Way::matrices>(request, out);
}
lks_status make_conv2d_blocks(const KernelRequest& request, Out out) { return make_forward<Way::blocks>(request, out); }
lks_status make_conv2d(const KernelRequest& request, Out out) { return make_forward<Way::element>(request, out); }
lks_status make_conv2d_backward_input_lanes(const KernelRequest& request, Out out) {
  return make_backward_input<Way::lanes>(request, out);
}
lks_status make_conv2d_backward_input_matrices(const KernelRequest& request, Out out) {
  return make_backward_input<Way::matrices>(request, out);
}
lks_status make_conv2d_backward_input_blocks(const KernelRequest& request, Out out) {
  return make_backward_input<Way::blocks>(request, out);
}
lks_status make_conv2d_backward_input(const KernelRequest& request, Out out) {
  return make_backward_input<Way::element>(request, out);
}
lks_status make_conv2d_backward_filter_lanes(const KernelRequest& request, Out out) {
  return make_backward_filter<Way::lanes>(request, out);
}
lks_status make_conv2d_backward_filter_matrices(const KernelRequest& request, Out out) {
  return make_backward_filter<Way::matrices>(request, out);
}
lks_status make_conv2d_backward_filter_blocks(const KernelRequest& request, Out out) {
  return make_backward_filter<Way::blocks>(request, out);
}
lks_status make_conv2d_backward_filter(const KernelRequest& request, Out out) {
  return make_backward_filter<Way::element>(request, out);
}

}  // namespace vulkan
