#include "backends/vulkan/device/pipelines.h"

#include <cstring>

#include "backends/vulkan/device/float_controls.h"
#include "backends/vulkan/device/matrices.h"
#include "backends/vulkan/device/spirv.h"
#include "backends/vulkan/device/unroll.h"
#include "backends/vulkan/failure.h"

namespace vulkan {
namespace {

std::vector<std::uint32_t> words_of(std::string_view bytes) {
  std::vector<std::uint32_t> words(bytes.size() / sizeof(std::uint32_t));
  std::memcpy(words.data(), bytes.data(), words.size() * sizeof(std::uint32_t));
  return words;
}

bool uses_subgroups(std::span<const std::uint32_t> module) {
  constexpr std::uint32_t capability_non_uniform = 61;  // section 3.31 of the SPIR-V specification 1.6
  bool found = false;
  spirv::for_each_instruction(module, [&](std::uint32_t opcode, std::span<const std::uint32_t> words, std::size_t) {
    found = found || (opcode == spirv::op_capability && words[1] == capability_non_uniform);
    return opcode == spirv::op_capability && !found;
  });
  return found;
}

}  // namespace

Pipelines::Pipelines(const lks_host_api& host, const DeviceProperties& properties, const gpu::DiskCache& disk,
                     VkDevice device, const VolkDeviceTable& vk)
    : host_(host), properties_(properties), device_(device), vk_(vk), cache_(properties, disk, device, vk) {
  const VkPushConstantRange range{VK_SHADER_STAGE_COMPUTE_BIT, 0, sizeof(Push)};
  VkPipelineLayoutCreateInfo layout{VK_STRUCTURE_TYPE_PIPELINE_LAYOUT_CREATE_INFO};
  layout.pushConstantRangeCount = 1;
  layout.pPushConstantRanges = &range;
  VULKAN_CHECK(vk_.vkCreatePipelineLayout(device_, &layout, nullptr, &layout_));
}

Pipelines::~Pipelines() {
  for (const auto& [key, p] : built_in_) vk_.vkDestroyPipeline(device_, p.handle, nullptr);
  for (const auto& [key, p] : compiled_) vk_.vkDestroyPipeline(device_, p.handle, nullptr);
  vk_.vkDestroyPipelineLayout(device_, layout_, nullptr);
}

// Pipelines are made without the lock, because that takes long and calls the host's fault points.
template <class Map, class Make>
const Pipeline& Pipelines::find_or_make(Map& map, typename Map::key_type key, Make&& make_it) {
  {
    const lockstep::LockGuard lock(mutex_);
    if (const auto it = map.find(key); it != map.end()) return it->second;
  }
  const Pipeline made = make_it();
  const lockstep::LockGuard lock(mutex_);
  const auto [it, is_new] = map.emplace(std::move(key), made);
  if (!is_new) vk_.vkDestroyPipeline(device_, made.handle, nullptr);  // another thread was faster
  return it->second;
}

const Pipeline& Pipelines::get(Shader shader, std::span<const std::uint32_t> constants) {
  return find_or_make(built_in_, {shader, {constants.begin(), constants.end()}},
                      [&] { return make(words_of(shader()), constants); });
}

const Pipeline& Pipelines::get(const std::string& key, std::span<const std::uint32_t> spirv,
                               std::span<const std::uint32_t> constants) {
  return find_or_make(compiled_, key, [&] { return make(spirv, constants); });
}

const Pipeline* Pipelines::find(const std::string& key) {
  const lockstep::LockGuard lock(mutex_);
  const auto it = compiled_.find(key);
  return it != compiled_.end() ? &it->second : nullptr;
}

Pipeline Pipelines::make(std::span<const std::uint32_t> spirv, std::span<const std::uint32_t> constants) {
  GPU_FAULT_POINT(host_, LKS_FAULT_COMPILE, "vulkan.pipeline");
  const std::vector<std::uint32_t> code =
      with_float_controls(with_khronos_matrices(with_unrolling(spirv)), properties_);
  const VkShaderModuleCreateInfo module_info{VK_STRUCTURE_TYPE_SHADER_MODULE_CREATE_INFO, nullptr, 0,
                                             code.size() * sizeof(std::uint32_t), code.data()};
  VkShaderModule module = VK_NULL_HANDLE;
  VULKAN_CHECK(vk_.vkCreateShaderModule(device_, &module_info, nullptr, &module));

  std::vector<VkSpecializationMapEntry> entries;
  for (std::uint32_t i = 0; i < constants.size(); ++i) entries.push_back({i, i * 4, 4});
  const VkSpecializationInfo special{static_cast<std::uint32_t>(entries.size()), entries.data(), constants.size_bytes(),
                                     constants.data()};
  VkComputePipelineCreateInfo info{VK_STRUCTURE_TYPE_COMPUTE_PIPELINE_CREATE_INFO};
  info.stage = {VK_STRUCTURE_TYPE_PIPELINE_SHADER_STAGE_CREATE_INFO,
                nullptr,
                0,
                VK_SHADER_STAGE_COMPUTE_BIT,
                module,
                "main",
                &special};
  info.layout = layout_;
  const VkPipelineShaderStageRequiredSubgroupSizeCreateInfo size{
      VK_STRUCTURE_TYPE_PIPELINE_SHADER_STAGE_REQUIRED_SUBGROUP_SIZE_CREATE_INFO, nullptr,
      properties_.required_subgroup_size};
  if (size.requiredSubgroupSize != 0 && uses_subgroups(code)) {
    info.stage.pNext = &size;
    info.stage.flags = VK_PIPELINE_SHADER_STAGE_CREATE_REQUIRE_FULL_SUBGROUPS_BIT;
  }
  Pipeline made;
  const VkResult result = vk_.vkCreateComputePipelines(device_, cache_.handle(), 1, &info, nullptr, &made.handle);
  vk_.vkDestroyShaderModule(device_, module, nullptr);
  check(result, "vkCreateComputePipelines", DRIVER_WHERE);
  cache_.note_compilation();
  return made;
}

}  // namespace vulkan
