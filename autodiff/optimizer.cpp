#include <algorithm>
#include <cmath>
#include <cstdio>
#include <deque>
#include <set>
#include <unordered_map>

#include "autodiff/optimizer_step.h"
#include "autodiff/update_checks.h"
#include "autodiff/update_numbers.h"
#include "autodiff/update_undo.h"
#include "autodiff/variable_impl.h"
#include "lockstep/error.h"
#include "lockstep/ops.h"
#include "lockstep/optim.h"
#include "ops/call_into.h"
#include "ops/observer.h"
#include "ops/update/update.h"
#include "runtime/device_state.h"

namespace lockstep::optim {
namespace {

// What advances with each step. Computed on the host by multiplications and additions alone, so that every machine gets
// the same bits.
struct Progress {
  std::int64_t steps = 0;
  // 1 - beta^steps, the sum of the weights in each moving average.
  double weights_1 = 0, weights_2 = 0;
};

// The state that is rolled back if a step is found later to have failed on the device, by any thread.
class StepState {
 public:
  Progress progress() const {
    const LockGuard lock(mutex_);
    return progress_;
  }
  void set_progress(const Progress& progress) {
    const LockGuard lock(mutex_);
    progress_ = progress;
  }
  /// `known`: the number of variables with slots before the failed step. Newer slots hold nothing.
  void undo(const Progress& before, std::size_t known) {
    const LockGuard lock(mutex_);
    progress_ = before;
    known_ = known_ ? std::min(known, *known_) : known;
  }
  /// The number of variables whose slots remain after failed steps, if there were any since the last call.
  std::optional<std::size_t> take_known() {
    const LockGuard lock(mutex_);
    return std::exchange(known_, std::nullopt);
  }

  /// For the threads that make steps: a step on `queue` can be undone with the command of this value.
  void note_undo(CommandQueue& queue, std::uint64_t value) {
    if (queue.is_inline()) return;
    undone_by_ = &queue;
    undone_with_ = value;
  }
  /// If the last step was made on another stream than `queue`, waits until it cannot be undone any more: undoing it
  /// would undo later steps too. Throws only if the wait itself fails.
  void settle(const CommandQueue& queue, CallSite where) const {
    if (undone_by_ != &queue) settle(where);
  }
  /// Waits until the last step cannot be undone any more. Throws only if the wait itself fails.
  void settle(CallSite where) const {
    if (undone_by_) undone_by_->settle(undone_with_, &where);
  }
  /// The same; then throws the oldest failure of the last step's stream that was not reported yet.
  void report(CallSite where) const {
    settle(where);
    if (undone_by_) undone_by_->report_from(0);
  }

 private:
  mutable Mutex mutex_;
  Progress progress_ LOCKSTEP_GUARDED_BY(mutex_);
  std::optional<std::size_t> known_ LOCKSTEP_GUARDED_BY(mutex_);
  CommandQueue* undone_by_ = nullptr;
  std::uint64_t undone_with_ = 0;
};

}  // namespace

struct Optimizer::Impl {
  std::variant<Sgd, Adam> options;
  std::shared_ptr<StepState> step_state = std::make_shared<StepState>();
  std::unordered_map<std::uint64_t, std::vector<Variable>> slots;  // by variable id
  std::vector<std::uint64_t> order;                                // variable ids in the order first seen
  std::optional<std::size_t> prepared_from;                        // from here on, variables are only prepared

  const OpDef& op() const {
    if (std::holds_alternative<Adam>(options)) return adam_update_op();
    return std::get<Sgd>(options).momentum != 0 ? momentum_update_op() : sgd_update_op();
  }

  std::vector<const char*> slot_names() const {
    if (std::holds_alternative<Adam>(options)) return {"adam_m", "adam_u"};
    if (std::get<Sgd>(options).momentum != 0) return {"momentum"};
    return {};
  }

  Progress next() const {
    Progress p = step_state->progress();
    ++p.steps;
    if (const Adam* adam = std::get_if<Adam>(&options)) {
      p.weights_1 = next_weight_sum(p.weights_1, adam->beta_1);
      p.weights_2 = next_weight_sum(p.weights_2, adam->beta_2);
    }
    return p;
  }

