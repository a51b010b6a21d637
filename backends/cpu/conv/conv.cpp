// The driver's own convolution, for lockstep mode, for f64 and for builds without oneDNN: one matrix product for each
// group, whose left or right operand is packed from the image as it goes. Padding counts as zeros here, which change no
// sum; where they meet something that is not finite, the sums are made another way (careful.h).
#include "backends/cpu/conv/careful.h"
#include "backends/cpu/conv/depthwise.h"
#include "backends/cpu/conv/patches.h"
#include "backends/cpu/linalg/blocked_product.h"
#include "backends/cpu/lockstep.h"

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

/// Memory that a launch works in: what each thread packs, and the filter of all groups, packed once.
template <class T>
struct ConvWorkspace {
  std::int64_t panels, filter_of_group;

  ConvWorkspace(const Blocking& blocking, const ProductShape& p, ConvPass pass)
      : panels(round_up(blocking.panel_elements<T>() * blocking.threads, 64)),
        filter_of_group(pass == ConvPass::backward_filter ? 0 : round_up(p.n, tile_columns<T>) * p.k) {}
  std::uint64_t bytes(std::int64_t groups) const {
    return static_cast<std::uint64_t>(panels + filter_of_group * groups) * sizeof(T);
  }
};

template <class T, Products products>
class ConvKernel : public lks_kernel {
 public:
  ConvKernel(const lks_host_api& api, const ConvShape& shape, ConvPass pass, const Blocking& blocking)
      : api_(api),
        s_(shape),
        pass_(pass),
        p_(product_shape(shape, pass)),
        blocking_(blocking),
        workspace_(blocking, p_, pass),
        map_(shape, pass == ConvPass::backward_input) {}

  void run(const lks_launch& launch) const override {
    if (p_.m * p_.n == 0) return;
    const std::size_t output = dtypes.size() - 1;
    const ConvTensors at = conv_tensors(pass_, output);
    T* const workspace = reinterpret_cast<T*>(static_cast<char*>(launch.workspace->data) + launch.workspace_offset);
    const Data data{view(launch, at.image).template as<T>(), view(launch, at.filter).template as<T>(),
                    view(launch, at.result).template as<T>(),
                    output == 3 && launch.bindings[2].buffer ? view(launch, 2).template as<T>() : nullptr,
                    workspace + workspace_.panels};
    if (pass_ != ConvPass::backward_filter) pack_filter(data);
    if (zeros_would_show(data)) return sum_carefully(data);
    const std::int64_t across = pieces_of(p_.n, blocking_.columns),
                       per_group = across * pieces_of(p_.m, blocking_.rows);
    for_each_unit(api_, blocking_, per_group * s_.groups, workspace, [&](std::int64_t unit, T* panels) {
      const std::int64_t row = unit % per_group / across * blocking_.rows, column = unit % across * blocking_.columns;
      const ResultBlock<T> block{
          nullptr, 0, 1, row, column, std::min(blocking_.rows, p_.m - row), std::min(blocking_.columns, p_.n - column)};
      if (pass_ == ConvPass::backward_filter) return sum_filter(data, unit / per_group, block, panels);
      multiply_patches(data, unit / per_group, block, panels);
    });
  }

 private:
  struct Data {
    T *image, *filter, *result, *bias;
    T* packed_filter;
  };

  std::int64_t filter_size() const { return s_.kernel_height * s_.kernel_width * s_.channels_per_group(); }

  // Whether what padding's zeros are multiplied with holds something that does not give zero.
  bool zeros_would_show(const Data& d) const {
    const std::int64_t padding = s_.before[0] + s_.before[1] + s_.after[0] + s_.after[1];
    if (pass_ == ConvPass::backward_filter) {
      return padding > 0 && !all_finite(api_, d.result, s_.batch * s_.out_height * s_.out_width * s_.filters);
    }
    // At its edges the image always meets taps without a result.
    return (padding > 0 || pass_ == ConvPass::backward_input) &&
           !all_finite(api_, d.filter, s_.filters * filter_size());
  }

  // ------------------------------------------------------------------------------- forward and the image's gradient

  // What the pixels computed lie in, and where the group begins.
  T* computed(const Data& d, std::int64_t group) const {
    return pass_ == ConvPass::forward ? d.result + group * s_.filters_per_group()
                                      : d.image + group * s_.channels_per_group();
  }
  std::int64_t row_stride() const { return pass_ == ConvPass::forward ? s_.filters : s_.channels; }
  Patches<T> patches_met(const Data& d, std::int64_t group) const {
    return {map_, pass_ == ConvPass::forward ? d.image : d.result, group};
  }

