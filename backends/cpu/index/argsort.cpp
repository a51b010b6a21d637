// argsort of i64: a radix sort of (key, position) pairs, from the least significant byte on. Each step keeps the order
// of equal bytes, so equal keys stay in the order of their positions.
#include <algorithm>
#include <utility>

#include "backends/cpu/kernels.h"

namespace cpu {
namespace {

struct Entry {
  std::uint64_t key;  // sign bit flipped, so that unsigned order is numeric order
  std::int64_t position;
};

constexpr int digit_bits = 8, digits = 64 / digit_bits, digit_values = 1 << digit_bits;

int digit_of(const Entry& e, int digit) { return static_cast<int>(e.key >> (digit * digit_bits) & (digit_values - 1)); }

/// Sorts n entries at `a`, with scratch for n entries at `b`. Returns the one of the two that holds the result.
Entry* radix_sort(Entry* a, Entry* b, std::int64_t n) {
  std::int64_t counts[digits][digit_values] = {};
  for (std::int64_t i = 0; i < n; ++i) {
    for (int d = 0; d < digits; ++d) ++counts[d][digit_of(a[i], d)];
  }
  for (int d = 0; d < digits; ++d) {
    if (counts[d][digit_of(a[0], d)] == n) continue;  // the same digit in all entries
    std::int64_t start = 0;
    for (std::int64_t& count : counts[d]) start += std::exchange(count, start);
    for (std::int64_t i = 0; i < n; ++i) b[counts[d][digit_of(a[i], d)]++] = a[i];
    std::swap(a, b);
  }
  return a;
}

class ArgsortKernel : public lks_kernel {
 public:
  void run(const lks_launch& launch) const override {
    const host::TensorView x = view(launch, 0), out = view(launch, 1);
    const std::int64_t n = x.dims[0];
    if (n == 0) return;
    auto* entries = reinterpret_cast<Entry*>(static_cast<char*>(launch.workspace->data) + launch.workspace_offset);
    for (std::int64_t i = 0; i < n; ++i) {
      entries[i] = {static_cast<std::uint64_t>(x.as<std::int64_t>()[i * x.strides[0]]) ^ std::uint64_t{1} << 63, i};
    }
    const Entry* sorted = entries;
    if (n < few) {
      std::sort(entries, entries + n, [](const Entry& p, const Entry& q) {
        return p.key < q.key || (p.key == q.key && p.position < q.position);
      });
    } else {
      sorted = radix_sort(entries, entries + n, n);
    }
    for (std::int64_t i = 0; i < n; ++i) out.as<std::int64_t>()[i * out.strides[0]] = sorted[i].position;
  }

 private:
  static constexpr std::int64_t few = 500;
};

}  // namespace

lks_status make_argsort(const KernelRequest& request, Out out) {
  if (const lks_status s = common::require_dtypes(request, {LKS_I64}); s != LKS_OK) return s;
  request.info.workspace_bytes = static_cast<std::uint64_t>(request.input(0).dims[0]) * 2 * sizeof(Entry);
  if (request.info.deps) request.info.deps[0].dims = 1;  // the workspace size depends on it
  common::emplace<ArgsortKernel>(request, out);
  return LKS_OK;
}

}  // namespace cpu
