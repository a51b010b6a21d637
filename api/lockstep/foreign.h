// Tensors over memory that the program or another library owns. dlpack.h has the same for DLPack arrays.
#pragma once

#include <cstddef>
#include <memory>
#include <optional>

#include "lockstep/call_site.h"
#include "lockstep/device.h"
#include "lockstep/export.h"
#include "lockstep/host_view.h"
#include "lockstep/tensor.h"

namespace LOCKSTEP_API lockstep {

/// A tensor on `device` (default: the default device) whose elements are `bytes` bytes at `memory`, in row-major order.
/// The tensor keeps a reference to `memory`, whose bytes must not change until the reference is dropped. That happens
/// once, on any thread that uses the device: for a copy, when the device has read the elements; if the memory is
/// shared, when the last tensor or view of it is gone and no command uses it any more.
///
/// The memory is shared if the device's driver can import host memory, as those of `cpu` and `reference` can, and the
/// elements are aligned to their size. Otherwise the device copies it, without another copy in host memory. Shared
/// memory is never written; it may be write-protected, such as a file that is mapped for reading. Booleans are the
/// bytes 0 and 1.
///
/// Throws ShapeError LS2005 if the spec has more elements than can be counted, LS2006 if `bytes` is not its number of
/// bytes, StateError LS1003 in a forked child, LS1008 if `memory` is null although there are elements, LS1010 for
/// booleans that are other bytes, OutOfMemoryError LS5002 if the tensor is larger than the device takes, LS5001 if a
/// copy does not fit, and UnsupportedError LS6003 if `copy` is `never` and the device cannot share the memory.
Tensor from_memory(std::shared_ptr<const void> memory, std::size_t bytes, const TensorSpec& spec,
                   std::optional<Device> device = std::nullopt, CopyPolicy copy = CopyPolicy::if_needed,
                   CallSite where = CallSite::current());

}  // namespace lockstep
