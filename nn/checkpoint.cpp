// Checkpoints: a file with all that training depends on.
#include "lockstep/autodiff.h"
#include "nn/model_state.h"
#include "nn/optimizer_file.h"
#include "nn/weights.h"
#include "runtime/caller.h"
#include "runtime/device_state.h"

namespace lockstep::nn {
namespace {

// What a checkpoint has besides weights and optimizer, in texts under these names.
struct Position {
  std::int64_t epochs = 0, batch_size = 1;
  RandomKey random;
};

template <class F>
void for_each_number(Position& p, F&& f) {
  f("training.epochs", p.epochs);
  f("training.batch_size", p.batch_size);
  f("training.random_seed", p.random.seed);
  f("training.random_stream", p.random.stream);
}

Position position_in(const LoadedFile& loaded) {
  if (!loaded.has("training.epochs")) {
    loaded.fail(ErrorId::does_not_match, "it is not a checkpoint: it does not say where training stands",
                "give a file of save_checkpoint(), or load only what it has with load_weights() or load_optimizer()");
  }
  Position position;
  for_each_number(position, [&](const char* key, auto& value) { loaded.read(key, value); });
  if (position.epochs < 0) loaded.damaged("it has " + std::to_string(position.epochs) + " epochs");
  if (position.batch_size < 1) loaded.damaged("it has a batch size of " + std::to_string(position.batch_size));
  return position;
}

}  // namespace

void Model::save_checkpoint(const std::string& path, CallSite where) const {
  state_.at(where).require_compiled("save_checkpoint", where);
  const CallerScope caller(where);
  const NoGradient pause;
  // A step that is found to have failed later does not count.
  state_->device->state().synchronize_stream();
  for (const Variable& v : variables(where)) v.impl().settle(where);
  TensorFile file{values_by_name(variables(where)), {{"format", "lockstep"}}};
  for (const auto& [name, value] : file.tensors) {
    if (!name.starts_with(optimizer_prefix)) continue;
    raise(ErrorId::invalid_use, "save_checkpoint",
          "a variable is named \"" + name + "\", and names that begin with " + std::string(optimizer_prefix) +
              " are the optimizer's",
          "rename the layer", where);
  }
  add_optimizer(file, state_->compiled().optimizer, where);
  Position position{state_->epochs, state_->batch_size, random_position()};
  for_each_number(position, [&](const char* key, auto value) { file.metadata[key] = exact_text(value); });
  save_tensors(path, file.tensors, file.metadata);
}

void Model::load_checkpoint(const std::string& path, CallSite where) {
  state_.at(where).require_compiled("load_checkpoint", where);
  const CallerScope caller(where);
  const NoGradient pause;
  const TensorArchive archive(path);
  const LoadedFile loaded{"load_checkpoint", path, archive, where};
  const Position position = position_in(loaded);
  LoadedWeights weights(loaded, variables(where));
  restore_optimizer(loaded, state_->compiled().optimizer, trainable_variables(where));
  // From here on nothing can fail.
  weights.assign();
  state_->epochs = position.epochs;
  state_->batch_size = position.batch_size;
  set_random_position(position.random);
}

}  // namespace lockstep::nn
