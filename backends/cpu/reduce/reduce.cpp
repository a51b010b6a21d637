// sum, mean, max and min over any axes. How the work is split into pieces, and the order in which these are joined,
// depend on the shape and the layout, never on the number of threads: results are the same on any machine.
#include <algorithm>

#include "backends/cpu/kernels.h"
#include "backends/cpu/parallel.h"
#include "backends/cpu/reduce/accumulate.h"
#include "backends/cpu/reduce/combine.h"
#include "backends/cpu/reduce/nest.h"

namespace cpu {
namespace {

constexpr double ns_per_element = 0.15;
constexpr std::int64_t max_partials = 4096;     // on the stack of the launching thread
constexpr std::int64_t min_cut_work = 1 << 15;  // elements: smaller reductions are not split
constexpr std::int64_t wanted_units = 64;       // to split large reductions into, enough for many threads

/// Converts finished accumulators to elements and stores them.
template <class R, class T>
struct Target {
  T* out;
  double divisor;  // of a mean; 0: none

  void store(std::int64_t at, typename R::Acc total) const {
    const T value = R::finish(total);
    if constexpr (std::is_floating_point_v<T>) {
      out[at] = divisor != 0 ? value / static_cast<T>(divisor) : value;
    } else {
      out[at] = value;
    }
  }
};

/// Reductions along the dimension in which the input is contiguous: each output has its own runs.
template <class R, class T>
class RowReduction {
 public:
  using Acc = typename R::Acc;

  RowReduction(const ReductionNests& nests, const T* in, Target<R, T> target)
      : kept_(nests.kept), runs_(nests.reduced), run_(runs_.take_inner()), in_(in), target_(target) {
    outputs_ = kept_.count();
    per_run_ = (run_.extent + run_piece - 1) / run_piece;
    pieces_ = runs_.count() * per_run_;
    const std::int64_t work = outputs_ * pieces_ * std::min(run_.extent, run_piece);
    if (work >= min_cut_work) cuts_ = std::min(wanted_units / std::min(outputs_, wanted_units), pieces_);
    cuts_ = std::max<std::int64_t>(1, cuts_);
    ns_per_output_ = 5 + ns_per_element * static_cast<double>(runs_.count() * run_.extent);
  }

  void run(const lks_host_api& api) const {
    if (cuts_ == 1) {
      parallel(api, outputs_, grain_for(ns_per_output_), [&](std::int64_t begin, std::int64_t end) {
        for (std::int64_t o = begin; o < end; ++o) {
          const Nest::Offsets at = kept_.offsets(o);
          target_.store(at.out, part(in_ + at.in, 0, pieces_));
        }
      });
      return;
    }
    Acc partials[2 * wanted_units];
    parallel(api, outputs_ * cuts_, grain_for(ns_per_output_ / static_cast<double>(cuts_)),
             [&](std::int64_t begin, std::int64_t end) {
               for (std::int64_t u = begin; u < end; ++u) {
                 const std::int64_t cut = u % cuts_;
                 const T* x = in_ + kept_.offsets(u / cuts_).in;
                 partials[u] = part(x, pieces_ * cut / cuts_, pieces_ * (cut + 1) / cuts_);
               }
             });
    for (std::int64_t o = 0; o < outputs_; ++o) {
      Tree<R> tree;
      for (std::int64_t cut = 0; cut < cuts_; ++cut) tree.add(partials[o * cuts_ + cut]);
      target_.store(kept_.offsets(o).out, tree.total());
    }
  }

 private:
  static constexpr std::int64_t run_piece = 4096;  // lanes add up this many elements before they are joined

  Acc part(const T* x, std::int64_t first, std::int64_t end) const {
    if (end - first == 1 && pieces_ == 1) return accumulate_run<R>(x, run_.extent, run_.in);
    Tree<R> tree;
    for (std::int64_t p = first; p < end; ++p) {
      const std::int64_t begin = p % per_run_ * run_piece;
      const T* piece = x + runs_.offsets(p / per_run_).in + begin * run_.in;
      tree.add(accumulate_run<R>(piece, std::min(run_piece, run_.extent - begin), run_.in));
    }
    return tree.total();
  }

