// The cache of prepared kernels. A kernel is reused for every call that agrees in the properties that it depends on.
//
// Calls with equal op, attributes, dtypes, ranks, programs and mode form a *family*. They may differ in extents,
// strides and alignments. A kernel declares which of these it depends on (lks_operand_deps), and only those are its key
// within the family. Many kernels depend on none of them. They are found by the family alone, through a small
// per-thread table without a lock.
#pragma once

#include <atomic>
#include <cstring>
#include <memory>
#include <mutex>
#include <span>
#include <unordered_map>
#include <vector>

#include "lockstep/device.h"
#include "lockstep/dtype.h"
#include "runtime/driver_status.h"
#include "runtime/memory/block.h"
#include "runtime/thread_state.h"

namespace lockstep {

class DeviceState;

lks_dtype abi_dtype(DType t);

/// The dense row-major stride of the dimension before one that has this `stride` and `extent`. Returns 0 if the product
/// overflows: the tensor is then empty, so no index is valid.
inline std::int64_t next_dense_stride(std::int64_t stride, std::int64_t extent) {
  return __builtin_mul_overflow(stride, extent, &stride) ? 0 : stride;
}

/// A tensor of a call, in the form that the driver receives.
struct KernelTensor {
  DType dtype = DType::f32;
  std::uint8_t rank = 0;
  bool absent = false;  // an optional input that is not given
  const std::int64_t* dims = nullptr;
  const std::int64_t* strides = nullptr;  // in elements
  std::int64_t offset = 0;                // of the first element from the block's start, in elements
  Block* block = nullptr;
};

/// A call for which a kernel is needed.
struct KernelRequest {
  const void* op_key = nullptr;  // identity of the op definition
  const void* attrs = nullptr;
  std::uint32_t attrs_size = 0;
  std::span<const std::uint8_t> number_dtypes;  // which operands are numbers, and their dtypes
  MathMode mode = MathMode::strict;
  std::span<const KernelTensor> tensors;  // inputs, then outputs
  std::uint32_t input_count = 0;
  /// Called on a cache miss: fills op, programs, scalars and aliases of the description; the rest is already filled.
  /// `context` is the caller's.
  void (*describe)(lks_kernel_desc& desc, const void* context) = nullptr;
  const void* context = nullptr;
};

/// A prepared kernel.
class Kernel {
 public:
  Kernel(DeviceState& device, lks_kernel* handle, const lks_kernel_info& info)
      : handle_(handle),
        workspace_bytes_(info.workspace_bytes),
        variant_(info.variant),
        claims_{info.accumulate_dtype, info.max_ulp, info.gamma_factor},
        device_(device) {}
  ~Kernel();
  Kernel(const Kernel&) = delete;
  Kernel& operator=(const Kernel&) = delete;

  lks_kernel* handle() const { return handle_; }
  std::uint64_t workspace_bytes() const { return workspace_bytes_; }
  const std::string& variant() const { return variant_; }
  const KernelClaims& claims() const { return claims_; }

 private:
  lks_kernel* handle_;
  std::uint64_t workspace_bytes_;
  std::string variant_;
  KernelClaims claims_;
  DeviceState& device_;
};

/// A kernel, or why there is none.
struct KernelLookup {
  std::shared_ptr<Kernel> kernel;
  const Kernel* direct = nullptr;  // set instead of `kernel` if the family keeps it alive for the calling thread
  std::int32_t reason = LKS_REASON_NONE;
  std::int32_t operand = -1;
  std::string text;
  std::string variant;  // the variant that the driver returned for a query

  const Kernel* get() const { return direct ? direct : kernel.get(); }
};

struct KernelFamily;

class KernelCache {
 public:
  explicit KernelCache(DeviceState& device);
  ~KernelCache();

  /// Returns a cached kernel or prepares one. If the driver refuses, the result has the reason. Throws only if a
  /// resource is missing or the driver fails.
  KernelLookup find(const KernelRequest& request, const DriverCall& call);

  /// Queries the driver without preparing a kernel and without an open device.
  static KernelLookup query(const class DeviceEntry& device, const KernelRequest& request);

  struct Counters {
    std::atomic<std::uint64_t> prepares{0};   // kernels prepared
    std::atomic<std::uint64_t> refusals{0};   // calls that the driver refused
    std::atomic<std::uint64_t> evictions{0};  // families, or kernels of one family, that were evicted
  };
  Counters counters;

  void clear();
  std::size_t size();

 private:
  std::shared_ptr<KernelFamily> family_for(const KernelRequest& request, std::uint64_t hash);
  KernelLookup find_in(KernelFamily& family, const KernelRequest& request, const DriverCall& call);
  KernelLookup prepare(KernelFamily& family, const KernelRequest& request, const DriverCall& call);
  void evict_least_used();

  DeviceState& device_;
  const bool inline_;
  const std::uint64_t serial_;  // distinguishes this cache from earlier ones at the same address
  std::mutex mutex_;
  std::unordered_multimap<std::uint64_t, std::shared_ptr<KernelFamily>> families_;
  std::atomic<std::uint64_t> clock_{0};
  std::atomic<std::size_t> kernel_count_{0};
};

}  // namespace lockstep
