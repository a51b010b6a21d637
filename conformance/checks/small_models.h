// The models that the suite trains, and their data.
#pragma once

#include <string>
#include <vector>

#include "lockstep/lockstep.h"

namespace lockstep::conformance {

inline constexpr const char* model_names[] = {"mlp", "cnn"};
inline constexpr const char* optimizer_names[] = {"sgd", "momentum", "adam"};

/// A model ready to train on a device: the same initial weights on every device.
nn::Model small_model(const std::string& name, const std::string& optimizer, Device device, std::uint64_t seed);

/// Batch `number` for a model: eight examples of four classes that a model can learn to distinguish.
data::Batch small_batch(const std::string& name, std::int64_t number, Device device, std::uint64_t seed);

}  // namespace lockstep::conformance
