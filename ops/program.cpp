#include "lockstep/program.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstdio>
#include <map>

#include "api/internal/instructions.h"
#include "lockstep/error.h"
#include "ops/round_once.h"

namespace lockstep {
namespace {

[[noreturn]] void fail(const std::string& headline) {
  ErrorBuilder(ErrorId::invalid_op_definition, "program", headline)
      .fix("operands of one instruction have one dtype: use convert(x, dtype)")
      .raise();
}

std::string dtype_text(lks_dtype t) {
  constexpr std::array letters = {"?", "f", "bf", "i", "u", "bool"};
  const std::uint32_t cls = LKS_DTYPE_CLASS(t);
  if (cls == LKS_CLASS_BOOL) return "bool";
  return (cls < letters.size() ? letters[cls] : "?") + std::to_string(LKS_DTYPE_BITS(t));
}

const char* opcode_text(std::uint32_t opcode) {
  switch (opcode) {
    case LKS_INSTR_INPUT: return "input";
    case LKS_INSTR_SCALAR: return "scalar";
    case LKS_INSTR_CONST: return "const";
    case LKS_INSTR_INDEX: return "index";
    case LKS_INSTR_LINEAR: return "linear";
    case LKS_INSTR_CALL: return "call";
    case LKS_INSTR_ADD: return "add";
    case LKS_INSTR_SUB: return "sub";
    case LKS_INSTR_MUL: return "mul";
    case LKS_INSTR_DIV: return "div";
    case LKS_INSTR_SQRT: return "sqrt";
    case LKS_INSTR_NEG: return "neg";
    case LKS_INSTR_ABS: return "abs";
    case LKS_INSTR_LT: return "lt";
    case LKS_INSTR_LE: return "le";
    case LKS_INSTR_EQ: return "eq";
    case LKS_INSTR_NE: return "ne";
    case LKS_INSTR_SELECT: return "select";
    case LKS_INSTR_CONVERT: return "convert";
    case LKS_INSTR_BITCAST: return "bitcast";
    case LKS_INSTR_AND: return "and";
    case LKS_INSTR_OR: return "or";
    case LKS_INSTR_XOR: return "xor";
    case LKS_INSTR_NOT: return "not";
    case LKS_INSTR_SHL: return "shl";
    case LKS_INSTR_SHR: return "shr";
    case LKS_INSTR_MULHI: return "mulhi";
    default: return "unknown";
  }
}

}  // namespace

int arg_count(const lks_instr& instr, std::span<const ScalarFunction* const> functions) {
  if (instr.opcode == LKS_INSTR_CALL) return static_cast<int>(functions[instr.imm]->arity);
  return arg_count_of(instr.opcode);
}

namespace {

bool is_float_class(lks_dtype t) {
  return LKS_DTYPE_CLASS(t) == LKS_CLASS_FLOAT || LKS_DTYPE_CLASS(t) == LKS_CLASS_BFLOAT;
}

std::uint64_t low_bits(std::uint64_t integer, lks_dtype t) {
  const std::uint32_t bits = LKS_DTYPE_BITS(t);
  return bits == 64 ? integer : integer & ((std::uint64_t{1} << bits) - 1);
}

// The bits of `number` in dtype t.
std::uint64_t bits_of(lks_dtype t, double number) {
  switch (t) {
    case LKS_F32: return std::bit_cast<std::uint32_t>(static_cast<float>(number));
    case LKS_F64: return std::bit_cast<std::uint64_t>(number);
    case LKS_F16: return half_of(number).bits;
    case LKS_BF16: return bfloat16_of(number).bits;
    case LKS_BOOL: return number != 0;
    default: {
      const auto integer = number < 0 ? static_cast<std::uint64_t>(static_cast<std::int64_t>(number))
                                      : static_cast<std::uint64_t>(number);
      return low_bits(integer, t);
    }
  }
}

// The same for an integer, which a double may not hold.
std::uint64_t bits_of(lks_dtype t, std::int64_t number) {
  switch (t) {
    case LKS_F32: return std::bit_cast<std::uint32_t>(static_cast<float>(number));
    case LKS_F64: return std::bit_cast<std::uint64_t>(static_cast<double>(number));
    case LKS_F16: return half_of(static_cast<long double>(number)).bits;
    case LKS_BF16: return bfloat16_of(static_cast<long double>(number)).bits;
    case LKS_BOOL: return number != 0;
    default: return low_bits(static_cast<std::uint64_t>(number), t);
  }
}

Expr binary(std::uint32_t opcode, Expr a, Expr b) {
  if (a.dtype() != b.dtype()) {
    fail(std::string(opcode_text(opcode)) + " of " + dtype_text(a.dtype()) + " and " + dtype_text(b.dtype()));
  }
  const std::array args = {a, b};
  return a.builder().emit(opcode, a.dtype(), args);
}

Expr compare(std::uint32_t opcode, Expr a, Expr b) {
  if (a.dtype() != b.dtype()) {
    fail(std::string(opcode_text(opcode)) + " of " + dtype_text(a.dtype()) + " and " + dtype_text(b.dtype()));
  }
  const std::array args = {a, b};
  return a.builder().emit(opcode, LKS_BOOL, args);
}

Expr unary(std::uint32_t opcode, Expr x) {
  const std::array args = {x};
  return x.builder().emit(opcode, x.dtype(), args);
}

Expr call_named(const char* name, std::initializer_list<Expr> args) {
  const Expr first = *args.begin();
  const ScalarFunction* function = find_scalar_function(name, first.dtype());
  if (!function) fail(std::string("there is no ") + name + " for " + dtype_text(first.dtype()));
  return first.builder().call(*function, std::span(args.begin(), args.size()));
}

}  // namespace

// ------------------------------------------------------------------------------------------------------------- Program

struct Program::AbiView {
  lks_program program{};
  std::vector<lks_function> functions;
};

const lks_program& Program::abi() const {
  static const lks_program empty = [] {
    lks_program program{};
    program.hdr.size = sizeof program;
    return program;
  }();
  return abi_ ? abi_->program : empty;
}

// Not made by abi() when it is first called: kernels are prepared by several threads at once, and they share the bodies
// of scalar functions.
void Program::make_abi() {
  auto view = std::make_shared<AbiView>();
  for (const ScalarFunction* f : functions_) {
    view->functions.push_back({f->name.c_str(), f->version, 0, &f->lowered->abi()});
  }
  view->program.hdr.size = sizeof(lks_program);
  view->program.input_count = static_cast<std::uint32_t>(input_dtypes_.size());
  view->program.output_count = static_cast<std::uint32_t>(outputs_.size());
  view->program.instr_count = static_cast<std::uint32_t>(instrs_.size());
  view->program.function_count = static_cast<std::uint32_t>(functions_.size());
  view->program.input_dtypes = input_dtypes_.data();
  view->program.instrs = instrs_.data();
  view->program.outputs = outputs_.data();
  view->program.functions = view->functions.data();
  abi_ = std::move(view);
}

std::string Program::to_string() const {
  std::string text;
  for (std::size_t i = 0; i < instrs_.size(); ++i) {
    const lks_instr& instr = instrs_[i];
    text += "%" + std::to_string(i) + " = " + opcode_text(instr.opcode);
    if (instr.opcode == LKS_INSTR_CALL) text += " " + functions_[instr.imm]->name;
    text += " " + dtype_text(instr.dtype);
    if (instr.opcode == LKS_INSTR_CONST) {
      char bits[24];
      std::snprintf(bits, sizeof bits, " 0x%llx", static_cast<unsigned long long>(instr.imm));
      text += bits;
    } else if (instr.opcode <= LKS_INSTR_INDEX) {
      text += " " + std::to_string(instr.imm);
    }
    for (int a = 0; a < arg_count(instr, functions_); ++a) text += " %" + std::to_string(instr.args[a]);
    text += "\n";
  }
  text += "return";
  for (std::uint32_t o : outputs_) text += " %" + std::to_string(o);
  return text + "\n";
}

// Inputs are kept even if unused, so that their numbers do not change.
void Program::drop_unused() {
  std::vector<bool> used(instrs_.size());
  for (std::uint32_t o : outputs_) used[o] = true;
  for (std::size_t i = instrs_.size(); i-- > 0;) {
    used[i] = used[i] || instrs_[i].opcode == LKS_INSTR_INPUT;
    if (!used[i]) continue;
    for (int a = 0; a < arg_count(instrs_[i], functions_); ++a) used[instrs_[i].args[a]] = true;
  }
  std::vector<std::uint32_t> moved(instrs_.size());
  std::vector<lks_instr> kept;
  for (std::size_t i = 0; i < instrs_.size(); ++i) {
    if (!used[i]) continue;
    moved[i] = static_cast<std::uint32_t>(kept.size());
    kept.push_back(instrs_[i]);
    for (int a = 0; a < arg_count(instrs_[i], functions_); ++a) kept.back().args[a] = moved[kept.back().args[a]];
  }
  for (std::uint32_t& o : outputs_) o = moved[o];
  instrs_ = std::move(kept);
}

// ------------------------------------------------------------------------------------------------------ ProgramBuilder

Expr ProgramBuilder::emit(std::uint32_t opcode, lks_dtype dtype, std::span<const Expr> args, std::uint64_t imm) {
  lks_instr instr{opcode, dtype, {0, 0, 0}, 0, imm};
  for (std::size_t i = 0; i < args.size(); ++i) {
    if (&args[i].builder() != this) fail("a value of another program was used");
    instr.args[i] = args[i].value();
  }
  const auto same = [&](const lks_instr& other) {
    return other.opcode == instr.opcode && other.dtype == instr.dtype && other.imm == instr.imm &&
           std::equal(instr.args, instr.args + 3, other.args);
  };
  // Programs are short, so a linear search is fast enough.
  const auto known = std::find_if(program_.instrs_.begin(), program_.instrs_.end(), same);
  if (known != program_.instrs_.end()) {
    return {*this, static_cast<std::uint32_t>(known - program_.instrs_.begin()), dtype};
  }
  program_.instrs_.push_back(instr);
  return {*this, static_cast<std::uint32_t>(program_.instrs_.size() - 1), dtype};
}

Expr ProgramBuilder::input(lks_dtype dtype) {
  program_.input_dtypes_.push_back(dtype);
  return emit(LKS_INSTR_INPUT, dtype, {}, program_.input_dtypes_.size() - 1);
}

Expr ProgramBuilder::scalar(std::uint32_t index, lks_dtype dtype) { return emit(LKS_INSTR_SCALAR, dtype, {}, index); }

Expr ProgramBuilder::constant(lks_dtype dtype, double number) { return constant_bits(dtype, bits_of(dtype, number)); }

Expr ProgramBuilder::constant_integer(lks_dtype dtype, std::int64_t number) {
  return constant_bits(dtype, bits_of(dtype, number));
}

Expr ProgramBuilder::constant_bits(lks_dtype dtype, std::uint64_t bits) {
  return emit(LKS_INSTR_CONST, dtype, {}, bits);
}

Expr ProgramBuilder::index(std::uint32_t axis) { return emit(LKS_INSTR_INDEX, LKS_I64, {}, axis); }

Expr ProgramBuilder::linear_index() { return emit(LKS_INSTR_LINEAR, LKS_I64, {}); }

Expr ProgramBuilder::call(const ScalarFunction& function, std::span<const Expr> args) {
  if (!function.lowered) {
    ErrorBuilder(ErrorId::invalid_op_definition, "program",
                 "the scalar function " + function.name + " is not registered")
        .fix("call what register_scalar_function() returns")
        .raise();
  }
  if (args.size() != function.arity) fail(function.name + " takes " + std::to_string(function.arity) + " arguments");
  for (const Expr& arg : args) {
    if (arg.dtype() != function.dtype) fail(function.name + " of " + dtype_text(arg.dtype()));
  }
  std::size_t index = 0;
  while (index < program_.functions_.size() && program_.functions_[index] != &function) ++index;
  if (index == program_.functions_.size()) program_.functions_.push_back(&function);
  return emit(LKS_INSTR_CALL, function.dtype, args, index);
}

Program ProgramBuilder::finish(std::span<const Expr> outputs) {
  for (const Expr& e : outputs) {
    if (&e.builder() != this) fail("a value of another program was returned");
    program_.outputs_.push_back(e.value());
  }
  program_.drop_unused();
  program_.make_abi();
  return std::move(program_);
}

// ---------------------------------------------------------------------------------------------------------------- Expr

Expr Expr::constant_real(double number) const { return builder_->constant(dtype_, number); }
Expr Expr::constant_integer(std::int64_t number) const { return builder_->constant_integer(dtype_, number); }

Expr operator+(Expr a, Expr b) { return binary(LKS_INSTR_ADD, a, b); }
Expr operator-(Expr a, Expr b) { return binary(LKS_INSTR_SUB, a, b); }
Expr operator*(Expr a, Expr b) { return binary(LKS_INSTR_MUL, a, b); }
Expr operator/(Expr a, Expr b) { return binary(LKS_INSTR_DIV, a, b); }
Expr operator-(Expr a) { return unary(LKS_INSTR_NEG, a); }
Expr operator<(Expr a, Expr b) { return compare(LKS_INSTR_LT, a, b); }
Expr operator<=(Expr a, Expr b) { return compare(LKS_INSTR_LE, a, b); }
Expr operator>(Expr a, Expr b) { return compare(LKS_INSTR_LT, b, a); }
Expr operator>=(Expr a, Expr b) { return compare(LKS_INSTR_LE, b, a); }
Expr operator==(Expr a, Expr b) { return compare(LKS_INSTR_EQ, a, b); }
Expr operator!=(Expr a, Expr b) { return compare(LKS_INSTR_NE, a, b); }
Expr operator&(Expr a, Expr b) { return binary(LKS_INSTR_AND, a, b); }
Expr operator|(Expr a, Expr b) { return binary(LKS_INSTR_OR, a, b); }
Expr operator^(Expr a, Expr b) { return binary(LKS_INSTR_XOR, a, b); }
Expr operator~(Expr a) { return unary(LKS_INSTR_NOT, a); }
Expr operator!(Expr a) { return unary(LKS_INSTR_NOT, a); }
Expr operator<<(Expr a, int count) { return binary(LKS_INSTR_SHL, a, a.constant(count)); }
Expr operator>>(Expr a, int count) { return binary(LKS_INSTR_SHR, a, a.constant(count)); }

Expr select(Expr condition, Expr if_true, Expr if_false) {
  if (condition.dtype() != LKS_BOOL || if_true.dtype() != if_false.dtype()) {
    fail("select of " + dtype_text(condition.dtype()) + ", " + dtype_text(if_true.dtype()) + " and " +
         dtype_text(if_false.dtype()));
  }
  const std::array args = {condition, if_true, if_false};
  return condition.builder().emit(LKS_INSTR_SELECT, if_true.dtype(), args);
}

Expr sqrt(Expr x) {
  if (!is_float_class(x.dtype())) fail("sqrt of " + dtype_text(x.dtype()));
  return unary(LKS_INSTR_SQRT, x);
}
Expr abs(Expr x) { return unary(LKS_INSTR_ABS, x); }
Expr convert(Expr x, lks_dtype to) {
  if (x.dtype() == to) return x;
  const std::array args = {x};
  return x.builder().emit(LKS_INSTR_CONVERT, to, args);
}
Expr bitcast(Expr x, lks_dtype to) {
  if (LKS_DTYPE_BITS(x.dtype()) != LKS_DTYPE_BITS(to)) {
    fail("bitcast of " + dtype_text(x.dtype()) + " to " + dtype_text(to));
  }
  const std::array args = {x};
  return x.builder().emit(LKS_INSTR_BITCAST, to, args);
}
Expr mulhi(Expr a, Expr b) {
  if (a.dtype() != LKS_U32) fail("mulhi of " + dtype_text(a.dtype()));
  return binary(LKS_INSTR_MULHI, a, b);
}

Expr exp(Expr x) { return call_named("exp", {x}); }
Expr log(Expr x) { return call_named("log", {x}); }
Expr tanh(Expr x) { return call_named("tanh", {x}); }
Expr sigmoid(Expr x) { return call_named("sigmoid", {x}); }
Expr pow(Expr x, Expr y) { return call_named("pow", {x, y}); }
Expr rsqrt(Expr x) { return call_named("rsqrt", {x}); }
Expr inverse_normal_cdf(Expr p) { return call_named("inverse_normal_cdf", {p}); }
Expr normal_cdf(Expr x) { return call_named("normal_cdf", {x}); }
Expr tanh_slope(Expr x) { return call_named("tanh_slope", {x}); }
#define LOCKSTEP_SCALAR_OP(id, name, error_class, doc) \
  Expr name(Expr x) { return call_named(#name, {x}); }
#include "lockstep/scalar_ops.def"
#undef LOCKSTEP_SCALAR_OP

// Integers use plain comparisons. Floats use a shared scalar function, which handles NaN and the sign of zero.
Expr minimum(Expr a, Expr b) { return is_float_class(a.dtype()) ? call_named("minimum", {a, b}) : select(b < a, b, a); }
Expr maximum(Expr a, Expr b) { return is_float_class(a.dtype()) ? call_named("maximum", {a, b}) : select(a < b, b, a); }

}  // namespace lockstep
