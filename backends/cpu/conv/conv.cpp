// The driver's own convolution, for lockstep mode, for f64, and if oneDNN refuses or is missing. It is one matrix
// product per group, whose left or right operand is packed from patches on the fly. Padding is packed as zeros, which
// do not change a sum. If these zeros would be multiplied by an infinity or NaN, skip_padding.h computes the sums
// instead.
#include "backends/cpu/conv/depthwise.h"
#include "backends/cpu/conv/patches.h"
#include "backends/cpu/conv/skip_padding.h"
#include "backends/cpu/linalg/blocked_product.h"
#include "backends/cpu/lockstep.h"

namespace cpu {
namespace {

// The matrix product that a pass computes for one group.
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

/// The workspace of a launch: the panels that each thread packs, and the filter of all groups, packed once.
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
        map_(shape, pass == ConvPass::backward_input),
        classes_(pass == ConvPass::backward_filter ? std::vector<PatchClass>{} : patch_classes(map_, p_.k)) {}

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
    if (zeros_would_show(data)) return sum_skipping_padding(data);
    if (pass_ == ConvPass::backward_filter) {
      for_each_block(p_.m, workspace, [&](std::int64_t group, const ResultBlock<T>& block, T* panels) {
        sum_filter(data, group, block, panels);
      });
      return;
    }
    for (const PatchClass& pixels : classes_) {
      for_each_block(pixels_of(pixels), workspace, [&](std::int64_t group, const ResultBlock<T>& block, T* panels) {
        multiply_patches(data, group, pixels, block, panels);
      });
    }
  }

 private:
  struct Data {
    T *image, *filter, *result, *bias;
    T* packed_filter;
  };

  // Calls use(group, block, panels) for the blocks of an m × p_.n result, for all groups.
  template <class Use>
  void for_each_block(std::int64_t m, T* workspace, Use&& use) const {
    const std::int64_t across = pieces_of(p_.n, blocking_.columns), per_group = across * pieces_of(m, blocking_.rows);
    for_each_unit(api_, blocking_, per_group * s_.groups, workspace, [&](std::int64_t unit, T* panels) {
      const std::int64_t row = unit % per_group / across * blocking_.rows, column = unit % across * blocking_.columns;
      use(unit / per_group,
          ResultBlock<T>{nullptr, 0, 1, row, column, std::min(blocking_.rows, m - row),
                         std::min(blocking_.columns, p_.n - column)},
          panels);
    });
  }

  std::int64_t pixels_of(const PatchClass& pixels) const { return s_.batch * pixels.grid.per_image(); }
  std::int64_t filter_size() const { return s_.kernel_height * s_.kernel_width * s_.channels_per_group(); }

  // Whether the operand that the zeros of padding are multiplied with has an infinity or NaN.
  bool zeros_would_show(const Data& d) const {
    const std::int64_t padding = s_.before[0] + s_.before[1] + s_.after[0] + s_.after[1];
    if (pass_ == ConvPass::backward_filter) {
      return padding > 0 && !all_finite(api_, d.result, s_.batch * s_.out_height * s_.out_width * s_.filters);
    }
    // In the image's gradient, taps at the edges can meet no result even without padding.
    return (padding > 0 || pass_ == ConvPass::backward_input) &&
           !all_finite(api_, d.filter, s_.filters * filter_size());
  }

  // ------------------------------------------------------------------------------- forward and the image's gradient

  // The tensor that is computed, at the first channel of the group.
  T* computed(const Data& d, std::int64_t group) const {
    return pass_ == ConvPass::forward ? d.result + group * s_.filters_per_group()
                                      : d.image + group * s_.channels_per_group();
  }
  std::int64_t row_stride() const { return pass_ == ConvPass::forward ? s_.filters : s_.channels; }
  Patches<T> patches_met(const Data& d, std::int64_t group) const {
    return {map_, pass_ == ConvPass::forward ? d.image : d.result, group};
  }

