// Where a call runs, and whether it may run there.
#pragma once

#include "lockstep/op_def.h"
#include "runtime/device_state.h"

namespace lockstep {

/// `abstract`: nowhere, because an input is an abstract tensor, or because there is none and the thread only infers.
struct Placement {
  DeviceState* device = nullptr;
  bool abstract = false;
};

/// The device of the operands; if there are none, the thread's default device. Throws DeviceError LS3002 if the
/// operands lie on several devices.
Placement place(const OpCall& call);

[[noreturn]] void refuse_math_mode(const OpCall& call, const DeviceState& device);

/// Throws UnsupportedError LS6002 if the device does not offer the thread's math mode.
inline void check_math_mode(const OpCall& call, const DeviceState& device) {
  if (!device.offers(math_mode())) [[unlikely]]
    refuse_math_mode(call, device);
}

}  // namespace lockstep
