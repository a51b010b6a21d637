#include "ops/pointwise.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>

#include "ops/differentiate.h"
#include "ops/infer.h"
#include "ops/kernel_description.h"
#include "ops/launch.h"
#include "ops/round_once.h"
#include "ops/sum_oracle.h"

namespace lockstep {
namespace {

void infer_pointwise(InferContext& c) { c.set(0, c.group_dtype(), broadcast_shape(c.call())); }

// ---------------------------------------------------------------------------------------- the program as an oracle

// A value of the oracle: floats with 64-bit mantissas, integers and bools as bits. `error` is a first-order bound on
// the rounding error of a float so far, in units of the unit roundoff of the value's dtype: a running error analysis
// (Higham, "Accuracy and stability of numerical algorithms", section 3.3).
struct OracleValue {
  long double real = 0;
  std::uint64_t bits = 0;
  long double error = 0;
};

long double unit_roundoff(lks_dtype t) {
  switch (t) {
    case LKS_F64: return 0x1p-53L;
    case LKS_F16: return 0x1p-11L;
    case LKS_BF16: return 0x1p-8L;
    default: return 0x1p-24L;
  }
}

// A result above the largest number of its format becomes infinite, and later steps continue with infinity.
long double overflowed(long double value, lks_dtype t) {
  const long double largest = t == LKS_F64   ? static_cast<long double>(std::numeric_limits<double>::max())
                              : t == LKS_F16 ? 65504.0L
                                             : static_cast<long double>(std::numeric_limits<float>::max());
  const long double half_unit = t == LKS_F64 ? 0x1p970L : t == LKS_F16 ? 16.0L : 0x1p103L;
  if (!(std::fabs(value) >= largest + half_unit)) return value;
  return std::copysign(std::numeric_limits<long double>::infinity(), value);
}

bool is_float(lks_dtype t) { return LKS_DTYPE_CLASS(t) == LKS_CLASS_FLOAT || LKS_DTYPE_CLASS(t) == LKS_CLASS_BFLOAT; }
bool is_signed(lks_dtype t) { return LKS_DTYPE_CLASS(t) == LKS_CLASS_INT; }

std::uint64_t wrap(std::uint64_t bits, lks_dtype t) {
  const std::uint32_t width = LKS_DTYPE_BITS(t);
  if (LKS_DTYPE_CLASS(t) == LKS_CLASS_BOOL) return bits & 1;
  if (width == 64) return bits;
  const std::uint64_t mask = (std::uint64_t{1} << width) - 1;
  bits &= mask;
  return is_signed(t) && (bits >> (width - 1)) ? bits | ~mask : bits;
}

long double number_of(const OracleValue& v, lks_dtype t) {
  if (is_float(t)) return v.real;
  return is_signed(t) ? static_cast<long double>(static_cast<std::int64_t>(v.bits)) : static_cast<long double>(v.bits);
}

OracleValue convert_value(const OracleValue& v, lks_dtype from, lks_dtype to) {
  OracleValue out;
  if (is_float(to)) {
    out.real = number_of(v, from);
    out.error = is_float(from) ? v.error * unit_roundoff(from) / unit_roundoff(to) : 0;
    if (v.error > 0) out.error += std::fabs(out.real);  // an inexact value may round the other way
    // Narrowing conversions round: that is part of the definition.
    if (to == LKS_F32) out.real = static_cast<float>(out.real);
    if (to == LKS_F64) out.real = static_cast<double>(out.real);
    if (to == LKS_F16) out.real = static_cast<float>(half_of(out.real));
    if (to == LKS_BF16) out.real = static_cast<float>(bfloat16_of(out.real));
    return out;
  }
  if (LKS_DTYPE_CLASS(to) == LKS_CLASS_BOOL) {
    out.bits = is_float(from) ? v.real != 0 : v.bits != 0;
    return out;
  }
  if (!is_float(from)) {
    out.bits = wrap(v.bits, to);
    return out;
  }
  if (std::isnan(v.real)) return out;
  const int width = static_cast<int>(LKS_DTYPE_BITS(to));
  const long double most = std::ldexp(1.0L, is_signed(to) ? width - 1 : width) - 1;
  const long double least = is_signed(to) ? -most - 1 : 0;
  const long double whole = std::clamp(std::trunc(v.real), least, most);
  out.bits =
      whole < 0 ? static_cast<std::uint64_t>(static_cast<std::int64_t>(whole)) : static_cast<std::uint64_t>(whole);
  return out;
}

std::uint64_t float_bits(long double value, lks_dtype t) {
  if (t == LKS_F32) return std::bit_cast<std::uint32_t>(static_cast<float>(value));
  return std::bit_cast<std::uint64_t>(static_cast<double>(value));
}

long double float_of_bits(std::uint64_t bits, lks_dtype t) {
  if (t == LKS_F16) return static_cast<float>(std::bit_cast<Half>(static_cast<std::uint16_t>(bits)));
  if (t == LKS_BF16) return static_cast<float>(std::bit_cast<BFloat16>(static_cast<std::uint16_t>(bits)));
  if (t == LKS_F32) return std::bit_cast<float>(static_cast<std::uint32_t>(bits));
  return std::bit_cast<double>(bits);
}

OracleValue value_of_bits(std::uint64_t bits, lks_dtype t) {
  OracleValue v;
  if (is_float(t)) {
    v.real = float_of_bits(bits, t);
  } else {
    v.bits = wrap(bits, t);
  }
  return v;
}

std::uint64_t integer_divide(std::uint64_t a, std::uint64_t b, lks_dtype t) {
  if (b == 0) return 0;
  if (!is_signed(t)) return a / b;
  const auto x = static_cast<std::int64_t>(a), y = static_cast<std::int64_t>(b);
  return y == -1 ? 0 - a : static_cast<std::uint64_t>(x / y);
}

class ProgramOracle {
 public:
  ProgramOracle(const Program& program, std::span<const OracleValue> scalars)
      : program_(program), scalars_(scalars), values_(program.instrs().size()) {}