  // Packs the filter as right operand, for every slice of every class of pixels. The order is slice, panel, step of k.
  void pack_filter(const Data& d) const {
    const std::int64_t padded = round_up(p_.n, tile_columns<T>), slices = pieces_of(p_.k, max_depth);
    const std::int64_t per_group = slices * static_cast<std::int64_t>(classes_.size());
    const double ns = static_cast<double>(padded * std::min(p_.k, max_depth)) * 0.5;
    parallel(api_, per_group * s_.groups, grain_for(ns), [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t unit = begin; unit < end; ++unit) {
        const std::int64_t group = unit / per_group, slice = unit % slices;
        const PatchClass& pixels = classes_[static_cast<std::size_t>(unit % per_group / slices)];
        const PatchSlice& s = pixels.slices[static_cast<std::size_t>(slice)];
        T* const to = d.packed_filter + group * workspace_.filter_of_group + s.offset * padded;
        const T* const filter = d.filter + group * s_.filters_per_group() * filter_size();
        if (pass_ == ConvPass::forward) {
          pack_strided<T, tile_columns<T>>(filter + slice * max_depth, filter_size(), 1, p_.n, s.depth, to);
        } else {
          pack_transposed_filter(filter, s, to);
        }
      }
    });
  }

  // Packs the transposed filter: rows are (tap, filter), columns are the tap's channels.
  void pack_transposed_filter(const T* filter, const PatchSlice& slice, T* to) const {
    constexpr std::int64_t width = tile_columns<T>;
    if (p_.n % width != 0) {
      std::memset(to, 0, static_cast<std::size_t>(round_up(p_.n, width) * slice.depth) * sizeof(T));
    }
    for (const PatchRun& run : slice.runs) {
      for (std::int64_t i = 0; i < run.count; ++i) {
        const T* from = filter + (run.channel + i) * filter_size() + (run.kh * s_.kernel_width + run.kw) * p_.n;
        for (std::int64_t c = 0; c < p_.n; c += width) {
          const std::int64_t count = std::min(width, p_.n - c);
          std::memcpy(to + c * slice.depth + (run.place + i) * width, from + c,
                      static_cast<std::size_t>(count) * sizeof(T));
        }
      }
    }
  }

  // Computes a block of pixels × columns: the patches that the pixels meet, times the filter.
  void multiply_patches(const Data& d, std::int64_t group, const PatchClass& pixels, ResultBlock<T> block,
                        T* panels) const {
    const Patches<T> patches = patches_met(d, group);
    const T* const filter = d.packed_filter + group * workspace_.filter_of_group;
    const std::int64_t padded = round_up(p_.n, tile_columns<T>);
    const auto slice_at = [&](std::int64_t k) -> const PatchSlice& {
      return pixels.slices[static_cast<std::size_t>(k / max_depth)];
    };
    // With several classes, the pixels of a block are not evenly spaced in the output. The block is computed in the
    // workspace and copied afterwards.
    const bool evenly = classes_.size() == 1;
    T* const out = computed(d, group) + block.column;
    block.row_stride = evenly ? row_stride() : block.columns;
    block.data = evenly ? out + block.row * row_stride()
                        : panels + blocking_.panel_elements<T>() - blocking_.rows * blocking_.columns;
    const auto pack_a = [&](std::int64_t row, std::int64_t rows, std::int64_t k, std::int64_t, T* to) {
      return pack_patch_rows(patches, pixels.grid, slice_at(k), row, rows, to);
    };
    const auto packed_b = [&](std::int64_t column, std::int64_t, std::int64_t k, std::int64_t, T*) -> const T* {
      return filter + slice_at(k).offset * padded + column * slice_at(k).depth;
    };
    compute_block<T, products>(block, p_.k, blocking_, pack_a, packed_b, panels);
    if (!evenly) spread(pixels.grid, block, out);
    if (d.bias) add_bias(block, d.bias + group * p_.n + block.column);
  }

  void spread(const PixelGrid& grid, const ResultBlock<T>& block, T* out) const {
    Pixel pixel(map_, grid, block.row);
    for (std::int64_t r = 0; r < block.rows; ++r, pixel.next()) {
      std::copy_n(block.data + r * block.row_stride, block.columns, out + pixel.number() * row_stride());
    }
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
      return PackedLeft<T>{{to, false}, depth};
    };
    const auto pack_b = [&](std::int64_t j, std::int64_t columns, std::int64_t k, std::int64_t depth, T* to) {
      return pack_patch_columns(patches, j, columns, k, depth, to);
    };
    compute_block<T, products>(block, p_.k, blocking_, pack_a, pack_b, panels);
  }

  // ---------------------------------------------------------------------------------- where padding must be left out

  void sum_skipping_padding(const Data& d) const {
    if (pass_ == ConvPass::backward_filter) return sum_filter_skipping_padding(d);
    const double ns = static_cast<double>(p_.k * round_up(p_.n, tile_columns<T>)) * 0.1;
    for (std::int64_t group = 0; group < s_.groups; ++group) {
      const Patches<T> patches = patches_met(d, group);
      T* const out = computed(d, group);
      for (const PatchClass& pixels : classes_) {
        parallel(api_, pixels_of(pixels), grain_for(ns), [&](std::int64_t begin, std::int64_t end) {
          multiply_patches_skipping_padding(patches, pixels, begin, end,
                                            d.packed_filter + group * workspace_.filter_of_group, p_.n, out,
                                            row_stride());
        });
      }
      if (d.bias) add_bias({out, row_stride(), 1, 0, 0, p_.m, p_.n}, d.bias + group * p_.n);
    }
  }

  void sum_filter_skipping_padding(const Data& d) const {
    constexpr std::int64_t width = tile_columns<T>;
    const std::int64_t channels = s_.channels_per_group(), runs = pieces_of(channels, width);
    const std::int64_t taps = s_.kernel_height * s_.kernel_width;
    parallel(api_, s_.filters * taps * runs, 1, [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t unit = begin; unit < end; ++unit) {
        const std::int64_t o = unit / runs / taps, tap = unit / runs % taps, first = unit % runs * width;
        const Patches<T> patches(map_, d.image, o / s_.filters_per_group());
        cpu::sum_filter_skipping_padding(patches, d.result + o, s_.filters, p_.k, tap, first,
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
  const std::vector<PatchClass> classes_;
};

template <class T, Products products>
void make_of_type(const KernelRequest& request, Out out, const ConvShape& shape, ConvPass pass) {
  const std::int64_t threads = request.api.thread_count(request.api.host);
  if (DepthwiseKernel<T>::serves(shape)) {
    request.info.workspace_bytes = DepthwiseKernel<T>::workspace_bytes(shape, pass);
    common::emplace<DepthwiseKernel<T>>(request, out, request.api, shape, pass);
    return;
  }
  const ProductShape p = product_shape(shape, pass);
  constexpr SliceOrder order = products == Products::separate ? SliceOrder::pairwise : SliceOrder::chain;
  const std::int64_t classes = pass == ConvPass::backward_input ? shape.stride[0] * shape.stride[1] : 1;
  Blocking blocking = Blocking::choose<T>(pieces_of(p.m, classes), p.n, p.k, shape.groups, threads, order);
  if (classes > 1) ++blocking.spare_parts;
  request.info.workspace_bytes = ConvWorkspace<T>(blocking, p, pass).bytes(shape.groups);
  common::emplace<ConvKernel<T, products>>(request, out, request.api, shape, pass, blocking);
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
