#include "ops/call_into.h"

#include <algorithm>

#include "ops/call_error.h"
#include "ops/observer.h"
#include "ops/placement.h"

namespace lockstep {
namespace {

bool any_observer_sees_updates() {
  const auto observers = op_observers().watching();
  return std::any_of(observers.begin(), observers.end(), [](const OpObserver* o) { return o->sees_updates(); });
}

TensorRef copy_of(const TensorImpl& tensor, CallSite where) {
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

CallInto::CallInto(const OpCall& call, const CallTypes& types, DeviceState& device, std::span<const TensorRef> outputs,
                   OnFailure on_failure, bool alone)
    : call_(call),
      device_(device),
      outputs_(outputs),
      before_(copies_for_observers(call)),
      planned_(call, types, device, outputs) {
  check_math_mode(call, device);
  if (on_failure == OnFailure::old_contents) planned_.launch().keep_old_contents();
  if (alone) planned_.submit_before_others();
  if (planned_.plan()) return;
  raise_call_error(call, ErrorId::no_kernel, device.name() + " has no kernel for it: " + planned_.refusal().text,
                   "use another dtype or device; `lockstep devices` shows what each device has");
}

void CallInto::notify() const { notify_of_update(call_, before_, outputs_); }

void CallInto::run(const OpCall& call, const CallTypes& types, DeviceState& device, std::span<const TensorRef> outputs,
                   OnFailure on_failure) {
  CallInto into(call, types, device, outputs, on_failure, true);
  CallInto* const one[] = {&into};
  submit(one);
  into.notify();
}

void CallInto::submit(std::span<CallInto* const> calls, std::function<void()> undo) {
  if (calls.empty()) return;
  InlineVector<Launch*, 4> launches;
  for (CallInto* call : calls) launches.push_back(&call->planned_.launch());
  Launch::submit(launches, calls.front()->device_, std::move(undo));
}

}  // namespace lockstep
