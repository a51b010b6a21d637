// Makes kernels round to nearest and keep denormals, whatever mode the application has set on this thread, and restores
// that mode afterwards. On a device with its own compiler, compiler flags do this.
#pragma once

#if defined(__SSE__)
#include <xmmintrin.h>

class FloatEnvironment {
 public:
  FloatEnvironment() : saved_(_mm_getcsr()) {
    constexpr unsigned flush_to_zero = 0x8000, denormals_are_zero = 0x0040, rounding = 0x6000;
    _mm_setcsr(saved_ & ~(flush_to_zero | denormals_are_zero | rounding));
  }
  ~FloatEnvironment() { _mm_setcsr(saved_); }
  FloatEnvironment(const FloatEnvironment&) = delete;
  FloatEnvironment& operator=(const FloatEnvironment&) = delete;

 private:
  unsigned saved_;
};
#else
class FloatEnvironment {};
#endif
