// The shape of a pooling launch, and the loops over rows and taps that the pooling kernels share.
#pragma once

#include <algorithm>

#include "backends/cpu/kernels.h"
#include "backends/cpu/parallel.h"

namespace cpu {

/// The geometry along one side, height or width.
struct PoolSide {
  std::int64_t window, stride, before;
  std::int64_t image, pooled;  // extents

  std::int64_t start(std::int64_t p) const { return p * stride - before; }
  /// The taps of window p that lie inside the image.
  std::int64_t first_tap(std::int64_t p) const { return std::max<std::int64_t>(0, -start(p)); }
  std::int64_t end_tap(std::int64_t p) const { return std::min(window, image - start(p)); }
  /// The windows that cover an image position: from the first that ends after it to the last that starts at or before
  /// it.
  std::int64_t first_window(std::int64_t at) const {
    const std::int64_t behind = at + before - window;
    return behind < 0 ? 0 : behind / stride + 1;
  }
  std::int64_t end_window(std::int64_t at) const { return std::min(pooled, (at + before) / stride + 1); }
};

struct PoolAttrs {
  lks_int_list window, strides, padding;
};

struct PoolShape {
  std::int64_t batch, channels;
  PoolSide vertical, horizontal;

  PoolShape(const PoolAttrs& a, const std::int64_t* image, const std::int64_t* pooled)
      : batch(image[0]),
        channels(image[3]),
        vertical(side(a, 0, image, pooled)),
        horizontal(side(a, 1, image, pooled)) {}

  std::int64_t image_row() const { return horizontal.image * channels; }
  std::int64_t pooled_row() const { return horizontal.pooled * channels; }
  std::int64_t taps() const { return vertical.window * horizontal.window; }

 private:
  static PoolSide side(const PoolAttrs& a, int i, const std::int64_t* image, const std::int64_t* pooled) {
    return {a.window.values[i], a.strides.values[i], a.padding.values[2 * i], image[i + 1], pooled[i + 1]};
  }
};

/// Calls visit(image, row) for all rows of a batch of images, in parallel. Each call reads `row_elements` elements.
template <class Visit>
void for_each_row(const lks_host_api& api, std::int64_t batch, std::int64_t rows, std::int64_t row_elements,
                  Visit&& visit) {
  const double ns_per_row = 0.15 * static_cast<double>(row_elements) + 1;
  parallel(api, batch * rows, grain_for(ns_per_row), [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i) visit(i / rows, i % rows);
  });
}

/// Calls visit(window, tap, position) for one row of windows and every column tap inside the image, windows ascending.
template <class Visit>
void for_each_column_tap(const PoolSide& side, Visit&& visit) {
  for (std::int64_t p = 0; p < side.pooled; ++p) {
    const std::int64_t end = side.end_tap(p);
    for (std::int64_t k = side.first_tap(p); k < end; ++k) visit(p, k, side.start(p) + k);
  }
}

/// Calls visit(window, tap) for the windows that cover an image position, windows ascending.
template <class Visit>
void for_each_window_over(const PoolSide& side, std::int64_t position, Visit&& visit) {
  const std::int64_t end = side.end_window(position);
  for (std::int64_t p = side.first_window(position); p < end; ++p) visit(p, position - side.start(p));
}

/// Makes a kernel K<T>(api, attributes) for f32 or f64. Refuses other dtypes, and tensors that are not dense.
template <template <class> class K, class Attrs>
lks_status make_pool(const KernelRequest& request, Out out) {
  // Taps are i32.
  if (const lks_status status = common::require_dtypes(request, {LKS_F32, LKS_F64, LKS_I32}); status != LKS_OK)
    return status;
  const std::uint32_t count = request.tensor_count();
  for (std::uint32_t i = 0; i < count; ++i) {
    if (common::is_dense(request.tensor(i))) continue;
    return common::refuse(request.diag, LKS_REASON_LAYOUT, static_cast<int>(i), DRIVER_WHERE, "operand %u is not dense",
                          i);
  }
  for (std::uint32_t i = 0; request.info.deps && i < count; ++i) request.info.deps[i].dense = 1;
  const auto& a = request.attrs<Attrs>();
  const PoolAttrs attrs{a.window, a.strides, a.padding};
  if (request.input(0).dtype == LKS_F64) {
    common::emplace<K<double>>(request, out, request.api, attrs);
  } else {
    common::emplace<K<float>>(request, out, request.api, attrs);
  }
  return LKS_OK;
}

}  // namespace cpu
