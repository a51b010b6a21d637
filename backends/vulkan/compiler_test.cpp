// Every shader through a compiler for GPUs that are not here: Mesa's driver for AMD's makes devices without hardware,
// which compile what they are given and run nothing.
#include <gtest/gtest.h>

#include <cstdlib>
#include <memory>

#include "backends/vulkan/all_shaders.h"
#include "backends/vulkan/device/device.h"
#include "backends/vulkan/kernels/products.h"
#include "runtime/host_api.h"

namespace vulkan {
namespace {

bool is_for(const Facts& facts, const std::string& shader) {
  const auto is_way = [&](const char* way) { return shader.find(way) != std::string::npos; };
  if (is_way("_lanes_")) return facts.is_lavapipe;
  if (is_way("_matrices_")) return facts.has_bfloat_matrices;
  if (is_way("_subgroups_")) return facts.has_subgroup_sums;
  return facts.has_f64 || !is_way("_f64");
}

bool is_product(const std::string& shader) { return shader.starts_with("matmul_") || shader.starts_with("conv_"); }

// A generation of GPUs, as Mesa names it.
class Compiler : public testing::TestWithParam<const char*> {
 protected:
  void SetUp() override {
    setenv("RADV_FORCE_FAMILY", GetParam(), 1);
    setenv("LOCKSTEP_CACHE_FOLDER", "", 1);  // nothing is kept
    try {
      driver_ = std::make_unique<lks_driver>(lockstep::host_api());
    } catch (const Failure& e) {
      GTEST_SKIP() << "no Vulkan: " << e.diag().what;
    }
    for (const Facts& facts : driver_->instance.devices()) {
      if (facts.name.find("Null hardware") != std::string::npos) facts_ = &facts;
    }
    if (!facts_) GTEST_SKIP() << "no Vulkan driver compiles for " << GetParam() << " without one";
  }
  void TearDown() override { unsetenv("RADV_FORCE_FAMILY"); }

  std::unique_ptr<lks_driver> driver_;
  const Facts* facts_ = nullptr;
};

TEST_P(Compiler, takes_every_shader) {
  EXPECT_EQ(facts_->missing, "");
  const DeviceHandle device(*facts_);
  const DiskCache cache(driver_->host);
  Pipelines pipelines(driver_->host, *facts_, cache, device.handle, device.vk);
  ProductConstants products;
  products.chunk = chunk;
  for (const auto& [name, shader] : shaders::all) {
    if (!is_for(*facts_, name)) continue;
    if (!is_product(name)) {
      EXPECT_NO_THROW(pipelines.get(shader)) << name;
      continue;
    }
    for (const std::uint32_t may_fuse : {0u, 1u}) {
      products.may_fuse = may_fuse;
      EXPECT_NO_THROW(pipelines.get(shader, products.all())) << name;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Amd, Compiler, testing::Values("polaris10", "navi21"),
                         [](const auto& family) { return std::string(family.param); });

}  // namespace
}  // namespace vulkan
