#include "conformance/runtime/storage_layouts.h"

#include <algorithm>
#include <numeric>

namespace lockstep::conformance {
namespace {

using Numbers = std::vector<std::int64_t>;

// Strides of a tensor whose dimensions are stored in the order `stored`. The last of these has stride `step`; `gap`
// elements follow each of its rows.
Numbers strides_for(const Numbers& dims, const std::vector<std::size_t>& stored, std::int64_t step, std::int64_t gap) {
  Numbers strides(dims.size(), 1);
  std::int64_t next = step;
  for (std::size_t s = stored.size(); s-- > 0;) {
    strides[stored[s]] = next;
    next = next * dims[stored[s]] + (s + 1 == stored.size() ? gap : 0);
  }
  return strides;
}

constexpr StorageLayout layouts[] = {{"dense", 1, 0, 0},
                                     {"rows with a gap", 1, 3, 0},
                                     {"every second element", 2, 0, 0},
                                     {"the last two exchanged", 1, 0, 1},
                                     {"the last dimension stored second", 1, 0, 2},
                                     {"the last dimension stored second, with gaps", 1, 2, 2},
                                     {"dimensions in reverse order", 1, 0, 3},
                                     {"dimensions in reverse order, every second element", 2, 1, 3},
                                     {"rows backward", 1, 0, 0, false, true},
                                     {"the first dimension backward, rows with a gap", 1, 3, 0, true, false},
                                     {"the last two exchanged, both ends backward", 1, 0, 1, true, true}};

std::vector<std::size_t> order_for(std::size_t rank, int moved) {
  std::vector<std::size_t> order(rank);
  std::iota(order.begin(), order.end(), std::size_t{0});
  if (rank > 1 && moved == 1) std::swap(order[rank - 2], order[rank - 1]);
  if (rank > 2 && moved == 2) std::rotate(order.begin() + 1, order.end() - 1, order.end());
  if (moved == 3) std::reverse(order.begin(), order.end());
  return order;
}

// Byte offsets of the elements in row-major order.
std::vector<std::size_t> byte_offsets(const Operand& o) {
  std::vector<std::size_t> offsets;
  const Numbers strides = o.all_strides();
  Numbers at(o.dims.size(), 0);
  for (std::int64_t n = o.count(); n > 0; --n) {
    const std::int64_t offset = std::inner_product(at.begin(), at.end(), strides.begin(), o.first());
    offsets.push_back(static_cast<std::size_t>(offset) * o.element_size());
    for (std::size_t d = at.size(); d-- > 0;) {
      if (++at[d] < o.dims[d]) break;
      at[d] = 0;
    }
  }
  return offsets;
}

}  // namespace

std::span<const StorageLayout> storage_layouts() { return layouts; }

Operand operand_in(const StorageLayout& layout, lks_dtype dtype, const Numbers& dims) {
  Numbers strides = strides_for(dims, order_for(dims.size(), layout.moved), layout.step, layout.gap);
  if (layout.first_backward && dims.size() > 1) strides.front() = -strides.front();
  if (layout.last_backward) strides.back() = -strides.back();
  return {dtype, dims, strides};
}

Bytes gathered(const Bytes& bytes, const Operand& o) {
  Bytes dense;
  for (const std::size_t at : byte_offsets(o)) {
    const auto from = bytes.begin() + static_cast<std::ptrdiff_t>(at);
    dense.insert(dense.end(), from, from + static_cast<std::ptrdiff_t>(o.element_size()));
  }
  return dense;
}

Bytes scattered(const Bytes& dense, const Operand& o) {
  Bytes bytes(o.span(), untouched);
  std::size_t n = 0;
  for (const std::size_t at : byte_offsets(o)) {
    std::copy_n(dense.begin() + static_cast<std::ptrdiff_t>(n), o.element_size(),
                bytes.begin() + static_cast<std::ptrdiff_t>(at));
    n += o.element_size();
  }
  return bytes;
}

KernelSample in_layout(const KernelSample& sample, const StorageLayout& layout) {
  KernelSample laid = sample;
  for (std::size_t i = 0; i < laid.inputs.size(); ++i) {
    Operand& input = laid.inputs[i];
    if (input.span() == 0 || input.dims.empty() || !input.strides.empty()) continue;
    input = operand_in(layout, input.dtype, input.dims);
    laid.values[i] = scattered(sample.values[i], input);
  }
  laid.name += text(", inputs \"%s\"", layout.name);
  return laid;
}

}  // namespace lockstep::conformance
