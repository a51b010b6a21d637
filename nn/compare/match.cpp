#include "nn/compare/match.h"

#include <algorithm>

namespace lockstep {
namespace {

bool same_call(const RecordedCall& a, const RecordedCall& b) {
  if (a.op != b.op || a.scope != b.scope || a.attrs != b.attrs || a.inputs.size() != b.inputs.size()) return false;
  for (std::size_t o = 0; o < a.outputs.size(); ++o) {
    const TensorImpl &x = *a.outputs[o], &y = *b.outputs[o];
    if (x.dtype != y.dtype || !(x.shape == y.shape)) return false;
  }
  return true;
}

}  // namespace

// Computes the longest common subsequence with the standard table. A step has only a few hundred calls.
std::vector<std::pair<std::size_t, std::size_t>> match_calls(const std::vector<std::unique_ptr<RecordedCall>>& first,
                                                             const std::vector<std::unique_ptr<RecordedCall>>& second) {
  const std::size_t n = first.size(), m = second.size();
  std::vector<std::vector<std::uint32_t>> longest(n + 1, std::vector<std::uint32_t>(m + 1, 0));
  for (std::size_t i = n; i-- > 0;) {
    for (std::size_t j = m; j-- > 0;) {
      longest[i][j] =
          same_call(*first[i], *second[j]) ? longest[i + 1][j + 1] + 1 : std::max(longest[i + 1][j], longest[i][j + 1]);
    }
  }
  std::vector<std::pair<std::size_t, std::size_t>> pairs;
  for (std::size_t i = 0, j = 0; i < n && j < m;) {
    if (same_call(*first[i], *second[j])) {
      pairs.emplace_back(i++, j++);
    } else {
      longest[i + 1][j] >= longest[i][j + 1] ? ++i : ++j;
    }
  }
  return pairs;
}

}  // namespace lockstep
