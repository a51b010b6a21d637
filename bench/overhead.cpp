// The overhead of a call, measured on tensors so small that nothing else matters.
#include "bench/workload.h"

namespace bench {
namespace {

namespace ls = lockstep;

ls::Tensor eight(std::uint64_t stream) { return ls::random_normal({8}, 0, 1, {.key = ls::RandomKey{1, stream}}); }

Workload call_cost(std::string name, std::string unit, double amount, std::function<Work(ls::Device)> prepare) {
  return {"overhead", std::move(name), std::move(unit), amount, std::move(prepare)};
}

constexpr int chain = 1000;

ls::Tensor add_repeatedly(const ls::Tensor& x, const ls::Tensor& b) {
  ls::Tensor y = x + b;
  for (int i = 1; i < chain; ++i) y = y + b;
  return y;
}

Work add_scalars(ls::Device device) {
  return [device, a = ls::Tensor(1.0f), b = ls::Tensor(2.0f)] {
    for (int i = 0; i < chain; ++i) ls::add(a, b);
    finish(device);
  };
}

Work add_eight(ls::Device device) {
  return [device, a = eight(1), b = eight(2)] {
    for (int i = 0; i < chain; ++i) ls::add(a, b);
    finish(device);
  };
}

Work add_eight_recorded(ls::Device device) {
  return [device, a = eight(1), b = eight(2)] {
    ls::GradientTape tape;
    tape.watch(a);
    for (int i = 0; i < chain; ++i) ls::add(a, b);
    finish(device);
  };
}

Work chain_of_adds(ls::Device device) {
  return [device, a = eight(1), b = eight(2)] {
    add_repeatedly(a, b);
    finish(device);
  };
}

Work chain_recorded(ls::Device device) {
  return [device, a = eight(1), b = eight(2)] {
    ls::GradientTape tape;
    tape.watch(a);
    add_repeatedly(a, b);
    finish(device);
  };
}

Work chain_with_gradient(ls::Device device) {
  return [device, a = eight(1), b = eight(2)] {
    ls::GradientTape tape;
    tape.watch(a);
    tape.gradient(ls::sum(add_repeatedly(a, b)), a);
    finish(device);
  };
}

Work square_with_gradient(ls::Device device) {
  return [device, x = ls::Variable(2.0f)] {
    for (int i = 0; i < 100; ++i) {
      ls::GradientTape tape;
      const ls::Tensor y = 3.0f * ls::square(x);
      tape.gradient(y, x);
    }
    finish(device);
  };
}

}  // namespace

std::vector<Workload> overhead_workloads() {
  return {call_cost("add scalars", "ns", chain, &add_scalars),
          call_cost("add size-8", "ns", chain, &add_eight),
          call_cost("chain 1000 adds size-8", "ns", chain, &chain_of_adds),
          call_cost("add size-8 recorded", "ns", chain, &add_eight_recorded),
          call_cost("chain 1000 adds recorded fwd", "ns", chain, &chain_recorded),
          call_cost("chain 1000 adds recorded fwd+bwd", "ns", chain, &chain_with_gradient),
          call_cost("y=3x^2 fwd+grad", "us", 100, &square_with_gradient)};
}

}  // namespace bench
