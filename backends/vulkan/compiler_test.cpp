// Compiles the shaders for GPUs that are not installed: Mesa's driver for AMD GPUs can create devices without hardware,
// which compile shaders and run nothing.
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <string>
#include <vector>

#include "backends/vulkan/all_shaders.h"
#include "backends/vulkan/device/device.h"
#include "backends/vulkan/kernels/products.h"
#include "runtime/host_api.h"

namespace vulkan {
namespace {

// Whether such a device would be given the shader: not if it is for lavapipe's lanes, or needs what the device lacks.
bool is_for(const DeviceProperties& properties, const std::string& shader) {
  const auto is_algorithm = [&](const char* algorithm) { return shader.find(algorithm) != std::string::npos; };
  if (is_algorithm("_lanes_")) return properties.is_lavapipe;
  if (is_algorithm("_matrices_")) return properties.has_bfloat_matrices;
  if (is_algorithm("_subgroups_")) return properties.has_subgroup_sums;
  return properties.has_f64 || !is_algorithm("_f64");
}

bool is_product(const std::string& shader) { return shader.starts_with("matmul_") || shader.starts_with("conv_"); }

// The constants of strict mode, in which products are fused, fused with a guard or not fused, and those of lockstep
// mode with the most slots for pending chunks.
std::vector<ProductConstants> constants_of(const std::string& shader) {
  ProductConstants fused, guarded, rounded, lockstep;
  fused.fusing = ProductConstants::fuses;
  guarded.fusing = ProductConstants::fuses_guarded;
  lockstep.slots = 5;
  if (shader.find("_simple_") != std::string::npos) lockstep.group_size = lockstep.slots;
  return {fused, guarded, rounded, lockstep};
}

// Never closed: leak checkers can attribute what a Vulkan driver leaks only while it is loaded.
lks_driver& open_driver() {
  static auto* all = new std::vector<lks_driver*>;
  return *all->emplace_back(new lks_driver(lockstep::host_api()));
}

// Opens the driver for the GPU family that the environment names. If Mesa does not know the family, it ends the
// process.
TEST(Family, opens) {
  if (!std::getenv("RADV_FORCE_FAMILY")) GTEST_SKIP() << "RADV_FORCE_FAMILY is not set";
  try {
    open_driver();
  } catch (const Failure& e) {
    GTEST_SKIP() << "no Vulkan: " << e.diag().what;
  }
}

bool opens(const char* family) {
  const std::string program = std::filesystem::read_symlink("/proc/self/exe").string();
  const std::string command =
      "RADV_FORCE_FAMILY=" + std::string(family) + " '" + program + "' --gtest_filter=Family.opens >/dev/null 2>&1";
  return std::system(command.c_str()) == 0;
}

// A generation of GPUs, as Mesa names it.
class Compiler : public testing::TestWithParam<const char*> {
 protected:
  void SetUp() override {
    if (!opens(GetParam())) GTEST_SKIP() << "this Mesa does not know " << GetParam();
    setenv("RADV_FORCE_FAMILY", GetParam(), 1);
    setenv("LOCKSTEP_CACHE_FOLDER", "/dev/null/none", 1);  // no cache, so that everything is compiled
    try {
      driver_ = &open_driver();
    } catch (const Failure& e) {
      GTEST_SKIP() << "no Vulkan: " << e.diag().what;
    }
    for (const DeviceProperties& properties : driver_->instance.devices()) {
      if (properties.name.find("Null hardware") != std::string::npos) properties_ = &properties;
    }
    if (properties_) return;
    if (std::getenv("LOCKSTEP_VULKAN_REQUIRED")) FAIL() << "Mesa's driver for AMD GPUs is not there";
    GTEST_SKIP() << "no Vulkan driver compiles for " << GetParam() << " without one";
  }
  void TearDown() override { unsetenv("RADV_FORCE_FAMILY"); }

  lks_driver* driver_ = nullptr;
  const DeviceProperties* properties_ = nullptr;
};

TEST_P(Compiler, takes_the_shaders) {
  EXPECT_EQ(properties_->missing, "");
  const DeviceHandle device(*properties_);
  const gpu::DiskCache cache(driver_->host, "vulkan");
  Pipelines pipelines(driver_->host, *properties_, cache, device.handle, device.vk);
  for (const auto& [name, shader] : shaders::all) {
    if (!is_for(*properties_, name)) continue;
    if (!is_product(name)) {
      EXPECT_NO_THROW(pipelines.get(shader)) << name;
      continue;
    }
    for (const ProductConstants& constants : constants_of(name)) {
      EXPECT_NO_THROW(pipelines.get(shader, constants.all())) << name;
    }
  }
}

// The last one has matrix units for bf16; Mesa 25 supports it.
INSTANTIATE_TEST_SUITE_P(Amd, Compiler, testing::Values("polaris10", "navi21", "gfx1201"),
                         [](const auto& family) { return std::string(family.param); });

}  // namespace
}  // namespace vulkan
