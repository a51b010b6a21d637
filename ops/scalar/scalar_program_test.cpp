// The recorded bodies of the scalar functions give the same bits as the compiled ones, which is what makes drivers
// agree. Their derivatives are those of their oracles.
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <span>
#include <string>

#include "lockstep/error.h"
#include "ops/scalar/test_support.h"

namespace lockstep::testing {
namespace {

/// Runs programs one instruction at a time, in plain float and double arithmetic. Values are bits.
class Interpreter {
 public:
  explicit Interpreter(const Program& program) : program_(program), values_(program.instrs().size()) {}

  std::uint64_t run(std::span<const std::uint64_t> inputs) {
    for (std::size_t i = 0; i < values_.size(); ++i) values_[i] = step(program_.instrs()[i], inputs);
    return values_[program_.outputs()[0]];
  }

 private:
  lks_dtype dtype_of_arg(const lks_instr& instr) const { return program_.instrs()[instr.args[0]].dtype; }

  std::uint64_t step(const lks_instr& instr, std::span<const std::uint64_t> inputs) const {
    const std::uint64_t a = values_[instr.args[0]], b = values_[instr.args[1]], c = values_[instr.args[2]];
    switch (instr.opcode) {
      case LKS_INSTR_INPUT: return inputs[instr.imm];
      case LKS_INSTR_CONST: return instr.imm;
      case LKS_INSTR_CALL: return call(instr);
      case LKS_INSTR_SELECT: return a ? b : c;
      case LKS_INSTR_BITCAST: return a;
      case LKS_INSTR_CONVERT:
        EXPECT_TRUE(dtype_of_arg(instr) == LKS_I32 && instr.dtype == LKS_F32) << "not a word of the dialect";
        return std::bit_cast<std::uint32_t>(static_cast<float>(static_cast<std::int32_t>(a)));
      default: break;
    }
    switch (instr.opcode >= LKS_INSTR_LT && instr.opcode <= LKS_INSTR_NE ? dtype_of_arg(instr) : instr.dtype) {
      case LKS_F32: return float_step<float>(instr.opcode, a, b);
      case LKS_F64: return float_step<double>(instr.opcode, a, b);
      case LKS_U32: return integer_step<std::uint32_t>(instr.opcode, a, b);
      case LKS_I32: return static_cast<std::uint32_t>(integer_step<std::int32_t>(instr.opcode, a, b));
      case LKS_U64: return integer_step<std::uint64_t>(instr.opcode, a, b);
      case LKS_BOOL: return integer_step<std::uint8_t>(instr.opcode, a, b) & 1;
      default: ADD_FAILURE() << "dtype " << instr.dtype << " in a scalar function"; return 0;
    }
  }

  std::uint64_t call(const lks_instr& instr) const {
    const ScalarFunction& f = *program_.functions()[instr.imm];
    std::array<std::uint64_t, 3> args{};
    for (std::uint32_t i = 0; i < f.arity; ++i) args[i] = values_[instr.args[i]];
    return Interpreter(*f.lowered).run(std::span(args).first(f.arity));
  }

  template <class T>
  static std::uint64_t float_step(std::uint32_t opcode, std::uint64_t a_bits, std::uint64_t b_bits) {
    const T a = std::bit_cast<T>(static_cast<Bits<T>>(a_bits)), b = std::bit_cast<T>(static_cast<Bits<T>>(b_bits));
    const auto bits = [](T x) { return std::uint64_t{std::bit_cast<Bits<T>>(x)}; };
    switch (opcode) {
      case LKS_INSTR_ADD: return bits(a + b);
      case LKS_INSTR_SUB: return bits(a - b);
      case LKS_INSTR_MUL: return bits(a * b);
      case LKS_INSTR_DIV: return bits(a / b);
      case LKS_INSTR_SQRT: return bits(std::sqrt(a));
      case LKS_INSTR_NEG: return bits(-a);
      case LKS_INSTR_ABS: return bits(std::fabs(a));
      case LKS_INSTR_LT: return a < b;
      case LKS_INSTR_LE: return a <= b;
      case LKS_INSTR_EQ: return a == b;
      case LKS_INSTR_NE: return a != b;
      default: ADD_FAILURE() << "opcode " << opcode << " of floats"; return 0;
    }
  }

