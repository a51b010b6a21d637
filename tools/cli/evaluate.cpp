// `lockstep evaluate`: computes loss and metrics of saved weights.
#include <chrono>
#include <cstdio>
#include <memory>

#include "tools/cli/json.h"
#include "tools/cli/training.h"

namespace cli {
namespace {

namespace ls = lockstep;

int evaluate(const TrainingOptions& o) {
  Prepared p = prepare(o, o.device);
  p.model.load_weights(o.load);
  const ls::MathModeScope mode(p.mode);
  ls::reset_peak_memory(p.device);
  const auto start = std::chrono::steady_clock::now();
  const std::map<std::string, double> values = p.model.evaluate(p.test, o.batch_size);
  const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  const double loss = value_of(values, "loss", "evaluate"), accuracy = value_of(values, "accuracy", "evaluate");
  const Json result = {{"device", p.device.name()},
                       {"mode", o.mode},
                       {"loss", loss},
                       {"test_accuracy", accuracy},
                       {"images", p.test.size()},
                       {"images_per_second", static_cast<double>(p.test.size()) / seconds},
                       {"peak_bytes", ls::memory_stats(p.device).peak_live},
                       {"seconds", seconds},
                       {"weights_sha256", p.model.weights_sha256()}};
  if (o.json) {
    std::printf("%s\n", result.dump().c_str());
  } else {
    std::printf(" %s on %s: loss %.4f, test accuracy %.4f over %lld images\n", o.model.c_str(), p.device.name().c_str(),
                loss, accuracy, static_cast<long long>(p.test.size()));
  }
  return 0;
}

}  // namespace

Run add_evaluate(Program& program) {
  auto o = std::make_shared<TrainingOptions>();
  o->batch_size = 256;
  Command command = program.command("evaluate", "Loss and accuracy of saved weights on the test images");
  command.option("--device", o->device, "Such as cpu or cuda:0 (default: the fastest)");
  add_shared_options(command, *o);
  command.option("--batch-size", o->batch_size, "Images at a time").whole_number(1).shows_default();
  command.option("--load", o->load, "Weights written by train --save").required();
  return [o] { return evaluate(*o); };
}

}  // namespace cli
