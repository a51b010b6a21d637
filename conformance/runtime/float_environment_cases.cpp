// The application's floating-point settings (MXCSR, and the control word of the x87): kernels do not depend on them,
// and no call changes them.
#if defined(__SSE__) || defined(__x86_64__)
#include <xmmintrin.h>
#endif

#include <algorithm>
#include <cstring>
#include <functional>

#include "conformance/runtime/kernels.h"
#include "conformance/runtime/suites.h"

namespace lockstep::conformance {
namespace {

#if defined(__SSE__) || defined(__x86_64__)

constexpr unsigned flags = 0x3f;  // the exception flags, which kernels may set

// Sets the floating-point settings of the calling thread until the end of the scope.
class Settings {
 public:
  explicit Settings(unsigned wanted) : before_(_mm_getcsr()) { _mm_setcsr((before_ & ~0xe040u) | wanted); }
  ~Settings() { _mm_setcsr(before_); }
  Settings(const Settings&) = delete;
  Settings& operator=(const Settings&) = delete;

 private:
  unsigned before_;
};

// 3 x + 0 for subnormal x: the integer value of the bits is tripled, unless subnormals are flushed to zero or the
// rounding mode is wrong.
KernelSample triple_subnormals(Bytes& expected) {
  for (KernelSample& s : kernel_samples(1, 4)) {
    if (s.scalars.size() != 1) continue;
    expected.resize(s.values[0].size());
    for (std::uint32_t i = 0; i < s.values[0].size() / 4; ++i) {
      const std::uint32_t sign = i % 2 ? 0x80000000u : 0u, x = 1 + 977 * i, tripled = sign | 3 * x, bits = sign | x;
      std::memcpy(s.values[0].data() + 4 * i, &bits, 4);
      std::memcpy(expected.data() + 4 * i, &tripled, 4);
    }
    std::fill(s.values[1].begin(), s.values[1].end(), static_cast<unsigned char>(0));
    return s;
  }
  throw CheckFailed("the suite has no sample with a scalar");
}

// Precision, rounding and masks of the x87, in which long doubles are computed.
unsigned x87_control_word() {
  std::uint16_t word = 0;
  __asm__ volatile("fnstcw %0" : "=m"(word));
  return word;
}

// A call before this case may have changed it, and would change nothing now.
void use_usual_x87_control_word() {
  const std::uint16_t usual = 0x037f;  // of the x86-64 ABI
  __asm__ volatile("fldcw %0" : : "m"(usual));
}

using Unchanged = std::function<void(const std::string& by)>;

void use_device(const RuntimeTarget& target, const char* what, const Unchanged& unchanged) {
  Session s(target);
  unchanged("opening the device");
  for (unsigned pieces : {1u, 4u}) {
    s.host.set_style({pieces, true, false, pieces > 1});
    Queue queue(s);
    Bytes expected;
    const KernelSample subnormal = triple_subnormals(expected);
    const Kernel kernel(s, subnormal);
    check(static_cast<bool>(kernel), subnormal.name + " is refused");
    check_same_bytes(run_sample(s, queue, subnormal, kernel)[0], expected,
                     std::string("three times subnormal numbers, where the application ") + what);
    unchanged("a launch of " + subnormal.name);
    for (const KernelSample& sample : kernel_samples(target.seed, 3)) {
      const Kernel other(s, sample);
      unchanged("preparing " + sample.name);
      if (!other) continue;
      run_sample(s, queue, sample, other);
      unchanged("a launch of " + sample.name);
    }
  }
}

void run_under(const RuntimeTarget& target, unsigned wanted, const char* what) {
  const Settings settings(wanted);
  use_usual_x87_control_word();
  const unsigned before = _mm_getcsr() & ~flags, x87_before = x87_control_word();
  const Unchanged unchanged = [&](const std::string& by) {
    const unsigned now = _mm_getcsr() & ~flags, x87_now = x87_control_word();
    check(now == before, by + text(" changed MXCSR from 0x%04x to 0x%04x", before, now));
    check(x87_now == x87_before,
          by + text(" changed the x87's control word from 0x%04x to 0x%04x", x87_before, x87_now));
  };
  use_device(target, what, unchanged);
  unchanged("closing the device");
}

void plain(const RuntimeTarget& target) { run_under(target, 0, "has changed nothing"); }
void flushing(const RuntimeTarget& target) { run_under(target, 0x8040, "flushes subnormal numbers"); }
void rounding(const RuntimeTarget& target) { run_under(target, 0x4000, "rounds upwards"); }

#else

void plain(const RuntimeTarget&) { throw NotOffered("known for x86 only"); }
void flushing(const RuntimeTarget&) { throw NotOffered("known for x86 only"); }
void rounding(const RuntimeTarget&) { throw NotOffered("known for x86 only"); }

#endif

}  // namespace

std::vector<RuntimeCase> float_environment_cases() {
  return {
      {"threads", "float_settings", "kernels leave the application's floating-point settings as they were", &plain},
      {"threads", "float_flushing", "kernels compute with subnormal numbers where the application flushes them",
       &flushing},
      {"threads", "float_rounding", "kernels round to nearest where the application does not", &rounding},
  };
}

}  // namespace lockstep::conformance