  void run(std::span<const OracleValue> inputs, std::int64_t linear, std::span<const std::int64_t> index) {
    for (std::size_t i = 0; i < values_.size(); ++i) values_[i] = step(program_.instrs()[i], inputs, linear, index);
  }
  const OracleValue& output(std::size_t o) const { return values_[before_rounding(o)]; }
  lks_dtype output_dtype(std::size_t o) const { return program_.instrs()[before_rounding(o)].dtype; }

 private:
  // If a program ends by rounding a wider float to f16 or bf16, the output is the value before that rounding.
  // Conformance decides how the value's error may affect the rounding.
  std::uint32_t before_rounding(std::size_t o) const {
    const std::uint32_t last = program_.outputs()[o];
    const lks_instr& instr = program_.instrs()[last];
    if (instr.opcode != LKS_INSTR_CONVERT || !is_float(instr.dtype) || LKS_DTYPE_BITS(instr.dtype) != 16) return last;
    const lks_dtype from = arg_dtype(instr, 0);
    return is_float(from) && LKS_DTYPE_BITS(from) > 16 ? instr.args[0] : last;
  }
  const OracleValue& arg(const lks_instr& instr, int a) const { return values_[instr.args[a]]; }
  lks_dtype arg_dtype(const lks_instr& instr, int a) const { return program_.instrs()[instr.args[a]].dtype; }

  OracleValue step(const lks_instr& instr, std::span<const OracleValue> inputs, std::int64_t linear,
                   std::span<const std::int64_t> index) const {
    OracleValue out;
    switch (instr.opcode) {
      case LKS_INSTR_INPUT: return inputs[instr.imm];
      case LKS_INSTR_SCALAR: return scalars_[instr.imm];
      case LKS_INSTR_CONST: return value_of_bits(instr.imm, instr.dtype);
      case LKS_INSTR_INDEX: out.bits = static_cast<std::uint64_t>(index[instr.imm]); return out;
      case LKS_INSTR_LINEAR: out.bits = static_cast<std::uint64_t>(linear); return out;
      case LKS_INSTR_SELECT: return arg(instr, 0).bits ? arg(instr, 1) : arg(instr, 2);
      case LKS_INSTR_CONVERT: return convert_value(arg(instr, 0), arg_dtype(instr, 0), instr.dtype);
      case LKS_INSTR_BITCAST:
        return value_of_bits(
            is_float(arg_dtype(instr, 0)) ? float_bits(arg(instr, 0).real, arg_dtype(instr, 0)) : arg(instr, 0).bits,
            instr.dtype);
      case LKS_INSTR_LT:
      case LKS_INSTR_LE:
      case LKS_INSTR_EQ:
      case LKS_INSTR_NE: out.bits = compare(instr); return out;
      default: break;
    }
    if (is_float(instr.dtype)) {
      out.real = overflowed(float_step(instr), instr.dtype);
      // Infinity and NaN have no rounding error.
      out.error = std::isfinite(out.real) ? error_step(instr, out.real) : 0;
    } else {
      out.bits = wrap(integer_step(instr), instr.dtype);
    }
    return out;
  }

