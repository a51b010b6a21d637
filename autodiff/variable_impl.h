// What a Variable handle points to.
#pragma once

#include <atomic>
#include <vector>

#include "api/internal/mutex.h"
#include "lockstep/variable.h"
#include "runtime/tensor_impl.h"

namespace lockstep {

/// A thread that detects a failure restores values at any time, even while another thread reads them, which takes no
/// lock. So a value that is replaced in this way stays alive until the program's next change of the variable. During
/// that, no thread may read the variable (lockstep/stream.h).
class VariableImpl : public std::enable_shared_from_this<VariableImpl> {
 public:
  VariableImpl(const Tensor& initial, std::string name, bool trainable);

  const VariableInfo& info() const { return *info_; }
  TensorImpl& value() const { return *value_.load(std::memory_order_acquire); }
  /// Gives the memory a new tensor id, after it was written in place.
  void renew();
  /// Makes another tensor's memory the value. If a command in flight is found to have failed, the old value is
  /// restored.
  void replace(const TensorRef& tensor);
  /// The same, but if the tensor has no contents because its command failed, throws and keeps the old value.
  void replace_by_sound(const TensorRef& tensor);
  /// Undoes changes: `value` was the variable's value before them. Any thread may call it.
  void put_back(const TensorRef& value);
  /// True if only this variable holds its memory, so that writing into it changes no tensor.
  bool owns_memory() const;
  /// To be called before a change. If the last change was made on another stream, waits until that cannot be undone any
  /// more: an undo after the new change would lose it. Throws only if the wait itself fails.
  void settle(CallSite where) const;
  /// To be called after a change that is undone together with another command, a later one than it would be itself.
  void note_undo(CommandQueue& queue, std::uint64_t value);

 private:
  void hold(TensorRef& next, std::vector<TensorRef>& undone) LOCKSTEP_REQUIRES(mutex_);

  std::shared_ptr<const VariableInfo> info_;
  mutable Mutex mutex_;  // a thread may take a queue's lock while it has this one, but not the allocator's
  std::atomic<TensorImpl*> value_{nullptr};
  TensorRef held_ LOCKSTEP_GUARDED_BY(mutex_);                 // owns what value_ points to
  std::vector<TensorRef> undone_ LOCKSTEP_GUARDED_BY(mutex_);  // replaced by put_back() since the last change
  // These are for the threads that change the variable. If this command fails or is skipped, the last change is undone.
  // nullptr: it stays.
  CommandQueue* undone_by_ = nullptr;
  std::uint64_t undone_with_ = 0;
};

}  // namespace lockstep
