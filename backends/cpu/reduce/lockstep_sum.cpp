// sum and mean in lockstep mode. The order of additions depends only on the positions of elements in the tensor's
// logical order, never on its layout, the number of threads or how the work is split.
#include <algorithm>

#include "backends/cpu/kernels.h"
#include "backends/cpu/parallel.h"
#include "backends/cpu/reduce/lane_sum.h"
#include "backends/cpu/reduce/nest.h"

namespace cpu {
namespace {

constexpr double ns_per_element = 0.15;
constexpr std::int64_t max_partials = 4096;       // on the stack of the launching thread
constexpr std::int64_t min_split_work = 1 << 15;  // elements: smaller sums are not split
constexpr std::int64_t wanted_units = 64;         // to split large sums into, enough for many threads

/// Stores sums, divided if they are means.
template <class T>
struct SumTarget {
  T* out;
  std::int64_t divisor;  // the number of terms
  bool is_mean;

  void store(std::int64_t at, T total) const { out[at] = is_mean ? total / static_cast<T>(divisor) : total; }
};

/// How the chunks of each output are split: into subtrees of 2^n chunks, so that the tree over subtrees is the tree
/// over chunks.
struct ChunkSplit {
  std::int64_t chunks, chunks_each, parts;

  ChunkSplit(std::int64_t terms, std::int64_t outputs, std::int64_t units)
      : chunks(std::max<std::int64_t>(1, (terms + lane_chunk - 1) / lane_chunk)), chunks_each(1) {
    const bool worth = terms * outputs >= min_split_work;
    while (chunks_each < chunks && (!worth || count() * units > 2 * wanted_units || count() * outputs > max_partials)) {
      chunks_each *= 2;
    }
    parts = count();
  }
  std::int64_t first(std::int64_t part) const { return part * chunks_each; }
  std::int64_t end(std::int64_t part) const { return std::min(chunks, (part + 1) * chunks_each); }

 private:
  std::int64_t count() const { return (chunks + chunks_each - 1) / chunks_each; }
};

/// Sums along a dimension in which the input is contiguous: each output has its own terms.
template <class T>
class RowSum {
 public:
  RowSum(const ReductionNests& nests, const T* in, SumTarget<T> target)
      : kept_(nests.kept),
        runs_(nests.reduced),
        run_(runs_.take_inner()),
        in_(in),
        target_(target),
        terms_(runs_.count() * run_.extent),
        split_(terms_, kept_.count(), kept_.count()) {}

  void run(const lks_host_api& api) const {
    const std::int64_t outputs = kept_.count();
    const double ns = 10 + ns_per_element * static_cast<double>(terms_) / static_cast<double>(split_.parts);
    if (split_.parts == 1) {
      parallel(api, outputs, grain_for(ns), [&](std::int64_t begin, std::int64_t end) {
        for (std::int64_t o = begin; o < end; ++o) {
          const Nest::Offsets at = kept_.offsets(o);
          target_.store(at.out, sum_part(in_ + at.in, 0));
        }
      });
      return;
    }
    T partials[max_partials];
    parallel(api, outputs * split_.parts, grain_for(ns), [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t u = begin; u < end; ++u) {
        partials[u] = sum_part(in_ + kept_.offsets(u / split_.parts).in, u % split_.parts);
      }
    });
    for (std::int64_t o = 0; o < outputs; ++o) {
      PairwiseRuns<T, 1> tree;
      for (std::int64_t part = 0; part < split_.parts; ++part) tree.add(partials + o * split_.parts + part);
      target_.store(kept_.offsets(o).out, *tree.total());
    }
  }

 private:
  T sum_part(const T* x, std::int64_t part) const {
    if (split_.chunks == 1) return chunk(x, 0);
    PairwiseRuns<T, 1> tree;
    for (std::int64_t c = split_.first(part); c < split_.end(part); ++c) {
      const T partial = chunk(x, c * lane_chunk);
      tree.add(&partial);
    }
    return *tree.total();
  }

