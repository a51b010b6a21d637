// `lockstep train`: the same training on one device or on several, one after the other.
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <memory>

#include "tools/cli/json.h"
#include "tools/cli/training.h"

namespace cli {
namespace {

namespace ls = lockstep;

// Copies of the weights on the host, by name.
using Weights = std::map<std::string, std::vector<float>>;

struct Trained {
  std::string device;
  std::int64_t epochs = 0, steps = 0;
  double loss = 0, accuracy = 0, images_per_second = 0, seconds = 0;
  std::uint64_t peak_bytes = 0;
  std::string sha256;
  Weights weights;  // filled only if devices are compared
};

Weights read_weights(const ls::nn::Model& model) {
  Weights weights;
  for (const ls::Variable& v : model.variables()) weights[v.name()] = v.read().to_vector<float>();
  return weights;
}

double largest_difference(const Weights& a, const Weights& b) {
  double largest = 0;
  for (const auto& [name, values] : a) {
    const std::vector<float>& others = b.at(name);
    for (std::size_t i = 0; i < values.size(); ++i) {
      const double difference = std::fabs(double{values[i]} - double{others[i]});
      if (!(difference <= largest)) largest = difference;  // a NaN counts as the largest
    }
  }
  return largest;
}

ls::nn::History fit(const TrainingOptions& o, Prepared& p) {
  const std::int64_t per_epoch = (p.train.size() - 1) / o.batch_size + 1;
  const std::int64_t epochs = o.epochs ? o.epochs : o.steps ? (o.steps - 1) / per_epoch + 1 : 1;
  return p.model.fit(
      p.train,
      {.epochs = epochs, .steps = o.steps, .batch_size = o.batch_size, .shuffle = ls::RandomKey{o.seed, 1u << 20}});
}

Trained train_on(const TrainingOptions& o, const std::string& device, bool keep_weights) {
  Prepared p = prepare(o, device);
  const ls::MathModeScope mode(p.mode);
  const std::int64_t batch = std::clamp<std::int64_t>(p.train.size(), 1, o.batch_size);
  if (!o.json && !keep_weights) std::printf("%s\n", p.model.summary(batch).c_str());
  if (!o.json && keep_weights) std::printf(" %s\n", p.device.name().c_str());
  std::fflush(stdout);
  ls::reset_peak_memory(p.device);
  const ls::nn::History history = fit(o, p);
  Trained t{.device = p.device.name(), .epochs = static_cast<std::int64_t>(history.size())};
  double images = 0;
  for (const ls::nn::EpochResult& e : history) {
    t.seconds += e.seconds;
    t.steps += e.steps;
    images += static_cast<double>(e.examples);
  }
  t.images_per_second = images / t.seconds;
  t.peak_bytes = ls::memory_stats(p.device).peak_live;
  t.loss = value_of(history.back().values, "loss", "train");
  // The weights are saved before everything else: later steps may fail, and the result of training must not be lost.
  if (!o.save.empty()) {
    p.model.save_weights(o.save);
    if (!o.json) std::printf(" saved to %s\n", o.save.c_str());
    std::fflush(stdout);
  }
  t.accuracy = value_of(p.model.evaluate(p.test), "accuracy", "train");
  t.sha256 = p.model.weights_sha256();
  if (keep_weights) t.weights = read_weights(p.model);
  return t;
}

Json to_json(const Trained& t, const TrainingOptions& o) {
  return {{"device", t.device},
          {"mode", o.mode},
          {"seed", o.seed},
          {"epochs", t.epochs},
          {"steps", t.steps},
          {"loss", t.loss},
          {"test_accuracy", t.accuracy},
          {"images_per_second", t.images_per_second},
          {"peak_bytes", t.peak_bytes},
          {"seconds", t.seconds},
          {"weights_sha256", t.sha256}};
}

int train_one(const TrainingOptions& o, const std::string& device) {
  const Trained t = train_on(o, device, false);
  if (o.json) {
    std::printf("%s\n", to_json(t, o).dump().c_str());
    return 0;
  }
  std::printf(" %s on %s: %lld steps in %.1f s, %.0f images/s, loss %.4f, test accuracy %.4f, peak memory %s\n",
              o.model.c_str(), t.device.c_str(), static_cast<long long>(t.steps), t.seconds, t.images_per_second,
              t.loss, t.accuracy, ls::format_bytes(t.peak_bytes).c_str());
  std::printf(" weights_sha256 %s\n", t.sha256.c_str());
  return 0;
}

std::string format(const char* pattern, double value) {
  char text[40];
  std::snprintf(text, sizeof text, pattern, value);
  return text;
}

// What the hashes say about the devices.
std::string comparison_text(const std::string& mode, bool same) {
  if (same) {
    return " The weights are the same on all of them, bit for bit: a model that is trained on one of these devices "
           "could\n"
           " have been trained on any other" +
           std::string(mode == "lockstep" ? ", which lockstep mode promises (docs/lockstep_mode.md)." : ".");
  }
  if (mode == "lockstep") return " The weights have different bits, which lockstep mode forbids: please report it.";
  return " The weights differ in their last bits: in this mode each device may add in its own order. With --mode "
         "lockstep they\n"
         " are the same on all devices.";
}

int train_several(const TrainingOptions& o, const std::vector<std::string>& devices) {
  if (!o.save.empty()) {
    usage_error("--save", "the weights of " + std::to_string(devices.size()) + " devices do not go into one file",
                "train on one device, or without --save");
  }
  std::vector<std::vector<std::string>> rows = {
      {"device", "steps", "loss", "test accuracy", "images/s", "peak memory", "weights differ by", "weights_sha256"}};
  Weights first;
  std::string sha256;
  bool same = true;
  for (const std::string& device : devices) {
    Trained t = train_on(o, device, true);
    if (first.empty()) first = t.weights;
    if (sha256.empty()) sha256 = t.sha256;
    same = same && t.sha256 == sha256;
    const double difference = largest_difference(first, t.weights);
    rows.push_back({t.device, std::to_string(t.steps), format("%.4f", t.loss), format("%.4f", t.accuracy),
                    format("%.0f", t.images_per_second), ls::format_bytes(t.peak_bytes), format("%.2g", difference),
                    t.sha256.substr(0, 12) + "…"});
    if (!o.json) continue;
    Json line = to_json(t, o);
    line["largest_weight_difference"] = difference;
    std::printf("%s\n", line.dump().c_str());
  }
  const int status = o.mode == "lockstep" && !same ? 1 : 0;  // lockstep mode promises the same bits
  if (o.json) return status;
  std::printf("\n%s", format_table(rows, {false, true, true, true, true, true, true}).c_str());
  std::printf("\n weights differ by: the largest difference of any weight from that on %s\n", rows[1][0].c_str());
  std::puts(comparison_text(o.mode, same).c_str());
  return status;
}

std::vector<std::string> devices_of(const TrainingOptions& o) {
  if (o.device.empty()) return {""};  // the best device
  std::vector<std::string> names;
  for (const std::string& name : o.device == "all" ? std::vector<std::string>{} : split_list(o.device)) {
    names.push_back(ls::Device(name).name());  // reports a wrong name before the first device trains
  }
  if (o.device == "all") {
    const ls::MathMode mode = parse_mode(o.mode);
    for (const ls::DeviceInfo& device : ls::devices()) {
      if (!device.available) continue;
      const bool offers = std::ranges::count(device.modes, mode) > 0;
      if (offers) names.push_back(device.id);
      if (!offers && !o.json)
        std::printf(" %s is left out: it does not offer the mode %s\n", device.id.c_str(), o.mode.c_str());
    }
  }
  if (names.empty()) usage_error("--device", "no device is named", "`lockstep devices` lists them");
  return names;
}

int train(const TrainingOptions& o) {
  const std::vector<std::string> devices = devices_of(o);
  const bool compared = devices.size() > 1 || o.device == "all";
  return compared ? train_several(o, devices) : train_one(o, devices.front());
}

}  // namespace

Run add_train(Program& program) {
  auto o = std::make_shared<TrainingOptions>();
  Command command = program.command("train", "Train a model on real images");
  command.option("--device", o->device,
                 "Such as cpu or cuda:0 (default: the fastest); several joined by commas, or all, are compared");
  add_shared_options(command, *o);
  Option epochs = command.option("--epochs", o->epochs, "Passes over the data (default 1)");
  epochs.whole_number(1);
  command.option("--steps", o->steps, "Steps in all, instead of epochs").whole_number(1).excludes(epochs);
  command.option("--batch-size", o->batch_size, "Images per step").whole_number(1).shows_default();
  command.option("--seed", o->seed, "Of weights and order").seed().shows_default();
  command.option("--save", o->save, "Write the weights here, in the safetensors format");
  return [o] { return train(*o); };
}

}  // namespace cli
