// Elementwise ops. Operands broadcast (docs/errors.md, LS2001 and LS2002) and share one dtype. A C++ number takes the
// tensors' dtype, except that a floating number promotes integer and bool tensors to f32 if the op takes f32, and that
// beside f16 and bf16 tensors a number is not rounded to their dtype before the op computes, in f32; comparisons do
// round it. Promotion does not widen what an op takes: `where` and the comparisons take every dtype, and so u8 beside
// 2.5; add(u8, 1.5) throws DTypeError LS2102, as add(u8, u8) does. If all operands are numbers, the dtype is bool, i32
// or f32, whichever is the most general among them. "floating" means f32, f64, f16, bf16; "numeric" means floating, i32
// or i64.
#pragma once

#include "lockstep/export.h"
#include "lockstep/tensor.h"

namespace LOCKSTEP_API lockstep {

// -- arithmetic; numeric. Integers wrap around.
Tensor add(Operand a, Operand b);  // Sum of each pair.
Tensor sub(Operand a, Operand b);  // Difference of each pair.
Tensor mul(Operand a, Operand b);  // Product of each pair.
/// Quotient of each pair; integers truncate toward zero, and x / 0 is 0.
Tensor div(Operand a, Operand b);
Tensor neg(Operand x);     // -x.
Tensor abs(Operand x);     // Magnitude of x; gradient 0 at 0. At NaN the gradient is NaN.
Tensor square(Operand x);  // x times x.
/// The smaller of each pair; NaN propagates, -0 is below +0. Equal operands share the gradient, NaN takes it. Otherwise
/// the gradient goes to the chosen operand; two NaNs share it.
Tensor minimum(Operand a, Operand b);
/// The larger of each pair; NaN propagates, -0 is below +0. Equal operands share the gradient, NaN takes it. Otherwise
/// the gradient goes to the chosen operand; two NaNs share it.
Tensor maximum(Operand a, Operand b);
/// x, but no less than `low`, and no more than `high`, which wins where they cross; NaN of any operand propagates:
/// minimum(maximum(x, low), high). The gradient goes to x if low <= x <= high, bounds included, and otherwise to the
/// bound that is the result. If x is NaN, its gradient is 0 (NaN if the upstream gradient is infinite or NaN).
Tensor clip(Operand x, Operand low, Operand high);

inline Tensor operator+(Operand a, Operand b) { return add(a, b); }
inline Tensor operator-(Operand a, Operand b) { return sub(a, b); }
inline Tensor operator*(Operand a, Operand b) { return mul(a, b); }
inline Tensor operator/(Operand a, Operand b) { return div(a, b); }
inline Tensor operator-(Operand x) { return neg(x); }

// -- functions; floating dtypes.
Tensor sqrt(Operand x);   // Square root.
Tensor rsqrt(Operand x);  // Reciprocal of the square root.
/// a to the power b. The gradient with respect to b, a^b log a, is NaN for a < 0, and 0 for a = 0 if b >= 0.
Tensor pow(Operand a, Operand b);
Tensor exp(Operand x);      // e to the power x.
Tensor log(Operand x);      // Natural logarithm.
Tensor tanh(Operand x);     // Hyperbolic tangent.
Tensor sigmoid(Operand x);  // 1 / (1 + exp(-x)).
Tensor relu(Operand x);     // max(x, 0); gradient 0 at 0. Numeric.

// And the ops of scalar_ops.def, which has their documentation: erf, the gelus, silu, sin and cos.
#define LOCKSTEP_SCALAR_OP(id, name, error_class, doc) Tensor name(Operand x);
#include "lockstep/scalar_ops.def"
#undef LOCKSTEP_SCALAR_OP

// -- comparison; every dtype; the result is bool. NaN is unequal to everything, also to itself.
Tensor equal(Operand a, Operand b);          // a == b.
Tensor not_equal(Operand a, Operand b);      // a != b.
Tensor less(Operand a, Operand b);           // a < b.
Tensor less_equal(Operand a, Operand b);     // a <= b.
Tensor greater(Operand a, Operand b);        // a > b.
Tensor greater_equal(Operand a, Operand b);  // a >= b.
inline Tensor operator<(Operand a, Operand b) { return less(a, b); }
inline Tensor operator<=(Operand a, Operand b) { return less_equal(a, b); }
inline Tensor operator>(Operand a, Operand b) { return greater(a, b); }
inline Tensor operator>=(Operand a, Operand b) { return greater_equal(a, b); }
/// Neither NaN nor infinite. Floating dtypes.
Tensor is_finite(Operand x);

// -- logic; bool.
Tensor logical_and(Operand a, Operand b);  // Both hold.
Tensor logical_or(Operand a, Operand b);   // Either holds.
Tensor logical_xor(Operand a, Operand b);  // One of them holds.
Tensor logical_not(Operand x);             // x does not hold.

/// a where the condition holds, else b. The condition is bool; a and b have any dtype.
Tensor where(Operand condition, Operand a, Operand b);

/// x in another dtype. Floats to integers truncate and saturate, NaN gives 0. An integer wraps around in a narrower
/// integer. A float is rounded once to a narrower float. To bool: x != 0. A C++ number becomes a tensor of dtype `to`:
/// integers as in full(), so one that `to` cannot hold throws ShapeError LS2007; floating numbers truncate and
/// saturate.
Tensor cast(Operand x, DType to);

/// x, through which no gradient flows.
Tensor stop_gradient(Operand x);

}  // namespace lockstep