  std::vector<Scalar> scalars(const Progress& p) const {
    if (const Adam* a = std::get_if<Adam>(&options)) {
      return adam_numbers(a->learning_rate, *a, p.weights_1, p.weights_2);
    }
    const Sgd& s = std::get<Sgd>(options);
    return sgd_numbers(s.learning_rate, s);
  }

  std::vector<Variable>& slots_of(const Variable& variable) {
    const auto known = slots.find(variable.id());
    if (known != slots.end()) return known->second;
    std::vector<Variable> fresh;
    MemoryOwnerScope owner(MemoryOwner::optimizer);
    DeviceScope device(variable.device());
    for (const char* name : slot_names()) {
      fresh.push_back(make_slot(variable, name, zeros(variable.shape(), compute_dtype(variable.dtype()))));
    }
    return keep(variable, std::move(fresh));
  }

  static std::string slot_name(const Variable& variable, const char* name) { return variable.name() + "/" + name; }

  static Variable make_slot(const Variable& variable, const char* name, const Tensor& value) {
    Variable slot(value, slot_name(variable, name), false);
    const TensorImpl& held = slot.impl().value();
    held.device->allocator().set_owner(held.block.get(), MemoryOwner::optimizer);
    return slot;
  }

  std::vector<Variable>& keep(const Variable& variable, std::vector<Variable> its_slots) {
    order.push_back(variable.id());
    return slots.emplace(variable.id(), std::move(its_slots)).first->second;
  }

  /// Removes slots that failed steps made. Must not be called while a step is being built: it refers to slots.
  void drop_slots_of_failed_steps() {
    if (const auto known = step_state->take_known()) forget_slots_after(*known);
  }

  /// The number of variables whose slots a step has used.
  std::size_t known() const { return prepared_from.value_or(order.size()); }

