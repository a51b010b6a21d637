#include "backends/vulkan/device/precise_fma.h"

#include "backends/vulkan/device/spirv.h"

namespace vulkan {
std::vector<std::uint32_t> with_precise_fma(std::span<const std::uint32_t> module) {
  std::vector<std::uint32_t> decorations;
  std::size_t first_decoration = module.size();
  spirv::for_each_instruction(module, [&](std::uint32_t opcode, std::span<const std::uint32_t> words, std::size_t at) {
    if (opcode == spirv::op_decorate && at < first_decoration) first_decoration = at;
    if (spirv::is_fma(opcode, words)) {
      decorations.insert(decorations.end(),
                         {3u << 16 | spirv::op_decorate, words[2], spirv::decoration_no_contraction});
    }
    return true;
  });
  std::vector<std::uint32_t> out(module.begin(), module.end());
  out.insert(out.begin() + static_cast<std::ptrdiff_t>(first_decoration), decorations.begin(), decorations.end());
  return out;
}

}  // namespace vulkan
