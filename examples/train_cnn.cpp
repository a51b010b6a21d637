// Trains a convolutional network on Fashion-MNIST, on the fastest device or on a device of your choice.
//   train_cnn [DEVICE] [STEPS]     default: three epochs
#include <cstdlib>
#include <iostream>

#include "lockstep/lockstep.h"

using namespace lockstep;

int main(int argc, char** argv) try {
  const Device device = argc > 1 ? Device(argv[1]) : best_device();
  const std::int64_t steps = argc > 2 ? std::atoll(argv[2]) : 0;

  const data::Dataset train = data::fashion_mnist(data::Split::train);
  const data::Dataset test = data::fashion_mnist(data::Split::test);

  set_seed(0);
  nn::Model model(nn::Sequential(nn::Conv2d{.filters = 32, .activation = relu},  //
                                 nn::MaxPool2d{},                                //
                                 nn::Conv2d{.filters = 64, .activation = relu},  //
                                 nn::MaxPool2d{},                                //
                                 nn::Flatten{},                                  //
                                 nn::Dense{.units = 128, .activation = relu},    //
                                 nn::Dense{.units = 10}));
  model.build({28, 28, 1}, device);
  model.compile(
      {.optimizer = optim::Adam{}, .loss = losses::SparseCategoricalCrossentropy{}, .metrics = {metrics::Accuracy{}}});
  std::cout << model.summary();

  const data::Dataset validation = steps ? test.take(1000) : test;
  model.fit(train, {.epochs = 3, .steps = steps, .validation = validation});
  model.save_weights("fashion_cnn.safetensors");
  std::cout << "accuracy " << model.evaluate(validation).at("accuracy") << ", weights in fashion_cnn.safetensors\n";
} catch (const Error& error) {
  std::cerr << error.what() << "\n";
  return 2;
}
