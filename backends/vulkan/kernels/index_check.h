// Checks indices before a kernel writes anything.
#pragma once

#include <algorithm>

#include "backends/vulkan/kernels/kernel.h"

namespace vulkan {

/// shaders/check.glsl
struct CheckFields {
  std::int64_t first, end, per_group, extent;
  std::uint64_t value;
  std::int32_t axis;
  std::uint32_t mode;
  std::uint32_t launch, padding;
};

/// Plans dispatches that fail the command if one of `count` indices is outside [0, extent). `params` are the shader's
/// parameters; this fills in their member `fields`.
template <class P>
void plan_check(Plan& plan, const Pipeline& pipeline, P params, CheckFields P::*fields, std::int64_t count,
                std::int64_t extent, int axis, Access reads) {
  constexpr std::int64_t few = 16384, per_group = 4096;
  constexpr std::int64_t most = 256 * max_iterations;  // indices per dispatch of mode `explain`
  enum : std::uint32_t { find, mark, explain };
  CheckFields& c = params.*fields;
  c = {0, count, count, extent, plan.value(), axis, find, plan.launch(), 0};
  if (count <= few) return plan.dispatch_check(pipeline, params, {count > 0 ? 1u : 0u, 1, 1}, reads);
  c.mode = mark;
  c.per_group = per_group;
  plan.dispatch_check(pipeline, params, plan.groups_for(count, per_group), reads);
  c.mode = explain;
  c.per_group = most;
  for (c.first = 0; c.first < count; c.first += most) {
    c.end = std::min(c.first + most, count);
    plan.dispatch_check(pipeline, params, {1, 1, 1}, reads);
  }
}

/// The pipeline for indices of dtype i32 or i64.
const Pipeline& index_check_pipeline(lks_device& device, lks_dtype indices);

/// plan_check for a tensor of dense `indices`.
void plan_index_check(Plan& plan, const Pipeline& pipeline, const Tensor& indices, std::int64_t extent, int axis);

}  // namespace vulkan
