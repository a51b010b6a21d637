// Which ops a device supports, and how.
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
  std::string text;  // decomposed: the ops it consists of; missing: the driver's reason
};

/// Asks the driver about every registered op, in f32 if the op takes it; with `dtype`, only about the ops that take an
/// operand of that dtype. Opens no device and allocates nothing on one.
std::vector<OpSupport> op_support(Device device, std::optional<DType> dtype = std::nullopt);

}  // namespace lockstep
