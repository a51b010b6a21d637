#include "backends/vulkan/pointwise/compile.h"

#include <glslang/Include/glslang_c_interface.h>
#include <glslang/Public/resource_limits_c.h>

#include <memory>
#include <mutex>

#include "backends/vulkan/failure.h"

namespace vulkan {
namespace {

// glslang counts its users, and frees its tables when the last one finalizes it. So it is initialized once and never
// finalized.
void start_glslang() {
  static std::once_flag once;
  std::call_once(once, [] { glslang_initialize_process(); });
}

[[noreturn]] void raise_compiler_error(const char* stage, const char* log) {
  raise(LKS_INTERNAL, DRIVER_WHERE, "a pointwise shader does not %s: %.180s", stage, log ? log : "");
}

}  // namespace

std::vector<std::uint32_t> compile_glsl(const std::string& text) {
  start_glslang();
  glslang_input_t input{};
  input.language = GLSLANG_SOURCE_GLSL;
  input.stage = GLSLANG_STAGE_COMPUTE;
  input.client = GLSLANG_CLIENT_VULKAN;
  input.client_version = GLSLANG_TARGET_VULKAN_1_2;
  input.target_language = GLSLANG_TARGET_SPV;
  input.target_language_version = GLSLANG_TARGET_SPV_1_5;
  input.code = text.c_str();
  input.default_version = 460;
  input.default_profile = GLSLANG_NO_PROFILE;
  input.messages = GLSLANG_MSG_DEFAULT_BIT;
  input.resource = glslang_default_resource();
  const std::unique_ptr<glslang_shader_t, void (*)(glslang_shader_t*)> shader(glslang_shader_create(&input),
                                                                              &glslang_shader_delete);
  if (!shader) throw std::bad_alloc();
  if (!glslang_shader_preprocess(shader.get(), &input))
    raise_compiler_error("preprocess", glslang_shader_get_info_log(shader.get()));
  if (!glslang_shader_parse(shader.get(), &input))
    raise_compiler_error("parse", glslang_shader_get_info_log(shader.get()));
  const std::unique_ptr<glslang_program_t, void (*)(glslang_program_t*)> program(glslang_program_create(),
                                                                                 &glslang_program_delete);
  if (!program) throw std::bad_alloc();
  glslang_program_add_shader(program.get(), shader.get());
  if (!glslang_program_link(program.get(), GLSLANG_MSG_SPV_RULES_BIT | GLSLANG_MSG_VULKAN_RULES_BIT)) {
    raise_compiler_error("link", glslang_program_get_info_log(program.get()));
  }
  glslang_program_SPIRV_generate(program.get(), GLSLANG_STAGE_COMPUTE);
  std::vector<std::uint32_t> words(glslang_program_SPIRV_get_size(program.get()));
  glslang_program_SPIRV_get(program.get(), words.data());
  if (words.empty()) raise_compiler_error("translate", glslang_program_SPIRV_get_messages(program.get()));
  return words;
}

}  // namespace vulkan
