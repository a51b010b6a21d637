// Exchange of arrays with NumPy, PyTorch, JAX and other libraries through DLPack. dlpack_abi.h has the structs.
#pragma once

#include <optional>

#include "lockstep/call_site.h"
#include "lockstep/device.h"
#include "lockstep/export.h"
#include "lockstep/host_view.h"
#include "lockstep/tensor.h"

struct DLManagedTensor;
struct DLManagedTensorVersioned;

namespace LOCKSTEP_API lockstep {

/// The tensor as a DLPack array of the host (kDLCPU), with the tensor's shape, dtype and strides. It waits for the
/// elements. The caller owns the result: it calls `deleter` once, on any thread, or hands the array to a library that
/// does. bf16 is kDLBfloat, bool is kDLBool.
///
/// The array shares the tensor's memory if the host sees it; its flags then say that it is read-only. Otherwise it has
/// a copy, which may be written and is flagged as copied. An array without elements shares nothing. Throws what
/// HostView throws.
DLManagedTensorVersioned* to_dlpack(const Tensor& tensor, CopyPolicy copy = CopyPolicy::if_needed,
                                    CallSite where = CallSite::current());

/// The same for readers that know only DLPack before version 1.0. That struct cannot say that an array is read-only, so
/// it always has a copy.
DLManagedTensor* to_dlpack_unversioned(const Tensor& tensor, CallSite where = CallSite::current());

/// A tensor on `device` (default: the default device) with the elements of a DLPack array, which is taken over: its
/// deleter is called once, even if this throws.
///
/// In general the device copies the elements. A later change of the array then does not change the tensor. from_dlpack
/// waits until the device has read the elements, and then calls the deleter. (If another thread detects at the same
/// time that the copy is done, that thread calls it, soon after.)
///
/// A device shares the memory if its driver can import host memory, as those of `cpu` and `reference` can, the elements
/// are aligned to their size, and the strides are not negative. With `if_needed`, only arrays that are flagged as
/// read-only are shared; with `never`, others are too, and must not be changed while a tensor uses them. The deleter of
/// a shared array is called when the last tensor or view of it is gone and no command of the device uses it any more,
/// on the thread that drops the last reference.
///
/// Takes arrays in host memory (kDLCPU, kDLCUDAHost, kDLROCMHost) of the dtypes that Lockstep has, with any strides and
/// any alignment.
///
/// Throws DeviceError LS3006 for other devices, DTypeError LS2105 for other types and for vectors (lanes), ShapeError
/// LS2005 for a rank above 8 and for extents that are negative or too large, OutOfMemoryError LS5001 or LS5002 if the
/// tensor does not fit, StateError LS1010 for an array that contradicts itself, and UnsupportedError LS6003 if `copy`
/// is `never` and the device cannot share the memory.
Tensor from_dlpack(DLManagedTensorVersioned* array, std::optional<Device> device = std::nullopt,
                   CopyPolicy copy = CopyPolicy::if_needed, CallSite where = CallSite::current());
Tensor from_dlpack(DLManagedTensor* array, std::optional<Device> device = std::nullopt,
                   CopyPolicy copy = CopyPolicy::if_needed, CallSite where = CallSite::current());

}  // namespace lockstep