  bool compare(const lks_instr& instr) const {
    const lks_dtype t = arg_dtype(instr, 0);
    const long double a = number_of(arg(instr, 0), t), b = number_of(arg(instr, 1), t);
    switch (instr.opcode) {
      case LKS_INSTR_LT: return a < b;
      case LKS_INSTR_LE: return a <= b;
      case LKS_INSTR_EQ: return a == b;
      default: return a != b;
    }
  }

  long double float_step(const lks_instr& instr) const {
    const long double a = arg(instr, 0).real, b = arg(instr, 1).real;
    switch (instr.opcode) {
      case LKS_INSTR_ADD: return a + b;
      case LKS_INSTR_SUB: return a - b;
      case LKS_INSTR_MUL: return a * b;
      case LKS_INSTR_DIV: return a / b;
      case LKS_INSTR_SQRT: return std::sqrt(a);
      case LKS_INSTR_NEG: return -a;
      case LKS_INSTR_ABS: return std::fabs(a);
      case LKS_INSTR_CALL: {
        const ScalarFunction& f = *program_.functions()[instr.imm];
        long double args[3] = {};
        for (std::uint32_t k = 0; k < f.arity; ++k) args[k] = arg(instr, static_cast<int>(k)).real;
        return f.oracle(std::span(args, f.arity));
      }
      default: return std::nanl("");
    }
  }

  long double error_step(const lks_instr& instr, long double result) const {
    const OracleValue &a = arg(instr, 0), &b = arg(instr, 1);
    const long double rounding = std::fabs(result);
    // Products and quotients may be subnormal. Sums that are subnormal are exact.
    const long double scale = rounding_scale(result, instr.dtype == LKS_F64 ? DType::f64 : DType::f32);
    switch (instr.opcode) {
      case LKS_INSTR_ADD:
      case LKS_INSTR_SUB: return a.error + b.error + rounding;
      case LKS_INSTR_MUL: return std::fabs(a.real) * b.error + std::fabs(b.real) * a.error + scale;
      case LKS_INSTR_DIV: return (a.error + rounding * b.error) / std::fabs(b.real) + scale;
      case LKS_INSTR_SQRT: return (result > 0 ? a.error / (2 * result) : 0) + rounding;
      case LKS_INSTR_CALL: return call_error(instr, result);
      default: return a.error;
    }
  }

  // The effect of the arguments' errors on a function, found by evaluating it at both ends, plus the function's own
  // error. An ULP is at most twice the unit roundoff.
  long double call_error(const lks_instr& instr, long double result) const {
    const ScalarFunction& f = *program_.functions()[instr.imm];
    const long double u = unit_roundoff(instr.dtype);
    long double args[3] = {}, total = 0;
    for (std::uint32_t k = 0; k < f.arity; ++k) args[k] = arg(instr, static_cast<int>(k)).real;
    for (std::uint32_t k = 0; k < f.arity; ++k) {
      const OracleValue& argument = arg(instr, static_cast<int>(k));
      if (argument.error == 0) continue;
      long double worst = 0;
      for (long double direction : {-1.0L, 1.0L}) {
        args[k] = argument.real + direction * argument.error * u;
        const long double moved = std::fabs(f.oracle(std::span(args, f.arity)) - result);
        if (std::isfinite(moved)) worst = std::max(worst, moved);
      }
      args[k] = argument.real;
      total += worst / u;
    }
    const long double own = std::max(2 * static_cast<long double>(f.max_ulp) * std::fabs(result),
                                     2 * static_cast<long double>(f.max_ulp_of_argument) * std::fabs(args[0]));
    return total + own;
  }

