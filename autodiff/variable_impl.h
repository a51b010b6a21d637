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
  /// A fresh identity for the same memory: after it was written in place.
  void renew();
  /// Takes over another tensor's memory as value. Where a command in flight turns out to have failed, the old value
  /// comes back.
  void replace(const TensorRef& tensor);
  /// The same, but throws and keeps the old value where the tensor has no contents, for a command that failed.
  void replace_by_sound(const TensorRef& tensor);
  /// True if only this variable holds its memory, so that writing into it changes no tensor.
  bool owns_memory() const;

 private:
  std::shared_ptr<const VariableInfo> info_;
  TensorRef value_;
};

}  // namespace lockstep
