#include "backends/vulkan/device/properties.h"

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <utility>
#include <vector>

namespace vulkan {
namespace {

constexpr std::uint32_t largest_group = 256;  // the largest workgroup of any shader

struct Properties {
  VkPhysicalDeviceProperties2 all{};
  VkPhysicalDeviceVulkan11Properties v11{};
  VkPhysicalDeviceVulkan12Properties v12{};

  explicit Properties(VkPhysicalDevice device) {
    all.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_PROPERTIES_2;
    v11.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_1_PROPERTIES;
    v12.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_2_PROPERTIES;
    all.pNext = &v11;
    v11.pNext = &v12;
    vkGetPhysicalDeviceProperties2(device, &all);
  }
  Properties(const Properties&) = delete;
  Properties& operator=(const Properties&) = delete;
};

std::int32_t type_of(VkPhysicalDeviceType type) {
  switch (type) {
    case VK_PHYSICAL_DEVICE_TYPE_CPU: return LKS_DEVICE_CPU;
    case VK_PHYSICAL_DEVICE_TYPE_INTEGRATED_GPU: return LKS_DEVICE_INTEGRATED_GPU;
    default: return LKS_DEVICE_GPU;
  }
}

// PCI vendor ids, https://pcisig.com/membership/member-companies, and Khronos' own numbers from 0x10000.
std::string vendor_of(std::uint32_t id) {
  switch (id) {
    case 0x1002: return "AMD";
    case 0x1010: return "Imagination";
    case 0x106b: return "Apple";
    case 0x10de: return "NVIDIA";
    case 0x13b5: return "Arm";
    case 0x5143: return "Qualcomm";
    case 0x8086: return "Intel";
    case VK_VENDOR_ID_MESA: return "Mesa";
    default: break;
  }
  char text[24];
  std::snprintf(text, sizeof text, "vendor 0x%04x", id);
  return text;
}

// The first needed feature that is missing, by its name in the specification; empty if the device has all.
std::string missing_feature(VkPhysicalDevice device, std::uint32_t api_version, const std::string& hidden) {
  if (api_version < VK_API_VERSION_1_2) {
    return "Vulkan 1.2 (the device has " + std::to_string(VK_API_VERSION_MAJOR(api_version)) + "." +
           std::to_string(VK_API_VERSION_MINOR(api_version)) + ")";
  }
  Features has(OptionalFeatures{});
  vkGetPhysicalDeviceFeatures2(device, &has.all);
  const std::pair<VkBool32, const char*> needed[] = {
      {has.v12.bufferDeviceAddress, "bufferDeviceAddress"},
      {has.v12.timelineSemaphore, "timelineSemaphore"},
      {has.v12.scalarBlockLayout, "scalarBlockLayout"},
      {has.v12.shaderInt8, "shaderInt8"},
      {has.v12.storageBuffer8BitAccess, "storageBuffer8BitAccess"},
      {has.v11.storageBuffer16BitAccess, "storageBuffer16BitAccess"},
      {has.all.features.shaderInt16, "shaderInt16"},
      {has.all.features.shaderInt64, "shaderInt64"},
  };
  for (const auto& [there, name] : needed) {
    if (!there || hidden == name) return name;
  }
  return "";
}

void find_memory_types(DeviceProperties& f) {
  VkPhysicalDeviceMemoryProperties memory;
  vkGetPhysicalDeviceMemoryProperties(f.handle, &memory);
  // The first type with all of `wanted` and `better`, or else the first with all of `wanted`.
  const auto find = [&](VkMemoryPropertyFlags wanted, VkMemoryPropertyFlags better, std::uint32_t otherwise) {
    for (const VkMemoryPropertyFlags flags : {wanted | better, wanted}) {
      for (std::uint32_t i = 0; i < memory.memoryTypeCount; ++i) {
        if ((memory.memoryTypes[i].propertyFlags & flags) == flags) return i;
      }
    }
    return otherwise;
  };
  constexpr VkMemoryPropertyFlags local = VK_MEMORY_PROPERTY_DEVICE_LOCAL_BIT;
  constexpr VkMemoryPropertyFlags seen = VK_MEMORY_PROPERTY_HOST_VISIBLE_BIT | VK_MEMORY_PROPERTY_HOST_COHERENT_BIT;
  f.device_memory_type = find(local, 0, 0);
  f.staging_memory_type = find(seen, VK_MEMORY_PROPERTY_HOST_CACHED_BIT, 0);
  f.params_memory_type = find(seen, local, f.staging_memory_type);
  f.heap = memory.memoryTypes[f.device_memory_type].heapIndex;
  f.heap_bytes = memory.memoryHeaps[f.heap].size;
}

// Looks for a queue family that can do nothing but copy. Those of video engines copy too, but are not what is wanted.
void find_copy_engine(DeviceProperties& f, const std::vector<VkQueueFamilyProperties>& families) {
  constexpr VkQueueFlags beside = VK_QUEUE_SPARSE_BINDING_BIT | VK_QUEUE_PROTECTED_BIT;
  for (std::uint32_t i = 0; i < families.size(); ++i) {
    if ((families[i].queueFlags & ~beside) != VK_QUEUE_TRANSFER_BIT) continue;
    f.transfer_family = i;
    f.queue_count = 1;
    return;
  }
}

void find_queue_families(DeviceProperties& f) {
  std::uint32_t count = 0;
  vkGetPhysicalDeviceQueueFamilyProperties(f.handle, &count, nullptr);
  std::vector<VkQueueFamilyProperties> families(count);
  vkGetPhysicalDeviceQueueFamilyProperties(f.handle, &count, families.data());
  for (std::uint32_t i = 0; i < count; ++i) {
    if (!(families[i].queueFlags & VK_QUEUE_COMPUTE_BIT)) continue;
    f.compute_family = f.transfer_family = i;
    f.queue_count = std::min(families[i].queueCount, 2u);
    find_copy_engine(f, families);
    return;
  }
  f.missing = "a queue that computes";
}

bool has_extension(VkPhysicalDevice device, const char* name) {
  std::uint32_t count = 0;
  vkEnumerateDeviceExtensionProperties(device, nullptr, &count, nullptr);
  std::vector<VkExtensionProperties> all(count);
  vkEnumerateDeviceExtensionProperties(device, nullptr, &count, all.data());
  return std::any_of(all.begin(), all.end(),
                     [&](const VkExtensionProperties& e) { return std::strcmp(e.extensionName, name) == 0; });
}

// As in VK_KHR_cooperative_matrix, which the headers of 2023 do not have.
struct MatrixProperties {
  VkStructureType type = static_cast<VkStructureType>(1000506001);
  void* next = nullptr;
  std::uint32_t rows = 0, columns = 0, depth = 0;
  std::int32_t left = 0, right = 0, added = 0, result = 0;
  VkBool32 saturating = VK_FALSE;
  std::int32_t scope = 0;
};
using GetMatrixProperties = VkResult(VKAPI_PTR*)(VkPhysicalDevice, std::uint32_t*, MatrixProperties*);
constexpr const char* matrix_extension = "VK_KHR_cooperative_matrix";
constexpr const char* bfloat_extension = "VK_KHR_shader_bfloat16";

bool offers_bfloat_products(VkInstance instance, VkPhysicalDevice device) {
  constexpr std::int32_t f32 = 1, bf16 = 1000141000, subgroup = 3;
  const auto get = reinterpret_cast<GetMatrixProperties>(
      vkGetInstanceProcAddr(instance, "vkGetPhysicalDeviceCooperativeMatrixPropertiesKHR"));
  std::uint32_t count = 0;
  if (!get || get(device, &count, nullptr) != VK_SUCCESS) return false;
  std::vector<MatrixProperties> all(count);
  get(device, &count, all.data());
  return std::any_of(all.begin(), all.end(), [](const MatrixProperties& p) {
    return p.rows == 16 && p.columns == 16 && p.depth == 16 && p.left == bf16 && p.right == bf16 && p.added == f32 &&
           p.result == f32 && p.scope == subgroup;
  });
}

// Chooses the size of subgroups: either all have the same size, and so are full, or pipelines request a size. Returns
// false if neither is possible. `varies`: request a size, if possible, even if all have the same.
bool choose_subgroup_size(DeviceProperties& f, bool varies) {
  if (f.is_lavapipe && !varies) return true;
  if (!has_extension(f.handle, VK_EXT_SUBGROUP_SIZE_CONTROL_EXTENSION_NAME)) return false;
  VkPhysicalDeviceSubgroupSizeControlProperties sizes{
      VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SUBGROUP_SIZE_CONTROL_PROPERTIES};
  VkPhysicalDeviceProperties2 all{VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_PROPERTIES_2, &sizes, {}};
  vkGetPhysicalDeviceProperties2(f.handle, &all);
  if (sizes.minSubgroupSize == sizes.maxSubgroupSize && !varies) return true;
  Features has({.subgroup_sizes = true});
  vkGetPhysicalDeviceFeatures2(f.handle, &has.all);
  const bool may_be_chosen = has.subgroup_sizes.subgroupSizeControl && has.subgroup_sizes.computeFullSubgroups &&
                             (sizes.requiredSubgroupSizeStages & VK_SHADER_STAGE_COMPUTE_BIT) != 0;
  if (!may_be_chosen) return sizes.minSubgroupSize == sizes.maxSubgroupSize;
  f.subgroup_size = f.required_subgroup_size = std::clamp(32u, sizes.minSubgroupSize, sizes.maxSubgroupSize);
  return true;
}

void read_subgroups(DeviceProperties& f, const VkPhysicalDeviceVulkan11Properties& p, bool varies) {
  f.subgroup_size = p.subgroupSize;
  f.knows_subgroup_size = choose_subgroup_size(f, varies);
  f.has_subgroup_sums = f.knows_subgroup_size && (p.subgroupSupportedStages & VK_SHADER_STAGE_COMPUTE_BIT) != 0 &&
                        (p.subgroupSupportedOperations & VK_SUBGROUP_FEATURE_ARITHMETIC_BIT) != 0;
}

// Whether the device has what shaders/product_matrices.glsl needs, including subgroups of 32 and enough shared memory.
bool has_bfloat_matrices(VkInstance instance, const DeviceProperties& f) {
  constexpr std::uint32_t shared_bytes = 28672;
  const bool fits = f.max_shared_bytes >= shared_bytes && f.knows_subgroup_size && f.subgroup_size == 32;
  if (!fits || !has_extension(f.handle, matrix_extension) || !has_extension(f.handle, bfloat_extension)) return false;
  Features has({.bfloat_matrices = true});
  vkGetPhysicalDeviceFeatures2(f.handle, &has.all);
  return has.matrices.matrices && has.bfloats.matrices && has.v12.vulkanMemoryModel &&
         offers_bfloat_products(instance, f.handle);
}

void read_float_controls(DeviceProperties& f, const VkPhysicalDeviceVulkan12Properties& p) {
  f.keeps_denormals_32 = p.shaderDenormPreserveFloat32;
  f.keeps_denormals_64 = p.shaderDenormPreserveFloat64;
  f.rounds_to_nearest_32 = p.shaderRoundingModeRTEFloat32;
  f.rounds_to_nearest_64 = p.shaderRoundingModeRTEFloat64;
  f.keeps_special_32 = p.shaderSignedZeroInfNanPreserveFloat32;
  f.keeps_special_64 = p.shaderSignedZeroInfNanPreserveFloat64;
  f.same_denormals = p.denormBehaviorIndependence == VK_SHADER_FLOAT_CONTROLS_INDEPENDENCE_NONE;
  f.same_rounding = p.roundingModeIndependence == VK_SHADER_FLOAT_CONTROLS_INDEPENDENCE_NONE;
}

void read_limits(DeviceProperties& f, const Properties& p) {
  const VkPhysicalDeviceLimits& limits = p.all.properties.limits;
  f.max_allocation = std::min<std::uint64_t>(p.v11.maxMemoryAllocationSize, f.heap_bytes);
  f.max_groups = {limits.maxComputeWorkGroupCount[0], limits.maxComputeWorkGroupCount[1]};
  f.max_group_size = std::min(limits.maxComputeWorkGroupInvocations, limits.maxComputeWorkGroupSize[0]);
  f.max_shared_bytes = limits.maxComputeSharedMemorySize;
}

}  // namespace

std::vector<const char*> extensions_of(const DeviceProperties& f) {
  std::vector<const char*> names;
  if (f.has_memory_budget) names.push_back(VK_EXT_MEMORY_BUDGET_EXTENSION_NAME);
  if (f.has_bfloat_matrices) names.insert(names.end(), {matrix_extension, bfloat_extension});
  if (f.required_subgroup_size != 0) names.push_back(VK_EXT_SUBGROUP_SIZE_CONTROL_EXTENSION_NAME);
  return names;
}

Features::Features(const OptionalFeatures& wanted) {
  all.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_FEATURES_2;
  v11.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_1_FEATURES;
  v12.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_2_FEATURES;
  all.pNext = &v11;
  v11.pNext = &v12;
  all.features.shaderInt16 = all.features.shaderInt64 = VK_TRUE;
  all.features.shaderFloat64 = wanted.f64;
  v11.storageBuffer16BitAccess = VK_TRUE;
  v12.bufferDeviceAddress = v12.timelineSemaphore = v12.scalarBlockLayout = VK_TRUE;
  v12.shaderInt8 = v12.storageBuffer8BitAccess = VK_TRUE;
  if (wanted.bfloat_matrices) {
    v12.pNext = &matrices;
    matrices.next = &bfloats;
    matrices.matrices = bfloats.bfloats = bfloats.matrices = v12.vulkanMemoryModel = VK_TRUE;
  }
  if (wanted.subgroup_sizes) {
    subgroup_sizes.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SUBGROUP_SIZE_CONTROL_FEATURES;
    subgroup_sizes.subgroupSizeControl = subgroup_sizes.computeFullSubgroups = VK_TRUE;
    subgroup_sizes.pNext = std::exchange(v12.pNext, &subgroup_sizes);
  }
}

DeviceProperties query_properties(VkInstance instance, VkPhysicalDevice device, const DeviceOptions& options) {
  DeviceProperties f;
  f.handle = device;
  VkPhysicalDeviceProperties basic;
  vkGetPhysicalDeviceProperties(device, &basic);
  f.name = basic.deviceName;
  f.vendor = vendor_of(basic.vendorID);
  f.type = type_of(basic.deviceType);
  f.is_like_cpu = f.type == LKS_DEVICE_CPU && !options.gpu_kernels;
  f.has_large_blocks = options.large_blocks;
  f.version = "Vulkan " + std::to_string(VK_API_VERSION_MAJOR(basic.apiVersion)) + "." +
              std::to_string(VK_API_VERSION_MINOR(basic.apiVersion)) + "." +
              std::to_string(VK_API_VERSION_PATCH(basic.apiVersion));
  f.missing = missing_feature(device, basic.apiVersion, options.hidden);
  if (basic.apiVersion < VK_API_VERSION_1_2) return f;
  const Properties p(device);
  f.is_lavapipe = p.v12.driverID == VK_DRIVER_ID_MESA_LLVMPIPE;
  f.keeps_denormals_unasked = f.is_lavapipe || p.v12.driverID == VK_DRIVER_ID_NVIDIA_PROPRIETARY;
  f.version += std::string(", ") + p.v12.driverName + " " + p.v12.driverInfo;
  std::copy(std::begin(p.v11.deviceUUID), std::end(p.v11.deviceUUID), f.uuid.begin());
  std::copy(std::begin(basic.pipelineCacheUUID), std::end(basic.pipelineCacheUUID), f.cache_uuid.begin());
  find_memory_types(f);
  read_limits(f, p);
  read_float_controls(f, p.v12);
  if (f.missing.empty() && f.max_group_size < largest_group) f.missing = "groups of 256 invocations";
  if (f.missing.empty()) find_queue_families(f);
  Features has(OptionalFeatures{});
  vkGetPhysicalDeviceFeatures2(device, &has.all);
  f.has_f64 = has.all.features.shaderFloat64;
  read_subgroups(f, p.v11, options.gpu_kernels);
  if (options.hidden == "subgroupArithmetic") f.has_subgroup_sums = false;
  f.has_bfloat_matrices = options.hidden != "cooperativeMatrix" && has_bfloat_matrices(instance, f);
  f.has_memory_budget = has_extension(device, VK_EXT_MEMORY_BUDGET_EXTENSION_NAME);
  return f;
}

}  // namespace vulkan
