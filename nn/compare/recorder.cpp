#include "nn/compare/recorder.h"

#include <algorithm>

#include "runtime/caller.h"

namespace lockstep {

void CallRecorder::record(const OpCall& call, std::span<const TensorRef> outputs) {
  for (const TensorRef& output : outputs) {
    if (output->is_abstract()) return;
  }
  auto kept = std::make_unique<RecordedCall>();
  kept->op = &call.op;
  kept->scope = current_scope();
  kept->where = call.where;
  kept->user = user_line(call.where);
  const bool assigns = std::any_of(outputs.begin(), outputs.end(), [](const TensorRef& o) { return o->variable; });
  if (call.op.effects == Effects::state || assigns) {
    kept->part = "update";
  } else if (thread_state().owner == MemoryOwner::gradients) {
    kept->part = "backward";
  }
  for (const Operand& operand : call.inputs) {
    kept->inputs.push_back(operand.is_tensor() ? TensorRef::share(operand.impl()) : TensorRef());
    kept->operands.push_back(operand);
  }
  if (call.attrs && call.op.attrs.size > 0) {
    const auto* bytes = static_cast<const std::byte*>(call.attrs);
    kept->attrs.assign(bytes, bytes + call.op.attrs.size);
  }
  kept->scalars.assign(call.scalars.begin(), call.scalars.end());
  kept->outputs.assign(outputs.begin(), outputs.end());
  calls.push_back(std::move(kept));
}

}  // namespace lockstep
