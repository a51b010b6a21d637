#include "backends/vulkan/device/self_test.h"

#include "backends/vulkan/queue/queue.h"
#include "backends/vulkan/shaders.h"

namespace vulkan {
namespace {

constexpr std::int64_t operands = 1 << 18, per_group = 256;

struct Counts {
  std::uint32_t divisions = 0, roots = 0, comparisons = 0, conversions = 0, products = 0, sums = 0, fused_products = 0,
                divisions_64 = 0, roots_64 = 0;  // wrong results of each kind
};

Counts count_wrong(lks_device& device) {
  Counts counts;
  run_and_wait(device, [&](Command& command) {
    const Shader shader = device.properties.has_f64 ? shaders::self_test_f64 : shaders::self_test;
    const Staged staged = command.staging.take(sizeof counts);
    new (staged.data) Counts;
    command.host_copies.push_back({command.plan.value(), &counts, staged.data, sizeof counts});
    const Access accesses[] = {{staged.location.address, staged.location.address + sizeof counts, true}};
    command.plan.dispatch(device.pipelines.get(shader), staged.location.address,
                          command.plan.groups_for(operands, per_group), accesses);
  });
  return counts;
}

}  // namespace

Arithmetic test_arithmetic(lks_device& device) {
  const Counts counts = count_wrong(device);
  Arithmetic found;
  found.keeps_denormals = counts.products == 0 && counts.sums == 0;
  found.fuses_denormals = counts.fused_products == 0;
  if (option(device.host, "vulkan.arithmetic") == "exact") return found;
  found.native_division = counts.divisions == 0;
  found.native_root = counts.roots == 0;
  found.native_comparison = counts.comparisons == 0;
  found.native_conversion = counts.conversions == 0;
  found.native_division_64 = counts.divisions_64 == 0;
  found.native_root_64 = counts.roots_64 == 0;
  return found;
}

}  // namespace vulkan