  template <class T>
  static T integer_step(std::uint32_t opcode, std::uint64_t a_bits, std::uint64_t b_bits) {
    const T a = static_cast<T>(a_bits), b = static_cast<T>(b_bits);
    switch (opcode) {
      case LKS_INSTR_ADD: return static_cast<T>(a_bits + b_bits);
      case LKS_INSTR_SUB: return static_cast<T>(a_bits - b_bits);
      case LKS_INSTR_MUL: return static_cast<T>(a_bits * b_bits);
      case LKS_INSTR_AND: return a & b;
      case LKS_INSTR_OR: return a | b;
      case LKS_INSTR_XOR: return a ^ b;
      case LKS_INSTR_NOT: return static_cast<T>(~a);
      case LKS_INSTR_SHL: return static_cast<T>(a_bits << b_bits);
      case LKS_INSTR_SHR: return static_cast<T>(a >> b);
      case LKS_INSTR_MULHI: return static_cast<T>((a_bits & 0xffffffff) * (b_bits & 0xffffffff) >> 32);  // of u32
      case LKS_INSTR_LT: return a < b;
      case LKS_INSTR_EQ: return a == b;
      case LKS_INSTR_NE: return a != b;
      default: ADD_FAILURE() << "opcode " << opcode << " of integers"; return 0;
    }
  }

