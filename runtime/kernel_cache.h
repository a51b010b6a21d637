// Prepared kernels, reused for every call that agrees in what they depend on.
//
// A *family* is everything of a call but extents, strides and alignments: op, attributes, dtypes, ranks, programs,
// mode. A kernel states which of the rest it depends on (lks_operand_deps); within a family, kernels are found by
// exactly those. Many depend on nothing, and are then found by the family alone, through a small per-thread table
// without a lock.
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

/// The stride before a dimension of `extent` elements that lie `stride` apart, row-major and without gaps. Where the
/// product leaves 64 bits the tensor is empty, and it is 0: nothing lies at any index.
inline std::int64_t next_dense_stride(std::int64_t stride, std::int64_t extent) {
  return __builtin_mul_overflow(stride, extent, &stride) ? 0 : stride;
}

/// A tensor of a call, as the driver will see it.
struct KernelTensor {
  DType dtype = DType::f32;
  std::uint8_t rank = 0;
  bool absent = false;  // an optional input that is not given
  const std::int64_t* dims = nullptr;
  const std::int64_t* strides = nullptr;  // in elements
  std::int64_t offset = 0;                // of the first element, in elements, from the block's start
  Block* block = nullptr;
};

/// A call, ready to be looked up.
struct KernelRequest {
  const void* op_key = nullptr;  // identity of the op definition
  const void* attrs = nullptr;
  std::uint32_t attrs_size = 0;
  std::span<const std::uint8_t> number_dtypes;  // which operands are numbers, and of which dtypes
  MathMode mode = MathMode::strict;
  std::span<const KernelTensor> tensors;  // inputs, then outputs
  std::uint32_t input_count = 0;
  /// Fills op, programs, scalars and aliases of the description, on a miss; the rest is filled already. `context` is
  /// the caller's.
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
  const Kernel* direct = nullptr;  // the same, where the family keeps it alive for the calling thread
  std::int32_t reason = LKS_REASON_NONE;
  std::int32_t operand = -1;
  std::string text;
  std::string variant;  // what a query was answered with

  const Kernel* get() const { return direct ? direct : kernel.get(); }
};

struct KernelFamily;

class KernelCache {
 public:
  explicit KernelCache(DeviceState& device);
  ~KernelCache();

  /// Finds or prepares. Throws only where preparing fails for want of resources or by a driver's failure.
  KernelLookup find(const KernelRequest& request, const DriverCall& call);

  /// Asks without preparing, and without an open device.
  static KernelLookup query(const class DeviceEntry& device, const KernelRequest& request);

  struct Counters {
    std::atomic<std::uint64_t> prepares{0};   // kernels made
    std::atomic<std::uint64_t> refusals{0};   // times the driver said no
    std::atomic<std::uint64_t> evictions{0};  // families dropped to stay within the capacity
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
  const std::uint64_t serial_;  // tells this cache from earlier ones at the same address
  std::mutex mutex_;
  std::unordered_multimap<std::uint64_t, std::shared_ptr<KernelFamily>> families_;
  std::atomic<std::uint64_t> clock_{0};
  std::atomic<std::size_t> kernel_count_{0};
};

}  // namespace lockstep
