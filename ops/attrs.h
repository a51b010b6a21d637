// Attribute structs of the built-in ops. driver_ops.h is generated from the schemas that describe them.
#pragma once

#include "lockstep/op_def.h"

namespace lockstep {

/// Converts between shapes and list attributes. Symbolic extents keep their handles.
inline Shape shape_of(const IntList& raw) {
  Shape shape;
  for (std::int64_t d : raw.view()) shape.append(Dim::from_raw(d));
  return shape;
}
inline IntList list_of(const Shape& shape) {
  IntList list;
  for (Dim d : shape.dims()) list.values[list.count++] = d.raw();
  return list;
}

/// Arguments that several ops have.
inline ArgumentDef extents_argument() { return {.kind = ArgumentKind::extents, .required = true}; }
inline ArgumentDef list_argument() { return {.kind = ArgumentKind::list, .required = true}; }
inline ArgumentDef result_dtype_argument() { return {.kind = ArgumentKind::dtype, .doc = "of the result"}; }
inline ArgumentDef integer_argument(std::string doc) {
  return {.kind = ArgumentKind::integer, .doc = std::move(doc), .required = true};
}

struct CastAttrs {
  std::int64_t to = 0;
};

struct ReduceAttrs {
  IntList axes;           // counted from the front, ascending
  std::int64_t keep = 0;  // 1: keep reduced axes, with extent 1
};

struct ArgmaxAttrs {
  std::int64_t axis = 0;
};

struct Conv2dAttrs {
  IntList strides{1, 1};
  IntList padding{0, 0, 0, 0};  // top, bottom, left, right
  IntList dilation{1, 1};
  std::int64_t groups = 1;
};

// The gradients of a convolution carry the result's shape, because their inputs do not determine it.
struct Conv2dBackwardAttrs {
  IntList strides{1, 1};
  IntList padding{0, 0, 0, 0};
  IntList dilation{1, 1};
  std::int64_t groups = 1;
  IntList shape;  // of the result: NHWC of the input, or OHWI of the filter
};

struct Pool2dAttrs {
  IntList window{2, 2};
  IntList strides{2, 2};
  IntList padding{0, 0, 0, 0};
};

struct Pool2dBackwardAttrs {
  IntList window{2, 2};
  IntList strides{2, 2};
  IntList padding{0, 0, 0, 0};
  IntList shape;  // NHWC of the pooled input
};

struct AxisAttrs {
  std::int64_t axis = 0;
};

struct ShapeAttrs {
  IntList shape;
};

struct TransposeAttrs {
  IntList order;  // output dimension i is input dimension order[i]
};

// Starts and counts may be handles of symbolic extents; starts only in a dimension of symbolic extent.
struct SliceAttrs {
  IntList starts, counts, steps;  // per dimension; steps may be negative
};

struct SliceBackwardAttrs {
  IntList starts, counts, steps;
  IntList shape;  // of the tensor that was sliced
};

struct PadAttrs {
  IntList before, after;
};

struct ScatterAddAttrs {
  std::int64_t axis = 0;
  std::int64_t extent = 0;  // of the result along the axis
};

struct OneHotAttrs {
  std::int64_t depth = 0;
  std::int64_t dtype = 0;  // numbered as DType
};

// The result is 1 where the position along `axis` equals the label, else 0.
struct MatchesPositionAttrs {
  std::int64_t axis = 0;
  std::int64_t dtype = 0;
};

struct PickLabelAttrs {
  std::int64_t axis = 0;  // of the classes
  std::int64_t classes = 0;
};

// One step of a bitonic sorting network: element i is compared with element i xor `distance`, and runs of `run`
// elements are sorted in alternating directions. Both are powers of two.
struct BitonicAttrs {
  std::int64_t distance = 1;
  std::int64_t run = 2;
};

struct FullAttrs {
  IntList shape;
  std::int64_t dtype = 0;
};

struct ArangeAttrs {
  IntList shape;
  std::int64_t dtype = static_cast<std::int64_t>(DType::i64);
};

struct RandomAttrs {
  IntList shape;
  std::int64_t dtype = 0;  // numbered as DType
};

struct ToDeviceAttrs {
  std::int64_t device = 0;  // index in the list of devices
};

}  // namespace lockstep
