#include "ops/call_error.h"

#include <cmath>
#include <cstdio>

#include "ops/launch_number.h"
#include "runtime/tensor_impl.h"

namespace lockstep {

std::string describe(const Operand& operand) {
  if (operand.is_absent()) return "not given";
  if (operand.is_tensor()) return describe(*operand.impl());
  const Scalar& s = operand.scalar();
  if (!s.is_known()) return "number " + LaunchNumber(s).to_string() + ", known only at launch";
  if (s.kind == Scalar::Kind::logical) return s.integer ? "number true" : "number false";
  if (s.kind == Scalar::Kind::integer) {
    return "number " +
           (s.above_int64 ? std::to_string(static_cast<std::uint64_t>(s.integer)) : std::to_string(s.integer));
  }
  if (std::isnan(s.floating)) return "number nan";  // for either sign
  char text[40];
  std::snprintf(text, sizeof text, "number %g", s.floating);
  return text;
}

std::string input_name(const OpDef& op, std::size_t i) {
  const InputDef& def = input_def(op, i);
  return def.variadic ? def.name + std::to_string(i - (op.inputs.size() - 1)) : def.name;
}

std::string output_name(const OpDef& op, std::size_t o) {
  const OutputDef& def = op.outputs[std::min(o, op.outputs.size() - 1)];
  return def.variadic ? def.name + std::to_string(o - (op.outputs.size() - 1)) : def.name;
}

IntList attribute_list(const OpDef& op, std::initializer_list<Operand> operands, std::span<const std::int64_t> numbers,
                       std::string_view what, ErrorId id) {
  const std::span<const Operand> inputs(operands.begin(), operands.size());
  return attribute_list({op, inputs, nullptr, {}, inputs[0].where()}, numbers, what, id);
}

IntList attribute_list(const OpCall& call, std::span<const std::int64_t> numbers, std::string_view what, ErrorId id) {
  check_one_per_axis(call, numbers, what, id);
  return IntList(numbers);
}

void check_one_per_axis(const OpCall& call, std::span<const std::int64_t> numbers, std::string_view what, ErrorId id) {
  if (numbers.size() <= static_cast<std::size_t>(max_rank)) return;
  raise_call_error(call, id,
                   std::string(what) + " has " + std::to_string(numbers.size()) + " numbers, a tensor at most 8 axes",
                   "give at most one number per axis of the tensor");
}

void refuse_unknown(const OpCall& call, const Scalar& number) {
  raise_call_error(call, ErrorId::symbolic_value,
                   "the number `" + LaunchNumber(number).to_string() +
                       "` is known only at launch, and the call is on tensors with elements",
                   "give its value as a plain number, or make the call on abstract tensors");
}

void raise_call_error(const OpCall& call, ErrorId id, std::string headline, std::string fix) {
  ErrorBuilder error(id, call.op.name, std::move(headline));
  constexpr std::size_t most = 8;
  for (std::size_t i = 0; i < call.inputs.size() && i < most; ++i) {
    if (!call.inputs[i].is_absent() && !call.op.inputs.empty()) {
      error.line(input_name(call.op, i), describe(call.inputs[i]));
    }
  }
  if (call.inputs.size() > most) error.line("…", "and " + std::to_string(call.inputs.size() - most) + " more");
  error.at(call.where).fix(std::move(fix)).raise();
}

}  // namespace lockstep
