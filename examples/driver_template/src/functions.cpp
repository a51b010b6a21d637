// The functions that programs may call by name, compiled from the scalar headers that Lockstep installs. For a device
// with its own language, write a dialect header and include the same files after it.
#include <lockstep/scalar/dialect_cpp.h>

#include <cstring>

#include "program.h"

namespace {

#include <lockstep/scalar/all.inc>

template <class T, T (*F)(T)>
void of_one(Bits* out, const Bits* const* args, int n) {
  for (int i = 0; i < n; ++i) out[i] = encode(F(decode<T>(args[0][i])));
}
template <class T, T (*F)(T, T)>
void of_two(Bits* out, const Bits* const* args, int n) {
  for (int i = 0; i < n; ++i) out[i] = encode(F(decode<T>(args[0][i]), decode<T>(args[1][i])));
}

struct Named {
  const char* name;
  Function f32, f64;
};

constexpr Named known[] = {
    {"exp", &of_one<float, exp_f32>, &of_one<double, exp_f64>},
    {"log", &of_one<float, log_f32>, &of_one<double, log_f64>},
    {"pow", &of_two<float, pow_f32>, &of_two<double, pow_f64>},
    {"tanh", &of_one<float, tanh_f32>, &of_one<double, tanh_f64>},
    {"sigmoid", &of_one<float, sigmoid_f32>, &of_one<double, sigmoid_f64>},
    {"rsqrt", &of_one<float, rsqrt_f32>, &of_one<double, rsqrt_f64>},
    {"minimum", &of_two<float, minimum_f32>, &of_two<double, minimum_f64>},
    {"maximum", &of_two<float, maximum_f32>, &of_two<double, maximum_f64>},
    {"inverse_normal_cdf", &of_one<float, inverse_normal_cdf_f32>, &of_one<double, inverse_normal_cdf_f64>},
    {"tanh_slope", &of_one<float, tanh_slope_f32>, &of_one<double, tanh_slope_f64>},
    {"normal_cdf", &of_one<float, normal_cdf_f32>, &of_one<double, normal_cdf_f64>},
#define LOCKSTEP_SCALAR_OP(id, name, error_class, doc) {#name, &of_one<float, name##_f32>, &of_one<double, name##_f64>},
#include <lockstep/scalar_ops.def>
#undef LOCKSTEP_SCALAR_OP
};

}  // namespace

Function find_function(const char* name, std::uint32_t version, lks_dtype dtype) {
  if (version != 1) return nullptr;
  for (const Named& f : known) {
    if (std::strcmp(f.name, name) != 0) continue;
    return dtype == LKS_F32 ? f.f32 : dtype == LKS_F64 ? f.f64 : nullptr;
  }
  return nullptr;
}
