// The dtypes of a call, decided once, before anything else looks at it: inference, promotion, launches, kernel caches
// and oracles read them here.
//
// Inputs of one group have one dtype. Tensors bring theirs, and differing tensors are refused. Numbers have no dtype of
// their own:
//   - Beside tensors of its group, a number takes their dtype. A floating number beside integers or bools makes these
//     f32 (they are cast before the op) where the op takes f32, and is refused where it does not.
//   - Numbers alone are bool, i32 or f32, by the most general kind of number in the group; where the op does not take
//     that dtype, the next that it takes of bool, i32, i64, f32, f64 and the rest.
//   - For an input without a group, OpDef::dtype_of_number decides where there is one, else the rule of numbers alone.
//   - An integer that the dtype cannot hold is refused.
#pragma once

#include "lockstep/op_def.h"
#include "runtime/inline_vector.h"

namespace lockstep {

class CallTypes {
 public:
  /// Throws DTypeError LS2101 where tensors of a group differ, LS2102 where the op does not take a dtype, ShapeError
  /// LS2007 for integers that do not fit, LS2011 where an input is missing or a number is given for an input that the
  /// op writes to.
  explicit CallTypes(const OpCall& call);
  /// For calls that the runtime makes itself: all operands, and the result, of one dtype.
  explicit CallTypes(DType all) : group_(all), result_(all) {}
  CallTypes(const CallTypes&) = delete;
  CallTypes& operator=(const CallTypes&) = delete;

  /// The dtype that operand i must have: of a tensor its own unless it is promoted.
  DType operand(std::size_t i) const { return operands_.empty() ? group_ : operands_[i]; }
  /// The dtype of group T.
  DType group() const { return group_; }
  /// Whether tensors must be cast.
  bool promotes() const { return promotes_; }
  /// Of the first output; known after inference.
  DType result() const { return result_; }
  void set_result(DType result) { result_ = result; }

  /// The dtype in which a pointwise program gets operand i, a number. Beside f16 or bf16 tensors it takes part as f32,
  /// as they do, and is not rounded to their dtype before; only where nothing is rounded at the end, as in comparisons,
  /// it is: so full(shape, 0.1, f16) equals 0.1.
  DType number(std::size_t i) const { return is_floating(result_) ? compute_dtype(operand(i)) : operand(i); }

 private:
  bool decide_at_once(const OpCall& call);

  InlineVector<DType, 8> operands_;  // empty where all are of the group's dtype
  DType group_ = DType::f32, result_ = DType::f32;
  bool promotes_ = false;
};

/// What a number is where nothing else decides: bool, i32 or f32.
DType dtype_of_number(const Scalar& number);

/// The integers that a dtype of integers, or bool, holds.
struct IntegerRange {
  std::int64_t least, most;
};
IntegerRange integer_range(DType t);

/// Throws ShapeError LS2007 where the number is an integer that the dtype cannot hold.
void check_number(const OpCall& call, const Scalar& number, DType dtype);

/// Whether numbers of the call must become tensors before it is carried out.
bool numbers_become_tensors(const OpCall& call);

/// A call with other operands: casts and tensors in place of what it was given. Keeps what it made.
class RewrittenOperands {
 public:
  /// `cast(operand, dtype)` and `make(number, dtype)` give tensors.
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
