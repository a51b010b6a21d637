// The parts that `train` and `evaluate` share: their options, and the model and data made from them.
#pragma once

#include <map>

#include "lockstep/call_site.h"
#include "tools/cli/command.h"

namespace cli {

struct TrainingOptions {
  std::string model = "cnn", data = "fashion-mnist", device, mode = "strict", memory_limit, save, load;
  std::int64_t epochs = 0, steps = 0, batch_size = 32, limit_images = 0;
  std::uint64_t seed = 0;
  unsigned threads = 0;
  bool json = false;
};

/// Adds the options that both commands have.
void add_shared_options(Command command, TrainingOptions& options);

struct Prepared {
  lockstep::Device device;
  lockstep::MathMode mode;
  lockstep::data::Dataset train, test;
  lockstep::nn::Model model;
};

/// Reports every error in the options here, before any training.
Prepared prepare(const TrainingOptions& options, const std::string& device);

/// The loss or metric of that name among the values of fit() or evaluate(); throws StateError LS1008, as an error of
/// `command`, if there is none.
double value_of(const std::map<std::string, double>& values, const std::string& name, const std::string& command,
                lockstep::CallSite where = lockstep::CallSite::current());

}  // namespace cli
