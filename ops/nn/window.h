// Windows that slide over images of one, two or three spatial axes, shared by convolution and pooling.
#pragma once

#include <cmath>

#include "lockstep/op_def.h"
#include "lockstep/ops/nn.h"

namespace lockstep {

/// Strides, dilations, paddings and pooling windows are at most this, so that sums and products of them do not
/// overflow.
inline constexpr std::int64_t max_window = (std::int64_t{1} << 31) - 1;

/// The schema of lists that give a number for height and width, and of padding with its choices "valid" and "same".
inline ArgumentDef pair_argument() { return {.kind = ArgumentKind::list}; }
inline ArgumentDef padding_argument(std::string what_is_added) {
  return {.kind = ArgumentKind::list,
          .doc = std::move(what_is_added) +
                 "; \"valid\" adds none, \"same\" adds zeros so that the output has ceil(extent / stride) elements",
          .choices = {"valid", "same"}};
}
template <class A>
auto strides_attr(IntList A::*member, ArgumentDef argument = pair_argument()) {
  return attr("strides", member, "height, width", std::move(argument));
}
template <class A>
auto padding_attr(IntList A::*member) {
  return attr("padding", member, "top, bottom, left, right",
              padding_argument("rows and columns to add at the top, bottom, left and right"));
}

/// The same for ops over any number of axes.
template <class A>
auto spatial_padding_attr(IntList A::*member) {
  return attr("padding", member, "in front of and behind each spatial axis, in the order of the axes",
              padding_argument("elements to add in front of and behind each spatial axis, two numbers per axis"));
}

/// The attributes of conv2d and of the pools over two axes, which ops over other numbers of axes are composed of.
struct Conv2dAttrs {
  IntList strides{1, 1};
  IntList padding{0, 0, 0, 0};  // top, bottom, left, right
  IntList dilation{1, 1};
  std::int64_t groups = 1;
};
struct Pool2dAttrs {
  IntList window{2, 2};
  IntList strides{2, 2};
  IntList padding{0, 0, 0, 0};
};

/// A Padding as an attribute that is not canonical yet. Without amounts it is `valid`: four zeros for ops over two
/// axes, the choice "valid" for those over any number.
IntList window_padding(const Padding& padding);
IntList spatial_padding(const Padding& padding);
bool is_same_padding(const IntList& padding);

/// A list that a user gives or leaves out, as an attribute that is not canonical yet. Throws ShapeError LS2007 if it is
/// too long.
IntList list_or_missing(const OpDef& op, const Operand& x, std::span<const std::int64_t> list, const char* what);
/// Gives a list that is missing `count` times the same number.
void fill_missing(IntList& list, std::int64_t count, std::int64_t value);
/// Refuses an image without one to three spatial axes; else returns how many it has.
int require_spatial_axes(const InferContext& c, const Shape& image);

/// The number of spatial axes of an image: its rank without batch and channels. 0 if that is not 1, 2 or 3.
inline int spatial_axes(const Shape& image) { return image.rank() >= 3 && image.rank() <= 5 ? image.rank() - 2 : 0; }

/// What to add around an image of 1 to 3 spatial axes, from what window_padding gives. "same" padding needs known
/// extents unless the stride is 1. If the image has another rank than the window's length says, or a stride is below 1,
/// a choice becomes no padding: inference refuses the call.
IntList resolve_padding(const IntList& padding, const Shape& image, const IntList& window, const IntList& strides,
                        const IntList& dilation);

/// The shape of a convolution's result, from those of images and filters of the same rank. Throws through `c` for
/// attributes out of range, lists without one entry per spatial axis, and a filter that does not fit.
Shape shape_of_convolution(InferContext& c, const Shape& x, const Shape& w, const IntList& strides,
                           const IntList& padding, const IntList& dilation, std::int64_t groups);
template <class A>
Shape convolved(InferContext& c, const Shape& x, const Shape& w, const A& a) {
  return shape_of_convolution(c, x, w, a.strides, a.padding, a.dilation, a.groups);
}

/// The same for pooling.
Shape shape_of_pooling(InferContext& c, const Shape& x, const IntList& window, const IntList& strides,
                       const IntList& padding);

/// The order that pooling and `max` use: whether v takes the place of `best`. The first of equal values stays.
inline bool comes_before(long double v, long double best) {
  if (std::isnan(best)) return false;
  return std::isnan(v) || v > best || (v == best && std::signbit(best) && !std::signbit(v));
}

inline IntList list_of(const Pair& pair) { return {pair[0], pair[1]}; }

/// The position of coordinates in an NHWC or OHWI array of the oracle.
inline std::size_t at4(const Shape& s, std::int64_t a, std::int64_t b, std::int64_t c, std::int64_t d) {
  return static_cast<std::size_t>(((a * s[1] + b) * s[2] + c) * s[3] + d);
}

/// Throws ShapeError LS2010 unless input i has the shape of the forward op's result, because values that are gathered
/// or scattered by windows must belong to these windows.
void require_result_shape(InferContext& c, std::size_t i, const Shape& expected, const char* forward);

}  // namespace lockstep