  Nest kept_, runs_;
  Nest::Inner run_;
  const T* in_;
  Target<R, T> target_;
  std::int64_t outputs_, per_run_, pieces_, cuts_ = 1;
  double ns_per_output_;
};

/// Reductions across the contiguous dimension: adjacent outputs share the input's rows.
template <class R, class T>
class ColumnReduction {
 public:
  using Acc = typename R::Acc;

  ColumnReduction(const ReductionNests& nests, const T* in, Target<R, T> target)
      : kept_(nests.kept),
        columns_(kept_.take_inner()),
        row_nest_(nests.reduced),
        rows_(row_nest_.take_inner()),
        in_(in),
        target_(target) {
    row_count_ = row_nest_.count() * rows_.extent;
    // If there are few columns and no gaps between rows, several rows count as one long row.
    const bool on_end = columns_.in == 1 && rows_.in == columns_.extent;
    if (on_end && columns_.extent <= block / 4) fold_ = std::max<std::int64_t>(1, block / 2 / columns_.extent);
    blocks_ = (columns_.extent + block - 1) / block;
    const std::int64_t kept = kept_.count() * columns_.extent, units = kept_.count() * blocks_;
    if (kept * row_count_ >= min_cut_work && units < wanted_units) {
      cuts_ = std::min({wanted_units / units, max_partials / kept, row_count_ / (64 * fold_)});
    }
    cuts_ = std::max<std::int64_t>(1, cuts_);
  }

  void run(const lks_host_api& api) const {
    const std::int64_t units = kept_.count() * blocks_ * cuts_;
    const std::int64_t width = std::min(block, columns_.extent);
    const double ns_per_unit =
        20 + ns_per_element * static_cast<double>(row_count_ * width) / static_cast<double>(cuts_);
    Acc partials[max_partials];
    parallel(api, units, grain_for(ns_per_unit), [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t u = begin; u < end; ++u) unit(u, partials);
    });
    if (cuts_ > 1) join_cuts(partials);
  }

 private:
  static constexpr std::int64_t block = 512;  // columns at a time
  static constexpr std::int64_t batch = 128;  // rows joined with each other before they are joined to the total

  void unit(std::int64_t u, Acc* partials) const {
    const std::int64_t cut = u % cuts_, first_column = u / cuts_ % blocks_ * block, outer = u / cuts_ / blocks_;
    const std::int64_t width = std::min(block, columns_.extent - first_column);
    const Nest::Offsets at = kept_.offsets(outer);
    Acc total[block];
    std::fill_n(total, width * fold_, R::empty);
    add_rows(total, in_ + at.in + first_column * columns_.in, width, row_count_ * cut / cuts_,
             row_count_ * (cut + 1) / cuts_);
    for (std::int64_t j = width; j < width * fold_; ++j) total[j % width] = R::join(total[j % width], total[j]);
    if (cuts_ > 1) {
      std::copy_n(total, width, partials + (outer * cuts_ + cut) * columns_.extent + first_column);
      return;
    }
    const std::int64_t to = at.out + first_column * columns_.out;
    for (std::int64_t j = 0; j < width; ++j) target_.store(to + j * columns_.out, total[j]);
  }

