#include "conformance/checks/audit.h"

#include <algorithm>

#include "conformance/case_data.h"
#include "conformance/judge.h"
#include "ops/reference_call.h"

namespace lockstep::conformance {
namespace {

// False for ops that overwrite their inputs, run on the host or have no reference.
bool can_be_judged(const OpCall& call) {
  const auto changes = [](const InputDef& in) { return in.mutable_; };
  return call.op.reference && !call.op.host && std::none_of(call.op.inputs.begin(), call.op.inputs.end(), changes);
}

Tensor tensor_of(TensorImpl* impl) { return Tensor::share(impl); }

}  // namespace

void Audit::record(const OpCall& call, std::span<const TensorRef> outputs) {
  if (result_.outcome != Outcome::pass || !can_be_judged(call)) return;
  const PauseObservers pause;
  judge_call(call, outputs);
}

void Audit::judge_call(const OpCall& call, std::span<const TensorRef> outputs) {
  std::vector<RefArray> inputs;
  for (const Operand& operand : call.inputs) {
    inputs.push_back(operand.is_tensor() ? to_array(tensor_of(operand.impl())) : RefArray{});
  }
  const ReferenceCall reference(call);
  const std::vector<TensorSpec>& specs = reference.output_specs();
  const std::vector<RefArray> exact = reference.answer(inputs);
  ++calls_;
  for (std::size_t o = 0; o < outputs.size(); ++o) {
    Measure measure{setting_.bounds.find(call.op.error_class, specs[o].dtype, math_mode()), nullptr, false};
    if (!inputs.empty() && inputs[0].shape == specs[o].shape) measure.argument = &inputs[0];
    const Verdict v = judge(to_array(tensor_of(outputs[o].get())), exact[o], measure);
    result_.errors.share = std::max(result_.errors.share, v.worst);
    if (v.ok) continue;
    result_.outcome = Outcome::fail;
    result_.text = "call " + std::to_string(calls_) + ", " + call.op.name + " " + specs[o].shape.to_string() +
                   ", output " + std::to_string(o) + ": " + v.text;
    return;
  }
}

}  // namespace lockstep::conformance
