#include "backends/vulkan/kernels/sort.h"

#include <algorithm>

#include "backends/vulkan/shaders.h"

namespace vulkan {
namespace {

// shaders/sort.glsl
struct Params {
  VkDeviceAddress keys, from, to, counts;
  std::uint32_t count, blocks, shift, first_pass, flip, wide;
};

constexpr int digit_bits = 4;
constexpr std::int64_t digits = 16, block = 1024;

std::int64_t blocks_of(std::int64_t count) { return ceil_div(count, block); }
std::uint64_t order_bytes(std::int64_t count) { return static_cast<std::uint64_t>(count) * sizeof(std::uint32_t); }
std::uint64_t counts_bytes(std::int64_t count) {
  return static_cast<std::uint64_t>(digits * blocks_of(count)) * sizeof(std::uint32_t);
}

}  // namespace

std::uint64_t sort_workspace_bytes(std::int64_t count) { return 2 * order_bytes(count) + counts_bytes(count); }

Sort::Sort(lks_device& device, lks_dtype keys)
    : count_(device.pipelines.get(keys == LKS_I32 ? shaders::sort_count_i32 : shaders::sort_count_i64)),
      scan_(device.pipelines.get(shaders::sort_scan)),
      move_(device.pipelines.get(keys == LKS_I32 ? shaders::sort_move_i32 : shaders::sort_move_i64)) {}

VkDeviceAddress Sort::plan(Plan& plan, const Tensor& keys, int bits, VkDeviceAddress workspace,
                           const Tensor* to) const {
  const std::int64_t count = keys.count();
  const int key_bits = static_cast<int>(LKS_DTYPE_BITS(keys.dtype)),
            passes = std::max(1, (bits + digit_bits - 1) / digit_bits);
  const std::uint64_t bytes = order_bytes(count);
  VkDeviceAddress from = workspace, next = workspace + bytes;
  Params p{};
  p.keys = keys.address;
  p.counts = workspace + 2 * bytes;
  p.count = static_cast<std::uint32_t>(count);
  p.blocks = static_cast<std::uint32_t>(blocks_of(count));
  const Access counts{p.counts, p.counts + counts_bytes(count), true}, key_access = keys.access(false);
  const Groups groups = plan.groups_for(blocks_of(count), 1);
  for (int pass = 0; pass < passes; ++pass) {
    const bool last = pass + 1 == passes;
    p.from = from;
    p.to = last && to ? to->address : next;
    p.wide = last && to;
    p.first_pass = pass == 0;
    p.shift = static_cast<std::uint32_t>(pass * digit_bits);
    p.flip = p.shift + digit_bits == static_cast<std::uint32_t>(key_bits) ? 8 : 0;
    const Access from_access{from, from + bytes, false};
    const Access to_access = p.wide ? to->access(true) : Access{next, next + bytes, true};
    const Access counting[] = {key_access, from_access, counts}, scanning[] = {counts};
    const Access moving[] = {key_access, from_access, counts, to_access};
    plan.dispatch(count_, p, groups, counting);
    plan.dispatch(scan_, p, {count > 0 ? 1u : 0u, 1, 1}, scanning);
    plan.dispatch(move_, p, groups, moving);
    std::swap(from, next);
  }
  return from;
}

}  // namespace vulkan
