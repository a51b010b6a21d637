// The driver's own convolution, for f64 and for builds without oneDNN: one matrix product for each group, whose operand
// is packed from the image as it goes. Padding counts as zeros here.
#include "backends/cpu/conv/depthwise.h"
#include "backends/cpu/conv/direct.h"
#include "backends/cpu/conv/patches.h"
#include "backends/cpu/linalg/blocked_product.h"

namespace cpu {
namespace {

// The product that a pass amounts to, for one group.
struct ProductShape {
  std::int64_t m, n, k;
};

ProductShape product_shape(const ConvShape& s, ConvPass pass) {
  const std::int64_t taps = s.kernel_height * s.kernel_width, pixels = s.batch * s.out_height * s.out_width;
  switch (pass) {
    case ConvPass::backward_input:
      return {s.batch * s.height * s.width, s.channels_per_group(), taps * s.filters_per_group()};
    case ConvPass::backward_filter: return {s.filters_per_group(), taps * s.channels_per_group(), pixels};
    default: return {pixels, s.filters_per_group(), taps * s.channels_per_group()};
  }
}

template <class T>
class ConvKernel : public lks_kernel {
 public:
  ConvKernel(const lks_host_api& api, const ConvShape& shape, ConvPass pass, const Blocking& blocking)
      : api_(api), s_(shape), pass_(pass), p_(product_shape(shape, pass)), blocking_(blocking) {}

  void run(const lks_launch& launch) const override {
    if (p_.m * p_.n == 0) return;
    const std::size_t output = dtypes.size() - 1;
    const ConvTensors at = conv_tensors(pass_, output);
    const Data data{view(launch, at.image).template as<T>(), view(launch, at.filter).template as<T>(),
                    view(launch, at.result).template as<T>(),
                    output == 3 && launch.bindings[2].buffer ? view(launch, 2).template as<T>() : nullptr};
    if (zeros_would_show(data)) return sum_directly(data);
    T* workspace = reinterpret_cast<T*>(static_cast<char*>(launch.workspace->data) + launch.workspace_offset);
    const std::int64_t across = pieces_of(p_.n, blocking_.columns),
                       per_group = across * pieces_of(p_.m, blocking_.rows);
    for_each_unit(api_, blocking_, per_group * s_.groups, workspace, [&](std::int64_t unit, T* panels) {
      const std::int64_t row = unit % per_group / across * blocking_.rows, column = unit % across * blocking_.columns;
      const ResultBlock<T> block{
          nullptr, 0, 1, row, column, std::min(blocking_.rows, p_.m - row), std::min(blocking_.columns, p_.n - column)};
      switch (pass_) {
        case ConvPass::forward: return forward(data, unit / per_group, block, panels);
        case ConvPass::backward_input: return backward_input(data, unit / per_group, block, panels);
        case ConvPass::backward_filter: return backward_filter(data, unit / per_group, block, panels);
      }
    });
  }

 private:
  struct Data {
    T *image, *filter, *result, *bias;
  };

  // Whether what padding's zeros are multiplied with holds something that does not give zero.
  bool zeros_would_show(const Data& d) const {
    const std::int64_t padding = s_.before[0] + s_.before[1] + s_.after[0] + s_.after[1];
    if (pass_ == ConvPass::backward_filter) {
      return padding > 0 && !all_finite(d.result, s_.batch * s_.out_height * s_.out_width * s_.filters);
    }
    // At its edges the image always meets taps without a result.
    return (padding > 0 || pass_ == ConvPass::backward_input) && !all_finite(d.filter, s_.filters * filter_size());
  }

  void sum_directly(const Data& d) const {
    parallel(api_, s_.groups, 1, [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t group = begin; group < end; ++group) {
        const DirectConv<T> direct{s_, d.image, d.filter, d.result, d.bias, group};
        switch (pass_) {
          case ConvPass::forward: direct.forward(); break;
          case ConvPass::backward_input: direct.backward_input(); break;
          case ConvPass::backward_filter: direct.backward_filter(); break;
        }
      }
    });
  }

  std::int64_t taps() const { return s_.kernel_height * s_.kernel_width; }
  std::int64_t filter_size() const { return taps() * s_.channels_per_group(); }

  // result (pixels × filters) = patches of the image · filterᵀ
  void forward(const Data& d, std::int64_t group, ResultBlock<T> block, T* panels) const {
    const std::int64_t first = group * s_.filters_per_group();
    const Patches<T> patches(s_, d.image, group, false);
    const T* filter = d.filter + first * filter_size();
    block.row_stride = s_.filters;
    block.data = d.result + block.row * s_.filters + first + block.column;
    const auto pack_a = [&](std::int64_t row, std::int64_t rows, std::int64_t k, std::int64_t depth, T* to) {
      pack_rows<tile_rows>(patches, row, rows, k, depth, to);
    };
    const auto pack_b = [&](std::int64_t j, std::int64_t columns, std::int64_t k, std::int64_t depth, T* to) {
      pack_strided<T, tile_columns<T>>(filter + j * filter_size() + k, filter_size(), 1, columns, depth, to);
    };
    compute_block<T>(block, p_.k, blocking_, pack_a, pack_b, panels);
    if (d.bias) add_bias(block, d.bias + first + block.column);
  }

