// Faults in pointwise arithmetic, made by rewriting programs.
#include <limits>

#include "conformance/mutants/rewriter.h"

namespace mutants {
namespace {

bool is_float(lks_dtype t) { return LKS_DTYPE_CLASS(t) == LKS_CLASS_FLOAT || LKS_DTYPE_CLASS(t) == LKS_CLASS_BFLOAT; }

// ------------------------------------------------------------------------------------------------------ f32 arithmetic

// Converts f64 to f32 with rounding towards zero: clears the low mantissa bits before the conversion.
std::uint32_t cut_to_f32(Emitter& e, std::uint32_t wide) {
  const std::uint32_t mask = e.constant(LKS_U64, ~std::uint64_t{0x1fffffff});
  const std::uint32_t cut = e.add(LKS_INSTR_AND, LKS_U64, e.bits(LKS_U64, wide), mask);
  return e.convert(LKS_F32, e.bits(LKS_F64, cut));
}

std::uint32_t truncated_products(Emitter& e, const lks_instr& i) {
  if (i.opcode != LKS_INSTR_MUL || i.dtype != LKS_F32) return e.keep(i);
  return cut_to_f32(e, e.add(LKS_INSTR_MUL, LKS_F64, e.convert(LKS_F64, i.args[0]), e.convert(LKS_F64, i.args[1])));
}

// a * b + c is rounded once if an operand of the sum is a product.
std::uint32_t contracted(Emitter& e, const lks_instr& i) {
  if ((i.opcode != LKS_INSTR_ADD && i.opcode != LKS_INSTR_SUB) || i.dtype != LKS_F32) return e.keep(i);
  for (int side = 0; side < 2; ++side) {
    const lks_instr product = e.at(i.args[side]);
    if (product.opcode != LKS_INSTR_MUL) continue;
    const std::uint32_t exact =
        e.add(LKS_INSTR_MUL, LKS_F64, e.convert(LKS_F64, product.args[0]), e.convert(LKS_F64, product.args[1]));
    const std::uint32_t other = e.convert(LKS_F64, i.args[1 - side]);
    const std::uint32_t sum =
        side == 0 ? e.add(i.opcode, LKS_F64, exact, other) : e.add(i.opcode, LKS_F64, other, exact);
    return e.convert(LKS_F32, sum);
  }
  return e.keep(i);
}

std::uint32_t divided_by_reciprocal(Emitter& e, const lks_instr& i) {
  if (i.opcode != LKS_INSTR_DIV || i.dtype != LKS_F32) return e.keep(i);
  const std::uint32_t reciprocal = e.add(LKS_INSTR_DIV, LKS_F32, e.constant(1.0f), i.args[1]);
  return e.add(LKS_INSTR_MUL, LKS_F32, i.args[0], reciprocal);
}

// sqrt(x) as x · 1/√x with three Newton steps; special values are correct.
std::uint32_t approximate_root(Emitter& e, const lks_instr& i) {
  if (i.opcode != LKS_INSTR_SQRT || i.dtype != LKS_F32) return e.keep(i);
  const std::uint32_t x = i.args[0];
  const auto mul = [&](std::uint32_t a, std::uint32_t b) { return e.add(LKS_INSTR_MUL, LKS_F32, a, b); };
  const std::uint32_t half_bits = e.add(LKS_INSTR_SHR, LKS_U32, e.bits(LKS_U32, x), e.constant(LKS_U32, 1));
  std::uint32_t y = e.bits(LKS_F32, e.add(LKS_INSTR_SUB, LKS_U32, e.constant(LKS_U32, 0x5f3759df), half_bits));
  const std::uint32_t half_x = mul(x, e.constant(0.5f));
  for (int step = 0; step < 3; ++step) {
    const std::uint32_t rest = e.add(LKS_INSTR_SUB, LKS_F32, e.constant(1.5f), mul(half_x, mul(y, y)));
    y = mul(y, rest);
  }
  const std::uint32_t normal =
      e.add(LKS_INSTR_AND, LKS_BOOL, e.less(e.constant(1e-30f), x), e.less(x, e.constant(1e30f)));
  return e.select(LKS_F32, normal, mul(x, y), e.keep(i));
}

std::uint32_t negated_by_subtraction(Emitter& e, const lks_instr& i) {
  if (i.opcode != LKS_INSTR_NEG || i.dtype != LKS_F32) return e.keep(i);
  return e.add(LKS_INSTR_SUB, LKS_F32, e.constant(0.0f), i.args[0]);
}

// select as c · a + (1 - c) · b: an infinity or NaN in the operand that is not selected gives NaN.
std::uint32_t select_by_blending(Emitter& e, const lks_instr& i) {
  if (i.opcode != LKS_INSTR_SELECT || i.dtype != LKS_F32) return e.keep(i);
  const std::uint32_t c = e.convert(LKS_F32, i.args[0]);
  const std::uint32_t not_c = e.add(LKS_INSTR_SUB, LKS_F32, e.constant(1.0f), c);
  return e.add(LKS_INSTR_ADD, LKS_F32, e.add(LKS_INSTR_MUL, LKS_F32, c, i.args[1]),
               e.add(LKS_INSTR_MUL, LKS_F32, not_c, i.args[2]));
}

std::uint32_t equal_by_bits(Emitter& e, const lks_instr& i) {
  if (i.opcode != LKS_INSTR_EQ || e.dtype(i.args[0]) != LKS_F32) return e.keep(i);
  return e.add(LKS_INSTR_EQ, LKS_BOOL, e.bits(LKS_U32, i.args[0]), e.bits(LKS_U32, i.args[1]));
}

// Swaps the operands if the first has a smaller rank and is broadcast.
template <std::uint32_t Opcode>
std::uint32_t swapped(Emitter& e, const lks_instr& i) {
  lks_instr copy = i;
  if (i.opcode == Opcode) std::swap(copy.args[0], copy.args[1]);
  return e.keep(copy);
}
template <std::uint32_t Opcode>
void swap_broadcast_operands(EditableDesc& e) {
  if (e.desc.input_count == 2 && e.desc.inputs[0].rank < e.desc.inputs[1].rank) rewrite<&swapped<Opcode>, false>(e);
}

// ----------------------------------------------------------------------------------------------------------- functions

// Adds `Off` ULP to one positive result in `Every`, chosen by its low bits.
template <std::uint64_t Off, std::uint64_t Every>
std::uint32_t off_by(Emitter& e, std::uint32_t value) {
  const std::uint32_t u = e.bits(LKS_U32, value);
  const std::uint32_t low = e.add(LKS_INSTR_AND, LKS_U32, u, e.constant(LKS_U32, Every - 1));
  const std::uint32_t hit = e.add(LKS_INSTR_EQ, LKS_BOOL, low, e.constant(LKS_U32, Every - 1));
  const std::uint32_t moved = e.bits(LKS_F32, e.add(LKS_INSTR_ADD, LKS_U32, u, e.constant(LKS_U32, Off)));
  const std::uint32_t positive = e.less(e.constant(0.0f), value);
  const std::uint32_t finite = e.less(value, e.constant(1e38f));
  return e.select(LKS_F32, e.add(LKS_INSTR_AND, LKS_BOOL, hit, e.add(LKS_INSTR_AND, LKS_BOOL, positive, finite)), moved,
                  value);
}

std::uint32_t exp_off_by_16(Emitter& e, const lks_instr& i) {
  const std::uint32_t value = e.keep(i);
  return e.calls(i, "exp") && i.dtype == LKS_F32 ? off_by<16, 4>(e, value) : value;
}
std::uint32_t exp_off_by_1(Emitter& e, const lks_instr& i) {
  const std::uint32_t value = e.keep(i);
  return e.calls(i, "exp") && i.dtype == LKS_F32 ? off_by<1, 16>(e, value) : value;
}
std::uint32_t log_off_by_4(Emitter& e, const lks_instr& i) {
  const std::uint32_t value = e.keep(i);
  return e.calls(i, "log") && i.dtype == LKS_F32 ? off_by<4, 32>(e, value) : value;
}

// exp overflows to the largest finite number instead of infinity.
std::uint32_t exp_stops_at_largest(Emitter& e, const lks_instr& i) {
  const std::uint32_t value = e.keep(i);
  if (!e.calls(i, "exp") || i.dtype != LKS_F32) return value;
  const std::uint32_t most = e.constant(std::numeric_limits<float>::max());
  return e.select(LKS_F32, e.less(most, value), most, value);
}

// a < b ? b : a. A NaN in b is lost, and -0 and +0 are not ordered.
std::uint32_t maximum_drops_nan(Emitter& e, const lks_instr& i) {
  if (!e.calls(i, "maximum")) return e.keep(i);
  return e.select(i.dtype, e.less(i.args[0], i.args[1]), i.args[1], i.args[0]);
}
std::uint32_t minimum_confuses_zeros(Emitter& e, const lks_instr& i) {
  if (!e.calls(i, "minimum")) return e.keep(i);
  const std::uint32_t value = e.keep(i);
  return e.select(i.dtype, e.add(LKS_INSTR_EQ, LKS_BOOL, i.args[0], i.args[1]), i.args[0], value);
}

// --------------------------------------------------------------------------------------------------------- conversions

bool converts(const Emitter& e, const lks_instr& i, bool (*from)(lks_dtype), lks_dtype to) {
  return i.opcode == LKS_INSTR_CONVERT && i.dtype == to && from(e.dtype(i.args[0]));
}

// Conversions to integers round to nearest instead of truncating. Only for small numbers, for which adding and
// subtracting a large constant rounds.
std::uint32_t to_integer_rounds(Emitter& e, const lks_instr& i) {
  const bool applies = i.opcode == LKS_INSTR_CONVERT && e.dtype(i.args[0]) == LKS_F32 &&
                       (LKS_DTYPE_CLASS(i.dtype) == LKS_CLASS_INT || LKS_DTYPE_CLASS(i.dtype) == LKS_CLASS_UINT);
  if (!applies) return e.keep(i);
  const std::uint32_t x = i.args[0], big = e.constant(12582912.0f);
  const std::uint32_t whole = e.add(LKS_INSTR_SUB, LKS_F32, e.add(LKS_INSTR_ADD, LKS_F32, x, big), big);
  const std::uint32_t small = e.less(e.add(LKS_INSTR_ABS, LKS_F32, x), e.constant(1e6f));
  return e.convert(i.dtype, e.select(LKS_F32, small, whole, x));
}

// Numbers that are too large give the smallest integer, as on x86.
std::uint32_t to_integer_does_not_saturate(Emitter& e, const lks_instr& i) {
  if (!converts(e, i, &is_float, LKS_I32) || e.dtype(i.args[0]) != LKS_F32) return e.keep(i);
  const std::uint32_t too_large = e.less(e.constant(2147483520.0f), i.args[0]);
  return e.select(LKS_I32, too_large, e.constant(LKS_I32, 0x80000000u), e.keep(i));
}

std::uint32_t nan_to_integer_is_least(Emitter& e, const lks_instr& i) {
  if (!converts(e, i, &is_float, LKS_I32) || e.dtype(i.args[0]) != LKS_F32) return e.keep(i);
  const std::uint32_t nan = e.add(LKS_INSTR_NE, LKS_BOOL, i.args[0], i.args[0]);
  return e.select(LKS_I32, nan, e.constant(LKS_I32, 0x80000000u), e.keep(i));
}

// f32 to bf16 drops the lower half.
std::uint32_t bf16_by_truncation(Emitter& e, const lks_instr& i) {
  if (i.opcode != LKS_INSTR_CONVERT || i.dtype != LKS_BF16 || e.dtype(i.args[0]) != LKS_F32) return e.keep(i);
  const std::uint32_t upper =
      e.add(LKS_INSTR_AND, LKS_U32, e.bits(LKS_U32, i.args[0]), e.constant(LKS_U32, 0xffff0000u));
  const std::uint32_t nan = e.add(LKS_INSTR_NE, LKS_BOOL, i.args[0], i.args[0]);
  return e.convert(LKS_BF16, e.select(LKS_F32, nan, i.args[0], e.bits(LKS_F32, upper)));
}

// f32 to f16 rounds ties away from zero: adds half a unit in the last place and truncates.
std::uint32_t f16_ties_away(Emitter& e, const lks_instr& i) {
  if (i.opcode != LKS_INSTR_CONVERT || i.dtype != LKS_F16 || e.dtype(i.args[0]) != LKS_F32) return e.keep(i);
  const std::uint32_t x = i.args[0], u = e.bits(LKS_U32, x);
  const std::uint32_t sum = e.add(LKS_INSTR_ADD, LKS_U32, u, e.constant(LKS_U32, 0x1000));
  const std::uint32_t away = e.bits(LKS_F32, e.add(LKS_INSTR_AND, LKS_U32, sum, e.constant(LKS_U32, 0xffffe000u)));
  const std::uint32_t size = e.add(LKS_INSTR_ABS, LKS_F32, x);
  const std::uint32_t normal =
      e.add(LKS_INSTR_AND, LKS_BOOL, e.less(e.constant(7e-5f), size), e.less(size, e.constant(65000.0f)));
  return e.convert(LKS_F16, e.select(LKS_F32, normal, away, x));
}

// f32 to f16 flushes results below the normal range to zero.
std::uint32_t f16_without_denormals(Emitter& e, const lks_instr& i) {
  if (i.opcode != LKS_INSTR_CONVERT || i.dtype != LKS_F16 || e.dtype(i.args[0]) != LKS_F32) return e.keep(i);
  const std::uint32_t tiny = e.less(e.add(LKS_INSTR_ABS, LKS_F32, i.args[0]), e.constant(0x1p-14f));
  return e.select(LKS_F16, tiny, e.constant(LKS_F16, 0), e.keep(i));
}

// i64 to f32 through f64, and f64 to f16 through f32, are rounded twice.
std::uint32_t long_to_float_rounds_twice(Emitter& e, const lks_instr& i) {
  if (i.opcode != LKS_INSTR_CONVERT || i.dtype != LKS_F32 || e.dtype(i.args[0]) != LKS_I64) return e.keep(i);
  return e.convert(LKS_F32, e.convert(LKS_F64, i.args[0]));
}
std::uint32_t double_to_half_rounds_twice(Emitter& e, const lks_instr& i) {
  if (i.opcode != LKS_INSTR_CONVERT || i.dtype != LKS_F16 || e.dtype(i.args[0]) != LKS_F64) return e.keep(i);
  return e.convert(LKS_F16, e.convert(LKS_F32, i.args[0]));
}

// ------------------------------------------------------------------------------------------------------------ integers

bool is_integer(lks_dtype t) { return LKS_DTYPE_CLASS(t) == LKS_CLASS_INT || LKS_DTYPE_CLASS(t) == LKS_CLASS_UINT; }

std::uint32_t division_by_zero_is_all_ones(Emitter& e, const lks_instr& i) {
  if (i.opcode != LKS_INSTR_DIV || !is_integer(i.dtype)) return e.keep(i);
  const std::uint32_t zero = e.add(LKS_INSTR_EQ, LKS_BOOL, i.args[1], e.constant(i.dtype, 0));
  return e.select(i.dtype, zero, e.constant(i.dtype, ~std::uint64_t{0}), e.keep(i));
}

// Integer division rounds towards minus infinity.
std::uint32_t division_floors(Emitter& e, const lks_instr& i) {
  if (i.opcode != LKS_INSTR_DIV || LKS_DTYPE_CLASS(i.dtype) != LKS_CLASS_INT) return e.keep(i);
  const std::uint32_t zero = e.constant(i.dtype, 0), q = e.keep(i);
  const std::uint32_t back = e.add(LKS_INSTR_MUL, i.dtype, q, i.args[1]);
  const std::uint32_t inexact = e.add(LKS_INSTR_NE, LKS_BOOL, back, i.args[0]);
  const std::uint32_t signs = e.add(LKS_INSTR_XOR, LKS_BOOL, e.less(i.args[0], zero), e.less(i.args[1], zero));
  const std::uint32_t divides = e.add(LKS_INSTR_NE, LKS_BOOL, i.args[1], zero);
  const std::uint32_t wrong = e.add(LKS_INSTR_AND, LKS_BOOL, divides, e.add(LKS_INSTR_AND, LKS_BOOL, inexact, signs));
  return e.select(i.dtype, wrong, e.add(LKS_INSTR_SUB, i.dtype, q, e.constant(i.dtype, 1)), q);
}

std::uint32_t long_comparisons_in_double(Emitter& e, const lks_instr& i) {
  if (i.opcode < LKS_INSTR_LT || i.opcode > LKS_INSTR_NE || e.dtype(i.args[0]) != LKS_I64) return e.keep(i);
  return e.add(i.opcode, LKS_BOOL, e.convert(LKS_F64, i.args[0]), e.convert(LKS_F64, i.args[1]));
}

// The negation and the absolute value of the smallest integer saturate instead of wrapping.
std::uint32_t negation_saturates(Emitter& e, const lks_instr& i) {
  if ((i.opcode != LKS_INSTR_NEG && i.opcode != LKS_INSTR_ABS) || i.dtype != LKS_I32) return e.keep(i);
  const std::uint32_t least = e.constant(LKS_I32, 0x80000000u);
  const std::uint32_t hit = e.add(LKS_INSTR_EQ, LKS_BOOL, i.args[0], least);
  return e.select(LKS_I32, hit, e.constant(LKS_I32, 0x7fffffffu), e.keep(i));
}

std::uint32_t shift_count_not_reduced(Emitter& e, const lks_instr& i) {
  if (i.opcode != LKS_INSTR_SHL && i.opcode != LKS_INSTR_SHR) return e.keep(i);
  const lks_dtype count_type = e.dtype(i.args[1]);
  const std::uint32_t fits = e.less(i.args[1], e.constant(count_type, LKS_DTYPE_BITS(i.dtype)));
  return e.select(i.dtype, fits, e.keep(i), e.constant(i.dtype, 0));
}

// u8 is converted as if it were i8.
std::uint32_t bytes_are_signed(Emitter& e, const lks_instr& i) {
  if (i.opcode != LKS_INSTR_CONVERT || e.dtype(i.args[0]) != LKS_U8 || LKS_DTYPE_BITS(i.dtype) == 8) return e.keep(i);
  return e.convert(i.dtype, e.bits(LKS_I8, i.args[0]));
}

// ------------------------------------------------------------------------------------- special values in gradients

// x == x is always true and x != x false, as with compiler flags that assume no NaN.
std::uint32_t equals_itself(Emitter& e, const lks_instr& i) {
  const bool itself = i.args[0] == i.args[1] && (i.opcode == LKS_INSTR_EQ || i.opcode == LKS_INSTR_NE);
  if (!itself || !is_float(e.dtype(i.args[0]))) return e.keep(i);
  return e.constant(LKS_BOOL, i.opcode == LKS_INSTR_EQ);
}

void half_equals_itself(EditableDesc& e) {
  const lks_dtype t = e.desc.input_count ? e.desc.inputs[0].dtype : LKS_F32;
  if (is_float(t) && LKS_DTYPE_BITS(t) == 16) rewrite<&equals_itself, false>(e);
}

// a < b as !(b <= a), and a <= b as !(b < a), which are true for NaN.
std::uint32_t less_by_negation(Emitter& e, const lks_instr& i) {
  if (i.opcode != LKS_INSTR_LT || e.dtype(i.args[0]) != LKS_F32) return e.keep(i);
  return e.add(LKS_INSTR_NOT, LKS_BOOL, e.add(LKS_INSTR_LE, LKS_BOOL, i.args[1], i.args[0]));
}
std::uint32_t less_or_equal_by_negation(Emitter& e, const lks_instr& i) {
  if (i.opcode != LKS_INSTR_LE || e.dtype(i.args[0]) != LKS_F32) return e.keep(i);
  return e.add(LKS_INSTR_NOT, LKS_BOOL, e.less(i.args[1], i.args[0]));
}

bool is_zero(const lks_instr& i) { return i.opcode == LKS_INSTR_CONST && i.imm == 0; }

// select(c, 0, x) as x times 0 or 1, which gives -0 for negative x.
std::uint32_t zeros_by_product(Emitter& e, const lks_instr& i) {
  if (i.opcode != LKS_INSTR_SELECT || i.dtype != LKS_F32 || !is_zero(e.at(i.args[1]))) return e.keep(i);
  const std::uint32_t none = e.add(LKS_INSTR_SUB, LKS_F32, e.constant(1.0f), e.convert(LKS_F32, i.args[0]));
  return e.add(LKS_INSTR_MUL, LKS_F32, none, i.args[2]);
}

// If 0 < x ? t : rest is zero, the zero takes the sign of x, as sign(x) in shading languages may do.
std::uint32_t zeros_with_sign(Emitter& e, const lks_instr& i) {
  if (i.opcode != LKS_INSTR_SELECT || i.dtype != LKS_F32) return e.keep(i);
  const lks_instr c = e.at(i.args[0]);
  if (c.opcode != LKS_INSTR_LT || !is_zero(e.at(c.args[0])) || e.dtype(c.args[1]) != LKS_F32) return e.keep(i);
  const std::uint32_t sign =
      e.add(LKS_INSTR_AND, LKS_U32, e.bits(LKS_U32, c.args[1]), e.constant(LKS_U32, 0x80000000u));
  const std::uint32_t y = e.keep(i);
  const std::uint32_t signed_zero = e.bits(LKS_F32, sign);
  return e.select(LKS_F32, e.add(LKS_INSTR_EQ, LKS_BOOL, y, e.constant(0.0f)), signed_zero, y);
}

// Denormal divisors count as zero, as in a reciprocal that flushes them.
std::uint32_t quotients_of_denormals(Emitter& e, const lks_instr& i) {
  if (i.opcode != LKS_INSTR_DIV || i.dtype != LKS_F32) return e.keep(i);
  const std::uint32_t size = e.add(LKS_INSTR_ABS, LKS_F32, i.args[1]);
  const std::uint32_t small = e.less(size, e.constant(0x1p-126f));
  const std::uint32_t by_zero = e.add(LKS_INSTR_DIV, LKS_F32, i.args[0], e.constant(0.0f));
  return e.select(LKS_F32, small, by_zero, e.keep(i));
}

// The slope of tanh loses its low bits: 16 is added and subtracted, like the cancellation in 1 - tanh².
std::uint32_t slope_cancels(Emitter& e, const lks_instr& i) {
  if (!e.calls(i, "tanh_slope") || i.dtype != LKS_F32) return e.keep(i);
  const std::uint32_t sum = e.add(LKS_INSTR_ADD, LKS_F32, e.keep(i), e.constant(16.0f));
  return e.add(LKS_INSTR_SUB, LKS_F32, sum, e.constant(16.0f));
}

std::uint32_t log_of_zero_is_nan(Emitter& e, const lks_instr& i) {
  if (!e.calls(i, "log") || i.dtype != LKS_F32) return e.keep(i);
  const std::uint32_t zero = e.add(LKS_INSTR_EQ, LKS_BOOL, i.args[0], e.constant(0.0f));
  return e.select(LKS_F32, zero, e.constant(std::numeric_limits<float>::quiet_NaN()), e.keep(i));
}

std::uint32_t exp_far_out_is_nan(Emitter& e, const lks_instr& i) {
  if (!e.calls(i, "exp") || i.dtype != LKS_F32) return e.keep(i);
  const std::uint32_t far = e.less(i.args[0], e.constant(-1e5f));
  return e.select(LKS_F32, far, e.constant(std::numeric_limits<float>::quiet_NaN()), e.keep(i));
}

// log ignores the sign, as fast logarithms that use only exponent and mantissa do.
std::uint32_t log_of_magnitude(Emitter& e, const lks_instr& i) {
  if (!e.calls(i, "log") || i.dtype != LKS_F32) return e.keep(i);
  lks_instr copy = i;
  copy.args[0] = e.add(LKS_INSTR_ABS, LKS_F32, i.args[0]);
  return e.keep(copy);
}

// ((a y) y) y as a ((y y) y), where the power of y may overflow.
std::uint32_t powers_first(Emitter& e, const lks_instr& i) {
  if (i.opcode != LKS_INSTR_MUL || i.dtype != LKS_F32) return e.keep(i);
  for (int side = 0; side < 2; ++side) {
    const lks_instr inner = e.at(i.args[side]);
    const std::uint32_t y = i.args[1 - side];
    for (int k = 0; k < 2 && inner.opcode == LKS_INSTR_MUL; ++k) {
      const lks_instr factor = e.at(inner.args[k]);
      const bool is_square = factor.opcode == LKS_INSTR_MUL && factor.args[0] == y && factor.args[1] == y;
      if (inner.args[k] != y && !is_square) continue;
      const std::uint32_t power = e.add(LKS_INSTR_MUL, LKS_F32, inner.args[k], y);
      return e.add(LKS_INSTR_MUL, LKS_F32, inner.args[1 - k], power);
    }
  }
  return e.keep(i);
}

// Small results of exp become 0.
std::uint32_t small_exponentials_vanish(Emitter& e, const lks_instr& i) {
  if (!e.calls(i, "exp") || i.dtype != LKS_F32) return e.keep(i);
  const std::uint32_t y = e.keep(i);
  return e.select(LKS_F32, e.less(y, e.constant(0x1p-13f)), e.constant(0.0f), y);
}

// Products of -infinity become the lowest finite number, so an infinite loss is finite.
std::uint32_t losses_saturate(Emitter& e, const lks_instr& i) {
  if (i.opcode != LKS_INSTR_MUL || i.dtype != LKS_F32) return e.keep(i);
  const std::uint32_t y = e.keep(i);
  constexpr float most = std::numeric_limits<float>::max();
  return e.select(LKS_F32, e.less(y, e.constant(-most)), e.constant(-most), y);
}

// clip compares only the element: elements below `low` become `low`, even if `low` is above `high`.
std::uint32_t clip_by_element(Emitter& e, const lks_instr& i) {
  if (i.opcode != LKS_INSTR_SELECT || i.dtype != LKS_F32 || e.at(i.args[0]).opcode != LKS_INSTR_LE) return e.keep(i);
  const lks_instr upper = e.at(i.args[0]), raised = e.at(upper.args[0]);
  if (raised.opcode != LKS_INSTR_SELECT || e.at(raised.args[0]).opcode != LKS_INSTR_LE) return e.keep(i);
  const lks_instr lower = e.at(raised.args[0]);
  return e.select(LKS_F32, e.less(lower.args[1], lower.args[0]), lower.args[0], e.keep(i));
}

// Target 0 times an infinite logarithm gives NaN instead of 0.
std::uint32_t zero_targets_multiply(Emitter& e, const lks_instr& i) {
  const bool term = i.opcode == LKS_INSTR_SELECT && is_float(i.dtype) && is_zero(e.at(i.args[1])) &&
                    e.at(i.args[2]).opcode == LKS_INSTR_MUL;
  return term ? i.args[2] : e.keep(i);
}

// Faults of kernels that are used in fast mode only.
std::uint32_t abs_negates(Emitter& e, const lks_instr& i) {
  return i.opcode == LKS_INSTR_ABS ? e.add(LKS_INSTR_NEG, i.dtype, i.args[0]) : e.keep(i);
}
std::uint32_t less_takes_equals(Emitter& e, const lks_instr& i) {
  return i.opcode == LKS_INSTR_LT ? e.add(LKS_INSTR_LE, i.dtype, i.args[0], i.args[1]) : e.keep(i);
}
template <Step Instead>
void in_fast_mode(EditableDesc& e) {
  if (e.desc.math_mode == LKS_MODE_FAST) rewrite<Instead, true>(e);
}

constexpr DescFault faults[] = {
    {Mutant::abs_is_neg_in_fast_mode, LKS_OP_POINTWISE, &in_fast_mode<&abs_negates>},
    {Mutant::less_is_less_equal_in_fast_mode, LKS_OP_POINTWISE, &in_fast_mode<&less_takes_equals>},
    {Mutant::products_truncated, LKS_OP_POINTWISE, &rewrite<&truncated_products, true>},
    {Mutant::pointwise_contracted, LKS_OP_POINTWISE, &rewrite<&contracted, true>},
    {Mutant::division_by_reciprocal, LKS_OP_POINTWISE, &rewrite<&divided_by_reciprocal, true>},
    {Mutant::approximate_root, LKS_OP_POINTWISE, &rewrite<&approximate_root, true>},
    {Mutant::negated_by_subtraction, LKS_OP_POINTWISE, &rewrite<&negated_by_subtraction, false>},
    {Mutant::select_by_blending, LKS_OP_POINTWISE, &rewrite<&select_by_blending, false>},
    {Mutant::equal_by_bits, LKS_OP_POINTWISE, &rewrite<&equal_by_bits, false>},
    {Mutant::sub_swapped_in_broadcast, LKS_OP_POINTWISE, &swap_broadcast_operands<LKS_INSTR_SUB>},
    {Mutant::div_swapped_in_broadcast, LKS_OP_POINTWISE, &swap_broadcast_operands<LKS_INSTR_DIV>},
    {Mutant::exp_off_by_16_ulp, LKS_OP_POINTWISE, &rewrite<&exp_off_by_16, false>},
    {Mutant::exp_off_by_1_ulp, LKS_OP_POINTWISE, &rewrite<&exp_off_by_1, false>},
    {Mutant::log_off_by_4_ulp, LKS_OP_POINTWISE, &rewrite<&log_off_by_4, false>},
    {Mutant::exp_stops_at_largest, LKS_OP_POINTWISE, &rewrite<&exp_stops_at_largest, false>},
    {Mutant::maximum_drops_nan, LKS_OP_POINTWISE, &rewrite<&maximum_drops_nan, false>},
    {Mutant::minimum_confuses_zeros, LKS_OP_POINTWISE, &rewrite<&minimum_confuses_zeros, false>},
    {Mutant::to_integer_rounds, LKS_OP_POINTWISE, &rewrite<&to_integer_rounds, false>},
    {Mutant::to_integer_does_not_saturate, LKS_OP_POINTWISE, &rewrite<&to_integer_does_not_saturate, false>},
    {Mutant::nan_to_integer_is_least, LKS_OP_POINTWISE, &rewrite<&nan_to_integer_is_least, false>},
    {Mutant::bf16_by_truncation, LKS_OP_POINTWISE, &rewrite<&bf16_by_truncation, false>},
    {Mutant::f16_ties_away, LKS_OP_POINTWISE, &rewrite<&f16_ties_away, false>},
    {Mutant::f16_without_denormals, LKS_OP_POINTWISE, &rewrite<&f16_without_denormals, false>},
    {Mutant::division_by_zero_is_all_ones, LKS_OP_POINTWISE, &rewrite<&division_by_zero_is_all_ones, false>},
    {Mutant::division_floors, LKS_OP_POINTWISE, &rewrite<&division_floors, false>},
    {Mutant::long_sums_in_double, LKS_OP_POINTWISE, &rewrite<&computed_in<LKS_INSTR_ADD, LKS_I64, LKS_F64>, false>},
    {Mutant::long_to_float_rounds_twice, LKS_OP_POINTWISE, &rewrite<&long_to_float_rounds_twice, false>},
    {Mutant::double_to_half_rounds_twice, LKS_OP_POINTWISE, &rewrite<&double_to_half_rounds_twice, false>},
    {Mutant::products_by_float, LKS_OP_POINTWISE, &rewrite<&computed_in<LKS_INSTR_MUL, LKS_I32, LKS_F32>, false>},
    {Mutant::long_comparisons_in_double, LKS_OP_POINTWISE, &rewrite<&long_comparisons_in_double, false>},
    {Mutant::negation_saturates, LKS_OP_POINTWISE, &rewrite<&negation_saturates, false>},
    {Mutant::double_products_in_f32, LKS_OP_POINTWISE, &rewrite<&computed_in<LKS_INSTR_MUL, LKS_F64, LKS_F32>, false>},
    {Mutant::shift_count_not_reduced, LKS_OP_POINTWISE, &rewrite<&shift_count_not_reduced, true>},
    {Mutant::bytes_are_signed, LKS_OP_POINTWISE, &rewrite<&bytes_are_signed, false>},
    {Mutant::equals_itself, LKS_OP_POINTWISE, &rewrite<&equals_itself, false>},
    {Mutant::half_equals_itself, LKS_OP_POINTWISE, &half_equals_itself},
    {Mutant::equals_itself_in_fast_mode, LKS_OP_POINTWISE, &in_fast_mode<&equals_itself>},
    {Mutant::nan_is_its_equal_in_extremes, LKS_OP_POINTWISE, &rewrite<&equals_itself, false>},
    {Mutant::less_by_negation, LKS_OP_POINTWISE, &rewrite<&less_by_negation, false>},
    {Mutant::less_or_equal_by_negation, LKS_OP_POINTWISE, &rewrite<&less_or_equal_by_negation, false>},
    {Mutant::clip_by_element, LKS_OP_POINTWISE, &rewrite<&clip_by_element, false>},
    {Mutant::zero_targets_multiply, LKS_OP_POINTWISE, &rewrite<&zero_targets_multiply, false>},
    {Mutant::zeros_by_product, LKS_OP_POINTWISE, &rewrite<&zeros_by_product, false>},
    {Mutant::zeros_with_sign, LKS_OP_POINTWISE, &rewrite<&zeros_with_sign, false>},
    {Mutant::quotients_of_denormals, LKS_OP_POINTWISE, &rewrite<&quotients_of_denormals, false>},
    {Mutant::slope_cancels, LKS_OP_POINTWISE, &rewrite<&slope_cancels, false>},
    {Mutant::log_of_zero_is_nan, LKS_OP_POINTWISE, &rewrite<&log_of_zero_is_nan, false>},
    {Mutant::log_of_magnitude, LKS_OP_POINTWISE, &rewrite<&log_of_magnitude, false>},
    {Mutant::powers_first, LKS_OP_POINTWISE, &rewrite<&powers_first, false>},
    {Mutant::small_exponentials_vanish, LKS_OP_POINTWISE, &rewrite<&small_exponentials_vanish, false>},
    {Mutant::losses_saturate, LKS_OP_POINTWISE, &rewrite<&losses_saturate, false>},
    {Mutant::exp_far_out_is_nan, LKS_OP_POINTWISE, &rewrite<&exp_far_out_is_nan, false>},
};

}  // namespace

std::span<const DescFault> program_faults() { return faults; }

}  // namespace mutants
