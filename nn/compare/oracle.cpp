#include "nn/compare/oracle.h"

#include <algorithm>
#include <cmath>

#include "nn/compare/replay.h"
#include "ops/infer.h"
#include "runtime/element.h"

namespace lockstep {
namespace {

RefArray array_of(const TensorImpl& tensor, const std::source_location& where) {
  RefArray array = RefArray::zeros(tensor.dtype, tensor.shape);
  const std::vector<std::byte> bytes = Tensor::share(const_cast<TensorImpl*>(&tensor)).to_bytes(where);
  for (std::size_t i = 0; i < array.values.size(); ++i) {
    array.values[i] = element_value(bytes.data() + i * size_of(tensor.dtype), tensor.dtype);
  }
  return array;
}

// A number as the kernels get it: rounded to the dtype of the tensors beside it.
RefArray number_array(const Scalar& number, DType dtype) {
  long double value =
      number.kind == Scalar::Kind::floating ? number.floating : static_cast<long double>(number.integer);
  if (number.above_int64) value = static_cast<long double>(static_cast<std::uint64_t>(number.integer));
  if (dtype == DType::f32) value = static_cast<float>(value);
  if (dtype == DType::f64) value = static_cast<double>(value);
  if (dtype == DType::f16) value = static_cast<float>(Half(static_cast<float>(value)));
  if (dtype == DType::bf16) value = static_cast<float>(BFloat16(static_cast<float>(value)));
  return {dtype, Shape{}, {value}, {}};
}

std::vector<RefArray> exact_outputs(const RecordedCall& recorded) {
  const OpCall call = recorded.call();
  const DType group = check_dtypes(call);
  std::vector<RefArray> inputs;
  for (std::size_t i = 0; i < recorded.operands.size(); ++i) {
    const Operand& operand = recorded.operands[i];
    if (recorded.inputs[i]) {
      inputs.push_back(array_of(*recorded.inputs[i], recorded.where));
    } else {
      inputs.push_back(operand.is_absent() ? RefArray{} : number_array(operand.scalar(), group));
    }
  }
  std::vector<Spec> specs;
  for (const TensorRef& output : recorded.outputs) specs.push_back({output->dtype, output->shape});
  RefContext context{call, inputs, specs, {}};
  for (const Spec& spec : specs) context.outputs.push_back(RefArray::zeros(spec.dtype, spec.shape));
  recorded.op->reference(context);
  return std::move(context.outputs);
}

// How much of the oracle's budget one device may use.
long double share_of_budget(const RecordedCall& recorded, MathMode mode) {
  switch (recorded.op->error_class) {
    case ErrorClass::exact: return 0;
    // Second-order terms, and other orders of evaluation than the decomposition's.
    case ErrorClass::composed: return 2;
    case ErrorClass::sum: break;
    default: return 1;
  }
  const long double terms = count_terms(recorded);
  const long double share = std::min(1.0L, 3 / std::sqrt(terms));
  const auto tensors =
      std::count_if(recorded.inputs.begin(), recorded.inputs.end(), [](const TensorRef& t) { return bool(t); });
  if (mode != MathMode::fast || tensors < 2 || !is_floating(recorded.outputs[0]->dtype)) return share;
  // Two operands rounded to bf16 in every product; the budget counts each product terms + 1 times.
  const long double of_products = 2 * unit_roundoff(DType::bf16) / unit_roundoff(recorded.outputs[0]->dtype);
  return share + of_products / (terms + 1);
}

}  // namespace

Expectation expectation_of(const RecordedCall& recorded, MathMode mode) {
  Expectation e{exact_outputs(recorded), {}};
  const long double share = share_of_budget(recorded, mode);
  for (const RefArray& exact : e.exact) {
    std::vector<long double>& allowed = e.allowed.emplace_back(exact.values.size(), 0);
    if (!is_floating(exact.dtype)) continue;
    const long double smallest = unit_in_last_place(0, exact.dtype);
    for (std::size_t i = 0; i < exact.budget.size(); ++i) {
      allowed[i] = share * exact.budget[i] * unit_roundoff(exact.dtype) + smallest;
    }
  }
  return e;
}

}  // namespace lockstep