  static void add_bias(const ResultBlock<T>& block, const T* bias) {
    for (std::int64_t r = 0; r < block.rows; ++r) {
      for (std::int64_t c = 0; c < block.columns; ++c) block.data[r * block.row_stride + c] += bias[c];
    }
  }

  // image (pixels × channels) = patches of the result · filter, whose rows are (tap, filter)
  void backward_input(const Data& d, std::int64_t group, ResultBlock<T> block, T* panels) const {
    const std::int64_t channels = s_.channels_per_group(), per_group = s_.filters_per_group();
    const Patches<T> patches(s_, d.result, group, true);
    const T* filter = d.filter + group * per_group * filter_size();
    block.row_stride = s_.channels;
    block.data = d.image + block.row * s_.channels + group * channels + block.column;
    const auto pack_a = [&](std::int64_t row, std::int64_t rows, std::int64_t k, std::int64_t depth, T* to) {
      pack_rows<tile_rows>(patches, row, rows, k, depth, to);
    };
    const auto pack_b = [&](std::int64_t j, std::int64_t columns, std::int64_t k, std::int64_t depth, T* to) {
      constexpr std::int64_t width = tile_columns<T>;
      std::memset(to, 0, static_cast<std::size_t>(round_up(columns, width) * depth) * sizeof(T));
      for (std::int64_t p = 0; p < depth; ++p) {
        const T* from = filter + (k + p) % per_group * filter_size() + (k + p) / per_group * channels + j;
        for (std::int64_t c = 0; c < columns; ++c) to[(c / width * depth + p) * width + c % width] = from[c];
      }
    };
    compute_block<T>(block, p_.k, blocking_, pack_a, pack_b, panels);
  }

  // filter (filters × (tap, channel)) = resultᵀ · patches of the image
  void backward_filter(const Data& d, std::int64_t group, ResultBlock<T> block, T* panels) const {
    const std::int64_t first = group * s_.filters_per_group();
    const Patches<T> patches(s_, d.image, group, false);
    const T* result = d.result + first;
    block.row_stride = filter_size();
    block.data = d.filter + (first + block.row) * filter_size() + block.column;
    const auto pack_a = [&](std::int64_t o, std::int64_t rows, std::int64_t k, std::int64_t depth, T* to) {
      pack_strided<T, tile_rows>(result + o + k * s_.filters, 1, s_.filters, rows, depth, to);
    };
    const auto pack_b = [&](std::int64_t j, std::int64_t columns, std::int64_t k, std::int64_t depth, T* to) {
      pack_columns<tile_columns<T>>(patches, j, columns, k, depth, to);
    };
    compute_block<T>(block, p_.k, blocking_, pack_a, pack_b, panels);
  }

  const lks_host_api& api_;
  const ConvShape s_;
  const ConvPass pass_;
  const ProductShape p_;
  const Blocking blocking_;
};

template <class T>
void make_of_type(const KernelRequest& request, Out out, const ConvShape& shape, ConvPass pass) {
  const std::int64_t threads = request.api.thread_count(request.api.host);
  if (DepthwiseKernel<T>::serves(shape)) {
    request.info.workspace_bytes = DepthwiseKernel<T>::workspace_bytes(shape);
    host::emplace<DepthwiseKernel<T>>(request, out, request.api, shape, pass);
    return;
  }
  const ProductShape p = product_shape(shape, pass);
  const Blocking blocking = Blocking::choose<T>(p.m, p.n, p.k, shape.groups, threads);
  request.info.workspace_bytes = blocking.workspace_bytes<T>();
  host::emplace<ConvKernel<T>>(request, out, request.api, shape, pass, blocking);
}

lks_status make(const KernelRequest& request, Out out, ConvPass pass) {
  ConvShape shape;
  if (const lks_status status = read_conv(request, pass, {LKS_F32, LKS_F64}, shape); status != LKS_OK) return status;
  if (request.input(0).dtype == LKS_F64) {
    make_of_type<double>(request, out, shape, pass);
  } else {
    make_of_type<float>(request, out, shape, pass);
  }
  depend_on_dense_extents(request);
  return LKS_OK;
}

}  // namespace

lks_status make_conv2d(const KernelRequest& request, Out out) { return make(request, out, ConvPass::forward); }
lks_status make_conv2d_backward_input(const KernelRequest& request, Out out) {
  return make(request, out, ConvPass::backward_input);
}
lks_status make_conv2d_backward_filter(const KernelRequest& request, Out out) {
  return make(request, out, ConvPass::backward_filter);
}

}  // namespace cpu
