// Reading SPIR-V: the instructions of a module, one after the other.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace vulkan::spirv {

constexpr std::size_t header_words = 5;

/// Calls visit(opcode, the instruction's words, where it begins) until it returns false.
template <class Visit>
void for_each_instruction(std::span<const std::uint32_t> module, Visit&& visit) {
  for (std::size_t at = header_words; at < module.size(); at += module[at] >> 16) {
    if (!visit(module[at] & 0xffffu, module.subspan(at, module[at] >> 16), at)) return;
  }
}

}  // namespace vulkan::spirv
