// The thread-local state that scopes set. It is one struct, so that an op call needs only one thread-local lookup.
#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "lockstep/call_site.h"
#include "lockstep/device.h"
#include "lockstep/memory.h"
#include "lockstep/scope.h"
#include "lockstep/stream.h"

namespace lockstep {

class DeviceEntry;

/// What a driver claims about a kernel's results (lks_kernel_info); 0 means no claim.
struct KernelClaims {
  std::uint32_t accumulate_dtype = 0;  // an lks_dtype
  float max_ulp = 0;
  float gamma_factor = 0;
};

/// One kernel that was launched: the op's name and the driver's variant and claims.
struct KernelUse {
  std::string op, variant;
  KernelClaims claims;
};

struct ThreadState {
  std::optional<Device> device;  // nullopt: the default device
  MathMode mode = MathMode::strict;
  MemoryOwner owner = MemoryOwner::activations;
  const ScopeName* scope = nullptr;
  CallSite caller;                                 // see caller.h
  const StreamScope* stream = nullptr;             // the innermost one of this thread
  bool undoing = false;                            // a failure's changes are being undone, and uploads enqueued again
  bool abstract_calls = false;                     // calls without tensor operands return abstract tensors
  bool asks_resolvers = true;                      // for the text of places in other languages
  std::vector<KernelUse>* kernels_used = nullptr;  // if set, launches of this thread are recorded here
};

inline ThreadState& thread_state() {
  static thread_local ThreadState state;
  return state;
}

/// Until the end of the scope, places in other languages are unknown: where a resolver must not be called, because this
/// thread has a lock that it may need.
class [[nodiscard]] NoResolversScope {
 public:
  NoResolversScope() : before_(std::exchange(thread_state().asks_resolvers, false)) {}
  ~NoResolversScope() { thread_state().asks_resolvers = before_; }
  NoResolversScope(const NoResolversScope&) = delete;
  NoResolversScope& operator=(const NoResolversScope&) = delete;

 private:
  bool before_;
};

/// Until the end of the scope, calls without tensor operands return abstract tensors.
class [[nodiscard]] AbstractCallsScope {
 public:
  AbstractCallsScope() : before_(std::exchange(thread_state().abstract_calls, true)) {}
  ~AbstractCallsScope() { thread_state().abstract_calls = before_; }
  AbstractCallsScope(const AbstractCallsScope&) = delete;
  AbstractCallsScope& operator=(const AbstractCallsScope&) = delete;

 private:
  bool before_;
};

}  // namespace lockstep
