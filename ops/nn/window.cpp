#include "ops/nn/window.h"

#include <algorithm>

namespace lockstep {

namespace {
constexpr int valid_choice = 0, same_choice = 1;  // as padding_attr lists them
}

bool is_same_padding(const IntList& padding) { return padding.is_choice(same_choice); }

IntList window_padding(const Padding& padding) {
  if (padding.is_same()) return IntList::choice(same_choice);
  const auto& p = padding.amounts();
  if (p == decltype(p){}) return IntList::choice(valid_choice);
  return {p[0], p[1], p[2], p[3]};
}

IntList resolve_padding(const IntList& padding, const Shape& image, const Pair& window, const IntList& strides,
                        const IntList& dilation) {
  const bool same = is_same_padding(padding);
  if (!same && !padding.is_choice(valid_choice)) return padding;
  IntList out{0, 0, 0, 0};
  if (!same || image.rank() != 4 || strides.count != 2 || dilation.count != 2) return out;
  if (strides[0] < 1 || strides[1] < 1) return out;
  for (int side = 0; side < 2; ++side) {
    const auto s = static_cast<std::size_t>(side);
    const auto sound = [](std::int64_t v) { return v >= 1 && v <= max_window; };
    if (!sound(window[s]) || !sound(strides[s]) || !sound(dilation[s])) continue;  // check_window refuses these
    const std::int64_t span = (window[s] - 1) * dilation[s] + 1;
    std::int64_t total = span - 1;
    if (strides[s] > 1) {
      const std::int64_t extent = image[side + 1];
      const std::int64_t count = checked_add(extent, strides[s] - 1) / strides[s];
      total = std::max<std::int64_t>(0, checked_add((count - 1) * strides[s], span) - extent);
    }
    out.values[2 * s] = total / 2;
    out.values[2 * s + 1] = total - total / 2;
  }
  return out;
}

Dim window_count(InferContext& c, Dim extent, Dim window, std::int64_t before, std::int64_t after, std::int64_t stride,
                 std::int64_t dilation) {
  const Dim padded = extent + Dim(before) + Dim(after);
  const Dim span = (window - Dim(1)) * Dim(dilation) + Dim(1);
  if (padded.is_known() && span.is_known() && span.value() > padded.value()) {
    c.fail(ErrorId::invalid_shape,
           "a window of " + span.to_string() + " does not fit into an extent of " + padded.to_string() +
               " (padding included)",
           "use a smaller window, Padding::same(), or larger images");
  }
  return floor_div(padded - span, Dim(stride)) + Dim(1);
}

void check_window(InferContext& c, const IntList& strides, const IntList& padding, const IntList& dilation) {
  const auto positive = [](std::int64_t v) { return v >= 1; };
  const auto not_negative = [](std::int64_t v) { return v >= 0; };
  const auto reasonable = [](std::int64_t v) { return v <= max_window; };
  const auto all = [](const IntList& list, auto test) {
    return std::all_of(list.view().begin(), list.view().end(), test);
  };
  c.require_count(strides, 2, "strides");
  c.require_count(padding, 4, "padding");
  c.require_count(dilation, 2, "dilation");
  if (!all(strides, positive)) c.fail(ErrorId::invalid_attribute, "a stride is below 1", "strides are 1 or more");
  if (!all(dilation, positive)) c.fail(ErrorId::invalid_attribute, "a dilation is below 1", "dilations are 1 or more");
  for (const IntList* list : {&strides, &padding, &dilation}) {
    if (all(*list, reasonable)) continue;
    c.fail(ErrorId::invalid_attribute, "a stride, dilation or padding is above " + std::to_string(max_window),
           "give numbers of pixels");
  }
  if (!all(padding, not_negative))
    c.fail(ErrorId::invalid_attribute, "padding is negative", "use slice to cut rows or columns off");
}

void require_result_shape(InferContext& c, std::size_t i, const Shape& expected, const char* forward) {
  const Shape& given = c.shape(i);
  bool same = given.rank() == expected.rank();
  for (int d = 0; same && d < given.rank(); ++d) same = may_equal(given.dim(d), expected.dim(d));
  if (same) return;
  c.fail(
      ErrorId::shapes_differ,
      c.call().op.inputs[i].name + " is " + given.to_string() + ", the " + forward + " gives " + expected.to_string(),
      "check strides, padding, window and the shape attribute");
}

}  // namespace lockstep
