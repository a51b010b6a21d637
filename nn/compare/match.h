// Which calls of two runs belong together.
#pragma once

#include <utility>
#include <vector>

#include "nn/compare/recorder.h"

namespace lockstep {

/// Positions of calls that do the same in both runs, in order. Devices differ where one has a kernel for an op and
/// another composes it: the parts have no counterpart.
std::vector<std::pair<std::size_t, std::size_t>> match_calls(const std::vector<std::unique_ptr<RecordedCall>>& first,
                                                             const std::vector<std::unique_ptr<RecordedCall>>& second);

}  // namespace lockstep