  const Program& program_;
  std::vector<std::uint64_t> values_;
};

template <class T>
T run(Interpreter& interpreter, std::span<const T> args) {
  std::array<std::uint64_t, 3> inputs{};
  for (std::size_t i = 0; i < args.size(); ++i) inputs[i] = std::bit_cast<Bits<T>>(args[i]);
  return std::bit_cast<T>(static_cast<Bits<T>>(interpreter.run(std::span(inputs).first(args.size()))));
}

template <class T>
void check_bits() {
  std::vector<Pair<T>> unary;
  for (T x : unary_inputs<T>(std::is_same_v<T, float> ? 20'011 : 8'009)) unary.push_back({x, 0});
  const std::vector<Pair<T>> binary = binary_inputs<T>(30'000);
  for (const Compiled<T>& f : compiled_functions<T>()) {
    const std::vector<Pair<T>>& inputs = f.arity == 1 ? unary : binary;
    EXPECT_GE(inputs.size(), 100'000U);
    Interpreter recorded(*find_scalar_function(f.name, dtype_of<T>)->lowered);
    for (const Pair<T>& p : inputs) {
      const std::array<T, 2> args = {p.x, p.y};
      const T got = run<T>(recorded, std::span(args).first(static_cast<std::size_t>(f.arity)));
      ASSERT_TRUE(same_bits(got, f.call(p.x, p.y))) << f.name << " of " << p.x << ", " << p.y << " is " << got;
    }
  }
}

TEST(ScalarProgram, recorded_f32_bodies_give_the_bits_of_compiled_ones) { check_bits<float>(); }
TEST(ScalarProgram, recorded_f64_bodies_give_the_bits_of_compiled_ones) { check_bits<double>(); }

TEST(ScalarProgram, calls_take_registered_functions_only) {
  ScalarFunction copy = *find_scalar_function("exp", LKS_F32);
  copy.name = "acme::exp";
  copy.lowered = nullptr;
  ProgramBuilder builder;
  const std::array args = {builder.input(LKS_F32)};
  try {
    builder.call(copy, args);
    FAIL() << "nothing was thrown";
  } catch (const Error& e) {
    EXPECT_EQ(e.id(), ErrorId::invalid_op_definition);
    EXPECT_NE(std::string(e.what()).find("acme::exp is not registered"), std::string::npos) << e.what();
  }
}

// --------------------------------------------------------------------------------------------------- derivatives

template <class T>
T derivative(const ScalarFunction& f, std::uint32_t which, std::span<const T> at) {
  ProgramBuilder builder;
  std::vector<Expr> args;
  for (std::uint32_t i = 0; i < f.arity; ++i) args.push_back(builder.input(f.dtype));
  const Expr value = builder.call(f, args);
  const Expr result = f.times_derivative(value.constant(1), args, value, which);
  const Program program = builder.finish(std::span(&result, 1));
  Interpreter interpreter(program);
  return run<T>(interpreter, at.first(f.arity));
}

long double difference_quotient(const ScalarFunction& f, std::uint32_t which, std::span<const long double> at) {
  std::array<long double, 2> low = {at[0], at[1]}, high = low;
  const long double step = 1e-6L * std::max(0.1L, std::fabs(at[which]));
  low[which] -= step;
  high[which] += step;
  return (f.oracle(std::span(high).first(f.arity)) - f.oracle(std::span(low).first(f.arity))) / (2 * step);
}

// Points that float represents exactly, inside the function's domain and away from its kinks.
const std::vector<std::array<double, 2>>& points_of(const std::string& name) {
  static const std::vector<std::array<double, 2>> everywhere = {{-7.5, 0},  {-2, 0},  {-0.625, 0},
                                                                {0.125, 0}, {1.5, 0}, {6, 0}},
                                                  positive = {{0.0625, 0}, {0.75, 0}, {3, 0}, {40, 0}},
                                                  probabilities = {{0.015625, 0}, {0.375, 0}, {0.5, 0}, {0.9375, 0}},
                                                  pairs = {{0.5, 2.25}, {3, -1.5}, {1.25, 7}, {2, 0}, {9, 0.5}};
  return name == "log" || name == "rsqrt"                          ? positive
         : name == "inverse_normal_cdf"                            ? probabilities
         : name == "pow" || name == "minimum" || name == "maximum" ? pairs
                                                                   : everywhere;
}

TEST(ScalarDerivative, agrees_with_difference_quotients_of_the_oracle) {
  for (const ScalarFunction* f : scalar_functions()) {
    ASSERT_TRUE(f->differentiable()) << f->name;
    for (const auto& point : points_of(f->name)) {
      const std::array<long double, 2> exact = {point[0], point[1]};
      const std::array<float, 2> single = {static_cast<float>(point[0]), static_cast<float>(point[1])};
      for (std::uint32_t which = 0; which < f->arity; ++which) {
        const long double want = difference_quotient(*f, which, exact);
        const bool is_f32 = f->dtype == LKS_F32;
        const double got = is_f32 ? derivative<float>(*f, which, single) : derivative<double>(*f, which, point);
        EXPECT_NEAR(got, static_cast<double>(want), (is_f32 ? 3e-6 : 3e-10) * static_cast<double>(1 + std::fabs(want)))
            << f->name << (is_f32 ? " f32" : " f64") << " by argument " << which << " at " << point[0] << ", "
            << point[1];
      }
    }
  }
}

double derivative_f64(const char* name, std::uint32_t which, double x, double y = 0) {
  const std::array<double, 2> at = {x, y};
  return derivative<double>(*find_scalar_function(name, LKS_F64), which, at);
}

TEST(ScalarDerivative, ties_share) {
  for (const char* name : {"minimum", "maximum"}) {
    EXPECT_EQ(derivative_f64(name, 0, 3, 3), 0.5);
    EXPECT_EQ(derivative_f64(name, 1, 3, 3), 0.5);
    EXPECT_EQ(derivative_f64(name, 0, -0.0, 0), 0.5);
  }
}

TEST(ScalarDerivative, of_pow_is_finite_at_its_edges) {
  EXPECT_EQ(derivative_f64("pow", 0, 0, 0), 0);  // x^0 is 1 everywhere
  EXPECT_EQ(derivative_f64("pow", 0, 0, 1), 1);
  EXPECT_EQ(derivative_f64("pow", 0, 0, 2), 0);
  EXPECT_EQ(derivative_f64("pow", 0, -3, 2), -6);
  EXPECT_EQ(derivative_f64("pow", 0, 0.5, HUGE_VAL), 0);
  EXPECT_EQ(derivative_f64("pow", 0, 2, -HUGE_VAL), 0);
  EXPECT_EQ(derivative_f64("pow", 1, 0, 2), 0);  // 0^y is 0 around y = 2
  EXPECT_EQ(derivative_f64("pow", 1, 0, 0), 0);
  EXPECT_EQ(derivative_f64("pow", 1, 0, -1), -HUGE_VAL);
  EXPECT_TRUE(std::isnan(derivative_f64("pow", 1, -2, 2)));  // (-2)^y is NaN around y = 2
  EXPECT_TRUE(std::isnan(derivative_f64("pow", 1, -2, 0.5)));
  EXPECT_TRUE(std::isnan(derivative_f64("pow", 1, std::nan(""), 2)));
  EXPECT_EQ(derivative_f64("pow", 1, HUGE_VAL, -1), 0);
  EXPECT_EQ(derivative_f64("pow", 1, HUGE_VAL, 2), HUGE_VAL);
}

TEST(ScalarDerivative, of_a_choice_goes_to_nan) {
  const double nan = std::nan("");
  for (const char* name : {"minimum", "maximum"}) {
    EXPECT_EQ(derivative_f64(name, 0, nan, 3), 1);
    EXPECT_EQ(derivative_f64(name, 1, nan, 3), 0);
    EXPECT_EQ(derivative_f64(name, 0, 3, nan), 0);
    EXPECT_EQ(derivative_f64(name, 1, 3, nan), 1);
    EXPECT_EQ(derivative_f64(name, 0, nan, nan), 0.5);
    EXPECT_EQ(derivative_f64(name, 1, nan, nan), 0.5);
  }
}

TEST(ScalarDerivative, of_gates_is_0_or_1_far_out) {
  for (const char* name : {"gelu", "gelu_tanh", "silu"}) {
    for (double far : {900.0, 1e30, 1e300, HUGE_VAL}) {
      EXPECT_EQ(derivative_f64(name, 0, far), 1) << name << far;
      EXPECT_EQ(derivative_f64(name, 0, -far), 0) << name << far;
    }
    EXPECT_TRUE(std::isnan(derivative_f64(name, 0, std::nan(""))));
  }
}

}  // namespace
}  // namespace lockstep::testing
