// The dtypes of a call, decided once, before anything else reads them: inference, promotion, launches, kernel caches
// and oracles.
//
// The inputs of one group have one dtype. Tensors bring their own; tensors of one group with different dtypes are an
// error. Numbers have no dtype of their own:
//   - Beside tensors of its group, a number takes their dtype. If the number is floating and the tensors are integers
//     or bools, the tensors become f32 (they are cast before the op). If the op does not take f32, the call is an
//     error.
//   - In a group of numbers only, the most general kind of number decides: bool, i32 or f32. If the op does not take
//     that dtype, the group gets the next dtype that the op takes, in the order bool, i32, i64, f32, f64 and the rest.
//   - For an input without a group, OpDef::dtype_of_number decides if it is set, else the rule for numbers only.
//   - An integer that the dtype cannot hold is an error.
#pragma once

#include "lockstep/op_def.h"
#include "runtime/inline_vector.h"

namespace lockstep {

class CallTypes {
 public:
  /// Throws DTypeError LS2101 if tensors of a group differ, DTypeError LS2102 if the op does not take a dtype,
  /// ShapeError LS2007 if an integer does not fit, and ShapeError LS2011 if an input is missing or a number is given
  /// for an input that the op writes.
  explicit CallTypes(const OpCall& call);
  /// For calls that the runtime makes itself: all operands and the result have one dtype.
  explicit CallTypes(DType all) : group_(all), result_(all) {}
  CallTypes(const CallTypes&) = delete;
  CallTypes& operator=(const CallTypes&) = delete;

  /// The dtype that operand i must have. For a tensor this is its own dtype, unless it is promoted.
  DType operand(std::size_t i) const { return operands_.empty() ? group_ : operands_[i]; }
  /// The dtype of group T.
  DType group() const { return group_; }
  /// Whether tensors must be cast.
  bool promotes() const { return promotes_; }
  /// The dtype of the first output. Valid after inference.
  DType result() const { return result_; }
  void set_result(DType result) { result_ = result; }

  /// The dtype in which a pointwise program receives operand i, a number. Beside f16 or bf16 tensors a number is f32 in
  /// the program, as the tensors are, and is not rounded to their dtype first. If nothing is rounded at the end, as in
  /// comparisons, the number is rounded to the tensors' dtype, so that full(shape, 0.1, f16) equals 0.1.
  DType number(std::size_t i) const { return is_floating(result_) ? compute_dtype(operand(i)) : operand(i); }

 private:
  bool decide_at_once(const OpCall& call);

  InlineVector<DType, 8> operands_;  // empty if all have the group's dtype
  DType group_ = DType::f32, result_ = DType::f32;
  bool promotes_ = false;
};

/// The dtype of a number if nothing else decides: bool, i32 or f32.
DType dtype_of_number(const Scalar& number);

/// The least and the largest integer that an integer dtype, or bool, holds.
struct IntegerRange {
  std::int64_t least, most;
};
IntegerRange integer_range(DType t);

/// An integer as text.
std::string integer_text(const Scalar& number);

/// False for an integer that the dtype, an integer or bool, cannot hold.
inline bool fits_in(const Scalar& number, DType dtype) {
  if (number.kind == Scalar::Kind::floating || is_floating(dtype)) return true;
  const IntegerRange range = integer_range(dtype);
  return !number.above_int64 && number.integer >= range.least && number.integer <= range.most;
}

/// For an op's own number that becomes an element. Throws ShapeError LS2007 if the dtype is an integer or bool and the
/// number, integer or floating, is not one of its values; TraceError LS4101 if it is floating and known only at launch.
void check_element(const OpCall& call, const Scalar& number, DType dtype);

/// Whether the numbers of the call must become tensors before the call runs.
bool numbers_become_tensors(const OpCall& call);

/// The operands of a call after the casts and tensors that it needs have replaced others. Owns these tensors.
class RewrittenOperands {
 public:
  /// `cast(operand, dtype)` and `make(number, dtype)` return tensors.
  template <class Cast, class Make>
  RewrittenOperands(const OpCall& call, const CallTypes& types, Cast&& cast, Make&& make)
      : operands_(call.inputs.begin(), call.inputs.end()) {
    made_.reserve(operands_.size());
    const bool numbers = numbers_become_tensors(call);
    for (std::size_t i = 0; i < operands_.size(); ++i) {
      const Operand& operand = call.inputs[i];
      if (operand.is_tensor() && dtype_of(operand) != types.operand(i)) {
        made_.push_back(cast(operand, types.operand(i)));
      } else if (numbers && operand.is_scalar()) {
        made_.push_back(make(operand.scalar(), types.operand(i)));
      } else {
        continue;
      }
      operands_[i] = Operand(made_.back(), call.where);
    }
  }
  std::span<const Operand> operands() const { return operands_; }

 private:
  static DType dtype_of(const Operand& operand);
  std::vector<Operand> operands_;
  std::vector<Tensor> made_;
};

}  // namespace lockstep
