#include "backends/vulkan/queue/transfer.h"

#include "backends/vulkan/shaders.h"

namespace vulkan {
namespace {

constexpr std::int64_t per_group = 256;

struct CopyParams {
  VkDeviceAddress to, from;
  std::uint64_t count;
};

struct FillParams {
  VkDeviceAddress to;
  std::uint64_t count, pattern;
};

}  // namespace

void plan_copy(Plan& plan, VkDeviceAddress to, VkDeviceAddress from, std::uint64_t bytes) {
  const std::uint64_t aligned_to = to | from | bytes;
  const std::uint64_t unit = aligned_to % 16 == 0 ? 16 : aligned_to % 4 == 0 ? 4 : 1;
  const Shader shader = unit == 16 ? shaders::copy_quads : unit == 4 ? shaders::copy_words : shaders::copy_bytes;
  const Access accesses[] = {{from, from + bytes, false}, {to, to + bytes, true}};
  plan.dispatch(plan.device().pipelines.get(shader), CopyParams{to, from, bytes / unit},
                plan.groups_for(static_cast<std::int64_t>(bytes / unit), per_group), accesses);
}

void plan_fill(Plan& plan, VkDeviceAddress to, std::uint64_t bytes, std::uint64_t pattern,
               std::uint32_t pattern_bytes) {
  std::uint64_t repeated = pattern;
  if (pattern_bytes < 8) repeated &= (std::uint64_t{1} << (8 * pattern_bytes)) - 1;
  for (std::uint32_t have = pattern_bytes; have < 8; have *= 2) repeated |= repeated << (8 * have);
  const std::uint64_t aligned_to = to | bytes;
  const std::uint64_t unit = aligned_to % 8 == 0 ? 8 : aligned_to % 4 == 0 ? 4 : aligned_to % 2 == 0 ? 2 : 1;
  const Shader shader = unit == 8   ? shaders::fill_longs
                        : unit == 4 ? shaders::fill_words
                        : unit == 2 ? shaders::fill_halves
                                    : shaders::fill_bytes;
  const Access accesses[] = {{to, to + bytes, true}};
  plan.dispatch(plan.device().pipelines.get(shader), FillParams{to, bytes / unit, repeated},
                plan.groups_for(static_cast<std::int64_t>(bytes / unit), per_group), accesses);
}

}  // namespace vulkan
