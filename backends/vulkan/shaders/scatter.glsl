// Adds slices of updates (before, updates, after) at indices along the middle of a result (before, extent, after).
#include "strided.glsl"

// kernels/index.cpp
struct Params {
  uint64_t to;
  uint64_t from;
  INDICES indices;
  Words order;       // for scatter_add_sorted: the numbers of the updates, sorted by index
  uint64_t count;    // invocations
  uint64_t updates;  // along the axis
  uint64_t extent;
  uint64_t after;    // elements of a slice, or vectors of four
  uint64_t first, end;  // the updates, or slots of the order, that this dispatch processes
  uint wide;            // for scatter_add_sorted; 1: elements are processed in vectors of four
};
PUSHED_PARAMS(Params)
