// Pointwise programs: the computation for one element, recorded as a short list of instructions that every driver can
// run, fuse and compile. Writing `x * sigmoid(beta * x)` with values of type Expr records a program.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include "lockstep/driver.h"
#include "lockstep/dtype.h"
#include "lockstep/export.h"

namespace LOCKSTEP_API lockstep {

class ProgramBuilder;
struct ScalarFunction;

/// A recorded program. Immutable, so threads may share it. `abi()` is the form that drivers take; it is valid as long
/// as the program, or the one that it is moved into.
class Program {
 public:
  Program() = default;  // without instructions
  Program(Program&&) noexcept = default;
  Program& operator=(Program&&) noexcept = default;
  std::span<const lks_instr> instrs() const { return instrs_; }
  std::span<const std::uint32_t> outputs() const { return outputs_; }
  std::span<const lks_dtype> input_dtypes() const { return input_dtypes_; }
  /// The functions that CALL instructions refer to, by index.
  std::span<const ScalarFunction* const> functions() const { return functions_; }
  const lks_program& abi() const;

  /// One instruction per line, such as "%2 = mul f32 %0 %1".
  std::string to_string() const;

 private:
  friend class ProgramBuilder;
  struct LOCKSTEP_HIDDEN AbiView;
  void drop_unused();
  void make_abi();
  std::vector<lks_instr> instrs_;
  std::vector<std::uint32_t> outputs_;
  std::vector<lks_dtype> input_dtypes_;
  std::vector<const ScalarFunction*> functions_;
  std::shared_ptr<const AbiView> abi_;  // points into the vectors above; absent before the program is finished
};

/// One value of a program that is being recorded. Operators and functions append instructions. Operands must have the
/// same dtype; a C++ number takes the dtype of the other operand.
class Expr {
 public:
  Expr(ProgramBuilder& builder, std::uint32_t value, lks_dtype dtype)
      : builder_(&builder), value_(value), dtype_(dtype) {}

  ProgramBuilder& builder() const { return *builder_; }
  std::uint32_t value() const { return value_; }
  lks_dtype dtype() const { return dtype_; }
  /// A constant of this value's dtype. An integer is taken as it is, a float is rounded to the dtype once.
  template <class N>
  requires std::is_arithmetic_v<N> Expr constant(N number)
  const {
    if constexpr (std::is_integral_v<N>)
      return constant_integer(static_cast<std::int64_t>(number));
    else
      return constant_real(static_cast<double>(number));
  }

 private:
  Expr constant_real(double number) const;
  Expr constant_integer(std::int64_t number) const;

  ProgramBuilder* builder_;
  std::uint32_t value_;
  lks_dtype dtype_;
};

/// A C++ number; it takes the dtype of the Expr that it is combined with.
template <class T>
concept Number = std::is_arithmetic_v<T>;

Expr operator+(Expr a, Expr b);
Expr operator-(Expr a, Expr b);
Expr operator*(Expr a, Expr b);
/// Integers truncate toward zero; x / 0 is 0.
Expr operator/(Expr a, Expr b);
Expr operator-(Expr a);
Expr operator<(Expr a, Expr b);
Expr operator<=(Expr a, Expr b);
Expr operator>(Expr a, Expr b);
Expr operator>=(Expr a, Expr b);
Expr operator==(Expr a, Expr b);
Expr operator!=(Expr a, Expr b);
Expr operator&(Expr a, Expr b);  // integers and bool
Expr operator|(Expr a, Expr b);
Expr operator^(Expr a, Expr b);
Expr operator~(Expr a);
Expr operator!(Expr a);
Expr operator<<(Expr a, int count);
Expr operator>>(Expr a, int count);  // arithmetic for signed, logical for unsigned dtypes

#define LOCKSTEP_EXPR_WITH_NUMBER(op) \
  template <Number N>                 \
  Expr operator op(Expr a, N b) {     \
    return a op a.constant(b);        \
  }                                   \
  template <Number N>                 \
  Expr operator op(N a, Expr b) {     \
    return b.constant(a) op b;        \
  }
LOCKSTEP_EXPR_WITH_NUMBER(+)
LOCKSTEP_EXPR_WITH_NUMBER(-)
LOCKSTEP_EXPR_WITH_NUMBER(*)
LOCKSTEP_EXPR_WITH_NUMBER(/)
LOCKSTEP_EXPR_WITH_NUMBER(<)
LOCKSTEP_EXPR_WITH_NUMBER(<=)
LOCKSTEP_EXPR_WITH_NUMBER(>)
LOCKSTEP_EXPR_WITH_NUMBER(>=)
LOCKSTEP_EXPR_WITH_NUMBER(==)
LOCKSTEP_EXPR_WITH_NUMBER(!=)
#undef LOCKSTEP_EXPR_WITH_NUMBER

Expr select(Expr condition, Expr if_true, Expr if_false);
Expr sqrt(Expr x);
Expr abs(Expr x);
Expr convert(Expr x, lks_dtype to);
Expr bitcast(Expr x, lks_dtype to);
Expr mulhi(Expr a, Expr b);  // u32

// Shared scalar functions (ops/scalar/); they give the same bits on every device.
Expr exp(Expr x);
Expr log(Expr x);
Expr tanh(Expr x);
Expr sigmoid(Expr x);
Expr pow(Expr x, Expr y);
Expr rsqrt(Expr x);
Expr minimum(Expr a, Expr b);  // propagates NaN; -0 < +0
Expr maximum(Expr a, Expr b);
Expr inverse_normal_cdf(Expr p);
Expr normal_cdf(Expr x);
Expr tanh_slope(Expr x);  // 1 - tanh(x)^2, without cancellation
#define LOCKSTEP_SCALAR_OP(id, name, error_class, doc) Expr name(Expr x);
#include "lockstep/scalar_ops.def"
#undef LOCKSTEP_SCALAR_OP

/// Records one program.
class ProgramBuilder {
 public:
  ProgramBuilder() = default;
  ProgramBuilder(const ProgramBuilder&) = delete;
  ProgramBuilder& operator=(const ProgramBuilder&) = delete;

