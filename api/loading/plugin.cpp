// A plug-in, such as a language binding: a separate library whose C functions use Lockstep.
#include <algorithm>
#include <cstdio>
#include <exception>
#include <vector>

#include "lockstep/lockstep.h"

using namespace lockstep;

/// Adds (1, 2, 3) and (10, 20, 30) on the default device and writes the sums to `out`. Returns 0, or 1 after an
/// exception.
extern "C" __attribute__((visibility("default"))) int loading_add(float* out) {
  try {
    const std::vector<float> sums = (Tensor({1.0f, 2.0f, 3.0f}) + Tensor({10.0f, 20.0f, 30.0f})).to_vector<float>();
    std::copy(sums.begin(), sums.end(), out);
    return 0;
  } catch (const std::exception& e) {
    std::fprintf(stderr, "%s\n", e.what());
    return 1;
  }
}
