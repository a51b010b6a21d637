#include "ops/promote.h"

#include <algorithm>

#include "ops/infer.h"
#include "ops/invoke.h"
#include "runtime/inline_vector.h"

namespace lockstep {
namespace {

constexpr std::size_t usual_outputs = 8;  // at most; a variable number may be more

bool is_half(const Operand& operand) { return operand.is_tensor() && is_half_width(operand.impl()->dtype); }

bool has_half(const OpCall& call) { return std::any_of(call.inputs.begin(), call.inputs.end(), is_half); }

}  // namespace

bool can_promote(const OpCall& call) {
  const OpDef& op = call.op;
  return !op.pointwise() && !op.view && !op.copy_plan && !op.host && promotes_host_kernel(call);
}

bool promotes_host_kernel(const OpCall& call) {
  const auto in_place = [](const OutputDef& output) { return output.in_place_of >= 0; };
  const std::vector<OutputDef>& outputs = call.op.outputs;
  return has_half(call) && std::none_of(outputs.begin(), outputs.end(), in_place);
}

void invoke_promoted(const OpCall& call, std::span<const TensorSpec> specs, std::span<TensorRef> outputs) {
  std::optional<PauseObservers> pause;
  if (call.op.gradient || !call.op.decompose) pause.emplace();  // tapes record the op, not its parts
  std::vector<Tensor> casts;
  std::vector<Operand> inputs(call.inputs.begin(), call.inputs.end());
  casts.reserve(inputs.size());
  for (Operand& input : inputs) {
    if (!is_half(input)) continue;
    casts.push_back(cast_tensor(input, DType::f32));
    input = Operand(casts.back(), call.where);
  }
  InlineVector<TensorRef, usual_outputs> results;
  for (std::size_t o = 0; o < outputs.size(); ++o) results.push_back({});
  invoke_into({call.op, inputs, call.attrs, call.scalars, call.where}, results);
  for (std::size_t o = 0; o < outputs.size(); ++o) {
    if (results[o]->dtype == specs[o].dtype) {
      outputs[o] = std::move(results[o]);
    } else {
      outputs[o] = TensorRef::share(cast_tensor(Operand::borrow(results[o].get(), call.where), specs[o].dtype).impl());
    }
  }
}

namespace {

// The same call in f32.
class PromotedReference {
 public:
  explicit PromotedReference(const RefContext& r) : inputs_(r.inputs.begin(), r.inputs.end()) {
    abstract_.reserve(inputs_.size());
    for (std::size_t i = 0; i < inputs_.size(); ++i) {
      const Operand& operand = r.call.inputs[i];
      operands_.push_back(operand);
      inputs_[i].dtype = compute_dtype(inputs_[i].dtype);
      if (!is_half(operand)) continue;
      abstract_.push_back(Tensor::abstract({DType::f32, operand.impl()->shape}));
      operands_.back() = Operand(abstract_.back(), r.call.where);
    }
    for (const TensorSpec& spec : r.output_specs) specs_.push_back({compute_dtype(spec.dtype), spec.shape});
  }

  void run(RefContext& r, const std::function<void(RefContext&)>& reference) {
    const OpCall call{r.call.op, operands_, r.call.attrs, r.call.scalars, r.call.where};
    RefContext wide{call, inputs_, specs_, std::move(r.outputs)};
    for (RefArray& out : wide.outputs) out.dtype = compute_dtype(out.dtype);
    reference(wide);
    r.outputs = std::move(wide.outputs);
    for (std::size_t o = 0; o < r.outputs.size(); ++o) {
      if (!is_half_width(r.output_specs[o].dtype)) continue;
      r.outputs[o].dtype = r.output_specs[o].dtype;
      r.outputs[o].rounded_from = DType::f32;
    }
  }

 private:
  std::vector<RefArray> inputs_;
  std::vector<Tensor> abstract_;
  std::vector<Operand> operands_;
  std::vector<TensorSpec> specs_;
};

}  // namespace

void promote_reference(OpDef& op) {
  if (op.pointwise() || op.view || op.copy_plan || !op.reference) return;
  op.reference = [reference = std::move(op.reference)](RefContext& r) {
    if (!has_half(r.call)) return reference(r);
    PromotedReference(r).run(r, reference);
  };
}

}  // namespace lockstep
