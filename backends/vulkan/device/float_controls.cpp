#include "backends/vulkan/device/float_controls.h"

#include "backends/vulkan/device/spirv.h"

namespace vulkan {
namespace {

// Numbers of the SPIR-V specification 1.5, sections 3.6, 3.31 and 3.49.
enum : std::uint32_t {
  op_entry_point = 15,
  op_execution_mode = 16,
  op_execution_mode_id = 331,
  capability_float64 = 10,
  capability_denorm_preserve = 4464,
  capability_special_preserve = 4466,
  capability_rounding_rte = 4467,
  mode_denorm_preserve = 4459,
  mode_special_preserve = 4461,
  mode_rounding_rte = 4462
};

struct Mode {
  std::uint32_t capability, mode;
  bool for_32, for_64;
};

void append_modes(std::vector<std::uint32_t>& out, std::span<const Mode> modes, std::uint32_t entry, bool f64) {
  for (const Mode& m : modes) {
    if (m.for_32) out.insert(out.end(), {4u << 16 | op_execution_mode, entry, m.mode, 32});
    if (m.for_64 && f64) out.insert(out.end(), {4u << 16 | op_execution_mode, entry, m.mode, 64});
  }
}

}  // namespace

std::vector<std::uint32_t> with_float_controls(std::span<const std::uint32_t> module, const DeviceProperties& f) {
  // If all widths must have the same mode and the device does not offer it for all, the mode is left to the device,
  // which would refuse the module otherwise.
  const bool denormals_agree = !f.same_denormals || f.keeps_denormals_32 == f.keeps_denormals_64;
  const bool rounding_agrees = !f.same_rounding || f.rounds_to_nearest_32 == f.rounds_to_nearest_64;
  const Mode modes[] = {{capability_denorm_preserve, mode_denorm_preserve, f.keeps_denormals_32 && denormals_agree,
                         f.keeps_denormals_64 && denormals_agree},
                        {capability_special_preserve, mode_special_preserve, f.keeps_special_32, f.keeps_special_64},
                        {capability_rounding_rte, mode_rounding_rte, f.rounds_to_nearest_32 && rounding_agrees,
                         f.rounds_to_nearest_64 && rounding_agrees}};

  std::vector<std::uint32_t> out(module.begin(), module.begin() + spirv::header_words);
  bool f64 = false, capabilities_done = false, modes_done = false;
  std::uint32_t entry = 0;
  spirv::for_each_instruction(module, [&](std::uint32_t opcode, std::span<const std::uint32_t> words, std::size_t) {
    if (opcode == spirv::op_capability) {
      f64 = f64 || words[1] == capability_float64;
    } else if (!capabilities_done) {
      capabilities_done = true;
      for (const Mode& m : modes) {
        if (m.for_32 || (m.for_64 && f64)) out.insert(out.end(), {2u << 16 | spirv::op_capability, m.capability});
      }
    }
    if (opcode == op_entry_point) entry = words[2];
    const bool past_modes =
        entry != 0 && opcode != op_entry_point && opcode != op_execution_mode && opcode != op_execution_mode_id;
    if (past_modes && !modes_done) {
      modes_done = true;
      append_modes(out, modes, entry, f64);
    }
    out.insert(out.end(), words.begin(), words.end());
    return true;
  });
  return out;
}

}  // namespace vulkan
