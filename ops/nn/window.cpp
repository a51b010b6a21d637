#include "ops/nn/window.h"

#include <algorithm>
#include <span>

#include "ops/call_error.h"

namespace lockstep {

namespace {
constexpr int valid_choice = 0, same_choice = 1;  // as padding_attr lists them
constexpr std::int64_t no_dilation[] = {1, 1, 1};
}  // namespace

bool is_same_padding(const IntList& padding) { return padding.is_choice(same_choice); }

IntList window_padding(const Padding& padding) {
  if (padding.is_same()) return IntList::choice(same_choice);
  return IntList(std::span(padding.amounts()).first(padding.count() ? padding.count() : 4));
}

IntList spatial_padding(const Padding& padding) {
  if (!padding.is_same() && padding.count() == 0) return IntList::choice(valid_choice);
  return window_padding(padding);
}

IntList list_or_missing(const OpDef& op, const Operand& x, std::span<const std::int64_t> list, const char* what) {
  return list.empty() ? IntList::missing() : attribute_list(op, {x}, list, what, ErrorId::invalid_attribute);
}

void fill_missing(IntList& list, std::int64_t count, std::int64_t value) {
  if (!list.is_missing()) return;
  list.count = count;
  std::fill_n(list.values, count, value);
}

int require_spatial_axes(const InferContext& c, const Shape& image) {
  const int axes = spatial_axes(image);
  if (axes > 0) return axes;
  c.fail(ErrorId::wrong_rank, "x has rank " + std::to_string(image.rank()) + ", needed is rank 3, 4 or 5",
         "images are (batch, one to three spatial extents, channels)");
}

IntList resolve_padding(const IntList& padding, const Shape& image, const IntList& window, const IntList& strides,
                        const IntList& dilation) {
  const bool same = is_same_padding(padding);
  if (!same && !padding.is_choice(valid_choice)) return padding;
  IntList out;
  const std::int64_t axes = window.count;
  if (axes < 1 || axes > 3) return out;
  out.count = 2 * axes;
  if (!same || image.rank() != axes + 2 || strides.count != axes || dilation.count != axes) return out;
  const auto below_one = [](std::int64_t stride) { return stride < 1; };
  if (std::any_of(strides.view().begin(), strides.view().end(), below_one)) return out;
  for (int side = 0; side < axes; ++side) {
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

namespace {

// The output extent along one side. Throws through `c` if the window does not fit.
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

// Throws unless the lists have one entry per side, strides and dilations are positive, padding is not negative, and
// none exceeds max_window.
void check_window(InferContext& c, const IntList& strides, const IntList& padding, const IntList& dilation, int axes) {
  const auto positive = [](std::int64_t v) { return v >= 1; };
  const auto not_negative = [](std::int64_t v) { return v >= 0; };
  const auto reasonable = [](std::int64_t v) { return v <= max_window; };
  const auto all = [](const IntList& list, auto test) {
    return std::all_of(list.view().begin(), list.view().end(), test);
  };
  c.require_count(strides, axes, "strides");
  c.require_count(padding, 2 * axes, "padding");
  c.require_count(dilation, axes, "dilation");
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

void check_pooling_window(InferContext& c, const IntList& window, int axes) {
  c.require_count(window, axes, "window");
  std::int64_t taps = 1;
  for (std::int64_t extent : window.view()) {
    if (extent < 1 || extent > max_window) {
      c.fail(ErrorId::invalid_attribute, "a window has the extent " + std::to_string(extent),
             "windows are 1 or more, and at most " + std::to_string(max_window));
    }
    if (extent > max_window / taps) {
      c.fail(ErrorId::invalid_attribute, "a window has more elements than i32 numbers", "use a smaller window");
    }
    taps *= extent;
  }
}

}  // namespace

Shape shape_of_convolution(InferContext& c, const Shape& x, const Shape& w, const IntList& strides,
                           const IntList& padding, const IntList& dilation, std::int64_t groups) {
  const int axes = x.rank() - 2;
  check_window(c, strides, padding, dilation, axes);
  constexpr const char* lines[] = {"planes", "rows", "columns"};
  for (int side = 0; side < axes; ++side) {
    if (!(w.dim(side + 1) == Dim(0))) continue;
    c.fail(ErrorId::invalid_shape, "the filter " + w.to_string() + " has no " + lines[3 - axes + side],
           "the extents of filters between the first and the last are 1 or more");
  }
  if (groups < 1) c.fail(ErrorId::invalid_attribute, "groups is " + std::to_string(groups), "groups is 1 or more");
  const Dim channels = w.dim(-1) * Dim(groups);
  if (!may_equal(x.dim(-1), channels)) {
    c.fail(ErrorId::inner_dimensions,
           "the image has " + x.dim(-1).to_string() + " channels, the filter is for " + channels.to_string(),
           "filters end with channels / groups, images with channels");
  }
  if (w.dim(0).is_known() && w.dim(0).value() % groups != 0) {
    c.fail(ErrorId::invalid_attribute,
           w.dim(0).to_string() + " filters do not split into " + std::to_string(groups) + " groups",
           "use a number of filters that is a multiple of groups");
  }
  Shape y{x.dim(0)};
  for (int side = 0; side < axes; ++side) {
    const auto s = static_cast<std::size_t>(side);
    y.append(
        window_count(c, x.dim(side + 1), w.dim(side + 1), padding[2 * s], padding[2 * s + 1], strides[s], dilation[s]));
  }
  y.append(w.dim(0));
  return y;
}

Shape shape_of_pooling(InferContext& c, const Shape& x, const IntList& window, const IntList& strides,
                       const IntList& padding) {
  const int axes = x.rank() - 2;
  check_pooling_window(c, window, axes);  // before the strides, which default to the window's extents
  check_window(c, strides, padding, IntList(std::span(no_dilation).first(static_cast<std::size_t>(axes))), axes);
  for (std::size_t side = 0; side < window.view().size(); ++side) {
    // Otherwise a window could lie entirely in the padding.
    if (padding[2 * side] >= window[side] || padding[2 * side + 1] >= window[side]) {
      c.fail(ErrorId::invalid_attribute, "padding is as large as the window",
             "padding must be smaller than the window");
    }
    if (x.dim(static_cast<int>(side) + 1) == Dim(0)) {
      c.fail(ErrorId::invalid_shape, "the image " + x.to_string() + " has no elements under a window",
             "all extents but those of batch and channels are 1 or more");
    }
  }
  Shape y{x.dim(0)};
  for (int side = 0; side < axes; ++side) {
    const auto s = static_cast<std::size_t>(side);
    y.append(window_count(c, x.dim(side + 1), Dim(window[s]), padding[2 * s], padding[2 * s + 1], strides[s], 1));
  }
  y.append(x.dim(-1));
  return y;
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
