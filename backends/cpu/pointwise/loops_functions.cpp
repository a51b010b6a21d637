// Loops for named scalar functions, and the search for any loop.
#include "backends/cpu/pointwise/loop_templates.h"
#include "backends/cpu/scalar_functions.h"

namespace cpu {
namespace {

#define UNARY(name)                                         \
  struct name##_function {                                  \
    static float apply(float x) { return name##_f32(x); }   \
    static double apply(double x) { return name##_f64(x); } \
  };
#define BINARY(name)                                                     \
  struct name##_function {                                               \
    static float apply(float x, float y) { return name##_f32(x, y); }    \
    static double apply(double x, double y) { return name##_f64(x, y); } \
  };

UNARY(exp)
UNARY(log)
UNARY(tanh)
UNARY(sigmoid)
UNARY(rsqrt)
UNARY(inverse_normal_cdf)
UNARY(tanh_slope)
UNARY(normal_cdf)
#define LOCKSTEP_SCALAR_OP(id, name, error_class, doc) UNARY(name)
#include "lockstep/scalar_ops.def"
#undef LOCKSTEP_SCALAR_OP
BINARY(pow)
BINARY(minimum)
BINARY(maximum)

template <class F, class T>
Loop unary(const Uniform&) {
  return &unary_loop<F, T, T>;
}
template <class F, class T>
Loop binary(const Uniform& uniform) {
  return pick_binary<F, T, T>(uniform);
}

// A function that has its own loop, at exactly this version. All other calls are inlined from the bodies in the
// program.
struct Known {
  std::string_view name;
  std::uint32_t version;
  Loop (*f32)(const Uniform&);
  Loop (*f64)(const Uniform&);
};

#define KNOWN(arity, name, version) \
  { #name, version, &arity < name##_function, float>, &arity < name##_function, double> }

constexpr Known functions[] = {
    KNOWN(unary, exp, 1),        KNOWN(unary, log, 1),        KNOWN(unary, tanh, 1),
    KNOWN(unary, sigmoid, 1),    KNOWN(unary, rsqrt, 1),      KNOWN(unary, inverse_normal_cdf, 1),
    KNOWN(binary, pow, 1),       KNOWN(binary, minimum, 1),   KNOWN(binary, maximum, 1),
    KNOWN(unary, tanh_slope, 1), KNOWN(unary, normal_cdf, 1),
#define LOCKSTEP_SCALAR_OP(id, name, error_class, doc) KNOWN(unary, name, 1),
#include "lockstep/scalar_ops.def"
#undef LOCKSTEP_SCALAR_OP
};

}  // namespace

Loop find_function_loop(const LoopKey& key) {
  for (const Known& f : functions) {
    if (f.name != key.function || f.version != key.version) continue;
    if (key.type == LKS_F32) return f.f32(key.uniform);
    return key.type == LKS_F64 ? f.f64(key.uniform) : nullptr;
  }
  return nullptr;
}

bool knows_function(std::string_view name, std::uint32_t version, lks_dtype type) {
  return find_function_loop({.opcode = LKS_INSTR_CALL, .type = type, .function = name, .version = version}) != nullptr;
}

Loop find_loop(const LoopKey& key) {
  if (key.opcode == LKS_INSTR_CALL) return find_function_loop(key);
  if (key.opcode == LKS_INSTR_CONVERT) return find_convert_loop(key.type, key.result);
  if (key.opcode >= choose_lt) return find_choose_loop(key);
  if (const Loop loop = find_arithmetic_loop(key)) return loop;
  return find_logic_loop(key);
}

}  // namespace cpu
