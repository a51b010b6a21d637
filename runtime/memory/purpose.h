// Names of memory blocks in errors and reports.
#pragma once

#include <string>

#include "lockstep/call_site.h"

namespace lockstep {

/// The purpose of a block.
struct BlockPurpose {
  const char* label = nullptr;                     // static string: the op, such as "conv2d"
  const char* what = "output";                     // "output", "workspace", "copy"
  std::string (*describe)(const void*) = nullptr;  // describes `subject`, such as "f32 (256, 112, 112, 128)"
  const void* subject = nullptr;
  const CallSite* where = nullptr;
};

}  // namespace lockstep
