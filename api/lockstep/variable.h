// Variable: a tensor whose value can be replaced.
#pragma once

#include <memory>
#include <string>

#include "lockstep/export.h"
#include "lockstep/tensor.h"

namespace LOCKSTEP_API lockstep {

class LOCKSTEP_HIDDEN VariableImpl;

/// A named tensor whose value can be replaced: a weight, or a running statistic. Copies refer to the same variable. An
/// op reads the current value; a tensor that was read keeps its value when the variable changes later. `const`
/// concerns the handle, not the value. A variable must not be assigned on one thread while another thread uses it. A
/// variable that was moved from can only be copied, assigned to and destroyed; every other use throws StateError
/// LS1008.
class Variable {
 public:
  /// `initial` is the first value. Every tape that is active when a trainable variable is used watches it.
  explicit Variable(const Tensor& initial, std::string name = "variable", bool trainable = true);
  /// A variable of rank 0.
  template <Element T>
  explicit Variable(T initial, std::string name = "variable", bool trainable = true,
                    CallSite where = CallSite::current())
      : Variable(Tensor(initial, where), std::move(name), trainable) {}

  Tensor read(CallSite where = CallSite::current()) const;

  /// Replaces the value; shape and dtype must stay the same (ShapeError LS2010, DTypeError LS2101). Writes in place if
  /// nothing else refers to the variable's memory.
  void assign(const Tensor& value, CallSite where = CallSite::current()) const;
  void assign_add(const Tensor& amount, CallSite where = CallSite::current()) const;

  const std::string& name(CallSite where = CallSite::current()) const;
  bool trainable(CallSite where = CallSite::current()) const;
  const Shape& shape(CallSite where = CallSite::current()) const;
  DType dtype(CallSite where = CallSite::current()) const;
  Device device(CallSite where = CallSite::current()) const;
  std::uint64_t id(CallSite where = CallSite::current()) const;

  friend bool operator==(const Variable& a, const Variable& b) { return a.impl_ == b.impl_; }

  /// For the runtime.
  VariableImpl& impl(CallSite where = CallSite::current()) const { return impl_.at(where); }

 private:
  HandlePointer<std::shared_ptr<VariableImpl>, "variable"> impl_;
};

}  // namespace lockstep
