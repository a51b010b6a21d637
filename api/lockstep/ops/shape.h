// Ops that move, join and select elements. reshape, transpose, slice, split and broadcast_to return views: they copy
// nothing if strides can express the result. The ops take every dtype unless noted.
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

/// Dimensions in another order: output dimension i is input dimension order[i]. Without `order`, they are reversed.
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
/// Elements at regular positions along axes. Along an axis of symbolic extent only all of them can be taken (start 0,
/// no stop, step 1): of others the number is not known. Throws ShapeError LS2004 for an axis that is given twice, and
/// TraceError LS4101 for positions along an axis of symbolic extent.
Tensor slice(Operand x, std::initializer_list<Slice> slices);
Tensor slice(Operand x, std::span<const Slice> slices);
/// Element `index` along an axis; the axis is removed. A negative index counts from the end. Throws ShapeError LS2009
/// for an index outside the axis. Along an axis of symbolic extent an index from the front is checked when the extent
/// is known, and one from the end throws TraceError LS4101.
Tensor select_index(Operand x, std::int64_t axis, std::int64_t index);

/// x repeated to a shape to which it broadcasts.
Tensor broadcast_to(Operand x, const Shape& shape);

/// Tensors one after the other along an axis. Their other extents must agree.
Tensor concat(std::span<const Tensor> tensors, std::int64_t axis = 0, CallSite where = CallSite::current());
Tensor concat(std::initializer_list<Tensor> tensors, std::int64_t axis = 0, CallSite where = CallSite::current());

/// Consecutive parts of x along an axis: a number of equal ones, or parts of given sizes. They are views. `split(x, 3)`
/// gives three parts, `split(x, Ints{2, 5})` parts of extents 2 and 5. Throws ShapeError LS2004 for an axis that x does
/// not have, LS2007 for no parts, for more than 1,024 equal parts, for a number that does not divide the extent, and
/// for sizes that are negative or do not add up to it; TraceError LS4101 for equal parts of a symbolic extent.
std::vector<Tensor> split(Operand x, std::int64_t parts, std::int64_t axis = 0);
std::vector<Tensor> split(Operand x, const Ints& sizes, std::int64_t axis = 0);

/// x with elements of one value put around it. There are `before[d]` of them in front of dimension d, and `after[d]`
/// behind it. Throws ShapeError LS2007 for a value that x's dtype cannot hold (see full()).
Tensor pad(Operand x, const Ints& before, const Ints& after, Scalar value = {});

/// Slices along an axis, by index. `indices` are i32 or i64, of any shape, each in [0, extent). In the result, their
/// shape replaces the axis. Throws ShapeError LS2009 for an index out of range. If the slices have no elements, indices
/// are not read: then it throws only if the extent is 0 and there are indices.
Tensor gather(Operand x, Operand indices, std::int64_t axis = 0);

/// Zeros, to which slices are added at indices along an axis, in ascending order of their position. They are the slices
/// of `updates`; `indices` have rank 1. The result has extent `extent` along `axis`. The transpose of gather. Numeric
/// dtypes. Throws ShapeError LS2009 for an index outside [0, extent). If the slices have no elements, indices are not
/// read: then it throws only if the extent is 0 and there are indices.
Tensor scatter_add(Operand updates, Operand indices, std::int64_t extent, std::int64_t axis = 0);

/// 1 where the last index equals the label, else 0. Labels are i32 or i64. Shape: labels.shape + (depth,).
Tensor one_hot(Operand labels, std::int64_t depth, DType dtype = DType::f32);

/// The order of the elements of a vector, ascending; equal ones by index. Takes i64 and gives i64.
Tensor argsort(Operand x);

/// A tensor filled with one number. It lies on the default device. Throws ShapeError LS2007 if the dtype is an integer
/// or bool and the number is not one of its values, such as 2.5, NaN or 300 for u8; cast() truncates and saturates.
Tensor full(const Shape& shape, Scalar value, DType dtype = DType::f32, CallSite where = CallSite::current());
Tensor zeros(const Shape& shape, DType dtype = DType::f32, CallSite where = CallSite::current());
Tensor ones(const Shape& shape, DType dtype = DType::f32, CallSite where = CallSite::current());
/// With x's shape, dtype and device.
Tensor zeros_like(Operand x);
Tensor ones_like(Operand x);

/// start + n step, n the row-major index of each element; floats are computed in f64 and rounded once. Gives `count`
/// numbers of f32, f64, i32 or i64. Throws ShapeError LS2007 if an integer dtype cannot hold all of them (fractions,
/// NaN, overflow), and DTypeError LS2102 for other dtypes.
Tensor arange(std::int64_t count, DType dtype = DType::i64, double start = 0, double step = 1,
              CallSite where = CallSite::current());
/// The same, by its name in the C++ standard library and in XLA.
inline Tensor iota(std::int64_t count, DType dtype = DType::i64, double start = 0, double step = 1,
                   CallSite where = CallSite::current()) {
  return arange(count, dtype, start, step, where);
}

/// The same elements on another device. Gives x itself if it is there already. Differentiable.
Tensor to_device(Operand x, Device device);

}  // namespace lockstep
