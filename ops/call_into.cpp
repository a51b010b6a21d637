#include "ops/call_into.h"

#include <algorithm>

#include "ops/call_error.h"
#include "ops/infer.h"
#include "ops/observer.h"
#include "ops/placement.h"
#include "runtime/forked.h"

namespace lockstep {
namespace {

const OpCall& checked(const OpCall& call) {
  check_not_forked();
  check_call(call);
  return call;
}

DeviceState& device_of(const OpCall& call) {
  const Placement placement = place(call);
  if (placement.device && !placement.abstract) {
    check_math_mode(call, *placement.device);
    return *placement.device;
  }
  raise_call_error(call, ErrorId::symbolic_value, "an abstract tensor has no memory to write to or to read from",
                   "give a tensor with elements");
}

bool any_observer_sees_updates() {
  const auto observers = op_observers().watching();
  return std::any_of(observers.begin(), observers.end(), [](const OpObserver* o) { return o->sees_updates(); });
}

TensorRef copy_of(const TensorImpl& tensor, const std::source_location& where) {
  TensorRef copy = make_dense_copy(tensor, where);
  copy->variable = tensor.variable;
  return copy;
}

}  // namespace

std::vector<TensorRef> copies_for_observers(const OpCall& call) {
  std::vector<TensorRef> copies;
  if (!any_observer_sees_updates()) return copies;
  const PauseObservers pause;
  for (const Operand& operand : call.inputs) {
    copies.push_back(operand.is_tensor() ? copy_of(*operand.impl(), call.where) : TensorRef());
  }
  return copies;
}

void notify_of_update(const OpCall& call, std::span<const TensorRef> before, std::span<const TensorRef> outputs) {
  if (before.empty()) return;
  std::vector<Operand> inputs(call.inputs.begin(), call.inputs.end());
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    if (before[i]) inputs[i] = Operand::borrow(before[i].get(), call.where);
  }
  // Copied, because the next update overwrites the memory.
  std::vector<TensorRef> written;
  {
    const PauseObservers pause;
    for (const TensorRef& output : outputs) written.push_back(copy_of(*output, call.where));
  }
  for (OpObserver* observer : op_observers().watching()) {
    if (observer->sees_updates()) observer->record({call.op, inputs, call.attrs, call.scalars, call.where}, written);
  }
}

CallInto::CallInto(const OpCall& call, std::span<const TensorRef> outputs, OnFailure on_failure, bool alone)
    : call_(checked(call)), types_(call), device_(device_of(call)), outputs_(outputs) {
  check_outputs();
  plan(on_failure, alone);
}

void CallInto::check_outputs() {
  InlineVector<TensorSpec, 2> inferred;
  for (std::size_t o = 0; o < call_.op.outputs.size(); ++o) inferred.push_back({});
  const std::span<TensorSpec> specs = inferred;
  infer_specs(call_, types_, specs);
  for (std::size_t o = 0; o < specs.size(); ++o) {
    const TensorImpl& output = *outputs_[o];
    if (output.device != &device_) {
      raise_call_error(call_, ErrorId::devices_differ,
                       "operands lie on " + device_.name() + ", the memory for the result elsewhere",
                       "move the operands there: tensor.to(device)");
    }
    const bool same_dtype = output.dtype == specs[o].dtype;
    if (same_dtype && output.shape == specs[o].shape) continue;
    raise_call_error(call_, same_dtype ? ErrorId::shapes_differ : ErrorId::dtypes_differ,
                     "its result is " + std::string(name_of(specs[o].dtype)) + " " + specs[o].shape.to_string() +
                         ", the memory given for it " + std::string(name_of(output.dtype)) + " " +
                         output.shape.to_string(),
                     "give memory of that dtype and shape");
  }
}

void CallInto::plan(OnFailure on_failure, bool alone) {
  const auto is_empty = [](const TensorRef& output) { return output->shape.is_empty(); };
  if (std::all_of(outputs_.begin(), outputs_.end(), is_empty)) return;
  check_operands(call_);
  before_ = copies_for_observers(call_);
  planned_.emplace(call_, types_, device_, outputs_);
  if (on_failure == OnFailure::old_contents) planned_->keep_old_contents();
  if (alone) planned_->submit_before_others();
  if (planned_->plan()) return;
  raise_call_error(call_, ErrorId::no_kernel, device_.name() + " has no kernel for it: " + planned_->refusal().text,
                   "use another dtype or device; `lockstep devices` shows what each device has");
}

void CallInto::notify() const {
  if (planned_) notify_of_update(call_, before_, outputs_);
}

void CallInto::run(const OpCall& call, std::span<const TensorRef> outputs, OnFailure on_failure) {
  CallInto into(call, outputs, on_failure, true);
  CallInto* const one[] = {&into};
  submit(one);
  into.notify();
}

void CallInto::submit(std::span<CallInto* const> calls, std::function<void()> undo) {
  InlineVector<PlannedCall*, 4> planned;
  for (CallInto* call : calls) {
    if (call->planned_) planned.push_back(&*call->planned_);
  }
  if (!planned.empty()) PlannedCall::submit(planned, calls.front()->device_, std::move(undo));
}

}  // namespace lockstep
