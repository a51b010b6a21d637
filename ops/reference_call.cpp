#include "ops/reference_call.h"

#include "ops/infer.h"
#include "ops/pointwise.h"
#include "runtime/tensor_impl.h"

namespace lockstep {

ReferenceCall::ReferenceCall(const OpCall& call)
    : op_(call.op), attrs_(call.attrs), scalars_(call.scalars), where_(call.where), specs_(output_count(call)) {
  check_call(call);
  CallTypes types(call);
  const bool tensors = numbers_become_tensors(call);
  abstract_.reserve(call.inputs.size());
  for (std::size_t i = 0; i < call.inputs.size(); ++i) {
    const Operand& operand = call.inputs[i];
    const DType dtype = types.operand(i);
    dtypes_.push_back(dtype);
    promoted_.push_back(operand.is_tensor() && operand.impl()->dtype != dtype);
    numbers_.emplace_back();
    if (operand.is_scalar()) numbers_.back() = RefArray{dtype, Shape{}, {number_as(operand.scalar(), dtype)}, {}};
    if (operand.is_tensor() || (operand.is_scalar() && tensors)) {
      abstract_.push_back(Tensor::abstract({dtype, operand.is_tensor() ? operand.impl()->shape : Shape{}}));
      operands_.emplace_back(abstract_.back(), operand.where());
    } else {
      operands_.push_back(operand);
    }
  }
  infer_specs(described(), types, specs_);
}

std::vector<RefArray> ReferenceCall::answer(std::span<const RefArray> inputs) const {
  std::vector<RefArray> given;
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    given.push_back(numbers_[i] ? *numbers_[i] : inputs[i]);
    if (!promoted_[i]) continue;
    given.back().dtype = dtypes_[i];
    for (long double& v : given.back().values) v = static_cast<float>(v);  // operands are promoted to f32 only
  }
  const OpCall call = described();
  RefContext context{call, given, specs_, {}};
  for (const TensorSpec& spec : specs_) context.outputs.push_back(RefArray::zeros(spec.dtype, spec.shape));
  op_.reference(context);
  return std::move(context.outputs);
}

}  // namespace lockstep
