// What a Variable handle points to.
#pragma once

#include "lockstep/variable.h"
#include "runtime/tensor_impl.h"

namespace lockstep {

class VariableImpl : public std::enable_shared_from_this<VariableImpl> {
 public:
  VariableImpl(const Tensor& initial, std::string name, bool trainable);

  const VariableInfo& info() const { return *info_; }
  TensorImpl& value() const { return *value_; }
  /// Gives the memory a new tensor id, after it was written in place.
  void renew();
  /// Makes another tensor's memory the value. If a command in flight is found to have failed, the old value is
  /// restored.
  void replace(const TensorRef& tensor);
  /// The same, but if the tensor has no contents because its command failed, throws and keeps the old value.
  void replace_by_sound(const TensorRef& tensor);
  /// True if only this variable holds its memory, so that writing into it changes no tensor.
  bool owns_memory() const;
  /// To be called before a change. If the last change was made on another stream, waits until that cannot be undone any
  /// more: an undo after the new change would lose it. Throws only if the wait itself fails.
  void settle(CallSite where) const;

 private:
  std::shared_ptr<const VariableInfo> info_;
  TensorRef value_;
  // If this command fails or is skipped, the last change is undone. nullptr: it stays.
  CommandQueue* undone_by_ = nullptr;
  std::uint64_t undone_with_ = 0;
};

}  // namespace lockstep
