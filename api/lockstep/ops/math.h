// Elementwise ops. Operands broadcast (docs/errors.md, LS2001 and LS2002) and share one dtype; numbers take the
// tensors', but that a floating number makes integers and bools f32. Numbers alone are bool, i32 or f32, by the most
// general of them. "numeric" stands for f32, f64, i32, i64.
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
/// The smaller of each pair; NaN if either is NaN; -0 is below +0. The gradient goes to what was chosen: shared by
/// equal operands, and to NaN where there is one, or two.
Tensor minimum(Operand a, Operand b);
Tensor maximum(Operand a, Operand b);
/// x, but no less than `low` and no more than `high`, as minimum(maximum(x, low), high): where the bounds cross,
/// `high`. NaN of any operand propagates. The gradient goes to x where low <= x <= high, also where x equals a bound,
/// else to the bound that is the result; where x is NaN it is 0 (but NaN if what arrives is infinite or NaN).
Tensor clip(Operand x, Operand low, Operand high);

inline Tensor operator+(Operand a, Operand b) { return add(a, b); }
inline Tensor operator-(Operand a, Operand b) { return sub(a, b); }
inline Tensor operator*(Operand a, Operand b) { return mul(a, b); }
inline Tensor operator/(Operand a, Operand b) { return div(a, b); }
inline Tensor operator-(Operand x) { return neg(x); }

// -- functions; f32 and f64.
Tensor sqrt(Operand x);
Tensor rsqrt(Operand x);  // 1 / sqrt(x)
/// x to the power y. The gradient by y, x^y log x, is NaN for x < 0, and 0 for x = 0 where y >= 0.
Tensor pow(Operand x, Operand y);
Tensor exp(Operand x);
Tensor log(Operand x);
Tensor tanh(Operand x);
Tensor sigmoid(Operand x);  // 1 / (1 + exp(-x))
Tensor erf(Operand x);
Tensor relu(Operand x);       // max(x, 0), gradient 0 at 0
Tensor gelu(Operand x);       // x/2 (1 + erf(x / sqrt 2))
Tensor gelu_tanh(Operand x);  // x/2 (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3)))
Tensor silu(Operand x);       // x sigmoid(x)

// -- comparison, giving bool; every dtype. NaN differs from everything, itself included.
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
/// True where x is neither NaN nor infinite; f32, f64.
Tensor is_finite(Operand x);

// -- logic; bool.
Tensor logical_and(Operand a, Operand b);
Tensor logical_or(Operand a, Operand b);
Tensor logical_xor(Operand a, Operand b);
Tensor logical_not(Operand x);

/// a where `condition` (bool) holds, else b; every dtype.
Tensor where(Operand condition, Operand a, Operand b);

/// x in another dtype. Floats to integers truncate and saturate, NaN gives 0; integers to narrower ones wrap around;
/// narrowing floats rounds once; to bool: != 0. A number becomes a tensor of `to` as by full(): an integer that `to`
/// cannot hold is refused with ShapeError LS2007.
Tensor cast(Operand x, DType to);

/// x, through which no gradient flows.
Tensor stop_gradient(Operand x);

}  // namespace lockstep
