#include "tools/cli/training.h"

namespace cli {

namespace ls = lockstep;

void add_shared_options(Command command, TrainingOptions& o) {
  command.option("--model", o.model, "mlp or cnn").shows_default();
  command.option("--data", o.data, "fashion-mnist, or a folder with its four IDX files").shows_default();
  command.option("--mode", o.mode, "Math mode: strict, fast or lockstep").shows_default();
  command.option("--threads", o.threads, "CPU threads (default: LOCKSTEP_THREADS, else all cores)")
      .whole_number(1, 4096);
  command.option("--limit-images", o.limit_images, "Use only the first N images of each split").whole_number(1);
  command.option("--memory-limit", o.memory_limit, "Cap on device memory: bytes, or such as 512MiB");
  command.flag("--json", o.json, "The last line of standard output is one JSON object");
}

namespace {

ls::data::Dataset open_data(const TrainingOptions& o, ls::data::Split split) {
  const std::string folder = o.data == "fashion-mnist" ? "" : o.data;
  const ls::data::Dataset data = ls::data::fashion_mnist(split, folder);
  return o.limit_images ? data.take(std::min(o.limit_images, data.size())) : data;
}

}  // namespace

Prepared prepare(const TrainingOptions& o, const std::string& device_name) {
  const ls::MathMode mode = parse_mode(o.mode);
  ls::nn::Model model = ls::zoo::make(o.model);
  const std::optional<std::uint64_t> limit =
      o.memory_limit.empty() ? std::nullopt : std::optional(ls::parse_bytes(o.memory_limit));
  const ls::Device device = device_name.empty() ? ls::best_device() : ls::Device(device_name);
  require_mode(device, mode);
  if (!o.save.empty()) ls::check_can_write(o.save);
  if (o.threads) ls::set_thread_count(o.threads);
  if (limit) ls::set_memory_limit(device, *limit);
  Prepared p{device, mode, open_data(o, ls::data::Split::train), open_data(o, ls::data::Split::test), std::move(model)};
  ls::set_seed(o.seed);
  p.model.build(p.train.features().shape, device);
  p.model.compile({.optimizer = ls::optim::Adam{},
                   .loss = ls::losses::SparseCategoricalCrossentropy{},
                   .metrics = {ls::metrics::Accuracy{}}});
  return p;
}

double value_of(const std::map<std::string, double>& values, const std::string& name, const std::string& command,
                lockstep::CallSite where) {
  const auto found = values.find(name);
  if (found != values.end()) return found->second;
  std::string given;
  for (const auto& value : values) given += (given.empty() ? "" : ", ") + value.first;
  ls::ErrorBuilder(ls::ErrorId::invalid_use, command, "the model gives no value named \"" + name + "\"")
      .line("given", given.empty() ? "none" : given)
      .at(where)
      .fix("compile the model with a loss and metrics of which one has this name")
      .raise();
}

}  // namespace cli
