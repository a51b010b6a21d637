#include "conformance/checks/gradient_setup.h"

#include <algorithm>
#include <cmath>

#include "conformance/cases/values.h"
#include "lockstep/ops.h"
#include "ops/random/philox_reference.h"

namespace lockstep::conformance {
namespace {

// Random numbers in ±[0.5, 1.5], rounded to the dtype.
RefArray random_array(const TensorSpec& spec, std::uint64_t stream) {
  RefArray array = RefArray::zeros(spec.dtype, spec.shape);
  for (std::size_t i = 0; i < array.values.size(); ++i) {
    const std::uint32_t word = random_word({4711, stream}, i);
    const float magnitude = 0.5f + static_cast<float>(word >> 9) * 0x1p-23f;
    array.values[i] = round_to(word & 1 ? magnitude : -magnitude, spec.dtype);
  }
  return array;
}

// Scales cotangents to compensate for tiny or large values elsewhere: in turn by 1 and by powers of two that are near
// one end of the format or in between. A gradient may be in range although a factor of its formula is not.
void spread_out(RefArray& cotangents) {
  if (is_half_width(cotangents.dtype)) return;
  const int most = cotangents.dtype == DType::f64 ? 800 : 100, some = most / 2;
  const int exponents[] = {0, -most, 0, -some, some};
  for (std::size_t i = 0; i < cotangents.values.size(); ++i) {
    long double& v = cotangents.values[i];
    v = round_to(std::ldexp(v, exponents[i % 5]), cotangents.dtype);
  }
}

}  // namespace

GradientSetup::GradientSetup(const TestCase& t, Device device)
    : op(*t.op),
      c(t.call),
      wide(promoted(c)),
      oracle(op, wide),
      inputs(case_inputs(t)),
      wide_inputs(promoted(inputs)),
      operands(op, c, inputs, device, t.layout) {
  const Oracle narrow(op, c);
  for (std::size_t i = 0; i < narrow.output_specs().size(); ++i) {
    const TensorSpec& spec = narrow.output_specs()[i];
    cotangents.push_back(random_array(spec, 100 + i));
    const bool alone = op.pointwise() && spec.dtype == t.dtype();  // no conversion to another format
    if (t.suite == "special_gradient" && t.values == Values::corners && alone) spread_out(cotangents.back());
    cotangent_tensors.push_back(to_tensor(cotangents.back(), device));
  }
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    directions.push_back(oracle.is_differentiable_input(i) ? random_array({inputs[i].dtype, inputs[i].shape}, 200 + i)
                                                           : RefArray{inputs[i].dtype, inputs[i].shape, {}, {}});
  }
}

Tensor GradientSetup::contraction() const {
  const std::vector<Tensor> outputs = invoke(op, operands.operands(), attrs_of(op, c), c.scalars);
  std::optional<Tensor> total;
  for (std::size_t o = 0; o < outputs.size(); ++o) {
    if (!oracle.is_differentiable_output(o)) continue;
    const Tensor part = sum(outputs[o].to(cotangent_tensors[o].device()) * cotangent_tensors[o]);
    total = total ? *total + part : part;
  }
  return *total;
}

std::vector<Source> GradientSetup::sources() const {
  std::vector<Source> all;
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    if (takes_gradient(i)) all.emplace_back(operands.tensor(i));
  }
  return all;
}

DType GradientSetup::dtype() const {
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    if (takes_gradient(i)) return inputs[i].dtype;
  }
  return DType::f32;
}

std::vector<Tensor> gradients_on(const GradientSetup& s, Device device) {
  DeviceScope scope(device);
  GradientTape tape;
  for (const Source& source : s.sources()) tape.watch(*source.tensor());
  return tape.gradient(s.contraction(), s.sources(), {.unconnected = Unconnected::zero});
}

}  // namespace lockstep::conformance
