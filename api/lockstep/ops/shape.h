// Ops that move, join and select elements. reshape, transpose, slice and broadcast_to return views: they copy nothing
// if strides can express the result. The ops take every dtype unless noted.
#pragma once

#include <initializer_list>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "lockstep/call_site.h"
#include "lockstep/export.h"
#include "lockstep/tensor.h"

namespace LOCKSTEP_API lockstep {

using Ints = std::vector<std::int64_t>;

/// The target of a reshape: a Shape, or a list of extents. One of these may be -1 and is then computed.
class NewShape {
 public:
  NewShape(std::initializer_list<std::int64_t> dims);  // NOLINT: implicit by design
  NewShape(const Ints& dims);                          // NOLINT: implicit by design
  NewShape(const Shape& shape) : shape_(shape) {}      // NOLINT: implicit by design
  /// The shape for an input of `count` elements. Throws ShapeError LS2005, at `where`, for negative numbers other than
  /// one -1, for a -1 together with an extent of 0 (any number would fit), and for more than eight numbers.
  Shape resolve(Dim count, CallSite where = CallSite::current()) const;

 private:
  Shape shape_;
  std::size_t rank_ = 0;                    // number of extents given
  int open_ = -1;                           // the dimension to compute
  std::optional<std::int64_t> impossible_;  // a given number that cannot be an extent
};

/// The same elements, in row-major order, in another shape. Throws ShapeError LS2006 if the element counts differ.
Tensor reshape(Operand x, const NewShape& shape);

/// Permutes the dimensions: output dimension i is input dimension order[i]. Without `order`, reverses them.
Tensor transpose(Operand x, const Ints& order = {});
/// Swaps two dimensions.
Tensor swap_axes(Operand x, std::int64_t a, std::int64_t b);

/// Inserts or removes a dimension of extent 1.
Tensor expand_dims(Operand x, std::int64_t axis);
Tensor squeeze(Operand x, std::int64_t axis);
/// Reshapes (N, …) to (N, product of the other extents).
Tensor flatten(Operand x);

/// The elements start, start + step … along one axis, up to but not including stop. A negative position counts from the
/// end, and a negative step goes backwards. Positions out of range are clamped, as in Python.
struct Slice {
  std::int64_t axis = 0;
  std::int64_t start = 0;
  std::optional<std::int64_t> stop = std::nullopt;  // default: to the end in the direction of the step
  std::int64_t step = 1;
};
/// Throws ShapeError LS2004 for an axis that is given twice.
Tensor slice(Operand x, std::initializer_list<Slice> slices);
Tensor slice(Operand x, std::span<const Slice> slices);
/// Element `index` along an axis; the axis is removed.
Tensor select_index(Operand x, std::int64_t axis, std::int64_t index);

/// x broadcast to `shape`.
Tensor broadcast_to(Operand x, const Shape& shape);

/// Concatenates tensors along an axis; their other extents must agree.
Tensor concat(std::span<const Tensor> tensors, std::int64_t axis = 0, CallSite where = CallSite::current());
Tensor concat(std::initializer_list<Tensor> tensors, std::int64_t axis = 0, CallSite where = CallSite::current());

/// Pads dimension d of x with `before[d]` elements of `value` in front and `after[d]` behind. Throws ShapeError LS2007
/// for a value that x's dtype cannot hold (see full()).
Tensor pad(Operand x, const Ints& before, const Ints& after, Scalar value = {});

/// Slices of x along `axis` at `indices` (i32 or i64, any shape, each in [0, extent)). In the result, the shape of
/// `indices` replaces the axis. Throws ShapeError LS2009 for an index out of range.
Tensor gather(Operand x, Operand indices, std::int64_t axis = 0);

/// Adds the slices of `updates` along `axis` at `indices` (rank 1) to zeros that have extent `extent` along `axis`, in
/// ascending order of their position in `updates`. The transpose of gather. Numeric dtypes.
Tensor scatter_add(Operand updates, Operand indices, std::int64_t extent, std::int64_t axis = 0);

/// 1 where the index along the last axis equals the label (i32 or i64), else 0. Shape: labels.shape + (depth,).
Tensor one_hot(Operand labels, std::int64_t depth, DType dtype = DType::f32);

/// The indices (i64) that sort a vector of i64 in ascending order; the sort is stable.
Tensor argsort(Operand x);

/// A tensor filled with one number, on the default device. Throws ShapeError LS2007 if the dtype is an integer or bool
/// and the number is not one of its values, such as 2.5, NaN or 300 for u8; cast() truncates and saturates.
Tensor full(const Shape& shape, Scalar value, DType dtype = DType::f32, CallSite where = CallSite::current());
Tensor zeros(const Shape& shape, DType dtype = DType::f32, CallSite where = CallSite::current());
Tensor ones(const Shape& shape, DType dtype = DType::f32, CallSite where = CallSite::current());
/// With x's shape, dtype and device.
Tensor zeros_like(Operand x);
Tensor ones_like(Operand x);

/// The `count` numbers start, start + step …, as f32, f64, i32 or i64. Floats are start + n · step in f64, rounded to
/// the dtype once. Throws ShapeError LS2007 if an integer dtype cannot hold all of them (fractions, NaN, overflow), and
/// DTypeError LS2102 for other dtypes.
Tensor arange(std::int64_t count, DType dtype = DType::i64, double start = 0, double step = 1,
              CallSite where = CallSite::current());
/// The same, by its name in the C++ standard library and in XLA.
inline Tensor iota(std::int64_t count, DType dtype = DType::i64, double start = 0, double step = 1,
                   CallSite where = CallSite::current()) {
  return arange(count, dtype, start, step, where);
}

/// x on `device`; x itself if it is there already. Differentiable.
Tensor to_device(Operand x, Device device);

}  // namespace lockstep
