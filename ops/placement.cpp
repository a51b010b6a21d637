#include "ops/placement.h"

#include "ops/call_error.h"
#include "runtime/driver_registry.h"
#include "runtime/tensor_impl.h"
#include "runtime/thread_state.h"

namespace lockstep {
Placement place(const OpCall& call) {
  Placement placement;
  for (std::size_t i = 0; i < call.inputs.size(); ++i) {
    const Operand& operand = call.inputs[i];
    if (!operand.is_tensor()) continue;
    DeviceState* device = operand.impl()->device;
    if (!device) {
      placement.abstract = true;
    } else if (!placement.device) {
      placement.device = device;
    } else if (placement.device != device && !input_def(call.op, i).host_resident) {
      raise_call_error(call, ErrorId::devices_differ,
                       "operands lie on " + placement.device->name() + " and " + device->name(),
                       "move one: tensor.to(Device(\"" + placement.device->name() + "\"))");
    }
  }
  if (placement.device || placement.abstract) return placement;
  placement.abstract = thread_state().abstract_calls;
  if (!placement.abstract) placement.device = &default_device().state();
  return placement;
}

void refuse_math_mode(const OpCall& call, const DeviceState& device) {
  raise_call_error(call, ErrorId::math_mode,
                   device.name() + " does not offer the math mode " + std::string(name_of(math_mode())),
                   "use another mode or device; `lockstep devices` shows the modes of each");
}

}  // namespace lockstep
