// Elementwise ops. Operands broadcast (docs/errors.md, LS2001 and LS2002) and share one dtype. A C++ number takes the
// tensors' dtype, except that a floating number promotes integer and bool tensors to f32, and that beside f16 and bf16
// tensors a number is not rounded to their dtype before the op computes, in f32; comparisons do round it. If all
// operands are numbers, the dtype is bool, i32 or f32, whichever is the most general among them. "floating" means f32,
// f64, f16, bf16; "numeric" means floating, i32 or i64.
#pragma once

#include "lockstep/export.h"
#include "lockstep/tensor.h"

namespace LOCKSTEP_API lockstep {

// -- arithmetic; numeric. Integers wrap around.
Tensor add(Operand a, Operand b);
Tensor sub(Operand a, Operand b);
Tensor mul(Operand a, Operand b);
/// Integers truncate toward zero, and x / 0 is 0.
Tensor div(Operand a, Operand b);
Tensor neg(Operand x);
Tensor abs(Operand x);  // gradient 0 at 0, NaN at NaN
Tensor square(Operand x);
/// The smaller (larger) of each pair; NaN if either is NaN; -0 is below +0. The gradient goes to the chosen operand. A
/// NaN counts as chosen. Equal operands, or two NaNs, share the gradient.
Tensor minimum(Operand a, Operand b);
Tensor maximum(Operand a, Operand b);
/// minimum(maximum(x, low), high): x limited to [low, high], or `high` if low > high. NaN in any operand propagates.
/// The gradient goes to x if low <= x <= high, bounds included, and otherwise to the bound that is the result. If x is
/// NaN, its gradient is 0 (NaN if the upstream gradient is infinite or NaN).
Tensor clip(Operand x, Operand low, Operand high);

inline Tensor operator+(Operand a, Operand b) { return add(a, b); }
inline Tensor operator-(Operand a, Operand b) { return sub(a, b); }
inline Tensor operator*(Operand a, Operand b) { return mul(a, b); }
inline Tensor operator/(Operand a, Operand b) { return div(a, b); }
inline Tensor operator-(Operand x) { return neg(x); }

// -- functions; floating dtypes.
Tensor sqrt(Operand x);
Tensor rsqrt(Operand x);  // 1 / sqrt(x)
/// x to the power y. The gradient with respect to y, x^y log x, is NaN for x < 0, and 0 for x = 0 if y >= 0.
Tensor pow(Operand x, Operand y);
Tensor exp(Operand x);
Tensor log(Operand x);
Tensor tanh(Operand x);
Tensor sigmoid(Operand x);  // 1 / (1 + exp(-x))
Tensor erf(Operand x);
Tensor relu(Operand x);       // max(x, 0), gradient 0 at 0; numeric
Tensor gelu(Operand x);       // x/2 (1 + erf(x / sqrt 2))
Tensor gelu_tanh(Operand x);  // x/2 (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3)))
Tensor silu(Operand x);       // x sigmoid(x)

// -- comparison; every dtype; the result is bool. NaN is unequal to everything, also to itself.
Tensor equal(Operand a, Operand b);
Tensor not_equal(Operand a, Operand b);
Tensor less(Operand a, Operand b);
Tensor less_equal(Operand a, Operand b);
Tensor greater(Operand a, Operand b);
Tensor greater_equal(Operand a, Operand b);
inline Tensor operator<(Operand a, Operand b) { return less(a, b); }
inline Tensor operator<=(Operand a, Operand b) { return less_equal(a, b); }
inline Tensor operator>(Operand a, Operand b) { return greater(a, b); }
inline Tensor operator>=(Operand a, Operand b) { return greater_equal(a, b); }
/// True where x is neither NaN nor infinite; floating dtypes.
Tensor is_finite(Operand x);

// -- logic; bool.
Tensor logical_and(Operand a, Operand b);
Tensor logical_or(Operand a, Operand b);
Tensor logical_xor(Operand a, Operand b);
Tensor logical_not(Operand x);

/// a where `condition` (bool) holds, else b; every dtype.
Tensor where(Operand condition, Operand a, Operand b);

/// x in another dtype. A float becomes an integer by truncation and saturation; NaN gives 0. An integer wraps around in
/// a narrower integer. A float is rounded once to a narrower float. To bool: x != 0. A C++ number becomes a tensor of
/// dtype `to`: integers as in full(), so one that `to` cannot hold throws ShapeError LS2007; floating numbers truncate
/// and saturate.
Tensor cast(Operand x, DType to);

/// The value of x; no gradient flows through it.
Tensor stop_gradient(Operand x);

}  // namespace lockstep
