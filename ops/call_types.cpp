#include "ops/call_types.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdio>

#include "ops/call_error.h"
#include "runtime/tensor_impl.h"

namespace lockstep {
namespace {

// The dtypes that numbers may have, in the order in which they are tried.
constexpr DType generality[] = {DType::boolean, DType::i32,  DType::i64, DType::f32, DType::f64,
                                DType::f16,     DType::bf16, DType::i8,  DType::u8};

// The dtype of a group that has only numbers.
DType promoted_to(DType least, TypeSet accepted) {
  const auto* at = std::find(std::begin(generality), std::end(generality), least);
  const auto* found = std::find_if(at, std::end(generality), [&](DType t) { return accepted.has(t); });
  return found == std::end(generality) ? least : *found;
}

DType more_general(DType a, DType b) {
  const auto place = [](DType t) { return std::find(std::begin(generality), std::end(generality), t); };
  return place(a) < place(b) ? b : a;
}

// What the operands of one group imply for its dtype.
struct Group {
  char name = 'T';
  TypeSet accepted = types::any;
  bool has_tensor = false, has_floating_number = false;
  DType of_tensors = DType::f32;
  DType of_numbers = DType::boolean;

  bool promotes() const {
    return has_tensor && has_floating_number && !is_floating(of_tensors) && accepted.has(DType::f32);
  }
  DType dtype() const {
    if (!has_tensor) return promoted_to(of_numbers, accepted);
    return promotes() ? DType::f32 : of_tensors;
  }
};

class Groups {
 public:
  explicit Groups(const OpCall& call) {
    for (std::size_t i = 0; i < call.inputs.size(); ++i) {
      const InputDef& def = input_def(call.op, i);
      if (def.group != '-' && !call.inputs[i].is_absent()) add(of(def.group), def, call.inputs[i]);
    }
  }

  const Group* find(char name) const {
    const auto at = std::find_if(groups_.begin(), groups_.end(), [&](const Group& g) { return g.name == name; });
    return at == groups_.end() ? nullptr : at;
  }

 private:
  Group& of(char name) {
    if (const Group* known = find(name)) return groups_[static_cast<std::size_t>(known - groups_.begin())];
    groups_.push_back({name});
    return groups_.back();
  }

  // The first tensor decides the group's dtype.
  static void add(Group& group, const InputDef& def, const Operand& operand) {
    group.accepted.bits &= def.types.bits;
    if (operand.is_tensor()) {
      if (!group.has_tensor) group.of_tensors = operand.impl()->dtype;
      group.has_tensor = true;
      return;
    }
    const Scalar& number = operand.scalar();
    group.has_floating_number |= number.kind == Scalar::Kind::floating;
    group.of_numbers = more_general(group.of_numbers, dtype_of_number(number));
  }

