#include "backends/vulkan/queue/transfer.h"

#include <algorithm>

#include "backends/common/fill_pattern.h"
#include "backends/vulkan/shaders.h"

namespace vulkan {
namespace {

constexpr std::uint64_t group = 256;

struct CopyParams {
  VkDeviceAddress to, from;
  std::uint64_t count, per_invocation;
};

struct FillParams {
  VkDeviceAddress to;
  std::uint64_t count, per_invocation, pattern;
};

// On a CPU most time goes into what an invocation does before its first unit; a GPU has to keep many loads in flight.
std::uint64_t units_per_invocation(const Plan& plan, std::uint64_t units) {
  constexpr std::uint64_t most = 32;
  return plan.device().properties.is_like_cpu ? std::clamp<std::uint64_t>(units / group, 1, most) : 1;
}

Groups groups_for(const Plan& plan, std::uint64_t units, std::uint64_t per_invocation) {
  return plan.groups_for(static_cast<std::int64_t>(units), static_cast<std::int64_t>(group * per_invocation));
}

// The longest unit, at most 16 bytes, to which a number is aligned.
std::uint64_t unit_of(std::uint64_t number) { return std::min<std::uint64_t>(16, number & (~number + 1)); }

// The longest such unit for which there is a shader that copies.
std::uint64_t copied_unit_of(std::uint64_t number) {
  const std::uint64_t aligned = unit_of(number);
  return aligned == 8 ? 4 : aligned == 2 ? 1 : aligned;
}

// How many bytes to process in units to which the addresses are aligned. The others, fewer than a unit, take a dispatch
// of their own, in shorter units; that is not worth it for few bytes.
std::uint64_t bytes_in_whole_units(std::uint64_t bytes, std::uint64_t unit) {
  constexpr std::uint64_t many = 4096;
  return bytes < many ? bytes : bytes / unit * unit;
}

void copy_units(Plan& plan, VkDeviceAddress to, VkDeviceAddress from, std::uint64_t bytes) {
  const std::uint64_t unit = copied_unit_of(to | from | bytes);
  const Shader shader = unit == 16 ? shaders::copy_quads : unit == 4 ? shaders::copy_words : shaders::copy_bytes;
  const std::uint64_t units = bytes / unit, per_invocation = units_per_invocation(plan, units);
  const Access accesses[] = {{from, from + bytes, false}, {to, to + bytes, true}};
  plan.dispatch(plan.device().pipelines.get(shader), CopyParams{to, from, units, per_invocation},
                groups_for(plan, units, per_invocation), accesses);
}

void copy_by_shader(Plan& plan, VkDeviceAddress to, VkDeviceAddress from, std::uint64_t bytes) {
  const std::uint64_t whole = bytes_in_whole_units(bytes, copied_unit_of(to | from));
  copy_units(plan, to, from, whole);
  if (whole < bytes) copy_units(plan, to + whole, from + whole, bytes - whole);
}

// `repeated`: the pattern, repeated to 8 bytes.
void fill_units(Plan& plan, VkDeviceAddress to, std::uint64_t bytes, std::uint64_t repeated) {
  const std::uint64_t unit = unit_of(to | bytes);
  const Shader shader = unit == 16  ? shaders::fill_quads
                        : unit == 8 ? shaders::fill_longs
                        : unit == 4 ? shaders::fill_words
                        : unit == 2 ? shaders::fill_halves
                                    : shaders::fill_bytes;
  const std::uint64_t units = bytes / unit, per_invocation = units_per_invocation(plan, units);
  const Access accesses[] = {{to, to + bytes, true}};
  plan.dispatch(plan.device().pipelines.get(shader), FillParams{to, units, per_invocation, repeated},
                groups_for(plan, units, per_invocation), accesses);
}

// The pattern's length divides the unit, so the last bytes start with its first byte.
void fill_by_shader(Plan& plan, VkDeviceAddress to, std::uint64_t bytes, std::uint64_t repeated) {
  const std::uint64_t whole = bytes_in_whole_units(bytes, unit_of(to));
  fill_units(plan, to, whole, repeated);
  if (whole < bytes) fill_units(plan, to + whole, bytes - whole, repeated);
}

// Fills whole words by vkCmdFillBuffer, and copies the bytes before the first and after the last whole word.
void fill_words_by_command(Plan& plan, Staging& staging, const DeviceLocation& to, std::uint64_t bytes,
                           std::uint32_t word) {
  const std::uint64_t head = std::min(bytes, (4 - to.offset % 4) % 4), body = (bytes - head) / 4 * 4;
  const std::uint64_t tail = bytes - head - body;
  // The pattern's length divides that of the head, so each part starts with the first byte of a pattern.
  if (head + tail > 0) {
    const Staged staged = staging.take(4);
    std::memcpy(staged.data, &word, 4);
    if (head > 0) plan.transfer({to, staged.location, head});
    if (tail > 0) plan.transfer({to + head + body, staged.location, tail});
  }
  if (body > 0) plan.transfer({to + head, {}, body, word});
}

// `repeated`: the pattern, repeated to 8 bytes.
void fill_by_command(Plan& plan, Staging& staging, const DeviceLocation& to, std::uint64_t bytes,
                     std::uint64_t repeated) {
  const auto word = static_cast<std::uint32_t>(repeated);
  if (word == repeated >> 32) return fill_words_by_command(plan, staging, to, bytes, word);
  constexpr std::uint64_t most = std::uint64_t{1} << 16;
  const std::uint64_t staged_bytes = std::min(most, bytes);
  const Staged staged = staging.take(staged_bytes);
  for (std::uint64_t at = 0; at < staged_bytes; at += 8) std::memcpy(staged.data + at, &repeated, 8);
  plan.transfer({to, staged.location, staged_bytes});
  // Doubles the filled part with each copy.
  for (std::uint64_t have = staged_bytes; have < bytes; have *= 2) {
    plan.transfer({to + have, to, std::min(have, bytes - have)});
  }
}

}  // namespace

void plan_zeros(Plan& plan, VkDeviceAddress to, std::uint64_t bytes) { fill_by_shader(plan, to, bytes, 0); }

void plan_copy(Plan& plan, const DeviceLocation& to, const DeviceLocation& from, std::uint64_t bytes) {
  if (bytes == 0) return;
  if (plan.by_commands()) return plan.transfer({to, from, bytes});
  copy_by_shader(plan, to.address, from.address, bytes);
}

void plan_fill(Plan& plan, Staging& staging, const DeviceLocation& to, std::uint64_t bytes, std::uint64_t pattern,
               std::uint32_t pattern_bytes) {
  if (bytes == 0) return;
  const std::uint64_t repeated = common::repeated_pattern(pattern, pattern_bytes);
  if (plan.by_commands()) return fill_by_command(plan, staging, to, bytes, repeated);
  fill_by_shader(plan, to.address, bytes, repeated);
}

}  // namespace vulkan
