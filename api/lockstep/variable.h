// Variable: the one thing whose value changes.
#pragma once

#include <memory>
#include <string>

#include "lockstep/export.h"
#include "lockstep/tensor.h"

namespace LOCKSTEP_API lockstep {

class VariableImpl;

/// A named tensor whose value can be replaced: a weight, or a running statistic. Copies are the same variable. Using
/// one in an op reads its present value; a tensor that was read keeps its value when the variable changes later. Not to
/// be assigned on one thread while another uses it. One that was moved from can be copied, assigned to and destroyed;
/// everything else throws StateError LS1008.
class Variable {
 public:
  using Where = std::source_location;

  /// Takes the tensor as first value. Trainable variables are watched by every tape that is active when they are used.
  explicit Variable(const Tensor& initial, std::string name = "variable", bool trainable = true);
  /// A single number.
  template <Element T>
  explicit Variable(T initial, std::string name = "variable", bool trainable = true, Where where = Where::current())
      : Variable(Tensor(initial, where), std::move(name), trainable) {}

  Tensor read(Where where = Where::current()) const;

  /// Replaces the value; shape and dtype stay (ShapeError LS2010, DTypeError LS2101). Writes into the variable's memory
  /// where nobody else holds it.
  void assign(const Tensor& value, Where where = Where::current());
  void assign_add(const Tensor& amount, Where where = Where::current());

  const std::string& name(Where where = Where::current()) const;
  bool trainable(Where where = Where::current()) const;
  const Shape& shape(Where where = Where::current()) const;
  DType dtype(Where where = Where::current()) const;
  Device device(Where where = Where::current()) const;
  std::uint64_t id(Where where = Where::current()) const;

  friend bool operator==(const Variable& a, const Variable& b) { return a.impl_ == b.impl_; }

  /// For the runtime.
  VariableImpl& impl(Where where = Where::current()) const { return impl_.at(where); }

 private:
  Held<std::shared_ptr<VariableImpl>, "variable"> impl_;
};

}  // namespace lockstep
