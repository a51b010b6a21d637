#include <cmath>

#include "lockstep/nn.h"
#include "lockstep/ops.h"
#include "runtime/enums.h"

namespace lockstep::nn {
namespace {

// Random numbers are drawn in f32 or f64. Weights in f16 or bf16 are rounded from f32.
Tensor draw(const Initializer& initializer, const Shape& shape, const Random& options, double size) {
  using Kind = Initializer::Kind;
  const double value = initializer.value;
  switch (initializer.kind) {
    case Kind::uniform: return random_uniform(shape, -value, value, options);
    case Kind::normal: return random_normal(shape, 0, value, options);
    case Kind::truncated_normal: return random_truncated_normal(shape, 0, value, options);
    case Kind::variance_uniform: {
      const double limit = std::sqrt(3 * value / size);
      return random_uniform(shape, -limit, limit, options);
    }
    default: {
      // Truncation at two standard deviations reduces the variance; this constant is the remaining standard deviation.
      constexpr double left = 0.87962566103423978;
      return random_truncated_normal(shape, 0, std::sqrt(value / size) / left, options);
    }
  }
}

}  // namespace

Tensor Initializer::make(const Shape& shape, DType dtype, double fan_in, double fan_out) const {
  check_enum(kind, Kind::variance_normal, "kind of initial value", "initializer");
  check_enum(fan, Fan::mean, "fan", "initializer");
  // sqrt is correctly rounded on every machine, so initial weights have the same bits everywhere.
  const double size = fan == Fan::in ? fan_in : fan == Fan::out ? fan_out : (fan_in + fan_out) / 2;
  if (kind == Kind::constant) return full(shape, value, dtype);
  return cast(draw(*this, shape, {.dtype = compute_dtype(dtype)}, size), dtype);
}

}  // namespace lockstep::nn