  InlineVector<Group, 2> groups_;
};

DType ungrouped(const OpCall& call, const InputDef& def, const Operand& operand) {
  if (operand.is_tensor()) return operand.impl()->dtype;
  if (call.op.dtype_of_number) return call.op.dtype_of_number(call);
  return promoted_to(dtype_of_number(operand.scalar()), def.types);
}

std::string cast_hint(const OpCall& call, std::size_t i, DType to) {
  return "cast it: cast(" + input_name(call.op, i) +
         ", lockstep::" + (to == DType::boolean ? std::string("boolean") : std::string(name_of(to))) + ")";
}

[[noreturn]] void refuse_dtype(const OpCall& call, std::size_t i, DType given) {
  const InputDef& def = input_def(call.op, i);
  constexpr DType usual_first[] = {DType::f32, DType::i64,  DType::boolean, DType::i32, DType::f64,
                                   DType::f16, DType::bf16, DType::i8,      DType::u8};
  const DType better =
      *std::find_if(std::begin(usual_first), std::end(usual_first) - 1, [&](DType t) { return def.types.has(t); });
  raise_call_error(
      call, ErrorId::dtype_not_accepted,
      input_name(call.op, i) + " is " + std::string(name_of(given)) + ", the op takes " + def.types.to_string(),
      cast_hint(call, i, better));
}

// Suggests a dtype that holds the number: a cast of the tensors of its group, or another dtype for the number. `input`
// is the number's place among the operands, or null for one of the op's own numbers.
std::string wider_hint(const OpCall& call, const InputDef* input, const std::string& text, DType wider) {
  const char group = input ? input->group : 'T';
  for (std::size_t i = 0; i < call.inputs.size() && group != '-'; ++i) {
    if (call.inputs[i].is_tensor() && input_def(call.op, i).group == group) return cast_hint(call, i, wider);
  }
  if (!input) return "use a dtype that holds it";
  if (!input->types.has(wider)) return "give a number in that range";
  const std::string dtype =
      "give it a dtype that holds it, such as full({}, " + text + ", lockstep::" + std::string(name_of(wider)) + ")";
  return input->values.empty() ? dtype : "check the number, or " + dtype;
}

}  // namespace

std::string integer_text(const Scalar& number) {
  return number.above_int64 ? std::to_string(static_cast<std::uint64_t>(number.integer))
                            : std::to_string(number.integer);
}

namespace {

std::string range_text(DType dtype) {
  const IntegerRange range = integer_range(dtype);
  return std::string(name_of(dtype)) + ", " + std::to_string(range.least) + " to " + std::to_string(range.most);
}

// Throws if the number is an integer that the dtype cannot hold. One that is known only at launch is checked there.
void check_integer(const OpCall& call, const InputDef* input, const Scalar& number, DType dtype) {
  if (!number.is_known() || fits_in(number, dtype)) return;
  const DType wider = number.above_int64 || dtype == DType::i64 ? DType::f64 : DType::i64;
  const std::string text = integer_text(number);
  raise_call_error(call, ErrorId::invalid_attribute,
                   "the number " + text + " is outside the range of " + range_text(dtype),
                   wider_hint(call, input, text, wider));
}

// Throws unless operand i may have this dtype, and may be a number if it is one.
void check_operand(const OpCall& call, std::size_t i, const Group* group, DType wanted) {
  const Operand& operand = call.inputs[i];
  const InputDef& def = input_def(call.op, i);
  if (operand.is_scalar()) {
    if (def.mutable_) {
      raise_call_error(call, ErrorId::wrong_input_count,
                       "input " + def.name + " is updated in place, and a number cannot be",
                       "give a variable's tensor");
    }
    const bool floating = operand.scalar().kind == Scalar::Kind::floating;
    if (floating && !is_floating(wanted) && !call.op.dtype_of_number) refuse_dtype(call, i, DType::f32);
    if (!def.types.has(wanted)) refuse_dtype(call, i, wanted);
    return check_integer(call, &def, operand.scalar(), wanted);
  }
  const DType given = operand.impl()->dtype;
  if (!def.types.has(given)) refuse_dtype(call, i, given);
  if (!group || given == group->of_tensors) return;
  raise_call_error(call, ErrorId::dtypes_differ,
                   "operands are " + std::string(name_of(group->of_tensors)) + " and " + std::string(name_of(given)) +
                       ", nothing is promoted silently",
                   cast_hint(call, i, group->of_tensors));
}

}  // namespace

DType dtype_of_number(const Scalar& number) {
  switch (number.kind) {
    case Scalar::Kind::logical: return DType::boolean;
    case Scalar::Kind::integer: return DType::i32;
    default: return DType::f32;
  }
}

IntegerRange integer_range(DType t) {
  switch (t) {
    case DType::i8: return {INT8_MIN, INT8_MAX};
    case DType::u8: return {0, UINT8_MAX};
    case DType::i32: return {INT32_MIN, INT32_MAX};
    case DType::boolean: return {0, 1};
    default: return {INT64_MIN, INT64_MAX};
  }
}

void check_element(const OpCall& call, const Scalar& number, DType dtype) {
  if (number.kind != Scalar::Kind::floating) return check_integer(call, nullptr, number, dtype);
  if (is_floating(dtype)) return;
  const double value = number.as_double();
  const IntegerRange range = integer_range(dtype);
  // As doubles: one above the largest number, which itself may not be a double.
  const std::int64_t half_of_end = range.most / 2 + 1;
  const double least = static_cast<double>(range.least), end = 2 * static_cast<double>(half_of_end);
  const bool fits = dtype == DType::boolean ? value == 0 || value == 1 : value >= least && value < end;
  if (fits && value == std::trunc(value)) return;
  char text[40];
  std::snprintf(text, sizeof text, "%.17g", std::isnan(value) ? std::fabs(value) : value);
  raise_call_error(call, ErrorId::invalid_attribute,
                   "the number " + std::string(text) + " is not a value of " + range_text(dtype),
                   "give a whole number in that range, or convert it: cast() truncates and saturates");
}

// The common case: tensors of one floating dtype that the op takes, possibly with numbers among them.
bool CallTypes::decide_at_once(const OpCall& call) {
  const auto first =
      std::find_if(call.inputs.begin(), call.inputs.end(), [](const Operand& o) { return o.is_tensor(); });
  if (first == call.inputs.end()) return false;
  const DType dtype = first->impl()->dtype;
  if (!is_floating(dtype)) return false;
  for (std::size_t i = 0; i < call.inputs.size(); ++i) {
    const Operand& operand = call.inputs[i];
    const InputDef& def = input_def(call.op, i);
    if (def.group != 'T' || !def.types.has(dtype)) return false;
    if (operand.is_tensor() ? operand.impl()->dtype != dtype : operand.is_absent() || def.mutable_) return false;
  }
  group_ = result_ = dtype;
  return true;
}

CallTypes::CallTypes(const OpCall& call) {
  if (decide_at_once(call)) return;
  const Groups groups(call);
  for (std::size_t i = 0; i < call.inputs.size(); ++i) {
    const Operand& operand = call.inputs[i];
    const InputDef& def = input_def(call.op, i);
    const Group* group = def.group == '-' ? nullptr : groups.find(def.group);
    if (operand.is_absent()) {
      if (!def.optional) {
        raise_call_error(call, ErrorId::wrong_input_count, "input " + def.name + " is missing", "give it");
      }
      operands_.push_back(group ? group->dtype() : DType::f32);
      continue;
    }
    const DType wanted = group ? group->dtype() : ungrouped(call, def, operand);
    check_operand(call, i, group, wanted);
    promotes_ |= operand.is_tensor() && operand.impl()->dtype != wanted;
    operands_.push_back(wanted);
  }
  if (const Group* main = groups.find('T')) group_ = main->dtype();
  result_ = group_;
}

// A host kernel gets pointers to all of its inputs, so its numbers must become tensors.
bool numbers_become_tensors(const OpCall& call) {
  const bool programs_take_them = call.op.pointwise() && call.op.kernels.empty() && !call.op.dtype_of_number;
  return !programs_take_them &&
         std::any_of(call.inputs.begin(), call.inputs.end(), [](const Operand& o) { return o.is_scalar(); });
}

DType RewrittenOperands::dtype_of(const Operand& operand) { return operand.impl()->dtype; }

}  // namespace lockstep
