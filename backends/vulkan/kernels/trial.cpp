#include "backends/vulkan/kernels/trial.h"

#include <algorithm>
#include <vector>

#include "backends/vulkan/kernels/products.h"
#include "backends/vulkan/queue/queue.h"

namespace vulkan {
namespace {

// Plans one product. Its result is read back when the command is done; the trial must exist until then.
void plan_product(Command& command, gpu::ProductTrial& trial, const ProductPartition& tile, const Pipeline& pipeline,
                  const TrialProduct& product) {
  const Staged staged = command.staging.take(trial.bytes());
  trial.write_operands(staged.data);
  command.host_copies.push_back(
      {command.plan.value(), trial.result(), staged.data + trial.result_offset(), trial.result_bytes()});
  const VkDeviceAddress at = staged.location.address;
  product.plan({command.plan, tile, pipeline, at, at + trial.right_offset(), at + trial.result_offset()});
}

}  // namespace

bool passes_trial(lks_device& device, const Pipeline& pipeline, const ProductPartition& partition,
                  const TrialProduct& product) {
  const ProductPartition tile = partition.of_one_tile(gpu::trial_depth);
  const bool expects_loss = option(device.host, "vulkan.hide") == "fusedProducts";
  std::vector<gpu::ProductTrial> trials;
  for (const gpu::TrialUnits& units : gpu::trial_units) {
    trials.emplace_back(tile.shape, product.strides, units, expects_loss);
  }
  run_and_wait(device, [&](Command& command) {
    for (gpu::ProductTrial& trial : trials) plan_product(command, trial, tile, pipeline, product);
  });
  return std::all_of(trials.begin(), trials.end(), [](const gpu::ProductTrial& trial) { return trial.is_exact(); });
}

}  // namespace vulkan
