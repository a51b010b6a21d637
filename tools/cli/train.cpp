// `lockstep train` and `lockstep evaluate`.
#include <chrono>
#include <cstdio>
#include <memory>

#include "tools/cli/command.h"

namespace cli {
namespace {

namespace ls = lockstep;

struct Options {
  std::string model = "cnn", data = "fashion-mnist", device, mode = "strict", memory_limit, save, load;
  std::int64_t epochs = 0, steps = 0, batch_size = 32, limit_images = 0;
  std::uint64_t seed = 0;
  unsigned threads = 0;
  bool json = false;
};

void add_shared(CLI::App& command, Options& o) {
  command.add_option("--model", o.model, "mlp or cnn")->capture_default_str();
  command.add_option("--data", o.data, "fashion-mnist, or a folder with its four IDX files")->capture_default_str();
  command.add_option("--device", o.device, "Such as cpu or cuda:0 (default: the fastest)");
  command.add_option("--mode", o.mode, "Math mode: strict, fast or lockstep")->capture_default_str();
  command.add_option("--threads", o.threads, "CPU threads (default: all cores)")->check(CLI::Range(1u, 4096u));
  command.add_option("--limit-images", o.limit_images, "Use only the first N images of each split")->check(CLI::PositiveNumber);
  command.add_option("--memory-limit", o.memory_limit, "Cap on device memory: bytes, or such as 512MiB");
  command.add_flag("--json", o.json, "The last line of standard output is one JSON object");
}

struct Prepared {
  ls::Device device;
  ls::MathMode mode;
  ls::data::Dataset train, test;
  ls::nn::Model model;
};

ls::data::Dataset open_data(const Options& o, ls::data::Split split) {
  const std::string folder = o.data == "fashion-mnist" ? "" : o.data;
  const ls::data::Dataset data = ls::data::fashion_mnist(split, folder);
  return o.limit_images ? data.take(o.limit_images) : data;
}

Prepared prepare(const Options& o) {
  const ls::MathMode mode = parse_mode(o.mode);
  ls::nn::Model model = ls::zoo::make(o.model);
  const std::optional<std::uint64_t> limit = o.memory_limit.empty() ? std::nullopt : std::optional(ls::parse_bytes(o.memory_limit));
  const ls::Device device = o.device.empty() ? ls::best_device() : ls::Device(o.device);
  if (o.threads) ls::set_thread_count(o.threads);
  if (limit) ls::set_memory_limit(device, *limit);
  Prepared p{device, mode, open_data(o, ls::data::Split::train), open_data(o, ls::data::Split::test), std::move(model)};
  ls::set_seed(o.seed);
  p.model.build(p.train.features().shape, device);
  p.model.compile({.optimizer = ls::optim::Adam{}, .loss = ls::losses::SparseCategoricalCrossentropy{},
                   .metrics = {ls::metrics::Accuracy{}}});
  return p;
}

int train(Options& o) {
  if (o.epochs == 0 && o.steps == 0) o.epochs = 1;
  Prepared p = prepare(o);
  const ls::MathModeScope mode(p.mode);
  if (!o.json) std::printf("%s\n", p.model.summary(o.batch_size).c_str());
  std::fflush(stdout);
  ls::reset_peak_memory(p.device);
  const std::int64_t per_epoch = (p.train.size() + o.batch_size - 1) / o.batch_size;
  const std::int64_t epochs = o.epochs ? o.epochs : (o.steps + per_epoch - 1) / per_epoch;
  const ls::nn::History history = p.model.fit(p.train, {.epochs = epochs, .steps = o.steps, .batch_size = o.batch_size,
                                                        .shuffle = ls::RandomKey{o.seed, 1u << 20}});
  double seconds = 0, images = 0;
  std::int64_t steps = 0;
  for (const ls::nn::EpochResult& e : history) {
    seconds += e.seconds;
    images += static_cast<double>(e.examples);
    steps += e.steps;
  }
  const std::uint64_t peak = ls::memory_stats(p.device).peak_live;
  const double accuracy = p.model.evaluate(p.test).at("accuracy");
  if (!o.save.empty()) p.model.save_weights(o.save);
  const Json result = {{"device", p.device.name()},
                       {"mode", o.mode},
                       {"seed", o.seed},
                       {"epochs", static_cast<std::int64_t>(history.size())},
                       {"steps", steps},
                       {"loss", history.back().values.at("loss")},
                       {"test_accuracy", accuracy},
                       {"images_per_second", images / seconds},
                       {"peak_bytes", peak},
                       {"seconds", seconds},
                       {"weights_sha256", p.model.weights_sha256()}};
  if (o.json) {
    std::printf("%s\n", result.dump().c_str());
  } else {
    std::printf(" %s on %s: %lld steps in %.1f s, %.0f images/s, loss %.4f, test accuracy %.4f, peak memory %s\n weights_sha256 %s\n",
                o.model.c_str(), p.device.name().c_str(), static_cast<long long>(steps), seconds, images / seconds,
                history.back().values.at("loss"), accuracy, ls::format_bytes(peak).c_str(),
                result["weights_sha256"].get<std::string>().c_str());
    if (!o.save.empty()) std::printf(" saved to %s\n", o.save.c_str());
  }
  return 0;
}

int evaluate(const Options& o) {
  Prepared p = prepare(o);
  p.model.load_weights(o.load);
  const ls::MathModeScope mode(p.mode);
  ls::reset_peak_memory(p.device);
  const auto start = std::chrono::steady_clock::now();
  const std::map<std::string, double> values = p.model.evaluate(p.test, o.batch_size);
  const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  const Json result = {{"device", p.device.name()},
                       {"mode", o.mode},
                       {"loss", values.at("loss")},
                       {"test_accuracy", values.at("accuracy")},
                       {"images", p.test.size()},
                       {"images_per_second", static_cast<double>(p.test.size()) / seconds},
                       {"peak_bytes", ls::memory_stats(p.device).peak_live},
                       {"seconds", seconds},
                       {"weights_sha256", p.model.weights_sha256()}};
  if (o.json) {
    std::printf("%s\n", result.dump().c_str());
  } else {
    std::printf(" %s on %s: loss %.4f, test accuracy %.4f over %lld images\n", o.model.c_str(), p.device.name().c_str(),
                values.at("loss"), values.at("accuracy"), static_cast<long long>(p.test.size()));
  }
  return 0;
}

}  // namespace

Run add_train(CLI::App& app) {
  auto o = std::make_shared<Options>();
  CLI::App* command = app.add_subcommand("train", "Train a model on real images");
  add_shared(*command, *o);
  CLI::Option* epochs = command->add_option("--epochs", o->epochs, "Passes over the data (default 1)")->check(CLI::PositiveNumber);
  command->add_option("--steps", o->steps, "Steps in all, instead of epochs")->check(CLI::PositiveNumber)->excludes(epochs);
  command->add_option("--batch-size", o->batch_size, "Images per step")->check(CLI::PositiveNumber)->capture_default_str();
  command->add_option("--seed", o->seed, "Of weights and order")->capture_default_str();
  command->add_option("--save", o->save, "Write the weights here, in the safetensors format");
  return [o] { return train(*o); };
}

Run add_evaluate(CLI::App& app) {
  auto o = std::make_shared<Options>();
  o->batch_size = 256;
  CLI::App* command = app.add_subcommand("evaluate", "Loss and accuracy of saved weights on the test images");
  add_shared(*command, *o);
  command->add_option("--batch-size", o->batch_size, "Images at a time")->check(CLI::PositiveNumber)->capture_default_str();
  command->add_option("--load", o->load, "Weights written by train --save")->required();
  return [o] { return evaluate(*o); };
}

}  // namespace cli
