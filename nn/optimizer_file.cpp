#include "nn/optimizer_file.h"

#include "autodiff/optimizer_step.h"
#include "autodiff/variable_impl.h"
#include "lockstep/autodiff.h"
#include "runtime/caller.h"
#include "runtime/device_state.h"

namespace lockstep {
namespace {

using Options = std::variant<optim::Sgd, optim::Adam>;

const char* kind_of(const Options& options) { return std::holds_alternative<optim::Adam>(options) ? "adam" : "sgd"; }

// Calls f(name, field) for each option.
template <class F>
void for_each_option(optim::Sgd& o, F&& f) {
  f("learning_rate", o.learning_rate);
  f("momentum", o.momentum);
  f("nesterov", o.nesterov);
}

template <class F>
void for_each_option(optim::Adam& o, F&& f) {
  f("learning_rate", o.learning_rate);
  f("beta_1", o.beta_1);
  f("beta_2", o.beta_2);
  f("epsilon", o.epsilon);
  f("weight_decay", o.weight_decay);
}

// Calls f(name, field) for each number of the snapshot, in texts of the file under "optimizer.<name>".
template <class F>
void for_each_number(optim::Snapshot& snapshot, F&& f) {
  std::visit([&](auto& options) { for_each_option(options, f); }, snapshot.options);
  f("steps", snapshot.steps);
  if (!std::holds_alternative<optim::Adam>(snapshot.options)) return;
  f("weights_1", snapshot.weights_1);
  f("weights_2", snapshot.weights_2);
}

std::string key_of(const char* name) { return std::string("optimizer.") + name; }

// The device of the variable to which a slot of this name belongs. A slot of no variable is refused later.
Device device_of_slot(const std::string& slot, std::span<const Variable> variables) {
  const std::string owner = slot.substr(0, slot.rfind('/'));
  for (const Variable& v : variables) {
    if (v.name() == owner) return v.device();
  }
  return default_device();
}

optim::Snapshot snapshot_in(const LoadedFile& loaded, std::span<const Variable> variables) {
  if (!loaded.has("optimizer")) {
    loaded.fail(ErrorId::does_not_match, "it has no state of an optimizer",
                "give a file of save_optimizer() or save_checkpoint()");
  }
  optim::Snapshot snapshot;
  const std::string& kind = loaded.text("optimizer");
  if (kind == "adam") {
    snapshot.options = optim::Adam{};
  } else if (kind != "sgd") {
    loaded.fail(ErrorId::does_not_match, "it has the state of an optimizer \"" + kind + "\", which is not known here",
                "load it with the version of Lockstep that saved it");
  }
  for_each_number(snapshot, [&](const char* name, auto& value) { loaded.read(key_of(name), value); });
  for (const auto& [name, entry] : loaded.archive.entries()) {
    if (!name.starts_with(optimizer_prefix)) continue;
    const std::string slot = name.substr(optimizer_prefix.size());
    snapshot.slots.emplace(slot, loaded.archive.load(name, device_of_slot(slot, variables)));
  }
  return snapshot;
}

}  // namespace

void add_optimizer(TensorFile& file, const optim::Optimizer& optimizer, CallSite where) {
  optim::Snapshot snapshot = optimizer.snapshot(where);
  for (const auto& [name, tensor] : snapshot.slots) file.tensors.emplace(std::string(optimizer_prefix) + name, tensor);
  file.metadata["optimizer"] = kind_of(snapshot.options);
  for_each_number(snapshot, [&](const char* name, auto value) { file.metadata[key_of(name)] = exact_text(value); });
}

void restore_optimizer(const LoadedFile& loaded, optim::Optimizer& optimizer, std::span<const Variable> variables) {
  const optim::Snapshot snapshot = snapshot_in(loaded, variables);
  try {
    optimizer.restore(snapshot, variables, loaded.where);
  } catch (const Error& e) {
    if (e.id() == ErrorId::invalid_attribute) loaded.damaged("the optimizer's " + e.headline());
    if (e.id() != ErrorId::snapshot_mismatch) throw;
    loaded.fail(ErrorId::does_not_match, e.headline(),
                "load it into an optimizer of the same kind, with the variables that it updated");
  }
}

void save_optimizer(const std::string& path, const optim::Optimizer& optimizer, CallSite where) {
  const CallerScope caller(where);
  TensorFile file;
  file.metadata["format"] = "lockstep";
  optim::report_failed_step(optimizer, where);
  // Nor does a failed assignment count. Slots are on the device of their variables.
  for (const Variable& slot : optimizer.state()) {
    slot.device().state().synchronize_stream();
    slot.impl().settle(where);
  }
  add_optimizer(file, optimizer, where);
  save_tensors(path, file.tensors, file.metadata);
}

void load_optimizer(const std::string& path, optim::Optimizer& optimizer, std::span<const Variable> variables,
                    CallSite where) {
  const CallerScope caller(where);
  const NoGradient pause;
  const TensorArchive archive(path);
  restore_optimizer({"load_optimizer", path, archive, where}, optimizer, variables);
}

}  // namespace lockstep
