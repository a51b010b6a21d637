// A plug-in, such as a language binding: a separate library whose C functions use Lockstep.
#include <algorithm>
#include <cstdio>
#include <exception>
#include <vector>

#include "lockstep/lockstep.h"

using namespace lockstep;

namespace {

template <class F>
int guarded(F&& f) {
  try {
    return f();
  } catch (const std::exception& e) {
    std::fprintf(stderr, "%s\n", e.what());
    return 1;
  }
}

}  // namespace

#define PLUGIN_API extern "C" __attribute__((visibility("default")))

/// Adds (1, 2, 3) and (10, 20, 30) on the default device and writes the sums to `out`. Returns 0, or 1 after an
/// exception.
PLUGIN_API int loading_add(float* out) {
  return guarded([&] {
    const std::vector<float> sums = (Tensor({1.0f, 2.0f, 3.0f}) + Tensor({10.0f, 20.0f, 30.0f})).to_vector<float>();
    std::copy(sums.begin(), sums.end(), out);
    return 0;
  });
}

/// Compares streams, whose operator is not a member. Returns 0, or 1 if it is wrong or after an exception.
PLUGIN_API int loading_compare_streams() {
  return guarded([] {
    const Stream stream = Stream::default_of(default_device()), same = stream;
    return stream == same ? 0 : 1;
  });
}
