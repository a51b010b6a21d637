#include "conformance/checks/patterns.h"

#include <algorithm>
#include <bit>
#include <cstdio>
#include <cstring>
#include <initializer_list>
#include <optional>

#include "conformance/checks/instruction_table.h"
#include "conformance/checks/instruction_tensors.h"
#include "lockstep/op_def.h"
#include "lockstep/program.h"
#include "ops/pointwise.h"

namespace lockstep::conformance {
namespace {

constexpr const char* op_name = "conformance::patterns";
constexpr std::size_t output_count = 4;

struct PatternAttrs {
  std::int64_t group = 0;
};

// One instruction on the value so far. It may have another operand.
struct Step {
  enum class Other : std::uint8_t { none, constant, constant_first, itself };
  Instruction instruction;
  Other other = Other::none;
  std::uint64_t constant = 0;  // its bits
};

struct Pattern {
  std::string text;  // "x * 4 / 4"
  std::vector<Step> steps;

  lks_dtype to() const { return steps.back().instruction.to; }
};

// Up to four patterns on the same operand, for one program.
struct PatternGroup {
  std::string name;  // "divide.i32"
  lks_dtype from;
  std::vector<Pattern> patterns;

  const Pattern& of_output(std::size_t o) const { return patterns[std::min(o, patterns.size() - 1)]; }
};

// -------------------------------------------------------------------------------------------------------- the patterns

std::uint64_t bits_in(lks_dtype t, double number) {
  if (t == LKS_F64) return std::bit_cast<std::uint64_t>(number);
  return std::bit_cast<std::uint32_t>(static_cast<float>(number));
}

std::uint64_t bits_in(lks_dtype t, std::int64_t number) {
  const std::uint32_t width = LKS_DTYPE_BITS(t);
  const auto bits = static_cast<std::uint64_t>(number);
  return width == 64 ? bits : bits & ((std::uint64_t{1} << width) - 1);
}

template <class N>
Step with_constant(const char* name, std::uint32_t opcode, lks_dtype t, N number,
                   Step::Other other = Step::Other::constant) {
  return {{name, opcode, t, t}, other, bits_in(t, number)};
}
Step with_itself(const char* name, std::uint32_t opcode, lks_dtype t) {
  return {{name, opcode, t, t}, Step::Other::itself, 0};
}
Step conversion(lks_dtype from, lks_dtype to) {
  return {{"convert", LKS_INSTR_CONVERT, from, to}, Step::Other::none, 0};
}

std::string text_of(lks_dtype, double number) {
  char text[40];
  std::snprintf(text, sizeof text, "%g", number);
  return text;
}
std::string text_of(lks_dtype t, std::int64_t number) {
  const std::uint64_t bits = bits_in(t, number);
  if (LKS_DTYPE_CLASS(t) != LKS_CLASS_INT) return std::to_string(bits);
  const std::uint32_t unused = 64 - LKS_DTYPE_BITS(t);
  return std::to_string(static_cast<std::int64_t>(bits << unused) >> unused);
}

// Each dtype on the way has a group of its own, since a driver may lack it.
void add_returns(std::vector<PatternGroup>& groups, lks_dtype from, std::initializer_list<lks_dtype> ways) {
  for (const lks_dtype way : ways) {
    const std::string name = std::string("return.") + name_of_lks(from) + "-" + name_of_lks(way);
    groups.push_back({name, from, {{"x, converted there and back", {conversion(from, way), conversion(way, from)}}}});
  }
}

// `numbers` are at most four.
template <class N>
void add_quotients(std::vector<PatternGroup>& groups, const char* name, lks_dtype t, std::initializer_list<N> numbers) {
  PatternGroup group{std::string(name) + "." + name_of_lks(t), t, {}};
  for (const N number : numbers) {
    group.patterns.push_back({"x / " + text_of(t, number), {with_constant("div", LKS_INSTR_DIV, t, number)}});
  }
  groups.push_back(std::move(group));
}

void add_real_patterns(std::vector<PatternGroup>& groups, lks_dtype t) {
  const std::string suffix = std::string(".") + name_of_lks(t);
  // The reciprocal of the last constant is infinite.
  add_quotients(groups, "divide", t, {3.0, 10.0, 49.0, t == LKS_F64 ? 0x1p-1030 : 0x1p-130});
  const auto constant = [t](const char* name, std::uint32_t opcode, double number) {
    return with_constant(name, opcode, t, number);
  };
  groups.push_back({"zero" + suffix,
                    t,
                    {{"x + 0", {constant("add", LKS_INSTR_ADD, 0.0)}},
                     {"0 - x", {with_constant("sub", LKS_INSTR_SUB, t, 0.0, Step::Other::constant_first)}},
                     {"x * 0", {constant("mul", LKS_INSTR_MUL, 0.0)}},
                     {"0 / x", {with_constant("div", LKS_INSTR_DIV, t, 0.0, Step::Other::constant_first)}}}});
  groups.push_back({"itself" + suffix,
                    t,
                    {{"x - x", {with_itself("sub", LKS_INSTR_SUB, t)}},
                     {"x / x", {with_itself("div", LKS_INSTR_DIV, t)}},
                     {"x * x", {with_itself("mul", LKS_INSTR_MUL, t)}},
                     {"-(0 - x)",
                      {with_constant("sub", LKS_INSTR_SUB, t, 0.0, Step::Other::constant_first),
                       {{"neg", LKS_INSTR_NEG, t, t}, Step::Other::none, 0}}}}});
  const double large = t == LKS_F64 ? 0x1p53 : 0x1p24;
  groups.push_back(
      {"undone" + suffix,
       t,
       {{"x + large - large", {constant("add", LKS_INSTR_ADD, large), constant("sub", LKS_INSTR_SUB, large)}},
        {"x * 3 / 3", {constant("mul", LKS_INSTR_MUL, 3.0), constant("div", LKS_INSTR_DIV, 3.0)}},
        {"x / 3 * 3", {constant("div", LKS_INSTR_DIV, 3.0), constant("mul", LKS_INSTR_MUL, 3.0)}},
        {"x * 0.1 * 10", {constant("mul", LKS_INSTR_MUL, 0.1), constant("mul", LKS_INSTR_MUL, 10.0)}}}});
}

void add_integer_patterns(std::vector<PatternGroup>& groups, lks_dtype t) {
  using Long = std::int64_t;
  const auto width = static_cast<Long>(LKS_DTYPE_BITS(t));
  // The bits of the least number, or of the largest power of two.
  const auto top = static_cast<Long>(std::uint64_t{1} << (width - 1));
  add_quotients<Long>(groups, "divide", t, {3, 7, -1, top + 1});
  add_quotients<Long>(groups, "divide_more", t, {-5, top, 8, 0});
  const auto constant = [t](const char* name, std::uint32_t opcode, Long number) {
    return with_constant(name, opcode, t, number);
  };
  groups.push_back({std::string("undone.") + name_of_lks(t),
                    t,
                    {{"x * 4 / 4", {constant("mul", LKS_INSTR_MUL, 4), constant("div", LKS_INSTR_DIV, 4)}},
                     {"x / 3 * 3", {constant("div", LKS_INSTR_DIV, 3), constant("mul", LKS_INSTR_MUL, 3)}},
                     {"x << 5 >> 5", {constant("shl", LKS_INSTR_SHL, 5), constant("shr", LKS_INSTR_SHR, 5)}},
                     {"x / x", {with_itself("div", LKS_INSTR_DIV, t)}}}});
}

const std::vector<PatternGroup>& pattern_groups() {
  static const std::vector<PatternGroup> all = [] {
    std::vector<PatternGroup> groups;
    add_returns(groups, LKS_F32, {LKS_BF16, LKS_F16, LKS_I8, LKS_U8, LKS_I32, LKS_I64, LKS_BOOL});
    add_returns(groups, LKS_F64, {LKS_F32, LKS_F16, LKS_BF16, LKS_I32, LKS_I64});
    add_returns(groups, LKS_I32, {LKS_I8, LKS_U8, LKS_F32, LKS_F16, LKS_BF16, LKS_BOOL});
    add_returns(groups, LKS_I64, {LKS_I32, LKS_U32, LKS_F32, LKS_F64, LKS_I8});
    add_returns(groups, LKS_U32, {LKS_U8});
    add_returns(groups, LKS_U64, {LKS_U32, LKS_F64});
    add_returns(groups, LKS_I8, {LKS_BOOL});
    for (const lks_dtype t : {LKS_F32, LKS_F64}) add_real_patterns(groups, t);
    for (const lks_dtype t : {LKS_I8, LKS_U8, LKS_I32, LKS_I64, LKS_U32, LKS_U64}) add_integer_patterns(groups, t);
    return groups;
  }();
  return all;
}

// ------------------------------------------------------------------------------------------------------- the programs

const PatternGroup& group_of(const OpCall& call) {
  return pattern_groups()[static_cast<std::size_t>(call.attrs_as<PatternAttrs>().group)];
}

Expr recorded(ProgramBuilder& p, const Step& step, Expr value) {
  const Instruction& i = step.instruction;
  if (i.opcode == LKS_INSTR_CONVERT) return convert(value, i.to);
  if (step.other == Step::Other::none) return p.emit(i.opcode, i.to, std::span(&value, 1));
  const bool is_constant = step.other != Step::Other::itself;
  const Expr other = is_constant ? p.constant_bits(i.from, step.constant) : value;
  const Expr in_order[] = {value, other}, swapped[] = {other, value};
  return p.emit(i.opcode, i.to, step.other == Step::Other::constant_first ? swapped : in_order);
}

std::uint64_t right_result(const Pattern& pattern, std::uint64_t value) {
  for (const Step& step : pattern.steps) {
    const std::uint64_t other = step.other == Step::Other::itself ? value : step.constant;
    value = step.other == Step::Other::constant_first ? result_of(step.instruction, other, value, false)
                                                      : result_of(step.instruction, value, other, false);
  }
  return value;
}

// The first element that is not the expected result; empty if there is none.
std::string first_error(const PatternGroup& group, const Pattern& pattern, const std::vector<std::uint64_t>& operands,
                        const std::vector<std::byte>& bytes) {
  const std::size_t size = size_of(tensor_dtype(pattern.to()));
  for (std::size_t n = 0; n < operands.size(); ++n) {
    std::uint64_t got = 0;
    std::memcpy(&got, bytes.data() + n * size, size);
    const std::uint64_t right = right_result(pattern, operands[n]);
    if (got == right || (is_nan(got, pattern.to()) && is_nan(right, pattern.to()))) continue;
    char text[240];
    std::snprintf(text, sizeof text, "%s of %s, where the bits of x are 0x%llx: the bits are 0x%llx, right are 0x%llx",
                  pattern.text.c_str(), name_of_lks(group.from), static_cast<unsigned long long>(operands[n]),
                  static_cast<unsigned long long>(got), static_cast<unsigned long long>(right));
    return text;
  }
  return "";
}

DType listed_dtype(const PatternGroup& group) {
  std::vector<lks_dtype> values = {group.from};
  for (const Pattern& pattern : group.patterns) {
    for (const Step& step : pattern.steps) values.push_back(step.instruction.to);
  }
  return dtype_to_list(values);
}

}  // namespace

OpDef pattern_op() {
  OpDef op;
  op.name = op_name;
  op.doc = "Programs in which short cuts change results, for the conformance suite.";
  op.inputs = {{"x", types::any}};
  op.outputs.clear();
  for (std::size_t o = 0; o < output_count; ++o) op.outputs.push_back({"result" + std::to_string(o)});
  op.attrs = attr_schema<PatternAttrs>("lks_conformance_patterns_attrs",
                                       attr("group", &PatternAttrs::group, "of the suite's table"));
  op.error_class = ErrorClass::exact;
  op.differentiable = false;
  op.reference = &pointwise_reference;  // every op must have one; the suite uses instruction_table.h instead
  op.infer = [](InferContext& c) {
    const PatternGroup& group = group_of(c.call());
    for (std::size_t o = 0; o < output_count; ++o) c.set(o, tensor_dtype(group.of_output(o).to()), c.shape(0));
  };
  op.body = [](ProgramBuilder& p, const OpCall& call, std::span<const Expr> in) {
    const PatternGroup& group = group_of(call);
    std::vector<Expr> results;
    for (std::size_t o = 0; o < output_count; ++o) {
      Expr value = as_operand(in[0], group.from);
      for (const Step& step : group.of_output(o).steps) value = recorded(p, step, value);
      results.push_back(as_result(value));
    }
    return results;
  };
  return op;
}

std::vector<std::string> pattern_ids(const SpecialRequest& request) {
  std::vector<std::string> ids;
  if (!request.options.op.empty() && !fits_pattern(request.options.op, op_name)) return ids;
  for (const PatternGroup& group : pattern_groups()) {
    const std::string dtype(name_of(listed_dtype(group)));
    if (!request.options.dtype.empty() && request.options.dtype != dtype) continue;
    for (MathMode mode : request.modes) {
      ids.push_back(program_id(op_name, dtype, mode, group.name));
    }
  }
  return ids;
}

bool run_patterns(const std::vector<std::string>& parts, const Setting& setting, CaseResult& result) {
  const std::vector<PatternGroup>& groups = pattern_groups();
  const auto group = std::find_if(groups.begin(), groups.end(), [&](const PatternGroup& g) {
    return parts.size() == 5 && parts[1] == op_name && g.name == parts[4] && parts[2] == name_of(listed_dtype(g));
  });
  const auto mode = parts.size() == 5 ? find_mode(parts[3]) : std::nullopt;
  if (group == groups.end() || !mode) return false;
  const MathModeScope scope(*mode);
  const DeviceScope device(setting.device);
  const PatternAttrs attrs{group - groups.begin()};
  const std::vector<std::uint64_t> operands = operand_bits(group->from, 1);
  const Tensor x = tensor_of_words(operands, tensor_dtype(group->from), setting.device);
  result.bound = "the same bits";
  const std::vector<Tensor> results = invoke(*find_op(op_name), {{x}}, &attrs, {});
  for (std::size_t o = 0; o < group->patterns.size() && result.outcome == Outcome::pass; ++o) {
    result.text = first_error(*group, group->patterns[o], operands, results[o].to_bytes());
    if (!result.text.empty()) result.outcome = Outcome::fail;
  }
  return true;
}

}  // namespace lockstep::conformance
