// What the checks of programs share: the dtypes of tensors that carry the bits of instructions, and how programs read
// and return them.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "lockstep/device.h"
#include "lockstep/driver.h"
#include "lockstep/program.h"
#include "lockstep/tensor.h"

namespace lockstep::conformance {

/// The dtype of a tensor with these bits. Tensors cannot be u32 or u64, so these are passed as i32 and i64.
DType tensor_dtype(lks_dtype t);

/// An input of a program as a value of dtype t, and a value as a result of it. Programs read f16 and bf16 as f32.
Expr as_operand(Expr input, lks_dtype t);
Expr as_result(Expr value);

/// A vector whose elements have the lowest bits of the words.
Tensor tensor_of_words(const std::vector<std::uint64_t>& words, DType dtype, Device device);

/// The id of a case of the suite "instructions".
std::string program_id(const std::string& op, const std::string& dtype, MathMode mode, const std::string& name);

/// The dtype under which a program is listed: of the dtypes of its values, one that a driver may lack.
DType dtype_to_list(std::span<const lks_dtype> values);

}  // namespace lockstep::conformance
