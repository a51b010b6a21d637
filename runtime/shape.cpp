#include "lockstep/shape.h"

#include <ostream>

#include "lockstep/error.h"
#include "runtime/caller.h"

namespace lockstep {
namespace {

void check_rank(std::size_t rank, CallSite where = {}) {
  if (rank <= static_cast<std::size_t>(max_rank)) return;
  ErrorBuilder error(ErrorId::invalid_shape, "shape", "rank " + std::to_string(rank) + " exceeds the limit of 8");
  if (!where.is_empty() && !is_library_line(where)) error.at(where);
  error.fix("merge dimensions with reshape").raise();
}

}  // namespace

void fail_overflow(std::int64_t a, const char* sign, std::int64_t b) {
  ErrorBuilder(ErrorId::invalid_shape, "shape",
               "a number would exceed 64 bits: " + std::to_string(a) + " " + sign + " " + std::to_string(b))
      .fix("check the extents that it is computed from")
      .raise();
}

Shape::Shape(std::initializer_list<Dim> dims, CallSite where) {
  check_rank(dims.size(), where);
  for (Dim d : dims) dims_[static_cast<std::size_t>(rank_++)] = d;
}

Shape::Shape(std::span<const Dim> dims) {
  check_rank(dims.size());
  for (Dim d : dims) dims_[static_cast<std::size_t>(rank_++)] = d;
}

Shape::Shape(std::span<const std::int64_t> dims) {
  check_rank(dims.size());
  for (std::int64_t d : dims) dims_[static_cast<std::size_t>(rank_++)] = Dim(d);
}

void Shape::append(Dim dim) {
  check_rank(static_cast<std::size_t>(rank_) + 1);
  dims_[static_cast<std::size_t>(rank_++)] = dim;
}

void Shape::fail_position(int i) const {
  ErrorBuilder(ErrorId::axis_out_of_range, "shape",
               "dimension " + std::to_string(i) + " is outside the shape " + to_string())
      .fix(rank_ == 0 ? std::string("a shape of rank 0 has no dimensions")
                      : "dimensions go from " + std::to_string(-rank_) + " to " + std::to_string(rank_ - 1))
      .raise();
}

std::int64_t TensorSpec::large_bytes() const {
  return checked_mul(shape.element_count().value(), static_cast<std::int64_t>(size_of(dtype)));
}

Dim Shape::element_count() const {
  Dim n = 1;
  for (Dim d : dims()) {
    if (d == Dim(0)) return 0;  // first, because the product of the others may overflow
  }
  for (Dim d : dims()) n = n * d;
  return n;
}

std::string Shape::to_string() const {
  std::string text = "(";
  for (int i = 0; i < rank_; ++i) text += (i ? ", " : "") + dim(i).to_string();
  return text + ")";
}

std::ostream& operator<<(std::ostream& out, const Shape& shape) { return out << shape.to_string(); }

}  // namespace lockstep
