// A recorded call once more, elsewhere or with other values.
#pragma once

#include "nn/compare/recorder.h"

namespace lockstep {

/// The call's outputs on `device`, from the same input elements in the same layouts: strides, and offsets up to whole
/// cache lines, so that a kernel that minds them is the one that runs.
std::vector<TensorRef> replay(const RecordedCall& recorded, Device device);

/// The largest element of the outputs where every floating input is 1 everywhere: for sums of products, how many terms
/// they have.
double count_terms(const RecordedCall& recorded);

}  // namespace lockstep
