// The types of elements that DLPack and Lockstep have in common.
#pragma once

#include <optional>

#include "lockstep/dlpack_abi.h"
#include "lockstep/dtype.h"

namespace lockstep {

DLDataType dlpack_type(DType dtype);

/// nullopt if Lockstep has no such type, as for vectors (lanes).
std::optional<DType> dtype_of(const DLDataType& type);

}  // namespace lockstep
