// Small models that the command line, the benchmarks and the documentation share.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "lockstep/export.h"
#include "lockstep/model.h"

namespace LOCKSTEP_API lockstep {
namespace zoo {

/// 784 - 512 - 256 - classes, ReLU between; takes images of any shape.
nn::Model mlp(std::int64_t classes = 10);

/// Convolutions of 32 and 64 filters 3x3, max pooling, dense 128 and classes; ReLU between.
nn::Model cnn(std::int64_t classes = 10);

/// By name; throws UsageError LS9001 with the names.
nn::Model make(std::string_view name, std::int64_t classes = 10);
std::vector<std::string> names();

}  // namespace zoo
}  // namespace lockstep
