// Loops for value conversions between every two dtypes.
#include "backends/cpu/pointwise/half_width.h"
#include "backends/cpu/pointwise/loop_templates.h"

namespace cpu {
namespace {

template <class From, class To>
struct Convert {
  static To apply(From x) { return convert_value<To>(x); }
};

template <class From>
Loop convert_to(lks_dtype to) {
#define TO(type, T) \
  case type: return &unary_loop<Convert<From, T>, T, From>
  switch (to) {
    TO(LKS_F32, float);
    TO(LKS_F64, double);
    TO(LKS_F16, Half);
    TO(LKS_BF16, BFloat);
    TO(LKS_I8, std::int8_t);
    TO(LKS_U8, std::uint8_t);
    TO(LKS_I32, std::int32_t);
    TO(LKS_U32, std::uint32_t);
    TO(LKS_I64, std::int64_t);
    TO(LKS_U64, std::uint64_t);
    TO(LKS_BOOL, Bool8);
    default: return nullptr;
  }
#undef TO
}

}  // namespace

Loop find_convert_loop(lks_dtype from, lks_dtype to) {
  switch (from) {
    case LKS_F32: return convert_to<float>(to);
    case LKS_F64: return convert_to<double>(to);
    case LKS_F16: return convert_to<Half>(to);
    case LKS_BF16: return convert_to<BFloat>(to);
    case LKS_I8: return convert_to<std::int8_t>(to);
    case LKS_U8: return convert_to<std::uint8_t>(to);
    case LKS_I32: return convert_to<std::int32_t>(to);
    case LKS_U32: return convert_to<std::uint32_t>(to);
    case LKS_I64: return convert_to<std::int64_t>(to);
    case LKS_U64: return convert_to<std::uint64_t>(to);
    case LKS_BOOL: return convert_to<Bool8>(to);
    default: return nullptr;
  }
}

}  // namespace cpu
