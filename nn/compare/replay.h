// Repeats a recorded call on another device or with other values.
#pragma once

#include "nn/compare/recorder.h"

namespace lockstep {

/// Returns the outputs of the call on `device`, from the same input elements in the same layout: the same strides, and
/// the same offset within a cache line. So a kernel that depends on the layout is chosen again.
std::vector<TensorRef> replay(const RecordedCall& recorded, Device device);

/// Sets every element of every floating input to 1 and returns the largest output element. For sums of products this is
/// the number of terms.
double count_terms(const RecordedCall& recorded);

}  // namespace lockstep
