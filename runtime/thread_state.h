// What each thread of the application has set by scopes. One struct, so that an op call pays for one lookup.
#pragma once

#include "lockstep/device.h"
#include "lockstep/memory.h"
#include "lockstep/scope.h"

namespace lockstep {

class DeviceEntry;

struct ThreadState {
  std::optional<Device> device;  // empty: the default device
  MathMode mode = MathMode::strict;
  MemoryOwner owner = MemoryOwner::activations;
  const ScopeName* scope = nullptr;
  bool describing = false;  // calls without tensors give descriptions
};

inline ThreadState& thread_state() {
  static thread_local ThreadState state;
  return state;
}

}  // namespace lockstep
