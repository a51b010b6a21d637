// Compares gradients by the tape with central differences.
#include <cmath>
#include <cstdio>

#include "lockstep/autodiff.h"
#include "lockstep/error.h"
#include "lockstep/ops.h"

namespace lockstep {
namespace {

using Function = std::function<Tensor(const std::vector<Tensor>&)>;

// Fixed weights for the elements of an output, so that no gradient cancels by symmetry.
Tensor weights_like(const Tensor& y, std::uint64_t stream) {
  DeviceScope scope(y.device());
  return random_uniform(y.shape(), 0.5, 1.5, {.dtype = DType::f64, .key = RandomKey{97, stream}});
}

Tensor weighted_sum(const Tensor& y, std::uint64_t stream) { return sum(y * weights_like(y, stream)); }

double value_at(const Function& f, const std::vector<Tensor>& inputs, std::uint64_t stream) {
  NoGradient pause;
  return weighted_sum(f(inputs), stream).item<double>();
}

std::vector<Tensor> with_element(const std::vector<Tensor>& inputs, std::size_t which, std::size_t at, double value) {
  std::vector<Tensor> changed = inputs;
  std::vector<double> elements = inputs[which].to_vector<double>();
  elements[at] = value;
  changed[which] = Tensor(elements, inputs[which].shape(), inputs[which].device());
  return changed;
}

std::vector<Tensor> tape_gradients(const Function& f, const std::vector<Tensor>& inputs, std::uint64_t stream) {
  GradientTape tape;
  for (const Tensor& x : inputs) tape.watch(x);
  const std::vector<Source> sources(inputs.begin(), inputs.end());
  return tape.gradient(weighted_sum(f(inputs), stream), sources, {.unconnected = Unconnected::zero});
}

void compare(const Function& f, const std::vector<Tensor>& inputs, const GradcheckOptions& options,
             std::uint64_t stream, const char* order, GradcheckResult& result) {
  const std::vector<Tensor> gradients = tape_gradients(f, inputs, stream);
  for (std::size_t k = 0; k < inputs.size(); ++k) {
    const std::vector<double> elements = inputs[k].to_vector<double>(), given = gradients[k].to_vector<double>();
    for (std::size_t i = 0; i < elements.size(); ++i) {
      const double step = options.step * std::max(1.0, std::fabs(elements[i]));
      const double high = value_at(f, with_element(inputs, k, i, elements[i] + step), stream);
      const double low = value_at(f, with_element(inputs, k, i, elements[i] - step), stream);
      const double expected = (high - low) / (2 * step);
      const double allowed = options.absolute + options.relative * std::max(std::fabs(expected), std::fabs(given[i]));
      const double error = std::fabs(expected - given[i]) / allowed;
      if (error <= 1 && result.worst >= error) continue;  // written so that NaN does not pass
      result.worst = error <= 1 ? error : std::isnan(error) ? INFINITY : std::max(error, result.worst);
      if (error <= 1 || !result.ok) continue;
      result.ok = false;
      char text[200];
      std::snprintf(text, sizeof text,
                    "%s order, input %zu, element %zu: the tape gives %.9g, central differences %.9g", order, k, i,
                    given[i], expected);
      result.text = text;
    }
  }
}

}  // namespace

GradcheckResult gradcheck(const Function& f, const std::vector<Tensor>& inputs, const GradcheckOptions& options) {
  if (!f) {
    ErrorBuilder(ErrorId::invalid_use, "gradcheck", "there is no function").fix("give the one to be checked").raise();
  }
  for (const Tensor& x : inputs) {
    if (x.dtype() == DType::f64) continue;
    ErrorBuilder(ErrorId::dtype_not_accepted, "gradcheck",
                 "finite differences need f64, not " + std::string(name_of(x.dtype())))
        .line("input", x.describe())
        .fix("cast the inputs to f64")
        .raise();
  }
  GradcheckResult result;
  compare(f, inputs, options, 1, "first", result);
  if (!options.second_order) return result;
  // The gradients themselves, as a function of the same inputs.
  const Function slope = [&f](const std::vector<Tensor>& x) {
    const std::vector<Tensor> gradients = tape_gradients(f, x, 2);
    std::vector<Tensor> flat;
    for (const Tensor& g : gradients) flat.push_back(reshape(g, Ints{-1}));
    return concat(flat);
  };
  compare(slope, inputs, options, 3, "second", result);
  return result;
}

}  // namespace lockstep
