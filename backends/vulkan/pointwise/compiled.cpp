#include "backends/vulkan/pointwise/compiled.h"

#include <cinttypes>
#include <cstdio>

#include "backends/vulkan/pointwise/compile.h"

namespace vulkan {

const Pipeline& compiled_pointwise(lks_device& device, const std::vector<lks_instr>& instrs,
                                   const std::vector<std::uint32_t>& outputs, const PointwiseShape& shape) {
  // The shader depends on nothing but its text, so the text is the cache key.
  const std::string text = shader_text(instrs, outputs, shape);
  if (const Pipeline* known = device.pipelines.find(text)) return *known;
  char name[40];
  std::snprintf(name, sizeof name, "pointwise-%016" PRIx64 ".spv", gpu::hash_of(text));
  if (const auto stored = device.disk_cache.load(name, text))
    return device.pipelines.get(text, *stored, device.arithmetic.constants());
  const std::vector<std::uint32_t> spirv = compile_glsl(text);
  const Pipeline& made = device.pipelines.get(text, spirv, device.arithmetic.constants());
  device.disk_cache.store(name, text, spirv);
  return made;
}

}  // namespace vulkan
