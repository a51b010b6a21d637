// NewShape: the target of a reshape, of which one extent may be computed.
#include "lockstep/error.h"
#include "lockstep/ops/shape.h"
#include "runtime/caller.h"

namespace lockstep {

NewShape::NewShape(std::initializer_list<std::int64_t> dims) : NewShape(Ints(dims)) {}

NewShape::NewShape(const Ints& dims) {
  rank_ = dims.size();
  if (rank_ > static_cast<std::size_t>(max_rank)) return;  // resolve() refuses it; it knows the line
  for (std::int64_t d : dims) {
    if (d == -1 && open_ < 0) {
      open_ = shape_.rank();
      shape_.append(1);
    } else if (d < 0) {
      impossible_ = d;
    } else {
      shape_.append(Dim(d));
    }
  }
}

Shape NewShape::resolve(Dim count, CallSite where) const {
  if (rank_ > static_cast<std::size_t>(max_rank)) {
    raise(ErrorId::invalid_shape, "reshape", "rank " + std::to_string(rank_) + " exceeds the limit of 8",
          "merge dimensions", where);
  }
  if (impossible_) {
    raise(ErrorId::invalid_shape, "reshape",
          *impossible_ == -1 ? "two extents are -1" : "an extent is " + std::to_string(*impossible_),
          "extents are 0 or more; one may be -1 and is then computed", where);
  }
  if (open_ < 0) return shape_;
  const CallerScope caller(where);
  if (shape_.is_empty()) {
    raise(ErrorId::invalid_shape, "reshape",
          "the extent of -1 is not determined: beside an extent of 0 any number gives 0 elements", "give the extent",
          where);
  }
  Shape resolved = shape_;
  resolved.set_dim(open_, floor_div(count, shape_.element_count()));
  return resolved;
}

}  // namespace lockstep
