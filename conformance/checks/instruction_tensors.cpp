#include "conformance/checks/instruction_tensors.h"

#include <cstring>

namespace lockstep::conformance {

DType tensor_dtype(lks_dtype t) {
  switch (t) {
    case LKS_F64: return DType::f64;
    case LKS_F16: return DType::f16;
    case LKS_BF16: return DType::bf16;
    case LKS_I8: return DType::i8;
    case LKS_U8: return DType::u8;
    case LKS_I32:
    case LKS_U32: return DType::i32;
    case LKS_I64:
    case LKS_U64: return DType::i64;
    case LKS_BOOL: return DType::boolean;
    default: return DType::f32;
  }
}

Expr as_operand(Expr input, lks_dtype t) {
  if (input.dtype() == t) return input;
  return t == LKS_U32 || t == LKS_U64 ? bitcast(input, t) : convert(input, t);
}

Expr as_result(Expr value) {
  if (value.dtype() == LKS_U32) return bitcast(value, LKS_I32);
  return value.dtype() == LKS_U64 ? bitcast(value, LKS_I64) : value;
}

Tensor tensor_of_words(const std::vector<std::uint64_t>& words, DType dtype, Device device) {
  const std::size_t size = size_of(dtype);
  std::vector<std::byte> bytes(words.size() * size);
  for (std::size_t i = 0; i < words.size(); ++i) std::memcpy(bytes.data() + i * size, &words[i], size);
  return Tensor::from_bytes(bytes.data(), bytes.size(), {dtype, Shape{static_cast<std::int64_t>(words.size())}},
                            device);
}

std::string program_id(const std::string& op, const std::string& dtype, MathMode mode, const std::string& name) {
  return "instructions/" + op + "/" + dtype + "/" + std::string(name_of(mode)) + "/" + name;
}

DType dtype_to_list(std::span<const lks_dtype> values) {
  const auto is_core = [](DType t) { return t == DType::f32 || t == DType::i32 || t == DType::boolean; };
  DType told = tensor_dtype(values.front());
  for (const lks_dtype value : values.subspan(1)) {
    const DType t = tensor_dtype(value);
    if (is_core(told) && !is_core(t)) told = t;
  }
  return told;
}

}  // namespace lockstep::conformance
