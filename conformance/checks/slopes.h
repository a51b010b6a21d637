// What the checks of gradients at special values share: slopes of the oracle and their comparison with a gradient.
#pragma once

#include <limits>
#include <optional>
#include <string>

#include "conformance/cases/test_case.h"
#include "ops/reference_call.h"

namespace lockstep::conformance {

/// How far a gradient may be from the oracle's slopes: `relative` to them and `absolute` times the cotangents.
struct SlopeTolerance {
  long double relative, absolute;
  long double largest, least;  // of the gradient's format
};

/// For gradients in this dtype. In fast mode, f32 may be computed in bf16.
SlopeTolerance slope_tolerance(DType dtype, MathMode mode);

/// The element after one step to one side.
long double moved(long double x, int direction);

/// Whether both the step and the change that it causes are lost in the round-off of the result, as in 1e38 + 1.
bool is_absorbed(long double y, long double step, long double change);

/// Equal, or both NaN.
bool same(long double a, long double b);

/// The slopes on both sides, between which the derivative must lie.
struct Sides {
  long double low = std::numeric_limits<long double>::infinity();
  long double high = -std::numeric_limits<long double>::infinity();
  int count = 0;
  /// Ignores a slope that is NaN or infinite.
  void add(long double slope);
};

/// `weight` is the sum of the magnitudes of the cotangents.
bool lies_between(long double given, const Sides& s, long double weight, const SlopeTolerance& tolerance);

/// Whether a gradient at infinity, at a pole or beside them is the limit of slopes. `near` and `nearer` are the slopes
/// with a finite number in place of infinity, and with one that is four times as far out. If they grow, the gradient
/// must be infinite; if they shrink, 0; if they stay, it must be that slope.
bool is_limit(long double given, long double near, long double nearer, long double cotangent,
              const SlopeTolerance& tolerance);

std::string place_text(std::size_t input, std::size_t at, long double given, const std::string& wanted);
std::string between_text(const Sides& s);

}  // namespace lockstep::conformance