  // Adds rows [row, end), numbered through the whole nest.
  void add_rows(Acc* total, const T* x, std::int64_t width, std::int64_t row, std::int64_t end) const {
    Acc acc[block];
    while (row < end) {
      const std::int64_t inner = row % rows_.extent;
      const std::int64_t n = std::min({end - row, rows_.extent - inner, batch * fold_});
      const T* from = x + row_nest_.offsets(row / rows_.extent).in + inner * rows_.in;
      std::fill_n(acc, width * fold_, R::empty);
      if (columns_.in == 1) {
        const std::int64_t whole = n / fold_, rest = n % fold_;
        accumulate_rows<R>(acc, from, whole, rows_.in * fold_, width * fold_);
        accumulate_rows<R>(acc, from + whole * fold_ * rows_.in, rest, rows_.in, width);
      } else {
        accumulate_spread_rows<R>(acc, from, n, rows_.in, width, columns_.in);
      }
      for (std::int64_t j = 0; j < width * fold_; ++j) total[j] = R::join(total[j], acc[j]);
      row += n;
    }
  }

  void join_cuts(const Acc* partials) const {
    for (std::int64_t outer = 0; outer < kept_.count(); ++outer) {
      const std::int64_t to = kept_.offsets(outer).out;
      for (std::int64_t j = 0; j < columns_.extent; ++j) {
        Tree<R> tree;
        for (std::int64_t cut = 0; cut < cuts_; ++cut) tree.add(partials[(outer * cuts_ + cut) * columns_.extent + j]);
        target_.store(to + j * columns_.out, tree.total());
      }
    }
  }

  Nest kept_;
  Nest::Inner columns_;
  Nest row_nest_;
  Nest::Inner rows_;
  const T* in_;
  Target<R, T> target_;
  std::int64_t row_count_, fold_ = 1, blocks_, cuts_ = 1;
};

template <template <class> class R>
class ReduceKernel : public lks_kernel {
 public:
  ReduceKernel(const lks_host_api& api, const lks_reduce_attrs& attrs, bool mean)
      : api_(api), attrs_(attrs), mean_(mean) {}

  void run(const lks_launch& launch) const override {
    const host::TensorView in = view(launch, 0), out = view(launch, 1);
    if (out.count() == 0) return;
    const ReductionNests nests(in, out, attrs_.axes, attrs_.keep != 0);
    const double divisor = mean_ ? static_cast<double>(nests.reduced.count()) : 0;
    with_numeric(in.dtype, [&](auto zero) {
      using T = decltype(zero);
      const Target<R<T>, T> target{out.as<T>(), divisor};
      if (nests.along_rows()) {
        RowReduction<R<T>, T>(nests, in.as<T>(), target).run(api_);
      } else {
        ColumnReduction<R<T>, T>(nests, in.as<T>(), target).run(api_);
      }
    });
  }

 private:
  const lks_host_api& api_;
  lks_reduce_attrs attrs_;
  bool mean_;
};

lks_status make_total(const KernelRequest& request, Out out, bool mean) {
  if (const lks_status s = common::require_dtypes(request, {LKS_F32, LKS_F64, LKS_I32, LKS_I64}); s != LKS_OK) return s;
  request.info.accumulate_dtype = LKS_F64;
  request.info.order = LKS_ORDER_BLOCKED;
  request.info.determinism = LKS_DETERMINISM_RUN_TO_RUN;
  common::emplace<ReduceKernel<SumOf>>(request, out, request.api, request.attrs<lks_reduce_attrs>(), mean);
  return LKS_OK;
}

template <template <class> class R>
lks_status make_extreme(const KernelRequest& request, Out out) {
  if (const lks_status s = common::require_dtypes(request, {LKS_F32, LKS_F64, LKS_I32, LKS_I64}); s != LKS_OK) return s;
  common::emplace<ReduceKernel<R>>(request, out, request.api, request.attrs<lks_reduce_attrs>(), false);
  return LKS_OK;
}

}  // namespace

lks_status make_sum(const KernelRequest& request, Out out) { return make_total(request, out, false); }
lks_status make_mean(const KernelRequest& request, Out out) { return make_total(request, out, true); }
lks_status make_max(const KernelRequest& request, Out out) { return make_extreme<MaxOf>(request, out); }
lks_status make_min(const KernelRequest& request, Out out) { return make_extreme<MinOf>(request, out); }

}  // namespace cpu
