// Small models that the command line, the benchmarks and the documentation share.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "lockstep/export.h"
#include "lockstep/model.h"

namespace LOCKSTEP_API lockstep {
namespace zoo {

/// A multilayer perceptron, 784 - 512 - 256 - classes, with ReLU between the layers; takes images of any shape.
nn::Model mlp(std::int64_t classes = 10);

/// Convolutions with 32 and 64 filters of 3x3, max pooling, dense layers with 128 and `classes` units; ReLU between.
nn::Model cnn(std::int64_t classes = 10);

/// The model with that name; an unknown name throws UsageError LS9001, which lists the names.
nn::Model make(std::string_view name, std::int64_t classes = 10);
std::vector<std::string> names();

}  // namespace zoo
}  // namespace lockstep
