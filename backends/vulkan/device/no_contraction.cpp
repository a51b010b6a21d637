#include "backends/vulkan/device/no_contraction.h"

#include <unordered_set>

#include "backends/vulkan/device/spirv.h"

namespace vulkan {
namespace {

// Numbers of the SPIR-V specification 1.5, sections 3.20 and 3.32.
enum : std::uint32_t {
  op_first_type = 19,
  op_last_type = 39,
  op_decorate = 71,
  op_group_member_decorate = 75,
  op_f_negate = 127,
  op_f_add = 129,
  op_f_sub = 131,
  op_f_mul = 133,
  op_f_div = 136,
  op_vector_times_scalar = 142,
  decoration_no_contraction = 42
};

bool is_arithmetic(std::uint32_t opcode) {
  for (const std::uint32_t op : {op_f_negate, op_f_add, op_f_sub, op_f_mul, op_f_div, op_vector_times_scalar}) {
    if (opcode == op) return true;
  }
  return false;
}

bool ends_debug_section(std::uint32_t opcode) {
  return (opcode >= op_decorate && opcode <= op_group_member_decorate) ||
         (opcode >= op_first_type && opcode <= op_last_type);
}

}  // namespace

std::vector<std::uint32_t> with_no_contraction(std::span<const std::uint32_t> module) {
  std::unordered_set<std::uint32_t> decorated;
  std::vector<std::uint32_t> decorations;
  spirv::for_each_instruction(module, [&](std::uint32_t opcode, std::span<const std::uint32_t> words, std::size_t) {
    if (opcode == op_decorate && words[2] == decoration_no_contraction) decorated.insert(words[1]);
    if (is_arithmetic(opcode) && decorated.insert(words[2]).second) {
      decorations.insert(decorations.end(), {3u << 16 | op_decorate, words[2], decoration_no_contraction});
    }
    return true;
  });
  std::vector<std::uint32_t> out(module.begin(), module.end());
  spirv::for_each_instruction(module, [&](std::uint32_t opcode, std::span<const std::uint32_t>, std::size_t at) {
    if (!ends_debug_section(opcode)) return true;
    out.insert(out.begin() + static_cast<std::ptrdiff_t>(at), decorations.begin(), decorations.end());
    return false;
  });
  return out;
}

}  // namespace vulkan
