// What is known of a physical device before it is opened, and whether this driver can use it.
#pragma once

#include <volk.h>

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "lockstep/driver.h"

namespace vulkan {

struct Facts {
  VkPhysicalDevice handle = VK_NULL_HANDLE;
  std::string name, vendor, version;
  std::string missing;  // the first feature that this driver needs and the device lacks; empty where it has all
  std::int32_t type = LKS_DEVICE_GPU;
  std::array<std::uint8_t, 16> uuid{};
  std::array<std::uint8_t, 16> cache_uuid{};  // changes when compiled pipelines become useless
  bool is_lavapipe = false;
  bool is_like_cpu = false;       // kernels are chosen as for a CPU
  bool has_large_blocks = false;  // kernels for large products serve small ones too

  std::uint32_t compute_family = 0;
  std::uint32_t queue_count = 1;          // of that family; the second one serves transfers
  std::uint32_t transfer_family = 0;      // of the copy engines; the compute family where there are none
  std::uint32_t device_memory_type = 0;   // device-local
  std::uint32_t staging_memory_type = 0;  // the host's, coherent, cached where possible
  std::uint32_t params_memory_type = 0;   // written by the host, read by shaders: device-local where possible
  std::uint64_t heap_bytes = 0;
  std::uint32_t heap = 0;
  std::uint64_t max_allocation = 0;
  std::array<std::uint32_t, 2> max_groups{};  // x and y
  std::uint32_t max_group_size = 0;
  std::uint32_t max_shared_bytes = 0;
  std::uint32_t subgroup_size = 0;
  bool has_f64 = false, has_memory_budget = false;
  std::uint32_t required_subgroup_size = 0;  // that pipelines ask for; 0: all subgroups are of one size anyway
  bool knows_subgroup_size = false;          // the device may have none that is sure
  bool has_subgroup_sums = false;
  bool has_bfloat_matrices = false;  // products of 16 x 16 matrices of bf16 with sums of f32, by a subgroup of 32

  // Which execution modes shaders may ask for.
  bool keeps_denormals_32 = false, keeps_denormals_64 = false;
  bool rounds_to_nearest_32 = false, rounds_to_nearest_64 = false;
  bool keeps_special_32 = false, keeps_special_64 = false;
  // Drivers that were seen to keep denormal numbers in sums and products, although they do not offer the mode; what
  // they do is looked at when the device is opened (device/self_test.h).
  bool keeps_denormals_unasked = false;
  bool same_denormals = false, same_rounding = false;  // modes must be those of all widths at once

  bool has_copy_engine() const { return transfer_family != compute_family; }
  bool offers_lockstep() const {
    return rounds_to_nearest_32 && keeps_special_32 && (keeps_denormals_32 || keeps_denormals_unasked);
  }
  std::uint32_t math_modes() const {
    const std::uint32_t always = 1u << LKS_MODE_STRICT | 1u << LKS_MODE_FAST;
    return offers_lockstep() ? always | 1u << LKS_MODE_LOCKSTEP : always;
  }
};

/// Mesa's llvmpipe ends the loops of an invocation after 65,535 turns, all of them together (its loop limiter), and
/// says nothing. So no invocation is given more than about half of that.
constexpr std::int64_t most_turns = 32768;

/// What the user wants to be different.
struct Wishes {
  std::string hidden;         // a feature that is taken to be missing
  bool gpu_kernels = false;   // kernels are chosen as for a GPU, so that those can be tested without one
  bool large_blocks = false;  // and those for large products serve small ones, so that the oracle can follow
};

/// Asks the device; opens nothing.
Facts facts_of(VkInstance instance, VkPhysicalDevice device, const Wishes& wishes);

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

/// Those that not every device of this driver has.
struct OptionalFeatures {
  bool f64 = false, bfloat_matrices = false, subgroup_sizes = false;
};

/// The features that the driver switches on when it opens the device: what it needs, and what else it can use.
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

/// The extensions that go with them.
std::vector<const char*> extensions_of(const Facts& facts);

}  // namespace vulkan