  // The sum of the chunk of terms from `position` on.
  T chunk(const T* x, std::int64_t position) const {
    const std::int64_t n = std::min(lane_chunk, terms_ - position);
    if (n == 0) return 0;
    std::int64_t run = position / run_.extent, within = position % run_.extent;
    if (run_.in == 1 && within + n <= run_.extent) return lane_sum(x + runs_.offsets(run).in + within, n);
    T terms[lane_chunk];
    for (std::int64_t i = 0; i < n; ++run, within = 0) {
      const std::int64_t count = std::min(run_.extent - within, n - i);
      const T* from = x + runs_.offsets(run).in + within * run_.in;
      for (std::int64_t k = 0; k < count; ++k) terms[i + k] = from[k * run_.in];
      i += count;
    }
    return lane_sum(terms, n);
  }

  Nest kept_, runs_;
  Nest::Inner run_;
  const T* in_;
  SumTarget<T> target_;
  std::int64_t terms_;
  ChunkSplit split_;
};

/// Sums across the contiguous dimension: adjacent outputs share the input's rows, which are assigned to lanes.
template <class T>
class ColumnSum {
 public:
  ColumnSum(const ReductionNests& nests, const T* in, SumTarget<T> target)
      : kept_(nests.kept),
        columns_(kept_.take_inner()),
        row_nest_(nests.reduced),
        rows_(row_nest_.take_inner()),
        in_(in),
        target_(target),
        row_count_(row_nest_.count() * rows_.extent),
        blocks_((columns_.extent + block - 1) / block),
        split_(row_count_, kept_.count() * columns_.extent, kept_.count() * blocks_) {}

  void run(const lks_host_api& api) const {
    const std::int64_t width = std::min<std::int64_t>(block, columns_.extent);
    const double ns = 50 + ns_per_element * static_cast<double>(row_count_ * width) / static_cast<double>(split_.parts);
    T partials[max_partials];
    parallel(api, kept_.count() * blocks_ * split_.parts, grain_for(ns), [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t u = begin; u < end; ++u) unit(u, partials);
    });
    if (split_.parts > 1) join_parts(partials);
  }

 private:
  static constexpr int block = 1024 / sizeof(T);  // columns at a time: their lanes fill a 32 KiB L1 cache
  using Tree = PairwiseRuns<T, block>;

  void unit(std::int64_t u, T* partials) const {
    const std::int64_t part = u % split_.parts, first = u / split_.parts % blocks_ * block,
                       outer = u / split_.parts / blocks_;
    const std::int64_t width = std::min<std::int64_t>(block, columns_.extent - first);
    const Nest::Offsets at = kept_.offsets(outer);
    T lanes[sum_lanes * block];
    const auto sum_chunk = [&](std::int64_t c) {
      const std::int64_t row = c * lane_chunk, end = std::min(row + lane_chunk, row_count_);
      const std::int64_t used = std::clamp<std::int64_t>(end - row, 1, sum_lanes);
      std::fill_n(lanes, used * width, T{0});
      deal_rows(lanes, in_ + at.in + first * columns_.in, width, row, end);
      halve_lanes(lanes, used, width);
    };
    const T* sums = lanes;
    Tree tree(static_cast<int>(width));
    if (split_.end(part) - split_.first(part) == 1) {
      sum_chunk(split_.first(part));
    } else {
      for (std::int64_t c = split_.first(part); c < split_.end(part); ++c) {
        sum_chunk(c);
        tree.add(lanes);
      }
      sums = tree.total();
    }
    if (split_.parts > 1) {
      std::copy_n(sums, width, partials + (outer * split_.parts + part) * columns_.extent + first);
    } else {
      store(at.out + first * columns_.out, sums, width);
    }
  }

  void store(std::int64_t to, const T* sums, std::int64_t width) const {
    for (std::int64_t j = 0; j < width; ++j) target_.store(to + j * columns_.out, sums[j]);
  }

