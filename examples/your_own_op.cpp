// A custom op, written as one scalar expression. Lockstep derives its shape rule, its kernels on every device, its
// first and second derivatives and its conformance cases. This op is y = softplus(beta x) / beta, a smooth ReLU. The
// program differentiates it twice and trains a network with it.
#include <cmath>
#include <iostream>

#include "lockstep/lockstep.h"

using namespace lockstep;

namespace {

const OpDef& smooth_relu_op = register_op(pointwise_op("example::smooth_relu", [](Expr x, Expr beta) {
  const Expr z = beta * x;
  return (maximum(z, z * 0.0) + log(1.0 + exp(-abs(z)))) / beta;  // log(1 + exp(z)) without overflow
}));

Tensor smooth_relu(Operand x, Operand beta) { return invoke1(smooth_relu_op, {x, beta}); }

void print_derivatives(Device device) {
  const DeviceScope scope(device);
  const Variable x(0.5f, "x");
  GradientTape outer, inner;
  const Tensor y = smooth_relu(x, 2);
  const Tensor slope = inner.gradient(y, x);
  const Tensor curvature = outer.gradient(slope, x);
  std::cout << device << ": y " << y.item<float>() << ", y' " << slope.item<float>() << ", y'' "
            << curvature.item<float>() << "\n";
}

// Fits one period of a sine. Returns the mean squared error before and after training.
std::pair<float, float> train() {
  set_seed(3);
  const Tensor x = reshape(arange(64, f32, 0, 1.0 / 63), {64, 1});
  const Tensor target = reshape(Tensor(
                                    [] {
                                      std::vector<float> values;
                                      for (int i = 0; i < 64; ++i)
                                        values.push_back(std::sin(6.2831853f * static_cast<float>(i) / 63));
                                      return values;
                                    }(),
                                    {64}),
                                {64, 1});
  const Variable w1(random_normal({1, 24}, 0, 6), "w1"), b1(random_normal({24}, 0, 3), "b1"), beta(1.0f, "beta"),
      w2(random_normal({24, 1}, 0, 0.2), "w2");
  const std::vector<Variable> variables = {w1, b1, beta, w2};
  optim::Optimizer adam = optim::Adam{.learning_rate = 0.02};
  float first = 0, last = 0;
  for (int step = 0; step < 500; ++step) {
    GradientTape tape;
    const Tensor hidden = smooth_relu(matmul(x, w1) + b1, beta);
    const Tensor loss = mean(square(matmul(hidden, w2) - target));
    adam.apply(tape.gradient(loss, variables), variables);
    last = loss.item<float>();
    if (step == 0) first = last;
  }
  return {first, last};
}

}  // namespace

int main() {
  for (const DeviceInfo& info : devices()) {
    if (info.available) print_derivatives(Device(info.id));
  }
  const auto [first, last] = train();
  std::cout << "mean squared error " << first << " before training, " << last << " after\n";
  return last < 0.1f * first ? 0 : 1;
}
