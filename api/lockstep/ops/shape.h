// Ops that move, join and select elements. reshape, transpose, slice and broadcast_to are views: they copy nothing
// where strides can express the result. They take every dtype.
#pragma once

#include <initializer_list>
#include <optional>
#include <source_location>
#include <span>
#include <utility>
#include <vector>

#include "lockstep/export.h"
#include "lockstep/tensor.h"

namespace LOCKSTEP_API lockstep {

using Ints = std::vector<std::int64_t>;

/// The shape to reshape to: numbers, of which one may be -1 and is then computed, or a Shape.
class NewShape {
 public:
  NewShape(std::initializer_list<std::int64_t> dims);  // NOLINT: implicit by design
  NewShape(const Ints& dims);                          // NOLINT: implicit by design
  NewShape(const Shape& shape) : shape_(shape) {}      // NOLINT: implicit by design
  /// For an input of `count` elements. Throws ShapeError LS2005, at `where`, for negative numbers other than one -1,
  /// for a -1 beside an extent of 0, where any number would do, and for more than eight numbers.
  Shape resolve(Dim count, std::source_location where = std::source_location::current()) const;

 private:
  Shape shape_;
  std::size_t rank_ = 0;                    // as given
  int open_ = -1;                           // the dimension to compute
  std::optional<std::int64_t> impossible_;  // a number that is no extent
};

/// The same elements, in row-major order, in another shape. Throws ShapeError LS2006 where the counts differ.
Tensor reshape(Operand x, const NewShape& shape);

/// Dimensions in another order: output dimension i is input dimension order[i]. Without an order, reversed.
Tensor transpose(Operand x, const Ints& order = {});
/// Two dimensions exchanged.
Tensor swap_axes(Operand x, std::int64_t a, std::int64_t b);

/// Inserts or removes a dimension of extent 1.
Tensor expand_dims(Operand x, std::int64_t axis);
Tensor squeeze(Operand x, std::int64_t axis);
/// (N, …) as (N, everything else).
Tensor flatten(Operand x);

/// Elements start, start + step … up to, not including, stop, along one axis; negative positions count from the end and
/// a negative step goes backwards. Positions outside are clamped, as in Python.
struct Slice {
  std::int64_t axis = 0;
  std::int64_t start = 0;
  std::optional<std::int64_t> stop = std::nullopt;  // default: to the end in the direction of the step
  std::int64_t step = 1;
};
/// Throws ShapeError LS2004 for an axis that is given twice.
Tensor slice(Operand x, std::initializer_list<Slice> slices);
Tensor slice(Operand x, std::span<const Slice> slices);
/// Element `index` along an axis, which goes away.
Tensor select_index(Operand x, std::int64_t axis, std::int64_t index);

/// x repeated to `shape`, to which it must broadcast.
Tensor broadcast_to(Operand x, const Shape& shape);

/// Tensors one after the other along an axis; their other extents agree.
Tensor concat(std::span<const Tensor> tensors, std::int64_t axis = 0,
              std::source_location where = std::source_location::current());
Tensor concat(std::initializer_list<Tensor> tensors, std::int64_t axis = 0,
              std::source_location where = std::source_location::current());

/// x with `before[d]` and `after[d]` elements of `value` put around dimension d.
Tensor pad(Operand x, const Ints& before, const Ints& after, Scalar value = {});

/// Slices of x along `axis` at `indices` (i32 or i64, any shape, each in [0, extent)): the axis is replaced by the
/// shape of indices. Throws ShapeError LS2009 for an index outside.
Tensor gather(Operand x, Operand indices, std::int64_t axis = 0);

/// Zeros of extent `extent` along `axis`, to which the slices of `updates` are added at `indices` (rank 1), in
/// ascending order of their position. The transpose of gather. numeric.
Tensor scatter_add(Operand updates, Operand indices, std::int64_t extent, std::int64_t axis = 0);

/// 1 where the last index equals the label (i32 or i64), else 0: shape labels.shape + (depth,).
Tensor one_hot(Operand labels, std::int64_t depth, DType dtype = DType::f32);

/// The order of the elements of a vector of i64, ascending; equal ones by index. i64.
Tensor argsort(Operand x);

/// A tensor filled with one number; on the default device. A floating number becomes an integer as by `cast`, toward
/// zero and to the nearest there is; an integer that the dtype cannot hold is refused with ShapeError LS2007.
Tensor full(const Shape& shape, Scalar value, DType dtype = DType::f32,
            std::source_location where = std::source_location::current());
Tensor zeros(const Shape& shape, DType dtype = DType::f32,
             std::source_location where = std::source_location::current());
Tensor ones(const Shape& shape, DType dtype = DType::f32, std::source_location where = std::source_location::current());
/// Of x's shape, dtype and device.
Tensor zeros_like(Operand x);
Tensor ones_like(Operand x);

/// start, start + step … : `count` numbers; f32, f64, i32, i64. Floats are start + n · step in f64, rounded to the
/// dtype once. Throws ShapeError LS2007 where an integer dtype does not hold all of them (fractions, NaN, overflow),
/// DTypeError LS2102 for other dtypes.
Tensor iota(std::int64_t count, DType dtype = DType::i64, double start = 0, double step = 1,
            std::source_location where = std::source_location::current());

/// x on another device; itself if it is there. Differentiable.
Tensor to_device(Operand x, Device device);

}  // namespace lockstep