  // The filter as right operand, for all slices of k, of which there are as many as of the block's: slice, panel, step.
  void pack_filter(const Data& d) const {
    const std::int64_t padded = round_up(p_.n, tile_columns<T>), slices = pieces_of(p_.k, most_depth);
    const double ns = static_cast<double>(padded * std::min(p_.k, most_depth)) * 0.5;
    parallel(api_, slices * s_.groups, grain_for(ns), [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t unit = begin; unit < end; ++unit) {
        const std::int64_t group = unit / slices, k = unit % slices * most_depth;
        pack_filter_slice(d, group, k, d.packed_filter + group * workspace_.filter_of_group + k * padded);
      }
    });
  }

  void pack_filter_slice(const Data& d, std::int64_t group, std::int64_t k, T* to) const {
    constexpr std::int64_t width = tile_columns<T>;
    const std::int64_t depth = std::min(most_depth, p_.k - k), per_group = s_.filters_per_group();
    const T* filter = d.filter + group * per_group * filter_size();
    if (pass_ == ConvPass::forward) {
      return pack_strided<T, tile_columns<T>>(filter + k, filter_size(), 1, p_.n, depth, to);
    }
    // Rows are (tap, filter), columns the tap's channels.
    if (p_.n % width != 0) std::memset(to, 0, static_cast<std::size_t>(round_up(p_.n, width) * depth) * sizeof(T));
    for (std::int64_t p = 0; p < depth; ++p) {
      const T* from = filter + (k + p) % per_group * filter_size() + (k + p) / per_group * p_.n;
      for (std::int64_t c = 0; c < p_.n; c += width) {
        const std::int64_t count = std::min(width, p_.n - c);
        std::memcpy(to + (c * depth) + p * width, from + c, static_cast<std::size_t>(count) * sizeof(T));
      }
    }
  }

  // Pixels × columns: patches of what they meet · the filter.
  void multiply_patches(const Data& d, std::int64_t group, ResultBlock<T> block, T* panels) const {
    const Patches<T> patches = patches_met(d, group);
    const T* const filter = d.packed_filter + group * workspace_.filter_of_group;
    const std::int64_t padded = round_up(p_.n, tile_columns<T>);
    block.row_stride = row_stride();
    block.data = computed(d, group) + block.row * block.row_stride + block.column;
    const auto pack_a = [&](std::int64_t row, std::int64_t rows, std::int64_t k, std::int64_t depth, T* to) {
      return pack_patch_rows(patches, row, rows, k, depth, to);
    };
    const auto packed_b = [&](std::int64_t column, std::int64_t, std::int64_t k, std::int64_t depth, T*) -> const T* {
      return filter + k * padded + column * depth;
    };
    compute_block<T, products>(block, p_.k, blocking_, pack_a, packed_b, panels);
    if (d.bias) add_bias(block, d.bias + group * p_.n + block.column);
  }

  static void add_bias(const ResultBlock<T>& block, const T* bias) {
    for (std::int64_t r = 0; r < block.rows; ++r) {
      for (std::int64_t c = 0; c < block.columns; ++c) block.data[r * block.row_stride + c] += bias[c];
    }
  }

  // ------------------------------------------------------------------------------------------ the filter's gradient

  // filter (filters × (tap, channel)) = resultᵀ · patches of the image
  void sum_filter(const Data& d, std::int64_t group, ResultBlock<T> block, T* panels) const {
    const std::int64_t first = group * s_.filters_per_group();
    const Patches<T> patches(map_, d.image, group);
    const T* result = d.result + first;
    block.row_stride = filter_size();
    block.data = d.filter + (first + block.row) * filter_size() + block.column;
    const auto pack_a = [&](std::int64_t o, std::int64_t rows, std::int64_t k, std::int64_t depth, T* to) {
      pack_strided<T, tile_rows>(result + o + k * s_.filters, 1, s_.filters, rows, depth, to);
      return LeftPanels<T>{to, false};
    };
    const auto pack_b = [&](std::int64_t j, std::int64_t columns, std::int64_t k, std::int64_t depth, T* to) {
      return pack_patch_columns(patches, j, columns, k, depth, to);
    };
    compute_block<T, products>(block, p_.k, blocking_, pack_a, pack_b, panels);
  }

  // ---------------------------------------------------------------------------------- where padding must be left out

  void sum_carefully(const Data& d) const {
    if (pass_ == ConvPass::backward_filter) return sum_filter_carefully(d);
    const double ns = static_cast<double>(p_.k * round_up(p_.n, tile_columns<T>)) * 0.1;
    for (std::int64_t group = 0; group < s_.groups; ++group) {
      const Patches<T> patches = patches_met(d, group);
      T* const out = computed(d, group);
      parallel(api_, p_.m, grain_for(ns), [&](std::int64_t begin, std::int64_t end) {
        multiply_patches_carefully(patches, begin, end, d.packed_filter + group * workspace_.filter_of_group, p_.k,
                                   p_.n, out, row_stride());
        if (d.bias) {
          add_bias({out + begin * row_stride(), row_stride(), 1, 0, 0, end - begin, p_.n}, d.bias + group * p_.n);
        }
      });
    }
  }

  void sum_filter_carefully(const Data& d) const {
    constexpr std::int64_t width = tile_columns<T>;
    const std::int64_t channels = s_.channels_per_group(), runs = pieces_of(channels, width);
    const std::int64_t taps = s_.kernel_height * s_.kernel_width;
    parallel(api_, s_.filters * taps * runs, 1, [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t unit = begin; unit < end; ++unit) {
        const std::int64_t o = unit / runs / taps, tap = unit / runs % taps, first = unit % runs * width;
        const Patches<T> patches(map_, d.image, o / s_.filters_per_group());
        cpu::sum_filter_carefully(patches, d.result + o, s_.filters, p_.k, tap, first,
                                  static_cast<int>(std::min(width, channels - first)),
                                  d.filter + o * filter_size() + tap * channels + first);
      }
    });
  }

  const lks_host_api& api_;
  const ConvShape s_;
  const ConvPass pass_;
  const ProductShape p_;
  const Blocking blocking_;
  const ConvWorkspace<T> workspace_;
  const PatchMap map_;
};

