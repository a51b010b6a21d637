// The cache of prepared kernels and of refusals. An answer of the driver serves every call that agrees in the
// properties that it depends on.
//
// Calls with equal op, attributes, dtypes, ranks, programs and mode form a *family*. They may differ in extents,
// strides and alignments. A kernel declares which of these it depends on (lks_operand_deps), and only those are its key
// within the family. A refusal depends on all of them, or on none.
//
// Two levels: each thread has a small table of calls whose answer depends on none. It is read without a lock.
// Everything else is in tables of the device, which have one lock. The driver is asked without it.
#pragma once

#include <atomic>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "api/internal/mutex.h"
#include "runtime/driver_status.h"
#include "runtime/kernel_key.h"
#include "runtime/lru_table.h"
#include "runtime/thread_state.h"

namespace lockstep {

class DeviceState;
class Kernel;

/// The prepared kernels of a device. A kernel may outlive the cache, in the table of another thread; its handle must
/// not outlive the device.
class LiveKernels {
 public:
  explicit LiveKernels(DeviceState& device) : device_(&device) {}
  /// After this, kernels have no handles.
  void release_all();

 private:
  friend class Kernel;
  Mutex mutex_;
  DeviceState* device_ LOCKSTEP_GUARDED_BY(mutex_);  // nullptr once it is closed
  std::unordered_set<Kernel*> kernels_ LOCKSTEP_GUARDED_BY(mutex_);
};

/// A prepared kernel.
class Kernel {
 public:
  explicit Kernel(std::shared_ptr<LiveKernels> live);
  ~Kernel();
  Kernel(const Kernel&) = delete;
  Kernel& operator=(const Kernel&) = delete;

  /// Takes what the driver has prepared.
  void set(lks_kernel* handle, const lks_kernel_info& info);

  lks_kernel* handle() const { return handle_; }
  std::uint64_t workspace_bytes() const { return workspace_bytes_; }
  const std::string& variant() const { return variant_; }
  const KernelClaims& claims() const { return claims_; }

 private:
  friend class LiveKernels;
  void release(DeviceState& device);  // with the lock of live_

  lks_kernel* handle_ = nullptr;
  std::uint64_t workspace_bytes_ = 0;
  std::string variant_;
  KernelClaims claims_;
  std::shared_ptr<LiveKernels> live_;
};

/// Why a driver has no kernel for a call.
struct KernelRefusal {
  std::int32_t reason = LKS_REASON_NONE;
  std::int32_t operand = -1;
  std::string text;
};

struct KernelFamily;

/// What the driver answered: a kernel, or a refusal. Does not change.
struct KernelAnswer : LruItem {
  using LruItem::LruItem;

  std::optional<Kernel> kernel;
  KernelRefusal refusal;
  std::shared_ptr<KernelFamily> family;  // nullptr if it is not in the cache; guarded by the cache's lock
  std::atomic<bool> evicted{false};
};

/// The result of a search. It shares the answer, or borrows it from the thread's table (KernelRequest::borrows).
class KernelLookup {
 public:
  KernelLookup() = default;
  explicit KernelLookup(std::shared_ptr<const KernelAnswer> answer)
      : answer_(answer.get()), shared_(std::move(answer)) {}
  static KernelLookup borrowed(const KernelAnswer& answer) {
    KernelLookup lookup;
    lookup.answer_ = &answer;
    return lookup;
  }

  /// nullptr if the driver refused.
  const Kernel* get() const { return answer_->kernel ? &*answer_->kernel : nullptr; }
  const KernelRefusal& refusal() const { return answer_ ? answer_->refusal : no_refusal(); }
  /// What to hold as long as the kernel is in use; nullptr if it is borrowed.
  const std::shared_ptr<const KernelAnswer>& shared() const { return shared_; }

 private:
  static const KernelRefusal& no_refusal();

