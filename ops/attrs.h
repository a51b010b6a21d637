// What attributes of several ops have in common. Structs of one op, or of one family, are in its file.
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

struct AxisAttrs {
  std::int64_t axis = 0;
};

struct ShapeAttrs {
  IntList shape;
};

// Starts and counts may be handles of symbolic extents; starts only in a dimension of symbolic extent.
struct SliceAttrs {
  IntList starts, counts, steps;  // per dimension; steps may be negative
};

struct SliceBackwardAttrs {
  IntList starts, counts, steps;
  IntList shape;  // of the tensor that was sliced
};

}  // namespace lockstep
