#include "conformance/checks/small_models.h"

#include <cmath>

#include "ops/random/philox_reference.h"

namespace lockstep::conformance {
namespace {

constexpr std::int64_t examples = 8, classes = 4;

Shape input_of(const std::string& name) { return name == "cnn" ? Shape{11, 9, 2} : Shape{37}; }

optim::Optimizer optimizer_of(const std::string& name) {
  if (name == "momentum") return optim::Sgd{.learning_rate = 0.02, .momentum = 0.9};
  if (name == "adam") return optim::Adam{.learning_rate = 0.01};
  return optim::Sgd{.learning_rate = 0.1};
}

std::unique_ptr<nn::Layer> layers_of(const std::string& name) {
  using namespace nn;
  if (name == "cnn") {
    return std::make_unique<Sequential>(Sequential(Conv2d{.filters = 6, .padding = Padding::same()}, Relu{},
                                                   MaxPool2d{}, Conv2d{.filters = 8}, Gelu{},
                                                   AvgPool2d{.window = 2, .strides = 1}, Flatten{}, Dense{.units = 19},
                                                   Silu{}, Dropout{.rate = 0.1}, Dense{.units = classes}));
  }
  return std::make_unique<Sequential>(Sequential(Dense{.units = 33}, Tanh{}, Dense{.units = 21}, Sigmoid{},
                                                 Dense{.units = 17}, Relu{}, Dense{.units = classes}));
}

}  // namespace

nn::Model small_model(const std::string& name, const std::string& optimizer, Device device, std::uint64_t seed) {
  RandomScope random(RandomKey{seed, 1});
  nn::Model model(layers_of(name));
  model.build(input_of(name), device);
  model.compile({.optimizer = optimizer_of(optimizer), .loss = losses::SparseCategoricalCrossentropy{}});
  return model;
}

data::Batch small_batch(const std::string& name, std::int64_t number, Device device, std::uint64_t seed) {
  const Shape example = input_of(name);
  Shape shape{examples};
  for (Dim d : example.dims()) shape.append(d);
  const std::int64_t size = shape.size() / examples;
  std::vector<float> features(static_cast<std::size_t>(shape.size()));
  std::vector<std::int32_t> labels;
  for (std::int64_t e = 0; e < examples; ++e) {
    const auto label = static_cast<std::int32_t>((number + e) % classes);
    labels.push_back(label);
    for (std::int64_t i = 0; i < size; ++i) {
      const std::uint64_t word = random_word({seed, 2}, static_cast<std::uint64_t>((number * examples + e) * size + i));
      const float noise = static_cast<float>(word >> 8) * 0x1p-24f - 0.5f;
      // Each class has stripes of a different width.
      const float stripe = (i / (label + 1)) % 2 ? 0.5f : -0.5f;
      features[static_cast<std::size_t>(e * size + i)] = stripe + noise;
    }
  }
  return {Tensor(features, shape, device), Tensor(labels, Shape{examples}, device)};
}

}  // namespace lockstep::conformance
