#include "backends/cpu/linalg/product.h"

namespace cpu {
namespace {

std::int64_t stride_of(const lks_tensor_desc& t, int d) { return t.dims[d] == 1 ? 0 : t.strides[d]; }

MatrixStrides strides_of(const lks_tensor_desc& t) { return {stride_of(t, t.rank - 2), stride_of(t, t.rank - 1), {}}; }

}  // namespace

std::int64_t Product::batch_count() const {
  std::int64_t count = 1;
  for (int d = 0; d < batch_rank; ++d) count *= batch[d];
  return count;
}

Product::Offsets Product::at(std::int64_t index) const {
  Offsets offsets{0, 0, 0};
  for (int d = batch_rank - 1; d >= 0; --d) {
    const std::int64_t i = index % batch[d];
    index /= batch[d];
    offsets.a += i * a.batch[d];
    offsets.b += i * b.batch[d];
    offsets.c += i * c.batch[d];
  }
  return offsets;
}

Product product_of(const lks_tensor_desc& a, const lks_tensor_desc& b, const lks_tensor_desc& c) {
  Product p{c.dims[c.rank - 2], c.dims[c.rank - 1], a.dims[a.rank - 1], 0, {},
            strides_of(a),      strides_of(b),      strides_of(c)};
  for (int d = 0; d < c.rank - 2; ++d) {
    const std::int64_t extent = c.dims[d];
    if (extent == 1) continue;
    const std::int64_t sa = stride_of(a, d), sb = stride_of(b, d), sc = stride_of(c, d);
    const int last = p.batch_rank - 1;
    const bool joins =
        last >= 0 && p.a.batch[last] == sa * extent && p.b.batch[last] == sb * extent && p.c.batch[last] == sc * extent;
    const int at = joins ? last : p.batch_rank++;
    p.batch[at] = joins ? p.batch[last] * extent : extent;
    p.a.batch[at] = sa;
    p.b.batch[at] = sb;
    p.c.batch[at] = sc;
  }
  return p;
}

}  // namespace cpu
