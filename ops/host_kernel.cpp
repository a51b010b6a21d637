#include "ops/host_kernel.h"

#include <deque>

#include "ops/call_error.h"
#include "ops/observer.h"
#include "runtime/tensor_mapping.h"

namespace lockstep {

bool has_host_kernel(const OpCall& call, DeviceState& device) {
  return !call.op.kernels.empty() && device.host_visible() && call.op.kernels.contains(device.driver_name());
}

void run_host_kernel(const OpCall& call, DeviceState& device, std::span<const TensorSpec> specs,
                     std::span<TensorRef> outputs) {
  for (const Scalar& number : call.scalars) check_known(call, number);
  const auto kernel = call.op.kernels.find(device.driver_name());
  std::vector<TensorRef> inputs;
  std::vector<TensorSpec> input_specs;
  std::deque<TensorMapping> mappings;  // not movable
  const DriverCall caller{call.op.name, &call.where};
  std::vector<const void*> input_pointers;
  std::vector<void*> output_pointers;
  for (const Operand& operand : call.inputs) {
    if (!operand.is_tensor()) continue;
    PauseObservers pause;
    inputs.push_back(operand.impl()->dense ? TensorRef::share(operand.impl())
                                           : make_dense_copy(*operand.impl(), call.where));
    input_specs.push_back({inputs.back()->dtype, inputs.back()->shape});
    wait_for_contents(*inputs.back()->block, call.where);
    input_pointers.push_back(mappings.emplace_back(*inputs.back(), caller).data());
  }
  for (std::size_t o = 0; o < specs.size(); ++o) {
    outputs[o] =
        make_tensor(device, specs[o].dtype, specs[o].shape, {.label = call.op.name.c_str(), .where = &call.where});
  }
  // The host is not ordered with the queue: its commands in flight, also those that poison new blocks, may still use
  // the memory that the outputs got. Those of other streams do not.
  device.queue().wait_idle();
  for (std::size_t o = 0; o < specs.size(); ++o) {
    wait_for_contents(*outputs[o]->block, call.where);
    output_pointers.push_back(mappings.emplace_back(*outputs[o], caller).data());
  }
  kernel->second({call, input_pointers, output_pointers, input_specs, specs});
}

}  // namespace lockstep
