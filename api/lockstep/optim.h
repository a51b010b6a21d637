// Optimizers.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <variant>
#include <vector>

#include "lockstep/export.h"
#include "lockstep/tensor.h"
#include "lockstep/variable.h"

namespace LOCKSTEP_API lockstep {
namespace optim {

/// w -= learning_rate g. With momentum: v = momentum v + g, then w -= learning_rate v, or with Nesterov's look-ahead
/// w -= learning_rate (g + momentum v).
struct Sgd {
  double learning_rate = 0.01;
  double momentum = 0;
  bool nesterov = false;  // only with a momentum above 0
};

/// Adam (Kingma and Ba, "Adam: a method for stochastic optimization", ICLR 2015) with bias correction; `weight_decay`
/// is decoupled (Loshchilov and Hutter, "Decoupled weight decay regularization", ICLR 2019).
struct Adam {
  double learning_rate = 1e-3;
  double beta_1 = 0.9;
  double beta_2 = 0.999;
  double epsilon = 1e-7;
  double weight_decay = 0;
};

/// What an optimizer's next step depends on, besides the variables and their gradients. save_optimizer() writes it to a
/// file.
struct Snapshot {
  std::variant<Sgd, Adam> options;
  std::int64_t steps = 0;
  /// For Adam, 1 - beta^steps of each beta, as a sum over the steps: the weight of all gradients in each moving
  /// average.
  double weights_1 = 0, weights_2 = 0;
  /// The values of Optimizer::state() by name.
  std::map<std::string, Tensor> slots;
};

/// Updates variables from their gradients: one fused in-place pass per variable, all submitted as one unit.
class Optimizer {
 public:
  /// Throws ShapeError LS2007 for an option outside its range: rates and decays must be >= 0, betas in [0, 1).
  Optimizer(Sgd options, CallSite where = CallSite::current());   // NOLINT: implicit by design
  Optimizer(Adam options, CallSite where = CallSite::current());  // NOLINT: implicit by design
  ~Optimizer();
  Optimizer(Optimizer&&) noexcept;
  Optimizer& operator=(Optimizer&&) noexcept;

  /// Updates variables[i] with gradients[i]. Both must have the same shape and dtype (ShapeError LS2010, DTypeError
  /// LS2101), the variables must be floating (DTypeError LS2102), all must be on one device (DeviceError LS3002), and
  /// each variable may be given once (StateError LS1008). Updates are computed in f32, and in f64 for variables of f64.
  /// Throws ShapeError LS2007 if an option is infinite in that dtype, or if an epsilon above 0 is 0 in it.
  /// All planning, allocation and preparation comes first: after any failure except a lost device, every variable has
  /// its old value and the step does not count.
  void apply(std::span<const Tensor> gradients, std::span<const Variable> variables,
             CallSite where = CallSite::current());

  /// Allocates the state of these variables now instead of in their first step, so that it gets memory before the
  /// activations do. Until a step was applied, forget_prepared() frees it again; so does a step that fails. Throws
  /// DTypeError LS2102 for a variable that is not floating.
  void prepare(std::span<const Variable> variables);
  void forget_prepared();

  double learning_rate() const;
  void set_learning_rate(double rate, CallSite where = CallSite::current());
  /// Steps taken. A step that is found later to have failed on the device does not count.
  std::int64_t steps() const;
  /// The optimizer's state, such as Adam's moments of each variable; named "<variable>/<slot>". f64 for variables of
  /// f64, else f32: updates of f16 and bf16 variables are computed in f32 and rounded once.
  std::vector<Variable> state() const;
  /// Number of state tensors per variable.
  int slots_per_variable() const;

  /// The present state. Waits for the last step, which does not count if it has failed on the device. The tensors keep
  /// their values when training goes on; until the snapshot is gone, the next step needs memory for copies of them.
  /// Throws StateError LS1008 if two variables have the same name.
  Snapshot snapshot(CallSite where = CallSite::current()) const;
  /// Replaces the state, the options and the learning rate by those of a snapshot, which may come from another process.
  /// `variables` are all variables that the snapshot has state of, in any order; they are found by name. Their values
  /// do not change. Throws StateError LS1009 if the snapshot is one of another kind of optimizer, or if names, shapes
  /// or dtypes differ; ShapeError LS2007 for options or numbers outside their range, DTypeError LS2102 for a variable
  /// that is not floating. After any failure the optimizer is as before.
  void restore(const Snapshot& snapshot, std::span<const Variable> variables, CallSite where = CallSite::current());

 private:
  void step(std::span<const Tensor> gradients, std::span<const Variable> variables, CallSite where);
  friend void report_failed_step(const Optimizer& optimizer, CallSite where);

  struct LOCKSTEP_HIDDEN Impl;
  HandlePointer<std::unique_ptr<Impl>, "optimizer"> impl_;
};

}  // namespace optim
}  // namespace lockstep
