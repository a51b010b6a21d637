// Windows that slide over images, shared by convolution and pooling.
#pragma once

#include "lockstep/op_def.h"
#include "lockstep/ops/nn.h"

namespace lockstep {

/// Strides, dilations, paddings and pooling windows are at most this, so that sums and products of them do not
/// overflow.
inline constexpr std::int64_t max_window = (std::int64_t{1} << 31) - 1;

/// The schema of lists that give a number for height and width, and of padding with its choices "valid" and "same".
inline ArgumentDef pair_argument() { return {.kind = ArgumentKind::list}; }
template <class A>
auto strides_attr(IntList A::*member, ArgumentDef argument = pair_argument()) {
  return attr("strides", member, "height, width", std::move(argument));
}
template <class A>
auto padding_attr(IntList A::*member) {
  return attr("padding", member, "top, bottom, left, right",
              {.kind = ArgumentKind::list,
               .doc = "rows and columns to add at the top, bottom, left and right; \"valid\" adds none, \"same\" adds "
                      "zeros so that the output has ceil(extent / stride) elements",
               .choices = {"valid", "same"}});
}

/// A Padding as an attribute that is not canonical yet.
IntList window_padding(const Padding& padding);
bool is_same_padding(const IntList& padding);

/// The rows and columns to add around an NHWC image, from what window_padding gives. "same" padding needs known extents
/// unless the stride is 1. If the image has another rank, or a stride is below 1, a choice becomes no padding:
/// inference refuses the call.
IntList resolve_padding(const IntList& padding, const Shape& image, const Pair& window, const IntList& strides,
                        const IntList& dilation);

/// The output extent along one side. Throws through `c` if the window does not fit.
Dim window_count(InferContext& c, Dim extent, Dim window, std::int64_t before, std::int64_t after, std::int64_t stride,
                 std::int64_t dilation);

/// Throws unless the lists have one entry per side, strides and dilations are positive, padding is not negative, and
/// none exceeds max_window.
void check_window(InferContext& c, const IntList& strides, const IntList& padding, const IntList& dilation);

inline IntList list_of(const Pair& pair) { return {pair[0], pair[1]}; }

/// The position of coordinates in an NHWC or OHWI array of the oracle.
inline std::size_t at4(const Shape& s, std::int64_t a, std::int64_t b, std::int64_t c, std::int64_t d) {
  return static_cast<std::size_t>(((a * s[1] + b) * s[2] + c) * s[3] + d);
}

/// Throws ShapeError LS2010 unless input i has the shape of the forward op's result, because values that are gathered
/// or scattered by windows must belong to these windows.
void require_result_shape(InferContext& c, std::size_t i, const Shape& expected, const char* forward);

}  // namespace lockstep
