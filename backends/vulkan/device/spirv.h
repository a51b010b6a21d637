// Iterates over the instructions of a SPIR-V module.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace vulkan::spirv {

constexpr std::size_t header_words = 5;

/// Opcodes that more than one file uses: numbers of the SPIR-V specification 1.6 and of the extensions
/// SPV_KHR_cooperative_matrix and SPV_NV_cooperative_matrix.
enum : std::uint32_t {
  op_capability = 17,
  op_decorate = 71,
  op_loop_merge = 246,
  op_type_matrix_khr = 4456,
  op_length_khr = 4460,
  op_type_matrix_nv = 5358,
  op_length_nv = 5362
};

/// Calls visit(opcode, the instruction's words, its offset in the module) for each instruction until it returns false.
template <class Visit>
void for_each_instruction(std::span<const std::uint32_t> module, Visit&& visit) {
  for (std::size_t at = header_words; at < module.size(); at += module[at] >> 16) {
    if (!visit(module[at] & 0xffffu, module.subspan(at, module[at] >> 16), at)) return;
  }
}

}  // namespace vulkan::spirv