  /// Removes the slots of all variables after the first `count`.
  void forget_slots_after(std::size_t count) {
    while (order.size() > count) {
      slots.erase(order.back());
      order.pop_back();
    }
  }
};

namespace {

// One step must not update the same memory twice: the second update would not see the first.
void check_distinct(std::span<const Variable> variables, CallSite where) {
  std::vector<std::uint64_t> ids;
  ids.reserve(variables.size());
  for (const Variable& v : variables) ids.push_back(v.id());
  // Variables usually come in the order in which they were made.
  if (!std::is_sorted(ids.begin(), ids.end())) std::sort(ids.begin(), ids.end());
  const auto twice = std::adjacent_find(ids.begin(), ids.end());
  if (twice == ids.end()) return;
  const auto which =
      std::find_if(variables.begin(), variables.end(), [&](const Variable& v) { return v.id() == *twice; });
  ErrorBuilder(ErrorId::invalid_use, "apply", "the variable \"" + which->name() + "\" is given twice")
      .line("variable", describe(which->impl().value()))
      .at(where)
      .fix("give each variable once, with the sum of its gradients")
      .raise();
}

void check(std::span<const Tensor> gradients, std::span<const Variable> variables, CallSite where) {
  if (gradients.size() != variables.size()) {
    raise(ErrorId::element_count, "apply",
          std::to_string(gradients.size()) + " gradients for " + std::to_string(variables.size()) + " variables",
          "give one gradient per variable, in the same order", where);
  }
  for (std::size_t i = 0; i < variables.size(); ++i) {
    check_floating(variables[i], "apply", where);
    const TensorImpl& value = variables[i].impl(where).value();
    const TensorImpl& gradient = *gradients[i].impl(where);
    const auto refuse = [&](ErrorId id, const std::string& headline, const char* fix) {
      ErrorBuilder(id, "apply", headline)
          .line("gradient", describe(gradient))
          .line("variable", describe(value))
          .at(where)
          .fix(fix)
          .raise();
    };
    if (gradient.is_abstract()) {
      refuse(ErrorId::symbolic_value, "a gradient is abstract and has no elements",
             "give gradients with elements, of a loss that is computed from data");
    }
    const auto fail = [&](ErrorId id, const char* what) {
      refuse(id, std::string("a gradient and its variable differ in ") + what,
             "updates never broadcast or convert: give the gradient of this variable");
    };
    if (!(gradient.shape == value.shape)) fail(ErrorId::shapes_differ, "shape");
    if (gradient.dtype != value.dtype) fail(ErrorId::dtypes_differ, "dtype");
    if (gradient.device != value.device) fail(ErrorId::devices_differ, "device");
    if (value.device != variables[0].impl().value().device) {
      ErrorBuilder(ErrorId::devices_differ, "apply", "the variables lie on several devices, and a step is one unit")
          .line("first", describe(variables[0].impl().value()))
          .line("other", describe(value))
          .at(where)
          .fix("use one optimizer per device")
          .raise();
    }
  }
  check_distinct(variables, where);
}

void check_option(bool ok, double value, const char* field, const char* range, const char* op, CallSite where) {
  if (ok) return;
  char text[32];
  std::snprintf(text, sizeof text, "%g", value);
  raise(ErrorId::invalid_attribute, op, std::string(field) + " is " + text, std::string(field) + " " + range, where);
}

// Written so that NaN is refused.
void check_not_negative(double value, const char* field, const char* op, CallSite where) {
  check_option(value >= 0 && std::isfinite(value), value, field, "is a number of 0 or more", op, where);
}

void check_beta(double value, const char* field, CallSite where) {
  check_option(value >= 0 && value < 1, value, field, "lies in [0, 1)", "Adam", where);
}

// Memory that others hold too must keep its contents, so the variable moves to memory of its own first.
void own_memory(VariableImpl& variable, CallSite where) {
  if (variable.owns_memory()) return;
  const MemoryOwner owner = variable.value().block->owner;
  variable.replace(make_dense_copy(variable.value(), where));
  variable.value().device->allocator().set_owner(variable.value().block.get(), owner);
}

}  // namespace

Optimizer::Optimizer(Sgd options, CallSite where) : impl_(std::make_unique<Impl>()) {
  check_not_negative(options.learning_rate, "learning_rate", "Sgd", where);
  check_not_negative(options.momentum, "momentum", "Sgd", where);
  if (options.nesterov && options.momentum == 0) {
    raise(ErrorId::invalid_attribute, "Sgd", "nesterov is set and momentum is 0: there is nothing to look ahead to",
          "give a momentum such as 0.9, or leave nesterov out", where);
  }
  impl_->options = options;
}

Optimizer::Optimizer(Adam options, CallSite where) : impl_(std::make_unique<Impl>()) {
  check_not_negative(options.learning_rate, "learning_rate", "Adam", where);
  check_beta(options.beta_1, "beta_1", where);
  check_beta(options.beta_2, "beta_2", where);
  check_not_negative(options.epsilon, "epsilon", "Adam", where);
  check_not_negative(options.weight_decay, "weight_decay", "Adam", where);
  impl_->options = options;
}

Optimizer::~Optimizer() = default;
Optimizer::Optimizer(Optimizer&&) noexcept = default;
Optimizer& Optimizer::operator=(Optimizer&&) noexcept = default;

void Optimizer::apply(std::span<const Tensor> gradients, std::span<const Variable> variables, CallSite where) {
  impl_.check(where);
  check_not_forked();
  check(gradients, variables, where);
  if (variables.empty()) return;
  for (const Variable& v : variables) v.impl().settle(where);
  impl_->step_state->settle(variables[0].impl().value().device->queue(), where);
  impl_->drop_slots_of_failed_steps();
  const std::size_t known = impl_->known();
  try {
    step(gradients, variables, where);
    impl_->prepared_from.reset();
  } catch (...) {
    impl_->forget_slots_after(known);  // a failed step leaves no slots behind
    impl_->prepared_from.reset();
    throw;
  }
}

void Optimizer::prepare(std::span<const Variable> variables) {
  for (const Variable& v : variables) check_floating(v, "prepare", CallSite::current());
  if (!variables.empty()) {
    impl_->step_state->settle(variables[0].impl().value().device->queue(), CallSite::current());
  }
  impl_->drop_slots_of_failed_steps();
  const PauseObservers pause;
  const NameScope scope("optimizer");
  impl_->prepared_from = impl_->known();
  try {
    for (const Variable& v : variables) {
      if (v.shape().size() > 0) impl_->slots_of(v);
    }
  } catch (...) {
    forget_prepared();
    throw;
  }
}

void Optimizer::forget_prepared() {
  impl_->forget_slots_after(impl_->known());
  impl_->prepared_from.reset();
}

void Optimizer::step(std::span<const Tensor> gradients, std::span<const Variable> variables, CallSite where) {
  const std::size_t known = impl_->known();
  NameScope scope("optimizer");
  DeviceState& device = *variables[0].impl().value().device;
  const OpDef& op = impl_->op();
  const Progress next = impl_->next();
  const std::vector<Scalar> scalars = impl_->scalars(next);
  check_numbers(op, scalars, variables, where);

  struct Update {
    std::vector<Operand> inputs;
    std::vector<VariableImpl*> written;
    std::vector<TensorRef> outputs;
    std::optional<OpCall> call;
    std::optional<CallTypes> types;
    std::optional<CallInto> into;
  };
  std::deque<Update> updates;
  std::vector<CallInto*> unit;
  for (std::size_t i = 0; i < variables.size(); ++i) {
    if (variables[i].shape().size() == 0) continue;
    Update& update = updates.emplace_back();
    {
      const PauseObservers pause;
      update.written.push_back(&variables[i].impl());
      for (Variable& slot : impl_->slots_of(variables[i])) update.written.push_back(&slot.impl());
      for (VariableImpl* v : update.written) own_memory(*v, where);
    }
    for (VariableImpl* v : update.written) {
      update.inputs.push_back(Operand::borrow(&v->value(), where));
      update.outputs.push_back(TensorRef::share(&v->value()));
    }
    update.inputs.emplace_back(gradients[i], where);
    update.call.emplace(OpCall{op, update.inputs, nullptr, scalars, where});
    if (is_half_width(variables[i].dtype())) {
      update.types.emplace(*update.call);  // slots are f32
    } else {
      update.types.emplace(variables[i].dtype());
    }
    unit.push_back(&update.into.emplace(*update.call, *update.types, device, update.outputs));
  }

  // The step counts from here on, unless it is found later to have failed on the device. Changed before the updates are
  // enqueued: another thread may undo it as soon as they are.
  std::shared_ptr<StepState> step_state = impl_->step_state;
  const Progress before = step_state->progress();
  const UndoWithUpdate* const with_update = UndoWithUpdate::current();
  step_state->set_progress(next);
  try {
    CallInto::submit(unit, [step_state, before, known, also = with_update ? with_update->undo() : nullptr] {
      step_state->undo(before, known);
      if (also) also();
    });
  } catch (...) {
    step_state->set_progress(before);
    throw;
  }
  // The step's command, or a later one of another thread.
  CommandQueue& queue = device.queue();
  const std::uint64_t newest = queue.newest();
  step_state->note_undo(queue, newest);
  if (with_update) with_update->note(queue, newest);
  for (Update& update : updates) {
    for (VariableImpl* v : update.written) v->renew();
    update.into->notify();
  }
}

double Optimizer::learning_rate() const {
  return std::visit([](const auto& o) { return o.learning_rate; }, impl_->options);
}

void Optimizer::set_learning_rate(double rate, CallSite where) {
  impl_.check(where);
  check_not_negative(rate, "learning_rate", "set_learning_rate", where);
  std::visit([rate](auto& o) { o.learning_rate = rate; }, impl_->options);
}

std::int64_t Optimizer::steps() const { return impl_->step_state->progress().steps; }

void report_failed_step(const Optimizer& optimizer, CallSite where) { optimizer.impl_->step_state->report(where); }

std::vector<Variable> Optimizer::state() const {
  impl_->drop_slots_of_failed_steps();
  std::vector<Variable> all;
  for (std::uint64_t id : impl_->order) {
    for (const Variable& slot : impl_->slots.at(id)) all.push_back(slot);
  }
  return all;
}

int Optimizer::slots_per_variable() const { return static_cast<int>(impl_->slot_names().size()); }

// ----------------------------------------------------------------------------------------------------------- snapshots

namespace {

const char* kind_of(const std::variant<Sgd, Adam>& options) {
  return std::holds_alternative<Adam>(options) ? "Adam" : "Sgd";
}

std::string text_of(const TensorSpec& spec) { return std::string(name_of(spec.dtype)) + " " + spec.shape.to_string(); }

[[noreturn]] void fail_to_restore(const std::string& what, CallSite where) {
  raise(ErrorId::snapshot_mismatch, "restore", what,
        "restore it to an optimizer of the same kind, with the variables that it was made for", where);
}

// Written so that NaN is refused.
void check_progress(const Snapshot& s, CallSite where) {
  check_option(s.steps >= 0, static_cast<double>(s.steps), "steps", "is a number of 0 or more", "restore", where);
  if (std::holds_alternative<Sgd>(s.options)) return;
  const auto check_sum = [&](double sum, const char* field) {
    check_option(s.steps > 0 ? sum > 0 && sum <= 1 : sum == 0, sum, field,
                 "lies in (0, 1], and is 0 before the first step", "restore", where);
  };
  check_sum(s.weights_1, "weights_1");
  check_sum(s.weights_2, "weights_2");
}

// The value of one slot, on the device of its variable.
Tensor slot_in(const Snapshot& snapshot, const Variable& variable, const std::string& name, CallSite where) {
  const auto found = snapshot.slots.find(name);
  if (found == snapshot.slots.end()) fail_to_restore("there is no tensor \"" + name + "\"", where);
  const TensorSpec given = found->second.spec(), needed{compute_dtype(variable.dtype()), variable.shape()};
  if (given == needed) return found->second.to(variable.device(), where);
  fail_to_restore("tensor \"" + name + "\" is " + text_of(given) + ", the variable needs " + text_of(needed), where);
}

}  // namespace

Snapshot Optimizer::snapshot(CallSite where) const {
  impl_.check(where);
  impl_->step_state->settle(where);
  impl_->drop_slots_of_failed_steps();
  const Progress progress = impl_->step_state->progress();
  Snapshot snapshot{impl_->options, progress.steps, progress.weights_1, progress.weights_2, {}};
  for (std::size_t i = 0; i < impl_->known(); ++i) {
    for (const Variable& slot : impl_->slots.at(impl_->order[i])) {
      if (snapshot.slots.emplace(slot.name(), slot.read(where)).second) continue;
      raise(ErrorId::invalid_use, "snapshot", "two variables have a slot named \"" + slot.name() + "\"",
            "give variables different names", where);
    }
  }
  return snapshot;
}

void Optimizer::restore(const Snapshot& snapshot, std::span<const Variable> variables, CallSite where) {
  impl_.check(where);
  check_not_forked();
  if (snapshot.options.index() != impl_->options.index()) {
    fail_to_restore(std::string("the snapshot is of ") + kind_of(snapshot.options) + ", the optimizer is " +
                        kind_of(impl_->options),
                    where);
  }
  check_progress(snapshot, where);
  for (const Variable& v : variables) check_floating(v, "restore", where);
  const PauseObservers pause;
  // Everything that can fail happens to another optimizer.
  Optimizer restored = std::visit([&](const auto& options) { return Optimizer(options, where); }, snapshot.options);
  Impl& impl = *restored.impl_;
  impl.step_state->set_progress({snapshot.steps, snapshot.weights_1, snapshot.weights_2});
  std::set<std::string> used;
  const bool untouched = snapshot.steps == 0 && snapshot.slots.empty();
  for (const Variable& v : variables) {
    if (untouched || v.shape().size() == 0) continue;
    std::vector<Variable> slots;
    for (const char* name : impl.slot_names()) {
      const std::string full = Impl::slot_name(v, name);
      if (!used.insert(full).second) fail_to_restore("two variables are named \"" + v.name() + "\"", where);
      slots.push_back(Impl::make_slot(v, name, slot_in(snapshot, v, full, where)));
    }
    impl.keep(v, std::move(slots));
  }
  for (const auto& [name, value] : snapshot.slots) {
    if (!used.contains(name)) fail_to_restore("tensor \"" + name + "\" belongs to none of the variables", where);
  }
  for (const Variable& v : variables) v.device(where).state().synchronize_stream();
  impl_ = std::move(restored.impl_);
}

}  // namespace lockstep::optim
