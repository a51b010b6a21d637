#include "backends/gpu/pointwise/instruction_text.h"

#include <algorithm>
#include <cinttypes>
#include <cstdio>

#include "api/internal/instructions.h"

namespace gpu {
namespace {

using lockstep::is_half_width;

bool is_float(lks_dtype t) { return t == LKS_F32 || t == LKS_F64 || is_half_width(t); }

std::string call(const std::string& function, const std::string& a) { return function + "(" + a + ")"; }

// A half-width float converted to f32; anything else unchanged.
std::string promoted(lks_dtype t, const std::string& v) {
  if (t == LKS_F16) return call("half_to_float", v);
  if (t == LKS_BF16) return call("bfloat_to_float", v);
  return v;
}

// An integer result, wrapped to the range of its type.
std::string wrapped(lks_dtype t, const std::string& v) {
  if (t == LKS_I8) return "((" + v + ") << 24) >> 24";
  if (t == LKS_U8) return "(" + v + ") & 255u";
  return v;
}

std::string float_to_integer(lks_dtype from, lks_dtype to, const std::string& v) {
  const std::string f = from == LKS_F64 ? "double" : "float";
  switch (to) {
    case LKS_I8: return "clamp(" + f + "_to_int(" + v + "), -128, 127)";
    case LKS_U8: return "min(" + f + "_to_uint(" + v + "), 255u)";
    case LKS_I32: return f + "_to_int(" + v + ")";
    case LKS_I64: return f + "_to_long(" + v + ")";
    case LKS_U32: return f + "_to_uint(" + v + ")";
    default: return f + "_to_ulong(" + v + ")";
  }
}

bool is_unsigned(lks_dtype t) { return t == LKS_U8 || t == LKS_U32 || t == LKS_U64; }

std::string to_half_width(lks_dtype from, lks_dtype to, const std::string& v) {
  const std::string target = to == LKS_F16 ? "half" : "bfloat";
  if (from == LKS_F64) return "double_to_" + target + "(" + v + ")";
  if (is_float(from)) return "float_to_" + target + "(" + v + ")";
  if (from == LKS_BOOL) return "(" + v + (to == LKS_F16 ? " ? 0x3c00u : 0u)" : " ? 0x3f80u : 0u)");
  return is_unsigned(from) ? "ulong_to_" + target + "(uint64_t(" + v + "))"
                           : "long_to_" + target + "(int64_t(" + v + "))";
}

// `v` is an f64, or an f32 (a half-width float has been promoted).
std::string float_to_float(lks_dtype from, lks_dtype to, const std::string& v) {
  if ((from == LKS_F64) == (to == LKS_F64)) return v;
  return call(to == LKS_F64 ? "to_double" : "to_float", v);
}

std::string convert(const Dialect& dialect, lks_dtype from, lks_dtype to, const std::string& v) {
  if (from == to) return v;
  const std::string wide = promoted(from, v);
  if (to == LKS_BOOL) {
    if (is_float(from))
      return "!is_equal(" + wide + ", " + (from == LKS_F64 ? dialect.zero_f64 : dialect.zero_f32) + ")";
    return "(" + v + " != " + type_name(from) + "(0))";
  }
  if (is_half_width(to)) return to_half_width(from, to, wide);
  if (is_float(from)) {
    if (to == LKS_F32 || to == LKS_F64) return float_to_float(from, to, wide);
    return float_to_integer(from == LKS_F64 ? from : LKS_F32, to, wide);
  }
  if (from == LKS_BOOL) return "(" + v + " ? " + type_name(to) + "(1) : " + type_name(to) + "(0))";
  return is_float(to) ? call(type_name(to), v) : wrapped(to, call(type_name(to), v));
}

std::string bitcast(lks_dtype from, lks_dtype to, const std::string& v) {
  if (from == to || (is_half_width(from) && is_half_width(to))) return v;
  switch (to) {
    case LKS_F32: return call(from == LKS_I32 ? "intBitsToFloat" : "uintBitsToFloat", v);
    case LKS_F64: return call(from == LKS_I64 ? "int64BitsToDouble" : "uint64BitsToDouble", v);
    case LKS_I32: return from == LKS_F32 ? call("floatBitsToInt", v) : call("int", v);
    case LKS_U32: return from == LKS_F32 ? call("floatBitsToUint", v) : call("uint", v);
    case LKS_I64: return from == LKS_F64 ? call("doubleBitsToInt64", v) : call("int64_t", v);
    case LKS_U64: return from == LKS_F64 ? call("doubleBitsToUint64", v) : call("uint64_t", v);
    case LKS_I8: return wrapped(LKS_I8, from == LKS_BOOL ? "(" + v + " ? 1 : 0)" : call("int", v));
    case LKS_U8: return wrapped(LKS_U8, from == LKS_BOOL ? "(" + v + " ? 1u : 0u)" : call("uint", v));
    default: return "(" + v + " != " + type_name(from) + "(0))";
  }
}

// x / 0 is 0, and MIN / -1 is MIN; neither reaches the device's division, which may trap.
std::string divide_integers(lks_dtype t, const std::string& a, const std::string& b) {
  const std::string type = type_name(t), zero = type + "(0)";
  const std::string special =
      is_unsigned(t) ? b + " == " + zero : b + " == " + zero + " || " + b + " == -" + type + "(1)";
  const std::string divided =
      "(" + b + " == " + zero + " ? " + zero + " : " + a + " / (" + special + " ? " + type + "(1) : " + b + "))";
  return is_unsigned(t) ? divided : "(" + b + " == -" + type + "(1) ? -" + a + " : " + divided + ")";
}

std::string negate(const Dialect& dialect, lks_dtype t, const std::string& a, bool magnitude) {
  if (is_half_width(t)) return "(" + a + (magnitude ? " & 0x7fffu)" : " ^ 0x8000u)");
  if (is_float(t)) return call(magnitude ? "magnitude" : "negate", a);
  if (!magnitude) return wrapped(t, "-" + a);
  if (is_unsigned(t)) return a;
  const bool hides_zero = t == LKS_I64 && *dialect.hidden_zero;
  const std::string zero = call(type_name(t), hides_zero ? dialect.hidden_zero : "0");
  return wrapped(t, "(" + a + " < " + zero + " ? -" + a + " : " + a + ")");
}

std::string shift(const lks_instr& instr, const std::string& a, const std::string& b) {
  const std::uint32_t width = LKS_DTYPE_BITS(instr.dtype);
  const std::string count = "int(" + b + " & " + type_name(instr.dtype) + "(" + std::to_string(width - 1) + "))";
  return wrapped(instr.dtype, a + (instr.opcode == LKS_INSTR_SHL ? " << " : " >> ") + count);
}

std::string compare(std::uint32_t opcode, lks_dtype t, const std::string& a, const std::string& b) {
  if (t == LKS_BOOL && (opcode == LKS_INSTR_LT || opcode == LKS_INSTR_LE)) {
    return opcode == LKS_INSTR_LT ? "(!" + a + " && " + b + ")" : "(!" + a + " || " + b + ")";
  }
  const std::string x = promoted(t, a), y = promoted(t, b), both = "(" + x + ", " + y + ")";
  if (is_float(t)) {
    switch (opcode) {
      case LKS_INSTR_LT: return "is_less" + both;
      case LKS_INSTR_LE: return "is_less_or_equal" + both;
      case LKS_INSTR_EQ: return "is_equal" + both;
      default: return "!is_equal" + both;
    }
  }
  switch (opcode) {
    case LKS_INSTR_LT: return x + " < " + y;
    case LKS_INSTR_LE: return x + " <= " + y;
    case LKS_INSTR_EQ: return x + " == " + y;
    default: return "!(" + x + " == " + y + ")";
  }
}

std::string logic(std::uint32_t opcode, lks_dtype t, const std::string& a, const std::string& b) {
  const bool boolean = t == LKS_BOOL;
  switch (opcode) {
    case LKS_INSTR_AND: return a + (boolean ? " && " : " & ") + b;
    case LKS_INSTR_OR: return a + (boolean ? " || " : " | ") + b;
    case LKS_INSTR_XOR: return a + (boolean ? " != " : " ^ ") + b;
    default: return boolean ? "!" + a : wrapped(t, "~" + a);
  }
}

}  // namespace

const char* type_name(lks_dtype t) {
  switch (t) {
    case LKS_F32: return "float";
    case LKS_F64: return "double";
    case LKS_I8:
    case LKS_I32: return "int";
    case LKS_I64: return "int64_t";
    case LKS_U64: return "uint64_t";
    case LKS_BOOL: return "bool";
    default: return "uint";
  }
}

std::string value_of_bits(lks_dtype t, const std::string& bits) {
  switch (t) {
    case LKS_F32: return "uintBitsToFloat(uint(" + bits + "))";
    case LKS_F64: return "uint64BitsToDouble(" + bits + ")";
    case LKS_F16:
    case LKS_BF16: return "uint(" + bits + ") & 0xffffu";
    case LKS_BOOL: return "((uint(" + bits + ") & 255u) != 0)";
    default: return wrapped(t, call(type_name(t), bits));
  }
}

namespace {

bool is_long(lks_dtype t) { return t == LKS_I64 || t == LKS_U64; }

// A zero of either sign that is added, subtracted or multiplied by. Compilers that leave such arithmetic out are wrong:
// -0 + 0 is +0, and NaN times 0 is NaN.
bool is_zero_of_arithmetic(const std::vector<lks_instr>& instrs, std::size_t i) {
  const lks_instr& zero = instrs[i];
  const std::uint64_t sign = zero.dtype == LKS_F64 ? 1ull << 63 : 1ull << 31;
  if ((zero.dtype != LKS_F32 && zero.dtype != LKS_F64) || (zero.imm & ~sign) != 0) return false;
  return std::any_of(instrs.begin() + static_cast<std::ptrdiff_t>(i), instrs.end(), [&](const lks_instr& user) {
    const bool is_arithmetic =
        user.opcode == LKS_INSTR_ADD || user.opcode == LKS_INSTR_SUB || user.opcode == LKS_INSTR_MUL;
    return is_arithmetic && (user.args[0] == i || user.args[1] == i);
  });
}

// The operand of a conversion. If it was itself converted from an integer of 64 bits, the compiler must not take the
// two conversions for none: the first one rounds.
std::string converted(const Dialect& dialect, const std::vector<lks_instr>& instrs, const lks_instr& conversion,
                      const std::string& v) {
  const lks_instr& before = instrs[conversion.args[0]];
  const bool returns = *dialect.hidden_zero && is_long(conversion.dtype) && before.opcode == LKS_INSTR_CONVERT &&
                       is_long(instrs[before.args[0]].dtype);
  if (returns && before.dtype == LKS_F32) {
    return "uintBitsToFloat(floatBitsToUint(" + v + ") | uint(" + dialect.hidden_zero + "))";
  }
  if (returns && before.dtype == LKS_F64) {
    return "uint64BitsToDouble(doubleBitsToUint64(" + v + ") | " + dialect.hidden_zero + ")";
  }
  return v;
}

}  // namespace

std::string instruction_text(const Dialect& dialect, const std::vector<lks_instr>& instrs, std::size_t i) {
  const lks_instr& instr = instrs[i];
  const auto arg = [&](int n) { return "v" + std::to_string(instr.args[n]); };
  const auto type_of_arg = [&](int n) { return instrs[instr.args[n]].dtype; };
  const lks_dtype t = instr.dtype;
  switch (instr.opcode) {
    case LKS_INSTR_CONST: {
      char bits[24];
      std::snprintf(bits, sizeof bits, "0x%" PRIx64 "ul", instr.imm);
      const bool hides_value = *dialect.hidden_zero && (is_long(t) || is_zero_of_arithmetic(instrs, i));
      return value_of_bits(
          t, "uint64_t(" + std::string(bits) + (hides_value ? std::string(" | ") + dialect.hidden_zero : "") + ")");
    }
    case LKS_INSTR_INDEX: return "int64_t(along[" + std::to_string(instr.imm) + "])";
    case LKS_INSTR_LINEAR: return "int64_t(item)";
    case LKS_INSTR_ADD: return wrapped(t, dialect.arithmetic(t, "+", arg(0), arg(1)));
    case LKS_INSTR_SUB: return wrapped(t, dialect.arithmetic(t, "-", arg(0), arg(1)));
    case LKS_INSTR_MUL: return wrapped(t, dialect.arithmetic(t, "*", arg(0), arg(1)));
    case LKS_INSTR_DIV:
      return is_float(t) ? "divide(" + arg(0) + ", " + arg(1) + ")" : wrapped(t, divide_integers(t, arg(0), arg(1)));
    case LKS_INSTR_SQRT: return call("square_root", arg(0));
    case LKS_INSTR_NEG: return negate(dialect, t, arg(0), false);
    case LKS_INSTR_ABS: return negate(dialect, t, arg(0), true);
    case LKS_INSTR_LT:
    case LKS_INSTR_LE:
    case LKS_INSTR_EQ:
    case LKS_INSTR_NE: return compare(instr.opcode, type_of_arg(0), arg(0), arg(1));
    case LKS_INSTR_SELECT: return arg(0) + " ? " + arg(1) + " : " + arg(2);
    case LKS_INSTR_CONVERT: return convert(dialect, type_of_arg(0), t, converted(dialect, instrs, instr, arg(0)));
    case LKS_INSTR_BITCAST: return bitcast(type_of_arg(0), t, arg(0));
    case LKS_INSTR_SHL:
    case LKS_INSTR_SHR: return shift(instr, arg(0), arg(1));
    case LKS_INSTR_MULHI: return "uint((uint64_t(" + arg(0) + ") * uint64_t(" + arg(1) + ")) >> 32)";
    default: return logic(instr.opcode, t, arg(0), arg(1));
  }
}

}  // namespace gpu