template <class T, Products products>
void make_of_type(const KernelRequest& request, Out out, const ConvShape& shape, ConvPass pass) {
  const std::int64_t threads = request.api.thread_count(request.api.host);
  if (DepthwiseKernel<T>::serves(shape)) {
    request.info.workspace_bytes = DepthwiseKernel<T>::workspace_bytes(shape);
    host::emplace<DepthwiseKernel<T>>(request, out, request.api, shape, pass);
    return;
  }
  const ProductShape p = product_shape(shape, pass);
  constexpr SliceOrder order = products == Products::separate ? SliceOrder::pairwise : SliceOrder::chain;
  Blocking blocking = Blocking::choose<T>(p.m, p.n, p.k, shape.groups, threads, order);
  request.info.workspace_bytes = ConvWorkspace<T>(blocking, p, pass).bytes(shape.groups);
  host::emplace<ConvKernel<T, products>>(request, out, request.api, shape, pass, blocking);
}

template <Products products>
lks_status make(const KernelRequest& request, Out out, ConvPass pass) {
  if (products == Products::separate) {
    if (const lks_status status = require_lockstep(request); status != LKS_OK) return status;
  }
  ConvShape shape;
  if (const lks_status status = read_conv(request, pass, {LKS_F32, LKS_F64}, shape); status != LKS_OK) return status;
  if (request.input(0).dtype == LKS_F64) {
    make_of_type<double, products>(request, out, shape, pass);
  } else {
    make_of_type<float, products>(request, out, shape, pass);
  }
  if (products == Products::separate) declare_lockstep(request);
  depend_on_dense_extents(request);
  return LKS_OK;
}

}  // namespace

lks_status make_conv2d(const KernelRequest& request, Out out) {
  return make<Products::fused>(request, out, ConvPass::forward);
}
lks_status make_conv2d_backward_input(const KernelRequest& request, Out out) {
  return make<Products::fused>(request, out, ConvPass::backward_input);
}
lks_status make_conv2d_backward_filter(const KernelRequest& request, Out out) {
  return make<Products::fused>(request, out, ConvPass::backward_filter);
}
lks_status make_conv2d_lockstep(const KernelRequest& request, Out out) {
  return make<Products::separate>(request, out, ConvPass::forward);
}
lks_status make_conv2d_backward_input_lockstep(const KernelRequest& request, Out out) {
  return make<Products::separate>(request, out, ConvPass::backward_input);
}
lks_status make_conv2d_backward_filter_lockstep(const KernelRequest& request, Out out) {
  return make<Products::separate>(request, out, ConvPass::backward_filter);
}

}  // namespace cpu
