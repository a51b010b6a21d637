#include "conformance/checks/instructions.h"

#include <algorithm>
#include <cctype>
#include <cstdio>
#include <cstring>
#include <map>
#include <optional>

#include "conformance/checks/instruction_table.h"
#include "conformance/checks/instruction_tensors.h"
#include "lockstep/op_def.h"
#include "lockstep/program.h"
#include "ops/pointwise.h"

namespace lockstep::conformance {
namespace {

constexpr const char* op_name = "conformance::instructions";
constexpr std::size_t output_count = 4;

struct InstructionAttrs {
  std::int64_t group = 0;
};

const InstructionGroup& group_of(const OpCall& call) {
  return instruction_groups()[static_cast<std::size_t>(call.attrs_as<InstructionAttrs>().group)];
}

Expr recorded(ProgramBuilder& p, const Instruction& i, Expr a, Expr b, Expr condition) {
  switch (i.opcode) {
    case LKS_INSTR_SELECT: return select(condition, a, b);
    case LKS_INSTR_CONVERT: return convert(a, i.to);
    case LKS_INSTR_BITCAST: return bitcast(a, i.to);
    case LKS_INSTR_NEG:
    case LKS_INSTR_ABS:
    case LKS_INSTR_SQRT:
    case LKS_INSTR_NOT: return p.emit(i.opcode, i.to, std::span(&a, 1));
    default: break;
  }
  const Expr both[] = {a, b};
  return p.emit(i.opcode, i.to, both);
}

// Pairs of operands, each with a condition that alternates.
struct Operands {
  std::vector<std::uint64_t> a, b;
  std::vector<bool> condition;
};

Operands operands_for(const InstructionGroup& group, std::uint64_t seed) {
  const std::vector<std::uint64_t> bits = operand_bits(group.from(), seed);
  const bool unary = group.instructions[0].opcode == LKS_INSTR_CONVERT ||
                     group.instructions[0].opcode == LKS_INSTR_BITCAST ||
                     group.instructions[0].opcode == LKS_INSTR_NEG || group.instructions[0].opcode == LKS_INSTR_SQRT;
  Operands all;
  for (std::size_t i = 0; i < bits.size(); ++i) {
    // A step of 7 pairs each number with others of every kind.
    const std::size_t partners = unary ? 1 : std::min<std::size_t>(bits.size(), 41);
    for (std::size_t k = 0; k < partners; ++k) {
      all.a.push_back(bits[i]);
      all.b.push_back(bits[(i + k * 7) % bits.size()]);
      all.condition.push_back((i + k) % 2 == 0);
    }
  }
  return all;
}

// The first element that is not the expected result; empty if there is none.
std::string first_error(const Instruction& i, const Operands& operands, const std::vector<std::byte>& bytes) {
  const std::size_t size = size_of(tensor_dtype(i.to));
  for (std::size_t n = 0; n < operands.a.size(); ++n) {
    std::uint64_t got = 0;
    std::memcpy(&got, bytes.data() + n * size, size);
    const std::uint64_t right = result_of(i, operands.a[n], operands.b[n], operands.condition[n]);
    if (got == right || (is_nan(got, i.to) && is_nan(right, i.to))) continue;
    char text[240];
    std::snprintf(text, sizeof text,
                  "%s of %s to %s, operands 0x%llx and 0x%llx%s: the bits are 0x%llx, right are 0x%llx", i.name,
                  name_of_lks(i.from), name_of_lks(i.to), static_cast<unsigned long long>(operands.a[n]),
                  static_cast<unsigned long long>(operands.b[n]), operands.condition[n] ? ", true" : "",
                  static_cast<unsigned long long>(got), static_cast<unsigned long long>(right));
    return text;
  }
  return "";
}

DType listed_dtype(const InstructionGroup& group) {
  std::vector<lks_dtype> values = {group.from()};
  for (const Instruction& i : group.instructions) values.push_back(i.to);
  return dtype_to_list(values);
}

}  // namespace

OpDef instruction_op() {
  OpDef op;
  op.name = op_name;
  op.doc = "One group of instructions of pointwise programs, for the conformance suite.";
  op.inputs = {{"a", types::any}, {"b", types::any}, {"condition", types::of(DType::boolean), 'B'}};
  op.outputs.clear();
  for (std::size_t o = 0; o < output_count; ++o) op.outputs.push_back({"result" + std::to_string(o)});
  op.attrs = attr_schema<InstructionAttrs>("lks_conformance_instructions_attrs",
                                           attr("group", &InstructionAttrs::group, "of the suite's table"));
  op.error_class = ErrorClass::exact;
  op.differentiable = false;
  op.reference = &pointwise_reference;  // every op must have one; the suite uses instruction_table.h instead
  op.infer = [](InferContext& c) {
    const InstructionGroup& group = group_of(c.call());
    for (std::size_t o = 0; o < output_count; ++o) {
      const Instruction& i = group.instructions[std::min(o, group.instructions.size() - 1)];
      c.set(o, tensor_dtype(i.to), c.shape(0));
    }
  };
  op.body = [](ProgramBuilder& p, const OpCall& call, std::span<const Expr> in) {
    const InstructionGroup& group = group_of(call);
    const Expr a = as_operand(in[0], group.from()), b = as_operand(in[1], group.from());
    std::vector<Expr> results;
    for (std::size_t o = 0; o < output_count; ++o) {
      const Instruction& i = group.instructions[std::min(o, group.instructions.size() - 1)];
      results.push_back(as_result(recorded(p, i, a, b, in[2])));
    }
    return results;
  };
  return op;
}

std::vector<std::string> instruction_ids(const SpecialRequest& request) {
  std::vector<std::string> ids;
  if (!request.options.op.empty() && !fits_pattern(request.options.op, op_name)) return ids;
  for (const InstructionGroup& group : instruction_groups()) {
    const std::string dtype(name_of(listed_dtype(group)));
    if (!request.options.dtype.empty() && request.options.dtype != dtype) continue;
    for (MathMode mode : request.modes) {
      if (mode == MathMode::fast && group.rounds) continue;
      if (mode == MathMode::lockstep && request.modes.front() != mode) continue;  // same arithmetic as strict mode
      ids.push_back(program_id(op_name, dtype, mode, group.name));
    }
  }
  return ids;
}

bool run_instructions(const std::vector<std::string>& parts, const Setting& setting, CaseResult& result) {
  const std::vector<InstructionGroup>& groups = instruction_groups();
  const auto group = std::find_if(groups.begin(), groups.end(), [&](const InstructionGroup& g) {
    return parts.size() == 5 && parts[1] == op_name && g.name == parts[4] && parts[2] == name_of(listed_dtype(g));
  });
  const auto mode = parts.size() == 5 ? find_mode(parts[3]) : std::nullopt;
  if (group == groups.end() || !mode) return false;
  const MathModeScope scope(*mode);
  const DeviceScope device(setting.device);
  const InstructionAttrs attrs{group - groups.begin()};
  const Operands operands = operands_for(*group, 1);
  const DType dtype = tensor_dtype(group->from());
  const std::vector<std::uint64_t> conditions(operands.condition.begin(), operands.condition.end());
  const Tensor a = tensor_of_words(operands.a, dtype, setting.device),
               b = tensor_of_words(operands.b, dtype, setting.device),
               condition = tensor_of_words(conditions, DType::boolean, setting.device);
  result.bound = "the same bits";
  const std::vector<Tensor> results = invoke(*find_op(op_name), {{a, b, condition}}, &attrs, {});
  for (std::size_t o = 0; o < group->instructions.size(); ++o) {
    const std::string error = first_error(group->instructions[o], operands, results[o].to_bytes());
    if (error.empty()) continue;
    result.outcome = Outcome::fail;
    result.text = error;
    break;
  }
  return true;
}

std::string instructions_as_markdown() {
  std::vector<std::string> order;
  std::map<std::string, std::vector<std::string>> dtypes;
  for (const InstructionGroup& group : instruction_groups()) {
    for (const Instruction& i : group.instructions) {
      std::string upper = i.name;
      std::transform(upper.begin(), upper.end(), upper.begin(), [](unsigned char c) { return std::toupper(c); });
      if (!dtypes.count(upper)) order.push_back(upper);
      const bool changes = i.opcode == LKS_INSTR_CONVERT || i.opcode == LKS_INSTR_BITCAST;
      dtypes[upper].push_back(name_of_lks(i.from) + (changes ? std::string("→") + name_of_lks(i.to) : std::string()));
    }
  }
  std::string text = "| instruction | dtypes |\n| --- | --- |\n";
  for (const std::string& name : order) {
    text += "| `" + name + "` | ";
    if (name == "CONVERT") {
      text += "from each of f32, f64, f16, bf16, i8, u8, i32, i64, u32, u64, bool to each other |\n";
      continue;
    }
    const std::vector<std::string>& list = dtypes[name];
    for (std::size_t k = 0; k < list.size(); ++k) text += (k ? ", " : "") + list[k];
    text += " |\n";
  }
  return text;
}

}  // namespace lockstep::conformance