  // Adds rows [row, end), numbered through the whole nest. Row r belongs to lane r mod 32.
  void deal_rows(T* lanes, const T* x, std::int64_t width, std::int64_t row, std::int64_t end) const {
    while (row < end) {
      const std::int64_t inner = row % rows_.extent, lane = row % sum_lanes;
      std::int64_t n = std::min(end - row, rows_.extent - inner);
      const T* from = x + row_nest_.offsets(row / rows_.extent).in + inner * rows_.in;
      if (columns_.in == 1 && rows_.in == width) {
        // Rows without gaps: as many as there are lanes left form one run.
        n = std::min(n, sum_lanes - lane);
        add_run(lanes + lane * width, from, n * width);
      } else {
        add_rows(lanes, from, lane, n, width);
      }
      row += n;
    }
  }

  static void add_run(T* sums, const T* from, std::int64_t n) {
#pragma GCC ivdep
    for (std::int64_t i = 0; i < n; ++i) sums[i] = sums[i] + from[i];
  }

  void add_rows(T* lanes, const T* from, std::int64_t lane, std::int64_t n, std::int64_t width) const {
    for (std::int64_t r = 0; r < n; ++r, ++lane, from += rows_.in) {
      T* const sums = lanes + lane % sum_lanes * width;
      if (columns_.in == 1) {
        add_run(sums, from, width);
      } else {
#pragma GCC ivdep
        for (std::int64_t j = 0; j < width; ++j) sums[j] = sums[j] + from[j * columns_.in];
      }
    }
  }

  void join_parts(const T* partials) const {
    for (std::int64_t outer = 0; outer < kept_.count(); ++outer) {
      for (std::int64_t first = 0; first < columns_.extent; first += block) {
        const std::int64_t width = std::min<std::int64_t>(block, columns_.extent - first);
        Tree tree(static_cast<int>(width));
        for (std::int64_t part = 0; part < split_.parts; ++part) {
          tree.add(partials + (outer * split_.parts + part) * columns_.extent + first);
        }
        store(kept_.offsets(outer).out + first * columns_.out, tree.total(), width);
      }
    }
  }

  Nest kept_;
  Nest::Inner columns_;
  Nest row_nest_;
  Nest::Inner rows_;
  const T* in_;
  SumTarget<T> target_;
  std::int64_t row_count_, blocks_;
  ChunkSplit split_;
};

class LockstepSumKernel : public lks_kernel {
 public:
  LockstepSumKernel(const lks_host_api& api, const lks_reduce_attrs& attrs, bool mean)
      : api_(api), attrs_(attrs), mean_(mean) {}

  void run(const lks_launch& launch) const override {
    const host::TensorView in = view(launch, 0), out = view(launch, 1);
    if (out.count() == 0) return;
    if (in.dtype == LKS_F64) {
      run_type<double>(in, out);
    } else {
      run_type<float>(in, out);
    }
  }

 private:
  template <class T>
  void run_type(const host::TensorView& in, const host::TensorView& out) const {
    const ReductionNests nests(in, out, attrs_.axes, attrs_.keep != 0, ReductionNests::Order::logical);
    const SumTarget<T> target{out.as<T>(), nests.reduced.count(), mean_};
    if (nests.along_rows()) {
      RowSum<T>(nests, in.as<T>(), target).run(api_);
    } else {
      ColumnSum<T>(nests, in.as<T>(), target).run(api_);
    }
  }

  const lks_host_api& api_;
  lks_reduce_attrs attrs_;
  bool mean_;
};

lks_status make(const KernelRequest& request, Out out, bool mean) {
  if (const lks_status s = require_lockstep(request); s != LKS_OK) return s;
  if (const lks_status s = common::require_dtypes(request, {LKS_F32, LKS_F64}); s != LKS_OK) return s;
  declare_lockstep(request);
  common::emplace<LockstepSumKernel>(request, out, request.api, request.attrs<lks_reduce_attrs>(), mean);
  return LKS_OK;
}

}  // namespace

lks_status make_sum_lockstep(const KernelRequest& request, Out out) { return make(request, out, false); }
lks_status make_mean_lockstep(const KernelRequest& request, Out out) { return make(request, out, true); }

}  // namespace cpu