  const KernelAnswer* answer_ = nullptr;
  std::shared_ptr<const KernelAnswer> shared_;
};

/// The answer to a query.
struct KernelQuery : KernelRefusal {
  std::string variant;
};

struct KnownCall;
struct KernelDescription;

class KernelCache {
 public:
  explicit KernelCache(DeviceState& device);
  ~KernelCache();

  /// Finds the answer, or asks the driver to prepare a kernel. If another thread is preparing one for the same tensors,
  /// waits for it. Throws only if a resource is missing or the driver fails; then nothing is kept.
  KernelLookup find(const KernelRequest& request, const DriverCall& call);

  /// Queries the driver without preparing a kernel and without an open device.
  static KernelQuery query(const class DeviceEntry& device, const KernelRequest& request);

  struct Counters {
    std::atomic<std::uint64_t> prepares{0};   // kernels prepared
    std::atomic<std::uint64_t> refusals{0};   // times that the driver refused
    std::atomic<std::uint64_t> evictions{0};  // answers that had to go
  };
  Counters counters;

  /// Forgets all answers.
  void clear();
  /// The number of answers.
  std::size_t size();

 private:
  using AnswerRef = std::shared_ptr<KernelAnswer>;
  using Removed = std::vector<AnswerRef>;
  struct ThreadSlot;
  struct ThreadTable;
  class Preparing;

  static ThreadTable& thread_table();
  ThreadSlot& slot_of(std::uint64_t hash);
  KernelLookup find_shared(ThreadSlot& slot, const WordsView& call_key, const KernelRequest& request,
                           const DriverCall& call);
  std::shared_ptr<KnownCall> known_call(const WordsView& key, const KernelRequest& request,
                                        std::optional<KernelDescription>& description);
  std::shared_ptr<KernelFamily> family_of(const lks_kernel_desc& desc) LOCKSTEP_REQUIRES(mutex_);
  AnswerRef find_answer(const KernelFamily& family, const KernelRequest& request) const LOCKSTEP_REQUIRES(mutex_);
  AnswerRef ask(KernelDescription& description, const DriverCall& call) LOCKSTEP_EXCLUDES(mutex_);
  Deps deps_of(const KernelAnswer& answer, const KernelRequest& request, const KernelDescription& description) const;
  AnswerRef keep(const std::shared_ptr<KernelFamily>& family, AnswerRef answer, const Deps& deps,
                 const KernelRequest& request, Removed& removed) LOCKSTEP_REQUIRES(mutex_);
  void remove(KernelAnswer& answer) LOCKSTEP_REQUIRES(mutex_);
  void use(LruItem& item) LOCKSTEP_REQUIRES(mutex_);

  DeviceState& device_;
  const bool inline_;
  const std::uint64_t serial_;      // distinguishes this cache from earlier ones at the same address
  const std::uint64_t alignment_;   // of buffers
  const std::size_t thread_slots_;  // of each thread's table that this cache uses
  const std::shared_ptr<LiveKernels> live_;

  Mutex mutex_;
  LruTable<KnownCall> calls_ LOCKSTEP_GUARDED_BY(mutex_);
  LruTable<KernelAnswer> answers_ LOCKSTEP_GUARDED_BY(mutex_);
  // By the hash of their content.
  std::unordered_multimap<std::uint64_t, std::weak_ptr<KernelFamily>> families_ LOCKSTEP_GUARDED_BY(mutex_);
  std::size_t erase_expired_at_ LOCKSTEP_GUARDED_BY(mutex_) = 64;  // families, expired ones included
  // Keys for which the driver is asked.
  std::vector<std::span<const std::uint64_t>> preparing_ LOCKSTEP_GUARDED_BY(mutex_);
  ConditionVariable prepared_;
  std::uint64_t next_number_ LOCKSTEP_GUARDED_BY(mutex_) = 1;  // of families and groups
  // The time, in uses of these tables: twice their number, and one. Uses of the threads' tables, in between, have that
  // time; uses of these tables have even times. Read without the lock.
  std::atomic<std::uint64_t> now_{1};
};

}  // namespace lockstep
