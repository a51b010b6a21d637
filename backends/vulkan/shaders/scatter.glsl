// Adds slices of updates (before, updates, after) at indices along the middle of a result (before, extent, after).
#include "strided.glsl"

// kernels/index.cpp
struct Params {
  uint64_t to;
  uint64_t from;
  INDICES indices;
  Words order;       // of scatter_add_sorted: the numbers of the updates, those of one index beside each other
  uint64_t count;    // invocations
  uint64_t updates;  // along the axis
  uint64_t extent;
  uint64_t after;    // of a slice: elements, or fours
  uint64_t first, end;  // the updates, or slots of the order, that this dispatch sees to
  uint wide;            // of scatter_add_sorted: 1: fours of elements
};
PARAMS_IN_MEMORY(Params)
