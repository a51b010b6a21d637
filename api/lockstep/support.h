// Which ops a device carries out, and how.
#pragma once

#include <string>
#include <vector>

#include "lockstep/device.h"
#include "lockstep/export.h"
#include "lockstep/op_def.h"

namespace LOCKSTEP_API lockstep {

struct OpSupport {
  enum class Kind : std::uint8_t { native, decomposed, missing };
  const OpDef* op = nullptr;
  Kind kind = Kind::missing;
  std::string text;  // decomposed: into what; missing: the driver's reason
};

/// Asks the driver about every registered op, in f32 where the op takes it; with `dtype`, about the ops that take an
/// operand of that dtype. Opens no device and allocates nothing on it.
std::vector<OpSupport> op_support(Device device, std::optional<DType> dtype = std::nullopt);

}  // namespace lockstep
