#include "nn/compare/difference.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "runtime/canonical_nan.h"
#include "runtime/element.h"

namespace lockstep {

std::vector<std::byte> host_bytes(const TensorImpl& tensor) {
  std::vector<std::byte> bytes = Tensor::share(const_cast<TensorImpl*>(&tensor)).to_bytes();
  make_nans_canonical(tensor.dtype, bytes);
  return bytes;
}

double ulp_between(long double a, long double b, DType dtype) {
  if (std::isnan(a) && std::isnan(b)) return 0;
  const long double apart = std::fabs(a - b);
  if (!std::isfinite(a) || !std::isfinite(b)) return a == b ? 0 : INFINITY;
  return static_cast<double>(apart / unit_in_last_place(std::max(std::fabs(a), std::fabs(b)), dtype));
}

Difference difference_of(DType dtype, const std::vector<std::byte>& first, const std::vector<std::byte>& second) {
  const std::size_t size = size_of(dtype);
  Difference d;
  d.elements = static_cast<std::int64_t>(first.size() / size);
  long double largest = 0, magnitude = 0;
  for (std::size_t at = 0; at + size <= first.size(); at += size) {
    const long double a = element_value(first.data() + at, dtype);
    if (std::isfinite(a)) magnitude = std::max(magnitude, std::fabs(a));
    if (std::memcmp(first.data() + at, second.data() + at, size) == 0) continue;
    const long double b = element_value(second.data() + at, dtype);
    const double ulp = ulp_between(a, b, dtype);
    if (d.differing++ == 0 || ulp > d.ulp) {
      d.ulp = ulp;
      d.worst = at / size;
    }
    largest = std::isinf(ulp) ? INFINITY : std::max(largest, std::fabs(a - b));
  }
  d.relative = largest == 0 ? 0 : static_cast<double>(magnitude > 0 ? largest / magnitude : INFINITY);
  return d;
}

DivergingElement element_at(const TensorImpl& shape_of, const std::vector<std::byte>& first,
                            const std::vector<std::byte>& second, std::size_t position) {
  const DType dtype = shape_of.dtype;
  const std::byte *a = first.data() + position * size_of(dtype), *b = second.data() + position * size_of(dtype);
  DivergingElement e;
  auto rest = static_cast<std::int64_t>(position);
  for (int d = shape_of.shape.rank() - 1; d >= 0; --d) {
    e.index.insert(e.index.begin(), rest % shape_of.shape[d]);
    rest /= shape_of.shape[d];
  }
  e.first = static_cast<double>(element_value(a, dtype));
  e.second = static_cast<double>(element_value(b, dtype));
  e.first_bits = element_bits(a, dtype);
  e.second_bits = element_bits(b, dtype);
  e.ulp = ulp_between(element_value(a, dtype), element_value(b, dtype), dtype);
  return e;
}

}  // namespace lockstep
