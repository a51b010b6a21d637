// The properties of a physical device, read before it is opened, and whether this driver can use it.
#pragma once

#include <volk.h>

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "lockstep/driver.h"

namespace vulkan {

struct DeviceProperties {
  VkPhysicalDevice handle = VK_NULL_HANDLE;
  std::string name, vendor, version;
  std::string missing;  // the first feature that this driver needs and the device lacks; empty if it has all
  std::int32_t type = LKS_DEVICE_GPU;
  std::array<std::uint8_t, 16> uuid{};
  std::array<std::uint8_t, 16> cache_uuid{};  // changes when compiled pipelines become unusable
  bool is_lavapipe = false;
  bool is_like_cpu = false;       // kernels are chosen as for a CPU
  bool has_large_blocks = false;  // kernels for large products are chosen for small ones too

  std::uint32_t compute_family = 0;
  std::uint32_t queue_count = 1;          // of that family, 1 or 2; the second one is for transfers
  std::uint32_t transfer_family = 0;      // of the copy engines; the compute family if there are none
  std::uint32_t device_memory_type = 0;   // device-local
  std::uint32_t staging_memory_type = 0;  // host-visible, coherent, cached if possible
  std::uint32_t params_memory_type = 0;   // written by the host, read by shaders: device-local if possible
  std::uint64_t heap_bytes = 0;
  std::uint32_t heap = 0;
  std::uint64_t max_allocation = 0;
  std::array<std::uint32_t, 2> max_groups{};  // x and y
  std::uint32_t max_group_size = 0;
  std::uint32_t max_shared_bytes = 0;
  std::uint32_t subgroup_size = 0;
  bool has_f64 = false, has_memory_budget = false;
  std::uint32_t required_subgroup_size = 0;  // that pipelines request; 0: none needs to be, or none can be requested
  bool knows_subgroup_size = false;          // subgroup_size holds for every pipeline that uses subgroups
  bool has_subgroup_sums = false;
  bool has_bfloat_matrices = false;  // products of 16 x 16 matrices of bf16 with sums of f32, by a subgroup of 32

  // Which execution modes shaders may request.
  bool keeps_denormals_32 = false, keeps_denormals_64 = false;
  bool rounds_to_nearest_32 = false, rounds_to_nearest_64 = false;
  bool keeps_special_32 = false, keeps_special_64 = false;
  // The Vulkan driver is one that is known to keep denormal numbers in sums and products although it does not offer the
  // mode. This is tested when the device is opened (device/self_test.h).
  bool keeps_denormals_unasked = false;
  bool same_denormals = false, same_rounding = false;  // all widths must have the same mode

  bool has_copy_engine() const { return transfer_family != compute_family; }
  bool offers_lockstep() const {
    return rounds_to_nearest_32 && keeps_special_32 && (keeps_denormals_32 || keeps_denormals_unasked);
  }
  std::uint32_t math_modes() const {
    const std::uint32_t always = 1u << LKS_MODE_STRICT | 1u << LKS_MODE_FAST;
    return offers_lockstep() ? always | 1u << LKS_MODE_LOCKSTEP : always;
  }
};

/// Mesa's llvmpipe silently ends the loops of an invocation after 65,535 iterations, counted over all of its loops (its
/// loop limiter). So no invocation is given more than about half of that.
constexpr std::int64_t max_iterations = 32768;

/// The user's options that change the properties of devices.
struct DeviceOptions {
  std::string hidden;         // a feature to be treated as missing
  bool gpu_kernels = false;   // kernels are chosen as for a GPU, so that those can be tested without one
  bool large_blocks = false;  // and those for large products also for small ones, which the oracle computes fast enough
};

/// Queries the device without opening it.
DeviceProperties query_properties(VkInstance instance, VkPhysicalDevice device, const DeviceOptions& options);

/// As in VK_KHR_cooperative_matrix and VK_KHR_shader_bfloat16, which the headers of 2023 do not have.
struct MatrixFeatures {
  VkStructureType type = static_cast<VkStructureType>(1000506000);
  void* next = nullptr;
  VkBool32 matrices = VK_FALSE, robust_access = VK_FALSE;
};
struct BfloatFeatures {
  VkStructureType type = static_cast<VkStructureType>(1000141000);
  void* next = nullptr;
  VkBool32 bfloats = VK_FALSE, dot_products = VK_FALSE, matrices = VK_FALSE;
};

/// Features that this driver can use but does not need.
struct OptionalFeatures {
  bool f64 = false, bfloat_matrices = false, subgroup_sizes = false;
};

/// The features that the driver enables when it opens the device: those that it needs, and the optional ones.
struct Features {
  VkPhysicalDeviceFeatures2 all{};
  VkPhysicalDeviceVulkan11Features v11{};
  VkPhysicalDeviceVulkan12Features v12{};
  MatrixFeatures matrices;
  BfloatFeatures bfloats;
  VkPhysicalDeviceSubgroupSizeControlFeatures subgroup_sizes{};

  explicit Features(const OptionalFeatures& wanted);
  Features(const Features&) = delete;  // the parts point to each other
  Features& operator=(const Features&) = delete;
};

/// The extensions that the driver enables.
std::vector<const char*> extensions_of(const DeviceProperties& properties);

}  // namespace vulkan
