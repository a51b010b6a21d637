// Windows that slide over images, shared by convolution and pooling.
#pragma once

#include "lockstep/op_def.h"
#include "lockstep/ops/nn.h"

namespace lockstep {

/// Strides, dilations, paddings and pooling windows are at most this, so that sums and products of them do not
/// overflow.
inline constexpr std::int64_t most_window = (std::int64_t{1} << 31) - 1;

/// Rows and columns to put around an image of this height and width; "same" needs known extents unless the stride is 1.
IntList resolve_padding(const Padding& padding, const Shape& image, const Pair& window, const Pair& strides,
                        const Pair& dilation);

/// Output extent along one side; throws through `c` where the window does not fit.
Dim window_count(InferContext& c, Dim extent, Dim window, std::int64_t before, std::int64_t after, std::int64_t stride,
                 std::int64_t dilation);

/// Throws unless there are as many as sides, strides and dilations are positive, padding is not negative, and none is
/// above most_window.
void check_window(InferContext& c, const IntList& strides, const IntList& padding, const IntList& dilation);

inline IntList list_of(const Pair& pair) { return {pair[0], pair[1]}; }

/// An NHWC or OHWI array of the oracle, by coordinates.
inline std::size_t at4(const Shape& s, std::int64_t a, std::int64_t b, std::int64_t c, std::int64_t d) {
  return static_cast<std::size_t>(((a * s[1] + b) * s[2] + c) * s[3] + d);
}

/// Throws ShapeError LS2010 unless input i has the shape that the forward op gives: what is gathered or scattered by
/// windows must belong to them.
void require_result_shape(InferContext& c, std::size_t i, const Shape& expected, const char* forward);

}  // namespace lockstep
