// What differs between the languages of GPU kernels, as far as programs are concerned. Everything else is written the
// same in all of them. So the text that precedes a program must define what GLSL has and a language may lack: types
// such as `uint` and `int64_t`, which are also called like functions, and functions such as `uintBitsToFloat`; and what
// no language has, such as `divide` and `half_to_float`.
#pragma once

#include <string>

#include "lockstep/driver.h"

namespace gpu {

struct Dialect {
  const char* function;  // begins the declaration of a function that kernels call
  const char* value;     // begins the declaration of a value that is rounded as it is written
  const char* zero_f32;
  const char* zero_f64;
  /// A zero of 64 bits whose value the compiler cannot know, which keeps a constant or a value from it; empty if no
  /// compiler needs that.
  const char* hidden_zero;
  /// a + b, a - b or a * b of dtype t: floats are rounded, and not fused with other instructions; integers wrap.
  std::string (*arithmetic)(lks_dtype t, const char* op, const std::string& a, const std::string& b);
  /// The element of `array` at `index`; at 0 if `index` is empty.
  std::string (*element)(const std::string& array, const std::string& index);
};

}  // namespace gpu
