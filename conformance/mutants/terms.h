// Sums and matrix products that pass their terms to a function, so that a fault can add them in its own way.
#pragma once

#include <algorithm>
#include <utility>
#include <vector>

#include "conformance/mutants/rebound.h"

namespace mutants {

using Terms = const std::vector<float>&;

/// Computes each output of an f32 sum as f(its terms, in row-major order). Other dtypes use the correct kernel.
template <class F>
void sum_by(const Call& call, F&& f) {
  const host::TensorView in = call.view(0), out = call.view(1);
  if (in.dtype != LKS_F32) return call.run();
  const auto& attrs = call.desc.attributes<lks_reduce_attrs>();
  std::int64_t kept_dims[LKS_MAX_RANK], kept_in[LKS_MAX_RANK], kept_out[LKS_MAX_RANK];
  std::int64_t dims[LKS_MAX_RANK], strides[LKS_MAX_RANK];
  int kept = 0, reduced = 0, o = 0;
  for (int d = 0; d < in.rank; ++d) {
    if (std::count(attrs.axes.values, attrs.axes.values + attrs.axes.count, d)) {
      dims[reduced] = in.dims[d];
      strides[reduced++] = in.strides[d];
      o += attrs.keep != 0;
    } else {
      kept_dims[kept] = in.dims[d];
      kept_in[kept] = in.strides[d];
      kept_out[kept++] = out.strides[o++];
    }
  }
  reference::Walk outer(kept, kept_dims);
  outer.add(kept_in);
  outer.add(kept_out);
  std::vector<float> terms;
  for (; !outer.done(); outer.next()) {
    terms.clear();
    reference::Walk inner(reduced, dims);
    inner.add(strides);
    for (; !inner.done(); inner.next()) terms.push_back(in.as<float>()[outer.offset(0) + inner.offset(0)]);
    out.as<float>()[outer.offset(1)] = f(std::as_const(terms));
  }
}

/// Computes each element of an f32 matmul as f(old value of the output, row of a, column of b). Other dtypes use the
/// correct kernel.
template <class F>
void matmul_by(const Call& call, F&& f) {
  const host::TensorView a = call.view(0), b = call.view(1), c = call.view(2);
  if (a.dtype != LKS_F32) return call.run();
  const int row = c.rank - 2, column = c.rank - 1;
  std::int64_t a_strides[LKS_MAX_RANK], b_strides[LKS_MAX_RANK];
  for (int d = 0; d < c.rank; ++d) {
    a_strides[d] = d == column ? 0 : a.strides[d];
    b_strides[d] = d == row ? 0 : b.strides[d];
  }
  reference::Walk walk(c.rank, c.dims);
  walk.add(c.strides);
  walk.add(a_strides);
  walk.add(b_strides);
  const auto inner = static_cast<std::size_t>(a.dims[column]);
  std::vector<float> left(inner), right(inner);
  for (; !walk.done(); walk.next()) {
    for (std::size_t k = 0; k < inner; ++k) {
      left[k] = a.as<float>()[walk.offset(1) + static_cast<std::int64_t>(k) * a.strides[column]];
      right[k] = b.as<float>()[walk.offset(2) + static_cast<std::int64_t>(k) * b.strides[row]];
    }
    c.as<float>()[walk.offset(0)] = f(c.as<float>()[walk.offset(0)], std::as_const(left), std::as_const(right));
  }
}

/// The extents of a matmul: m x k times k x n.
struct Product {
  std::int64_t m, n, k;
  int rank;
  lks_dtype dtype;
  explicit Product(const Call& call) {
    const host::TensorView a = call.view(0), c = call.view(2);
    m = c.dims[c.rank - 2], n = c.dims[c.rank - 1], k = a.dims[a.rank - 1];
    rank = c.rank;
    dtype = c.dtype;
  }
  bool is_large(std::int64_t least) const { return m >= least && n >= least && k >= least; }
};

/// Runs a matmul with the first `count` products of each sum.
inline void first_products(const Call& call, std::int64_t count) {
  Rebound r(call);
  r.dim(0, r.rank(0) - 1) = r.dim(1, r.rank(1) - 2) = count;
  r.run();
}

}  // namespace mutants
