#include "nn/compare/oracle.h"

#include <algorithm>
#include <cmath>

#include "nn/compare/replay.h"
#include "ops/reference_call.h"
#include "runtime/element.h"

namespace lockstep {
namespace {

RefArray array_of(const TensorImpl& tensor, CallSite where) {
  RefArray array = RefArray::zeros(tensor.dtype, tensor.shape);
  const std::vector<std::byte> bytes = Tensor::share(const_cast<TensorImpl*>(&tensor)).to_bytes(where);
  for (std::size_t i = 0; i < array.values.size(); ++i) {
    array.values[i] = element_value(bytes.data() + i * size_of(tensor.dtype), tensor.dtype);
  }
  return array;
}

std::vector<RefArray> exact_outputs(const RecordedCall& recorded) {
  std::vector<RefArray> inputs;
  for (const TensorRef& input : recorded.inputs) {
    inputs.push_back(input ? array_of(*input, recorded.where) : RefArray{});
  }
  return ReferenceCall(recorded.call()).answer(inputs);
}

// The share of the oracle's error budget that one device may use.
long double share_of_budget(const RecordedCall& recorded, MathMode mode) {
  switch (recorded.op->error_class) {
    case ErrorClass::exact: return 0;
    // For second-order terms, and for evaluation orders that differ from the decomposition's.
    case ErrorClass::composed: return 2;
    case ErrorClass::sum: break;
    default: return 1;
  }
  const long double terms = count_terms(recorded);
  const long double share = std::min(1.0L, 3 / std::sqrt(terms));
  const auto tensors =
      std::count_if(recorded.inputs.begin(), recorded.inputs.end(), [](const TensorRef& t) { return bool(t); });
  if (mode != MathMode::fast || tensors < 2 || !is_floating(recorded.outputs[0]->dtype)) return share;
  // Both operands of every product are rounded to bf16. The budget counts each product terms + 1 times.
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