  /// The next input.
  Expr input(lks_dtype dtype);
  /// The scalar number `index`, whose value is passed at launch.
  Expr scalar(std::uint32_t index, lks_dtype dtype);
  Expr constant(lks_dtype dtype, double number);
  Expr constant_integer(lks_dtype dtype, std::int64_t number);
  Expr constant_bits(lks_dtype dtype, std::uint64_t bits);
  /// The logical index of the element along an output axis, or its row-major index over all axes; i64.
  Expr index(std::uint32_t axis);
  Expr linear_index();
  /// Throws StateError LS1007 for a function that is not registered, and for wrong arguments.
  Expr call(const ScalarFunction& function, std::span<const Expr> args);
  Expr emit(std::uint32_t opcode, lks_dtype dtype, std::span<const Expr> args, std::uint64_t imm = 0);

  /// The instructions recorded so far; equal instructions are recorded once.
  std::span<const lks_instr> instrs() const { return program_.instrs_; }
  std::span<const ScalarFunction* const> functions() const { return program_.functions_; }

  /// The program, without the instructions that its outputs do not need.
  Program finish(std::span<const Expr> outputs);

 private:
  Program program_;
};

/// Number of values that an instruction reads.
int arg_count(const lks_instr& instr, std::span<const ScalarFunction* const> functions);

/// A scalar function of one dtype that gives the same bits on every device: a name, a body in core opcodes, derivatives
/// and a high-precision oracle. User code may add its own (`register_scalar_function`).
struct ScalarFunction {
  std::string name;
  std::uint32_t version = 1;
  std::uint32_t arity = 1;
  lks_dtype dtype = LKS_F32;  // of arguments and result
  Expr (*body)(std::span<const Expr> args) = nullptr;
  /// d f / d args[which], in terms of the arguments and the value f(args).
  Expr (*derivative)(std::span<const Expr> args, Expr value, std::uint32_t which) = nullptr;
  /// `upstream` times d f / d args[which]. Replaces `derivative` where the plain product would be wrong.
  /// Examples: upstream / x, since 1 / x may overflow; and a choice such as minimum, where an infinite or NaN upstream
  /// must not reach the argument that was not chosen.
  Expr (*chain)(std::span<const Expr> args, Expr value, std::uint32_t which, Expr upstream) = nullptr;
  long double (*oracle)(std::span<const long double> args) = nullptr;
  /// d f / d args[0], of a function of one argument whose differences do not show it everywhere: the sine of a large
  /// number changes its sign many times within the smallest step. Conformance compares gradients with it.
  long double (*slope)(std::span<const long double> args) = nullptr;
  float max_ulp = 4;                 // bound of the body's error, in units in the last place of the result
  float max_ulp_of_argument = 0;     // … or, if that is larger, in units in the last place of |args[0]|
  const Program* lowered = nullptr;  // the recorded body; set on registration

  bool differentiable() const { return derivative || chain; }
  /// `upstream` times d f / d args[which], by `chain` if it is set, otherwise by `derivative`.
  Expr times_derivative(Expr upstream, std::span<const Expr> args, Expr value, std::uint32_t which) const {
    return chain ? chain(args, value, which, upstream) : upstream * derivative(args, value, which);
  }
};

/// The function with that name for that dtype; nullptr if there is none.
const ScalarFunction* find_scalar_function(std::string_view name, lks_dtype dtype);
std::vector<const ScalarFunction*> scalar_functions();
/// Throws StateError LS1006 if the name is taken for that dtype, LS1007 if a field is missing.
const ScalarFunction& register_scalar_function(ScalarFunction function);

}  // namespace lockstep
