#include "runtime/dlpack_types.h"

namespace lockstep {

DLDataType dlpack_type(DType dtype) {
  const auto bits = static_cast<std::uint8_t>(8 * size_of(dtype));
  switch (dtype) {
    case DType::f32:
    case DType::f64:
    case DType::f16: return {dlpack::float_code, bits, 1};
    case DType::bf16: return {dlpack::bfloat_code, bits, 1};
    case DType::i8:
    case DType::i32:
    case DType::i64: return {dlpack::int_code, bits, 1};
    case DType::u8: return {dlpack::uint_code, bits, 1};
    case DType::boolean: return {dlpack::bool_code, bits, 1};
  }
  fail_dtype(static_cast<int>(dtype));
}

std::optional<DType> dtype_of(const DLDataType& type) {
  if (type.lanes != 1) return std::nullopt;
  for (int i = 0; i < dtype_count; ++i) {
    const DLDataType known = dlpack_type(static_cast<DType>(i));
    if (known.code == type.code && known.bits == type.bits) return static_cast<DType>(i);
  }
  return std::nullopt;
}

}  // namespace lockstep