  std::uint64_t integer_step(const lks_instr& instr) const {
    const std::uint64_t a = arg(instr, 0).bits, b = arg(instr, 1).bits;
    const std::uint64_t count = b % LKS_DTYPE_BITS(instr.dtype);
    switch (instr.opcode) {
      case LKS_INSTR_ADD: return a + b;
      case LKS_INSTR_SUB: return a - b;
      case LKS_INSTR_MUL: return a * b;
      case LKS_INSTR_DIV: return integer_divide(a, b, instr.dtype);
      case LKS_INSTR_NEG: return 0 - a;
      case LKS_INSTR_ABS: return is_signed(instr.dtype) && static_cast<std::int64_t>(a) < 0 ? 0 - a : a;
      case LKS_INSTR_AND: return a & b;
      case LKS_INSTR_OR: return a | b;
      case LKS_INSTR_XOR: return a ^ b;
      case LKS_INSTR_NOT: return ~a;
      case LKS_INSTR_SHL: return a << count;
      case LKS_INSTR_SHR:
        return is_signed(instr.dtype) ? static_cast<std::uint64_t>(static_cast<std::int64_t>(a) >> count) : a >> count;
      case LKS_INSTR_MULHI: return (a * b) >> 32;
      default: return 0;
    }
  }

  const Program& program_;
  std::span<const OracleValue> scalars_;
  std::vector<OracleValue> values_;
};

OracleValue oracle_value(long double number, DType t) {
  OracleValue v;
  if (is_floating(t)) {
    v.real = number;
  } else {
    v.bits =
        number < 0 ? static_cast<std::uint64_t>(static_cast<std::int64_t>(number)) : static_cast<std::uint64_t>(number);
  }
  return v;
}

// The position in a broadcast input that corresponds to `index` of the output.
std::int64_t broadcast_position(const Shape& input, std::span<const std::int64_t> index) {
  std::int64_t position = 0;
  const std::size_t skipped = index.size() - static_cast<std::size_t>(input.rank());
  for (int d = 0; d < input.rank(); ++d) {
    const std::int64_t i = input[d] == 1 ? 0 : index[skipped + static_cast<std::size_t>(d)];
    position = position * input[d] + i;
  }
  return position;
}

long double exact_value(const Scalar& number) {
  if (number.kind == Scalar::Kind::floating) return number.floating;
  return number.above_int64 ? static_cast<long double>(static_cast<std::uint64_t>(number.integer))
                            : static_cast<long double>(number.integer);
}

// An op's own numbers, exactly as the call gives them. The oracle does not round them, so that errors of kernels that
// do become visible.
OracleValue own_scalar(const Scalar& number, lks_dtype t) {
  OracleValue v = value_of_bits(scalar_bits(number, t), t);
  if (is_float(t)) v.real = exact_value(number);
  return v;
}

}  // namespace

long double number_as(const Scalar& number, DType dtype) {
  if (!number.is_known()) number.fail_unknown();
  const lks_dtype t = abi_dtype(dtype);
  return number_of(value_of_bits(scalar_bits(number, t), t), t);
}

void pointwise_reference(RefContext& r) {
  CallTypes types(r.call);
  types.set_result(r.output_specs[0].dtype);
  std::vector<lks_dtype> results;
  for (const TensorSpec& spec : r.output_specs) results.push_back(abi_dtype(spec.dtype));
  const Program program = record_program(r.call, types, results, r.output_specs[0].shape.rank());

  std::vector<OracleValue> scalars, inputs;
  std::vector<const RefArray*> tensors;
  for (std::size_t i = 0; i < r.inputs.size(); ++i) {
    if (r.call.inputs[i].is_scalar()) {
      const lks_dtype t = abi_dtype(types.number(i));
      scalars.push_back(value_of_bits(scalar_bits(r.call.inputs[i].scalar(), t), t));
    } else {
      tensors.push_back(&r.inputs[i]);
    }
  }
  for (std::size_t s = 0; s < r.call.op.scalars.size(); ++s) {
    scalars.push_back(own_scalar(r.call.scalars[s], own_scalar_dtype(r.call.op, s, types.group(), types.result())));
  }
  inputs.resize(tensors.size());
  ProgramOracle oracle(program, scalars);

  for (std::size_t o = 0; o < r.outputs.size(); ++o) {
    RefArray& out = r.outputs[o];
    if (!is_floating(out.dtype)) continue;
    out.budget.resize(out.values.size());
    const lks_dtype computed = oracle.output_dtype(o);
    if (computed != abi_dtype(out.dtype)) out.rounded_from = computed == LKS_F64 ? DType::f64 : DType::f32;
  }
  const Shape& shape = r.output_specs[0].shape;
  std::vector<std::int64_t> index(static_cast<std::size_t>(shape.rank()), 0);
  for (std::int64_t n = 0; n < shape.size(); ++n) {
    for (std::size_t k = 0; k < tensors.size(); ++k) {
      const auto at = static_cast<std::size_t>(broadcast_position(tensors[k]->shape, index));
      inputs[k] = oracle_value(tensors[k]->values[at], tensors[k]->dtype);
    }
    oracle.run(inputs, n, index);
    for (std::size_t o = 0; o < r.outputs.size(); ++o) {
      r.outputs[o].values[static_cast<std::size_t>(n)] = number_of(oracle.output(o), oracle.output_dtype(o));
      if (!r.outputs[o].budget.empty()) r.outputs[o].budget[static_cast<std::size_t>(n)] = oracle.output(o).error;
    }
    for (int d = shape.rank() - 1; d >= 0; --d) {
      if (++index[static_cast<std::size_t>(d)] < shape[d]) break;
      index[static_cast<std::size_t>(d)] = 0;
    }
  }
}

// --------------------------------------------------------------------------------------------------------------- cases

std::vector<OpCase> pointwise_cases(const OpDef& op, const std::vector<CaseValues>& values) {
  const std::size_t n = op.inputs.size();
  const auto value_of = [&](std::size_t i) {
    return values.empty() ? CaseValues{} : values[std::min(i, values.size() - 1)];
  };
  std::vector<OpCase> cases;
  const auto add = [&](std::string name, DType dtype, std::vector<Shape> shapes) {
    OpCase c{std::move(name), {}};
    for (std::size_t i = 0; i < n; ++i) {
      const InputDef& def = op.inputs[i];
      const DType t = def.group == 'T' ? dtype : def.types.has(DType::boolean) ? DType::boolean : DType::i64;
      c.inputs.push_back({shapes[std::min(i, shapes.size() - 1)], t, value_of(i)});
    }
    // A derivative is compared relative to the largest one. A single f16 or bf16 value has no such scale.
    c.gradient = is_floating(dtype) && !(is_half_width(dtype) && shapes[0].size() == 1);
    if (op.attrs.size) c.attrs = op.attrs.defaults;
    for (const ScalarDef& s : op.scalars) {
      const bool integral = s.dtype != ScalarDef::of_inputs && s.dtype != ScalarDef::of_result && !is_float(s.dtype);
      // No two are equal. f32 holds all of them, f16 and bf16 only the first.
      const auto before = static_cast<std::int64_t>(c.scalars.size());
      c.scalars.push_back({integral ? Scalar::Kind::integer : Scalar::Kind::floating, 3 + before,
                           0.75 - 0x0.0a3d7p0 * static_cast<double>(before)});
    }
    cases.push_back(std::move(c));
  };
  std::size_t main = 0;
  while (main + 1 < n && op.inputs[main].group != 'T') ++main;
  const TypeSet types = n ? op.inputs[main].types : types::floating;
  for (int t = 0; t < dtype_count; ++t) {
    const auto dtype = static_cast<DType>(t);
    if (!types.has(dtype)) continue;
    const std::string prefix = std::string(name_of(dtype)) + "/";
    add(prefix + "scalar", dtype, {Shape{}});
    add(prefix + "prime", dtype, {Shape{17}});
    add(prefix + "matrix", dtype, {Shape{5, 33}});
    add(prefix + "empty", dtype, {Shape{0, 4}});
    add(prefix + "tile_plus_one", dtype, {Shape{1025}});
    add(prefix + "rank8", dtype, {Shape{2, 1, 3, 1, 2, 1, 2, 3}});
    if (n < 2) continue;
    add(prefix + "row", dtype, {Shape{4, 7}, Shape{7}});
    add(prefix + "column", dtype, {Shape{4, 7}, Shape{4, 1}});
    add(prefix + "outer", dtype, {Shape{3, 1}, Shape{1, 5}});
    add(prefix + "middle", dtype, {Shape{3, 4, 5}, Shape{3, 1, 5}});
    add(prefix + "rank0", dtype, {Shape{}, Shape{6}});
    add(prefix + "rank8_to_rank5", dtype, {Shape{2, 1, 3, 1, 2, 1, 2, 3}, Shape{1, 2, 1, 1, 3}});
    if (op.inputs[1].group == 'T' && !op.inputs[1].mutable_) {
      add(prefix + "number", dtype, {Shape{9}});
      cases.back().inputs[1].scalar =
          is_floating(dtype)
              ? Scalar{Scalar::Kind::floating, 0,
                       value_of(1).kind == CaseValues::Kind::range ? (value_of(1).low + value_of(1).high) / 2 : 0.7}
              : Scalar{Scalar::Kind::integer, dtype == DType::boolean ? 1 : 3, 0};
    }
  }
  if (n >= 2 && types.has(DType::f32)) {
    add("error/shapes", DType::f32, {Shape{3}, Shape{4}});
    cases.back().error = ErrorId::shapes_do_not_broadcast;
    add("error/mutual", DType::f32, {Shape{3, 1}, Shape{3}});
    cases.back().error = ErrorId::mutual_broadcast;
  }
  if (!types.has(DType::boolean)) {
    add("error/dtype", DType::f32, {Shape{3}});
    cases.back().inputs[main].dtype = DType::boolean;
    for (std::size_t i = 0; i < n; ++i) {
      if (op.inputs[i].group == 'T') cases.back().inputs[i].dtype = DType::boolean;
    }
    cases.back().error = ErrorId::dtype_not_accepted;
  }
  // The second operand has no dimensions, or more than the first; two operands are smaller in unlike ways.
  for (int t = 0; n >= 2 && t < dtype_count; ++t) {
    const auto dtype = static_cast<DType>(t);
    if (!types.has(dtype)) continue;
    const std::string prefix = std::string(name_of(dtype)) + "/";
    add(prefix + "rank0_second", dtype, {Shape{23}, Shape{}});
    // The derivative by one number is a sum, whose terms may cancel.
    if (is_half_width(dtype)) cases.back().gradient = false;
    add(prefix + "row_first", dtype, {Shape{7}, Shape{4, 7}});
    add(prefix + "column_first", dtype, {Shape{4, 1}, Shape{4, 7}});
    if (n > 2) add(prefix + "row_and_column", dtype, {Shape{4, 7}, Shape{1, 7}, Shape{4, 1}});
  }
  return cases;
}

// ------------------------------------------------------------------------------------------------------------ builders

OpDef make_pointwise_op(std::string name, std::size_t arity, OpDef::Body body, PointwiseOptions options) {
  constexpr const char* names[] = {"a", "b", "c", "d", "e", "f", "g", "h"};
  OpDef op;
  op.name = std::move(name);
  op.doc = std::move(options.doc);
  for (std::size_t i = 0; i < arity; ++i) {
    op.inputs.push_back({arity == 1 ? "x" : i < 8 ? names[i] : "x" + std::to_string(i), options.types});
    op.inputs.back().doc = arity == 1 ? "of any shape" : "broadcasts with the other operands";
  }
  op.outputs[0].doc = arity == 1 ? "extents of x" : "of the shape to which the operands broadcast";
  op.error_class = options.error_class;
  op.commutative = options.commutative;
  op.infer = &infer_pointwise;
  op.body = std::move(body);
  op.reference = &pointwise_reference;
  // The definition moves into the registry before its cases are requested, so they must not refer to it.
  const std::string registered_name = op.name;
  const CaseValues values = options.values;
  op.cases = [registered_name, values] {
    const OpDef* registered = find_op(registered_name);
    return registered ? pointwise_cases(*registered, {values}) : std::vector<OpCase>();
  };
  return op;
}

OpDef unary_op(std::string name, Expr (*body)(Expr), UnaryGradient gradient, PointwiseOptions options) {
  const std::string op_name = name;
  OpDef op = make_pointwise_op(
      std::move(name), 1,
      [body](ProgramBuilder&, const OpCall&, std::span<const Expr> in) { return std::vector<Expr>{body(in[0])}; },
      std::move(options));
  if (!gradient.gradient) return op;
  // The gradient is one fused op. Its own gradient is found by differentiating its program.
  const auto rule = gradient.gradient;
  const bool from_output = gradient.from == UnaryGradient::From::output;
  op.saves = {from_output ? Saves{0, 1} : Saves{1, 0}};
  auto grad_op =
      std::make_shared<OpDef>(make_pointwise_op(op_name + ".grad", 2,
                                                [rule](ProgramBuilder&, const OpCall&, std::span<const Expr> in) {
                                                  return std::vector<Expr>{rule(in[0], in[1])};
                                                },
                                                {.doc = "Gradient of " + op_name + "."}));
  complete_pointwise(*grad_op);
  op.gradient = [grad_op, from_output](GradContext& g) {
    const Tensor upstream = g.upstream();
    if (from_output) {
      g.set(0, invoke1(*grad_op, {Operand(g.output(), g.where()), Operand(upstream, g.where())}));
    } else {
      g.set(0, invoke1(*grad_op, {g.input(0), Operand(upstream, g.where())}));
    }
  };
  return op;
}

}  // namespace lockstep
