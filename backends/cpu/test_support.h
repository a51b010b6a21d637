// Helpers for the driver's tests: tensors of random and special values on both devices, and comparisons.
#pragma once

#include <gtest/gtest.h>

#include <cstring>
#include <functional>
#include <string>
#include <vector>

#include "lockstep/op_def.h"
#include "lockstep/ops.h"
#include "lockstep/parallel.h"

namespace lockstep::testing {

/// A small random number generator that gives the same numbers on every machine.
class TestRandom {
 public:
  explicit TestRandom(std::uint64_t seed) : state_(seed * 0x9e3779b97f4a7c15u + 1) {}
  std::uint64_t bits() {
    state_ ^= state_ << 13;
    state_ ^= state_ >> 7;
    state_ ^= state_ << 17;
    return state_ * 0x2545f4914f6cdd1du;
  }
  /// In [0, n).
  std::int64_t below(std::int64_t n) {
    return static_cast<std::int64_t>((bits() >> 11) % static_cast<std::uint64_t>(n));
  }
  /// In [low, high).
  double real(double low, double high) { return low + (high - low) * static_cast<double>(bits() >> 11) * 0x1p-53; }

 private:
  std::uint64_t state_;
};

enum class Values {
  plain,    // floats in [-2, 2], integers in [-9, 9]
  awkward,  // also zeros of both signs, infinities, NaN, denormals, extremes
};

/// The bytes of `count` random elements.
std::vector<char> draw(DType dtype, std::int64_t count, std::uint64_t seed, Values values = Values::plain);

/// A tensor of random elements.
Tensor random_tensor(Device device, DType dtype, const Shape& shape, std::uint64_t seed, Values values = Values::plain);

Device cpu();
Device reference();

/// Compares bit for bit, except that any NaN equals any NaN.
::testing::AssertionResult same_bits(const Tensor& a, const Tensor& b);

/// Runs `f` on both devices and expects the same bits.
void expect_same(const std::string& what, const std::function<Tensor(Device)>& f);

/// Runs `f` with one thread and with three on the cpu device, and expects the same bits.
void expect_same_for_threads(const std::string& what, const std::function<Tensor(Device)>& f);

/// First runs `f` in a scope of one thread, which prepares the kernels. Expects that calls outside the scope divide
/// them into `threads` pieces, and get the same bits.
void expect_divided_after_a_call_alone(const std::string& what, unsigned threads, const std::function<Tensor()>& f);

/// Checks |a - b| <= tolerance · budget for each element. `budget` has the shape of a and may be on any device.
::testing::AssertionResult close(const Tensor& a, const Tensor& b, const Tensor& budget, double tolerance);

}  // namespace lockstep::testing
