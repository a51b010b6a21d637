#include "ops/host_kernel.h"

#include "ops/observer.h"
#include "runtime/host_api.h"

namespace lockstep {
namespace {

// A block that is mapped into host memory for the duration of the call.
class Mapping {
 public:
  Mapping(DeviceState& device, const TensorImpl& tensor, const OpCall& call) : device_(device), block_(*tensor.block) {
    if (CommandQueue* queue = block_.write_queue) queue->wait(block_.write_value);
    lks_diag diag = empty_diag();
    const lks_status status =
        device.api().buffer_map(device.handle(), block_.buffer, block_.offset, block_.bytes, &pointer_, &diag);
    check_driver(status, diag, device.name(), {call.op.name, &call.where});
    pointer_ = static_cast<char*>(pointer_) + static_cast<std::size_t>(tensor.offset) * size_of(tensor.dtype);
  }
  ~Mapping() { device_.api().buffer_unmap(device_.handle(), block_.buffer); }
  Mapping(const Mapping&) = delete;
  Mapping& operator=(const Mapping&) = delete;
  void* pointer() const { return pointer_; }

 private:
  DeviceState& device_;
  Block& block_;
  void* pointer_ = nullptr;
};

}  // namespace

bool has_host_kernel(const OpCall& call, DeviceState& device) {
  return !call.op.kernels.empty() && device.host_visible() && call.op.kernels.contains(device.driver_name());
}

void run_host_kernel(const OpCall& call, DeviceState& device, std::span<const TensorSpec> specs,
                     std::span<TensorRef> outputs) {
  const auto kernel = call.op.kernels.find(device.driver_name());
  std::vector<TensorRef> inputs;
  std::vector<TensorSpec> input_specs;
  std::vector<std::unique_ptr<Mapping>> mappings;
  std::vector<const void*> input_pointers;
  std::vector<void*> output_pointers;
  for (const Operand& operand : call.inputs) {
    if (!operand.is_tensor()) continue;
    PauseObservers pause;
    inputs.push_back(operand.impl()->dense ? TensorRef::share(operand.impl())
                                           : make_dense_copy(*operand.impl(), call.where));
    input_specs.push_back({inputs.back()->dtype, inputs.back()->shape});
    mappings.push_back(std::make_unique<Mapping>(device, *inputs.back(), call));
    input_pointers.push_back(mappings.back()->pointer());
  }
  for (std::size_t o = 0; o < specs.size(); ++o) {
    outputs[o] =
        make_tensor(device, specs[o].dtype, specs[o].shape, {.label = call.op.name.c_str(), .where = &call.where});
  }
  // The host is not ordered with the queue: commands in flight, also those that poison new blocks, may still use the
  // memory that the outputs got.
  device.wait_idle();
  for (std::size_t o = 0; o < specs.size(); ++o) {
    mappings.push_back(std::make_unique<Mapping>(device, *outputs[o], call));
    output_pointers.push_back(mappings.back()->pointer());
  }
  kernel->second({call, input_pointers, output_pointers, input_specs, specs});
}

}  // namespace lockstep
