// Tests the SPIR-V of the shaders, as built and as this driver rewrites it.
#include <gtest/gtest.h>

#include <cstring>
#include <string>
#include <unordered_set>

#include "backends/vulkan/all_shaders.h"
#include "backends/vulkan/device/matrices.h"
#include "backends/vulkan/device/spirv.h"
#include "backends/vulkan/device/unroll.h"

namespace vulkan {
namespace {

using Words = std::span<const std::uint32_t>;

// Numbers of the SPIR-V specification 1.6.
enum : std::uint32_t {
  op_ext_inst = 12,
  op_f_add = 129,
  op_f_sub = 131,
  op_f_mul = 133,
  op_f_div = 136,
  op_vector_times_scalar = 142,
  decoration_no_contraction = 42
};

// Whether it is the Fma of GLSL.std.450, the only extended instruction set that the shaders use.
bool is_fma(std::uint32_t opcode, Words words) {
  constexpr std::uint32_t extended_fma = 50;  // section 2 of that set's specification
  return opcode == op_ext_inst && words[4] == extended_fma;
}

std::vector<std::uint32_t> words_of(std::string_view bytes) {
  std::vector<std::uint32_t> words(bytes.size() / 4);
  std::memcpy(words.data(), bytes.data(), bytes.size());
  return words;
}

template <class Fits>
std::size_t count(Words module, Fits fits) {
  std::size_t n = 0;
  spirv::for_each_instruction(module, [&](std::uint32_t opcode, Words words, std::size_t) {
    n += fits(opcode, words);
    return true;
  });
  return n;
}

std::size_t count_of(Words module, std::uint32_t opcode) {
  return count(module, [&](std::uint32_t o, Words) { return o == opcode; });
}

bool is_arithmetic(std::uint32_t opcode) {
  return opcode == op_f_add || opcode == op_f_sub || opcode == op_f_mul || opcode == op_f_div ||
         opcode == op_vector_times_scalar;
}

std::size_t arithmetic_that_may_be_contracted(Words module) {
  std::unordered_set<std::uint32_t> kept;
  spirv::for_each_instruction(module, [&](std::uint32_t opcode, Words words, std::size_t) {
    if (opcode == spirv::op_decorate && words[2] == decoration_no_contraction) kept.insert(words[1]);
    return true;
  });
  return count(module, [&](std::uint32_t o, Words words) { return is_arithmetic(o) && !kept.contains(words[2]); });
}

class Shaders : public testing::TestWithParam<std::pair<const char*, std::string_view (*)()>> {
 protected:
  const std::vector<std::uint32_t> module_ = words_of(GetParam().second());
};

// If an optimizer fused a product and a sum, no test on a CPU would show it: lavapipe splits them again.
TEST_P(Shaders, compute_what_is_written) {
  EXPECT_EQ(arithmetic_that_may_be_contracted(module_), 0u);
  const std::string name = GetParam().first;
  const auto is_algorithm = [&](const char* algorithm) { return name.find(algorithm) != std::string::npos; };
  const bool may_fuse = is_algorithm("_blocks_") || is_algorithm("_matrices_") || is_algorithm("_subgroups_") ||
                        is_algorithm("self_test");
  EXPECT_LE(count(module_, is_fma), may_fuse ? 2u : 0u);
}

TEST_P(Shaders, have_their_loops_unrolled_when_they_are_handed_over) {
  const auto marked = [](std::uint32_t o, Words words) { return o == spirv::op_loop_merge && words[3] == 4; };
  const auto unrolled = [](std::uint32_t o, Words words) { return o == spirv::op_loop_merge && words[3] == 1; };
  const std::vector<std::uint32_t> out = with_unrolling(module_);
  EXPECT_EQ(count(out, marked), 0u);
  EXPECT_EQ(count(out, unrolled), count(module_, marked) + count(module_, unrolled));
}

// No compiler on this machine supports the extension, so only the structure of the result can be tested.
TEST_P(Shaders, have_matrices_of_bf16_when_they_are_handed_over) {
  const std::vector<std::uint32_t> out = with_khronos_matrices(module_);
  const std::size_t types = count_of(module_, spirv::op_type_matrix_nv);
  if (types == 0) {
    EXPECT_EQ(out, module_);
    return;
  }
  EXPECT_EQ(types, 3u);  // left and right sides, and sums
  for (std::uint32_t o = spirv::op_type_matrix_nv; o <= spirv::op_length_nv; ++o) {
    EXPECT_EQ(count_of(out, o), 0u);
    EXPECT_EQ(count_of(out, o - spirv::op_type_matrix_nv + spirv::op_type_matrix_khr), count_of(module_, o));
  }
  std::unordered_set<std::uint32_t> uses;
  std::size_t end = 0;
  spirv::for_each_instruction(out, [&](std::uint32_t opcode, Words words, std::size_t at) {
    if (opcode == spirv::op_type_matrix_khr) uses.insert(words[6]);
    end = at + words.size();
    return true;
  });
  EXPECT_EQ(uses.size(), 3u);
  EXPECT_EQ(end, out.size());
  for (const std::uint32_t capability : {5116u, 5118u, 6022u}) {
    EXPECT_EQ(count(out, [&](std::uint32_t o, Words w) { return o == spirv::op_capability && w[1] == capability; }),
              1u);
  }
}

INSTANTIATE_TEST_SUITE_P(BuiltIn, Shaders, testing::ValuesIn(shaders::all),
                         [](const auto& shader) { return std::string(shader.param.first); });

}  // namespace
}  // namespace vulkan
