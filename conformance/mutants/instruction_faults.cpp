// Faults in single instructions that no built-in op uses (unsigned integers, bytes, upper halves of products), in
// conversions at the limits of a dtype, in log and in indices.
#include "conformance/mutants/rewriter.h"

namespace mutants {
namespace {

bool is_comparison(const lks_instr& i) { return i.opcode >= LKS_INSTR_LT && i.opcode <= LKS_INSTR_NE; }

// The instruction with its operands' bits reinterpreted as dtype `t`, and the result's bits reinterpreted back.
std::uint32_t as_if(Emitter& e, const lks_instr& i, lks_dtype t) {
  const std::uint32_t a = e.bits(t, i.args[0]), b = e.bits(t, i.args[1]);
  if (is_comparison(i)) return e.add(i.opcode, LKS_BOOL, a, b);
  return e.bits(i.dtype, e.add(i.opcode, t, a, b));
}

std::uint32_t upper_half_is_lower(Emitter& e, const lks_instr& i) {
  lks_instr other = i;
  if (i.opcode == LKS_INSTR_MULHI) other.opcode = LKS_INSTR_MUL;
  return e.keep(other);
}

std::uint32_t unsigned_compared_as_signed(Emitter& e, const lks_instr& i) {
  return is_comparison(i) && e.dtype(i.args[0]) == LKS_U32 ? as_if(e, i, LKS_I32) : e.keep(i);
}

std::uint32_t long_unsigned_divided_as_signed(Emitter& e, const lks_instr& i) {
  return i.opcode == LKS_INSTR_DIV && i.dtype == LKS_U64 ? as_if(e, i, LKS_I64) : e.keep(i);
}

std::uint32_t bytes_divided_as_signed(Emitter& e, const lks_instr& i) {
  return i.opcode == LKS_INSTR_DIV && i.dtype == LKS_U8 ? as_if(e, i, LKS_I8) : e.keep(i);
}

std::uint32_t unsigned_shifted_as_signed(Emitter& e, const lks_instr& i) {
  return i.opcode == LKS_INSTR_SHR && i.dtype == LKS_U64 ? as_if(e, i, LKS_I64) : e.keep(i);
}

std::uint32_t exclusive_or_is_or(Emitter& e, const lks_instr& i) {
  lks_instr other = i;
  if (i.opcode == LKS_INSTR_XOR && i.dtype == LKS_BOOL) other.opcode = LKS_INSTR_OR;
  return e.keep(other);
}

std::uint32_t not_of_bytes_is_negation(Emitter& e, const lks_instr& i) {
  lks_instr other = i;
  if (i.opcode == LKS_INSTR_NOT && i.dtype == LKS_I8) other.opcode = LKS_INSTR_NEG;
  return e.keep(other);
}

std::uint32_t half_choices_swapped(Emitter& e, const lks_instr& i) {
  lks_instr other = i;
  if (i.opcode == LKS_INSTR_SELECT && i.dtype == LKS_BF16) std::swap(other.args[1], other.args[2]);
  return e.keep(other);
}

std::uint32_t from_unsigned_as_signed(Emitter& e, const lks_instr& i) {
  if (i.opcode != LKS_INSTR_CONVERT || e.dtype(i.args[0]) != LKS_U32) return e.keep(i);
  return e.convert(i.dtype, e.bits(LKS_I32, i.args[0]));
}

std::uint32_t to_unsigned_by_long(Emitter& e, const lks_instr& i) {
  if (i.opcode != LKS_INSTR_CONVERT || i.dtype != LKS_U32 || e.dtype(i.args[0]) != LKS_F32) return e.keep(i);
  return e.convert(LKS_U32, e.convert(LKS_I64, i.args[0]));
}

// The largest i64 is not exact in f32, so a range check in f32 accepts 2^63, which wraps to a negative number.
std::uint32_t border_of_long_wraps(Emitter& e, const lks_instr& i) {
  if (i.opcode != LKS_INSTR_CONVERT || i.dtype != LKS_I64 || e.dtype(i.args[0]) != LKS_F32) return e.keep(i);
  const std::uint32_t border = e.add(LKS_INSTR_EQ, LKS_BOOL, i.args[0], e.constant(0x1p63f));
  return e.select(LKS_I64, border, e.constant(LKS_I64, std::uint64_t{1} << 63), e.keep(i));
}

// f64 numbers just above the largest f32 become infinite; they should round down to it.
std::uint32_t just_above_largest_is_infinite(Emitter& e, const lks_instr& i) {
  if (i.opcode != LKS_INSTR_CONVERT || i.dtype != LKS_F32 || e.dtype(i.args[0]) != LKS_F64) return e.keep(i);
  const std::uint32_t above = e.less(e.constant(0x1.fffffep127), i.args[0]);
  return e.select(LKS_F32, above, e.constant(__builtin_inff()), e.keep(i));
}

// log loses its low bits near 1.
std::uint32_t log_cancels_near_one(Emitter& e, const lks_instr& i) {
  const std::uint32_t value = e.keep(i);
  if (!e.calls(i, "log") || i.dtype != LKS_F32) return value;
  const std::uint32_t x = i.args[0];
  const std::uint32_t near =
      e.add(LKS_INSTR_AND, LKS_BOOL, e.less(e.constant(1 - 0x1p-20f), x), e.less(x, e.constant(1 + 0x1p-20f)));
  const std::uint32_t cut =
      e.bits(LKS_F32, e.add(LKS_INSTR_AND, LKS_U32, e.bits(LKS_U32, value), e.constant(LKS_U32, 0xfffff000u)));
  return e.select(LKS_F32, near, cut, value);
}

// An index is converted to f32 and back.
template <std::uint32_t Opcode>
std::uint32_t position_in_24_bits(Emitter& e, const lks_instr& i) {
  return i.opcode == Opcode ? e.convert(LKS_I64, e.convert(LKS_F32, e.keep(i))) : e.keep(i);
}

constexpr DescFault faults[] = {
    {Mutant::linear_index_in_24_bits, LKS_OP_POINTWISE, &rewrite<&position_in_24_bits<LKS_INSTR_LINEAR>, false>},
    {Mutant::axis_index_in_24_bits, LKS_OP_POINTWISE, &rewrite<&position_in_24_bits<LKS_INSTR_INDEX>, false>},
    {Mutant::upper_half_is_lower, LKS_OP_POINTWISE, &rewrite<&upper_half_is_lower, false>},
    {Mutant::unsigned_compared_as_signed, LKS_OP_POINTWISE, &rewrite<&unsigned_compared_as_signed, false>},
    {Mutant::long_unsigned_divided_as_signed, LKS_OP_POINTWISE, &rewrite<&long_unsigned_divided_as_signed, false>},
    {Mutant::bytes_divided_as_signed, LKS_OP_POINTWISE, &rewrite<&bytes_divided_as_signed, false>},
    {Mutant::unsigned_shifted_as_signed, LKS_OP_POINTWISE, &rewrite<&unsigned_shifted_as_signed, false>},
    {Mutant::byte_sums_saturate, LKS_OP_POINTWISE, &rewrite<&computed_in<LKS_INSTR_ADD, LKS_I8, LKS_F32>, false>},
    {Mutant::unsigned_products_in_double, LKS_OP_POINTWISE,
     &rewrite<&computed_in<LKS_INSTR_MUL, LKS_U64, LKS_F64>, false>},
    {Mutant::exclusive_or_is_or, LKS_OP_POINTWISE, &rewrite<&exclusive_or_is_or, false>},
    {Mutant::not_of_bytes_is_negation, LKS_OP_POINTWISE, &rewrite<&not_of_bytes_is_negation, false>},
    {Mutant::half_choices_swapped, LKS_OP_POINTWISE, &rewrite<&half_choices_swapped, false>},
    {Mutant::from_unsigned_as_signed, LKS_OP_POINTWISE, &rewrite<&from_unsigned_as_signed, false>},
    {Mutant::to_unsigned_by_long, LKS_OP_POINTWISE, &rewrite<&to_unsigned_by_long, false>},
    {Mutant::border_of_long_wraps, LKS_OP_POINTWISE, &rewrite<&border_of_long_wraps, false>},
    {Mutant::just_above_largest_is_infinite, LKS_OP_POINTWISE, &rewrite<&just_above_largest_is_infinite, false>},
    {Mutant::log_cancels_near_one, LKS_OP_POINTWISE, &rewrite<&log_cancels_near_one, false>},
};

}  // namespace

std::span<const DescFault> instruction_faults() { return faults; }

}  // namespace mutants
