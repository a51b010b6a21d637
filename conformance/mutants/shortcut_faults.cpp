// Short cuts of compilers of programs: for launch-time numbers, for constants, and in functions, where fewer steps
// serve only usual operands.
#include <cmath>
#include <limits>
#include <string_view>

#include "conformance/mutants/rebound.h"
#include "conformance/mutants/rewriter.h"
#include "ops/scalar/dialect_cpp.h"

namespace mutants {
namespace {

#include "ops/scalar/all.inc"

bool is_float(lks_dtype t) { return LKS_DTYPE_CLASS(t) == LKS_CLASS_FLOAT || LKS_DTYPE_CLASS(t) == LKS_CLASS_BFLOAT; }
bool is_integer(lks_dtype t) { return LKS_DTYPE_CLASS(t) == LKS_CLASS_INT || LKS_DTYPE_CLASS(t) == LKS_CLASS_UINT; }

// Rewrites the programs that a fault concerns.
template <Step Instead, bool (*Concerned)(const lks_kernel_desc& desc)>
void rewrite_where(EditableDesc& e) {
  if (Concerned(e.desc)) rewrite<Instead, false>(e);
}
bool in_fast_mode(const lks_kernel_desc& desc) { return desc.math_mode == LKS_MODE_FAST; }
template <lks_dtype dtype>
bool first_is(const lks_kernel_desc& desc) {
  return desc.input_count > 0 && desc.inputs[0].dtype == dtype;
}

// ------------------------------------------------------------------------------------------------- launch-time numbers

// A number of f16 or bf16 is converted to f32 first.
bool is_number(const Emitter& e, std::uint32_t value) {
  const lks_instr& i = e.at(value);
  return i.opcode == LKS_INSTR_SCALAR || (i.opcode == LKS_INSTR_CONVERT && e.at(i.args[0]).opcode == LKS_INSTR_SCALAR);
}
bool is_constant(const Emitter& e, std::uint32_t value) { return e.at(value).opcode == LKS_INSTR_CONST; }

// clip between two numbers by fmax and fmin: where select(x == x, bound, x) keeps NaN, the bound is taken.
std::uint32_t bound_for_nan(Emitter& e, const lks_instr& i) {
  if (i.opcode != LKS_INSTR_SELECT || !is_float(i.dtype) || !is_number(e, i.args[1])) return e.keep(i);
  const lks_instr c = e.at(i.args[0]);
  const bool keeps_nan = c.opcode == LKS_INSTR_EQ && c.args[0] == c.args[1] && c.args[0] == i.args[2];
  return keeps_nan ? i.args[1] : e.keep(i);
}
bool has_two_numbers_and_a_tensor(const lks_kernel_desc& desc) {
  return desc.input_count == 1 && desc.scalar_count == 2;
}

// maximum and minimum of a tensor and a number give the number for NaN.
std::uint32_t number_for_nan(Emitter& e, const lks_instr& i) {
  if (!e.calls(i, "maximum") && !e.calls(i, "minimum")) return e.keep(i);
  for (int side = 0; side < 2; ++side) {
    const std::uint32_t number = i.args[side], x = i.args[1 - side];
    if (!is_number(e, number) || is_number(e, x)) continue;
    return e.select(i.dtype, e.add(LKS_INSTR_EQ, LKS_BOOL, x, x), e.keep(i), number);
  }
  return e.keep(i);
}

// Quotients of i32 by a number are those of f32, which are right below 2^24.
std::uint32_t divided_by_number_as_floats(Emitter& e, const lks_instr& i) {
  if (i.opcode != LKS_INSTR_DIV || i.dtype != LKS_I32 || !is_number(e, i.args[1])) return e.keep(i);
  const std::uint32_t a = e.convert(LKS_F32, i.args[0]), b = e.convert(LKS_F32, i.args[1]);
  const std::uint32_t quotient = e.convert(LKS_I32, e.add(LKS_INSTR_DIV, LKS_F32, a, b));
  const std::uint32_t zero = e.constant(LKS_I32, 0);
  return e.select(LKS_I32, e.add(LKS_INSTR_EQ, LKS_BOOL, i.args[1], zero), zero, quotient);
}

// Quotients of negative integers by positive divisors of a kind are rounded down, as by shifts.
template <bool (*IsDivisor)(const Emitter& e, std::uint32_t value)>
std::uint32_t floored(Emitter& e, const lks_instr& i) {
  if (i.opcode != LKS_INSTR_DIV || LKS_DTYPE_CLASS(i.dtype) != LKS_CLASS_INT || !IsDivisor(e, i.args[1])) {
    return e.keep(i);
  }
  const std::uint32_t x = i.args[0], n = i.args[1], zero = e.constant(i.dtype, 0);
  const std::uint32_t below = e.add(LKS_INSTR_AND, LKS_BOOL, e.less(x, zero), e.less(zero, n));
  const std::uint32_t rest = e.add(LKS_INSTR_SUB, i.dtype, n, e.constant(i.dtype, 1));
  const std::uint32_t down = e.add(LKS_INSTR_SUB, i.dtype, x, rest);
  return e.add(LKS_INSTR_DIV, i.dtype, e.select(i.dtype, below, down, x), n);
}

// pow(x, 0.5) by a square root, if 0.5 is a number: -0 and -infinity have other roots than powers.
std::uint32_t half_power_by_root(Emitter& e, const lks_instr& i) {
  if (!e.calls(i, "pow") || i.dtype != LKS_F32 || !is_number(e, i.args[1])) return e.keep(i);
  const std::uint32_t is_half = e.add(LKS_INSTR_EQ, LKS_BOOL, i.args[1], e.constant(0.5f));
  return e.select(LKS_F32, is_half, e.add(LKS_INSTR_SQRT, LKS_F32, i.args[0]), e.keep(i));
}

// ----------------------------------------------------------------------------------------------------------- constants

// A conversion to a shorter dtype and back is left out, of floats or of integers.
template <bool (*Concerned)(lks_dtype)>
std::uint32_t round_trip_dropped(Emitter& e, const lks_instr& i) {
  if (i.opcode != LKS_INSTR_CONVERT || !Concerned(i.dtype)) return e.keep(i);
  const lks_instr there = e.at(i.args[0]);
  const bool back = there.opcode == LKS_INSTR_CONVERT && Concerned(there.dtype) &&
                    LKS_DTYPE_BITS(there.dtype) < LKS_DTYPE_BITS(i.dtype) && e.dtype(there.args[0]) == i.dtype;
  return back ? there.args[0] : e.keep(i);
}

// x / c is x times 1 / c.
std::uint32_t constant_reciprocal(Emitter& e, const lks_instr& i) {
  if (i.opcode != LKS_INSTR_DIV || i.dtype != LKS_F32 || !is_constant(e, i.args[1])) return e.keep(i);
  const std::uint32_t reciprocal = e.add(LKS_INSTR_DIV, LKS_F32, e.constant(1.0f), i.args[1]);
  return e.add(LKS_INSTR_MUL, LKS_F32, i.args[0], reciprocal);
}

bool is_zero(const Emitter& e, std::uint32_t value) { return is_constant(e, value) && e.at(value).imm == 0; }

// x + 0 is x, also if x is -0.
std::uint32_t zero_not_added(Emitter& e, const lks_instr& i) {
  if (i.opcode != LKS_INSTR_ADD || !is_float(i.dtype)) return e.keep(i);
  return is_zero(e, i.args[1]) ? i.args[0] : is_zero(e, i.args[0]) ? i.args[1] : e.keep(i);
}
// x times 0 is 0, also if x is NaN, infinite or negative.
std::uint32_t zero_not_multiplied(Emitter& e, const lks_instr& i) {
  if (i.opcode != LKS_INSTR_MUL || !is_float(i.dtype)) return e.keep(i);
  return is_zero(e, i.args[1]) ? i.args[1] : is_zero(e, i.args[0]) ? i.args[0] : e.keep(i);
}

// u32 are divided by a constant as i32, which are right below 2^31.
std::uint32_t unsigned_by_constant_as_signed(Emitter& e, const lks_instr& i) {
  if (i.opcode != LKS_INSTR_DIV || i.dtype != LKS_U32 || !is_constant(e, i.args[1])) return e.keep(i);
  const std::uint32_t a = e.bits(LKS_I32, i.args[0]), b = e.bits(LKS_I32, i.args[1]);
  return e.bits(LKS_U32, e.add(LKS_INSTR_DIV, LKS_I32, a, b));
}

// ----------------------------------------------------------------------------------------------- functions in fast
// mode

// Between 6 and 10^6, the argument is reduced by multiples of 2 pi in f32.
std::uint32_t reduced_in_one_term(Emitter& e, const lks_instr& i) {
  if ((!e.calls(i, "sin") && !e.calls(i, "cos")) || i.dtype != LKS_F32) return e.keep(i);
  const std::uint32_t x = i.args[0], size = e.add(LKS_INSTR_ABS, LKS_F32, x), big = e.constant(12582912.0f);
  const std::uint32_t scaled = e.add(LKS_INSTR_MUL, LKS_F32, x, e.constant(0.15915494f));
  const std::uint32_t turns = e.add(LKS_INSTR_SUB, LKS_F32, e.add(LKS_INSTR_ADD, LKS_F32, scaled, big), big);
  const std::uint32_t whole = e.add(LKS_INSTR_MUL, LKS_F32, turns, e.constant(6.2831855f));
  const std::uint32_t far =
      e.add(LKS_INSTR_AND, LKS_BOOL, e.less(e.constant(6.0f), size), e.less(size, e.constant(1e6f)));
  lks_instr reduced = i;
  reduced.args[0] = e.select(LKS_F32, far, e.add(LKS_INSTR_SUB, LKS_F32, x, whole), x);
  return e.keep(reduced);
}

std::uint32_t exp_infinite_from_88(Emitter& e, const lks_instr& i) {
  if (!e.calls(i, "exp") || i.dtype != LKS_F32) return e.keep(i);
  const std::uint32_t large = e.add(LKS_INSTR_LE, LKS_BOOL, e.constant(88.0f), i.args[0]);
  return e.select(LKS_F32, large, e.constant(std::numeric_limits<float>::infinity()), e.keep(i));
}

std::uint32_t exp_without_denormals(Emitter& e, const lks_instr& i) {
  if (!e.calls(i, "exp") || i.dtype != LKS_F32) return e.keep(i);
  const std::uint32_t y = e.keep(i);
  return e.select(LKS_F32, e.less(y, e.constant(0x1p-126f)), e.constant(0.0f), y);
}

std::uint32_t tanh_is_one_from_6(Emitter& e, const lks_instr& i) {
  if (!e.calls(i, "tanh") || i.dtype != LKS_F32) return e.keep(i);
  const std::uint32_t x = i.args[0], y = e.keep(i);
  const std::uint32_t above = e.select(LKS_F32, e.less(e.constant(6.0f), x), e.constant(1.0f), y);
  return e.select(LKS_F32, e.less(x, e.constant(-6.0f)), e.constant(-1.0f), above);
}

constexpr DescFault faults[] = {
    {Mutant::clip_between_numbers_drops_nan, LKS_OP_POINTWISE,
     &rewrite_where<&bound_for_nan, &has_two_numbers_and_a_tensor>},
    {Mutant::maximum_with_number_drops_nan_in_fast_mode, LKS_OP_POINTWISE,
     &rewrite_where<&number_for_nan, &in_fast_mode>},
    {Mutant::double_minimum_with_number_drops_nan, LKS_OP_POINTWISE,
     &rewrite_where<&number_for_nan, &first_is<LKS_F64>>},
    {Mutant::half_maximum_with_number_drops_nan, LKS_OP_POINTWISE, &rewrite_where<&number_for_nan, &first_is<LKS_F16>>},
    {Mutant::integers_by_number_in_float, LKS_OP_POINTWISE, &rewrite<&divided_by_number_as_floats, false>},
    {Mutant::division_by_number_floors, LKS_OP_POINTWISE, &rewrite<&floored<&is_number>, false>},
    {Mutant::half_power_by_root, LKS_OP_POINTWISE, &rewrite<&half_power_by_root, false>},
    {Mutant::rounding_and_back_dropped, LKS_OP_POINTWISE, &rewrite<&round_trip_dropped<&is_float>, false>},
    {Mutant::wrapping_and_back_dropped, LKS_OP_POINTWISE, &rewrite<&round_trip_dropped<&is_integer>, false>},
    {Mutant::constant_divisor_by_reciprocal, LKS_OP_POINTWISE, &rewrite<&constant_reciprocal, false>},
    {Mutant::constant_zero_not_added, LKS_OP_POINTWISE, &rewrite<&zero_not_added, false>},
    {Mutant::constant_zero_not_multiplied, LKS_OP_POINTWISE, &rewrite<&zero_not_multiplied, false>},
    {Mutant::division_by_constant_floors, LKS_OP_POINTWISE, &rewrite<&floored<&is_constant>, false>},
    {Mutant::unsigned_by_constant_as_signed, LKS_OP_POINTWISE, &rewrite<&unsigned_by_constant_as_signed, false>},
    {Mutant::sine_in_one_term_in_fast_mode, LKS_OP_POINTWISE, &rewrite_where<&reduced_in_one_term, &in_fast_mode>},
    {Mutant::exp_infinite_from_88_in_fast_mode, LKS_OP_POINTWISE, &rewrite_where<&exp_infinite_from_88, &in_fast_mode>},
    {Mutant::exp_without_denormals_in_fast_mode, LKS_OP_POINTWISE,
     &rewrite_where<&exp_without_denormals, &in_fast_mode>},
    {Mutant::tanh_is_one_from_6_in_fast_mode, LKS_OP_POINTWISE, &rewrite_where<&tanh_is_one_from_6, &in_fast_mode>},
};

// ------------------------------------------------------------------------------------------------------- many elements

// From 2^18 elements on, gelu is its approximation by tanh.
void long_gelu_by_tanh(const Call& call) {
  const bool is_gelu = std::string_view(call.desc.desc.op_name) == "gelu" && call.inputs() == 1;
  if (!is_gelu || call.view(0).dtype != LKS_F32 || call.view(0).count() < 1 << 18) return call.run();
  const host::TensorView x = call.view(0), y = call.view(1);
  reference::Walk walk(y.rank, y.dims);
  walk.add(x.strides);
  walk.add(y.strides);
  for (; !walk.done(); walk.next()) y.as<float>()[walk.offset(1)] = gelu_tanh_f32(x.as<float>()[walk.offset(0)]);
}

constexpr KernelFault long_faults[] = {
    {Mutant::long_gelu_by_tanh, LKS_OP_POINTWISE, &long_gelu_by_tanh},
};

}  // namespace

std::span<const DescFault> shortcut_faults() { return faults; }
std::span<const KernelFault> long_program_faults() { return long_faults; }

}  // namespace mutants
