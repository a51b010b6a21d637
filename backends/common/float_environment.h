// Sets gradual underflow and rounding to nearest for kernels, whatever mode the application has set.
#pragma once

#if defined(__SSE__) || defined(__x86_64__)
#include <xmmintrin.h>
#endif

namespace common {

#if defined(__SSE__) || defined(__x86_64__)
/// Sets MXCSR for kernels and restores it afterwards. Writing the register is slow, so it is written only if its value
/// differs.
class FloatEnvironment {
 public:
  FloatEnvironment() : saved_(_mm_getcsr()) {
    constexpr unsigned flush_and_rounding = 0x8000u | 0x0040u | 0x6000u;  // FTZ, DAZ, rounding mode
    if (saved_ & flush_and_rounding) [[unlikely]] {
      changed_ = true;
      _mm_setcsr(saved_ & ~flush_and_rounding);
    }
  }
  ~FloatEnvironment() {
    if (changed_) [[unlikely]]
      _mm_setcsr(saved_);
  }
  FloatEnvironment(const FloatEnvironment&) = delete;
  FloatEnvironment& operator=(const FloatEnvironment&) = delete;

 private:
  unsigned saved_;
  bool changed_ = false;
};
#else
class FloatEnvironment {};
#endif

}  // namespace common
