// Lists the devices and runs the same computation on each of them. With an argument it uses only that device:
// choose_device cpu:0
#include <iostream>

#include "lockstep/lockstep.h"

using namespace lockstep;

namespace {

// The same code for every device: ops run on the device of their inputs.
Tensor attention(const Tensor& query, const Tensor& key, const Tensor& value) {
  const Tensor scores = matmul(query, key, {.transpose_b = true}) * 0.125f;
  return matmul(softmax(scores), value);
}

void run_on(Device device) {
  const DeviceScope scope(device);  // tensors created in this scope are on `device`
  const auto input = [](std::uint64_t stream) {
    return random_normal({16, 64}, 0, 1, {.key = RandomKey{.seed = 7, .stream = stream}});
  };
  const Tensor result = attention(input(0), input(1), input(2));
  std::cout << device << ": " << result.spec().shape << ", its mean is " << mean(result).item<float>() << "\n";
}

}  // namespace

int main(int argc, char** argv) try {
  if (argc > 1) {
    run_on(Device(argv[1]));
    return 0;
  }
  for (const DeviceInfo& info : devices()) {
    if (info.available) {
      run_on(Device(info.id));
    } else {
      std::cout << info.id << " is not available: " << info.reason << "\n";
    }
  }
  std::cout << "best: " << best_device() << "\n";
} catch (const Error& error) {  // what() names the operands, the source line and a fix; id() is the kind of error
  std::cerr << error.what() << "\n";
  return 2;
}
