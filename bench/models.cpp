// Training steps and inference of whole models.
#include "bench/workload.h"

namespace bench {
namespace {

namespace ls = lockstep;

const ls::Shape image{28, 28, 1};

std::shared_ptr<ls::nn::Model> built(const std::string& name, ls::Device device) {
  auto model = std::make_shared<ls::nn::Model>(ls::zoo::make(name));
  ls::set_seed(1);
  model->build(image, device);
  model->compile({.optimizer = ls::optim::Adam{}, .loss = ls::losses::SparseCategoricalCrossentropy{}});
  return model;
}

ls::data::Batch random_batch(std::int64_t n) {
  const ls::Tensor random = ls::random_uniform({n}, 0, 10, {.key = ls::RandomKey{3, 1}});
  return {ls::random_normal({n, 28, 28, 1}, 0, 1, {.key = ls::RandomKey{3, 2}}), ls::cast(random, ls::i32)};
}

Workload training(const char* group, const std::string& model, std::int64_t batch, const char* unit, double amount) {
  Workload w{group, model + " b" + std::to_string(batch), unit, amount};
  w.prepare = [=](ls::Device device) -> Work {
    return throughput_of(device, [m = built(model, device), data = random_batch(batch)] { m->train_step(data); });
  };
  return w;
}

Workload inference(const std::string& model) {
  Workload w{"infer", model + " b1", "us"};
  w.prepare = [=](ls::Device device) -> Work {
    return [device, m = built(model, device), data = random_batch(1)] {
      m->predict(data.features);
      finish(device);
    };
  };
  return w;
}

}  // namespace

std::vector<Workload> model_workloads() {
  return {training("mlp", "mlp", 32, "steps/s", 1),
          training("mlp", "mlp", 256, "steps/s", 1),
          training("cnn", "cnn", 32, "images/s", 32),
          training("cnn", "cnn", 128, "images/s", 128),
          inference("mlp"),
          inference("cnn")};
}

}  // namespace bench
