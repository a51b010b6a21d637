// A custom layer: a residual block with a learned gate, trained to separate two spirals.
#include <cmath>
#include <iostream>
#include <vector>

#include "lockstep/lockstep.h"

using namespace lockstep;

namespace {

// y = x + gate * inner(x). The constructor adds child layers; build() creates the variables, because it knows the
// input's shape.
class GatedResidual : public nn::Layer {
 public:
  explicit GatedResidual(std::int64_t units)
      : Layer("gated_residual"), inner_(add(nn::Dense{.units = units, .activation = silu})) {}

 protected:
  void build(const Shape& input) override {
    const std::int64_t units = input[-1];
    gate_ = add_variable("gate", full({units}, 0.1));
  }
  Tensor call(const Tensor& x, const nn::Call& c) const override { return x + *gate_ * inner_(x, c); }

 private:
  nn::Layer& inner_;
  std::optional<Variable> gate_;
};

// Two spiral arms around the same centre, labelled 0 and 1.
data::Dataset spirals(std::int64_t per_arm) {
  std::vector<float> points;
  std::vector<std::uint8_t> labels;
  for (std::int64_t i = 0; i < per_arm; ++i) {
    for (const std::uint8_t arm : {0, 1}) {
      const double t = static_cast<double>(i) / static_cast<double>(per_arm);
      const double angle = 3 * M_PI * t + M_PI * arm;
      points.push_back(static_cast<float>(t * std::cos(angle)));
      points.push_back(static_cast<float>(t * std::sin(angle)));
      labels.push_back(arm);
    }
  }
  return data::Dataset::from_tensors(Tensor(points, {2 * per_arm, 2}), Tensor(labels, {2 * per_arm}));
}

}  // namespace

int main() {
  set_seed(1);
  const data::Dataset data = spirals(256);
  nn::Model model(nn::Sequential(nn::Dense{.units = 32, .activation = silu}, GatedResidual(32), GatedResidual(32),
                                 nn::Dense{.units = 2}));
  model.build({2});
  model.compile({.optimizer = optim::Adam{.learning_rate = 0.01},
                 .loss = losses::SparseCategoricalCrossentropy{},
                 .metrics = {metrics::Accuracy{}}});
  std::cout << model.summary();
  model.fit(data, {.epochs = 60, .verbose = nn::Verbose::silent});
  std::cout << "accuracy " << model.evaluate(data).at("accuracy") << "\n";
}
