// Matches the calls of two runs.
#pragma once

#include <utility>
#include <vector>

#include "nn/compare/recorder.h"

namespace lockstep {

/// Returns pairs of positions of calls that do the same in both runs, in order. If one device has a kernel for an op
/// and the other decomposes it, the calls of the decomposition have no counterpart.
std::vector<std::pair<std::size_t, std::size_t>> match_calls(const std::vector<std::unique_ptr<RecordedCall>>& first,
                                                             const std::vector<std::unique_ptr<RecordedCall>>& second);

}  // namespace lockstep
