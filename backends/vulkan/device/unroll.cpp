#include "backends/vulkan/device/unroll.h"

#include "backends/vulkan/device/spirv.h"

namespace vulkan {
namespace {

// Numbers of the SPIR-V specification 1.5, sections 3.23 and 3.49.
enum : std::uint32_t { control_unroll = 1, control_dependency_infinite = 4 };

}  // namespace

std::vector<std::uint32_t> with_unrolling(std::span<const std::uint32_t> module) {
  std::vector<std::uint32_t> out(module.begin(), module.end());
  spirv::for_each_instruction(module, [&](std::uint32_t opcode, std::span<const std::uint32_t> words, std::size_t at) {
    if (opcode == spirv::op_loop_merge && words[3] == control_dependency_infinite) out[at + 3] = control_unroll;
    return true;
  });
  return out;
}

}  // namespace vulkan
